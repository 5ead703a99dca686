//! Checks the settings of a file one by one: refuses those that ask for what is not there, and warns about those that
//! have no effect.

use super::definition::{Support, broker_key, listener_base_key};
use super::error::{ConfigError, Warning};
use super::properties::Property;
use super::providers;

/// Protections that do not exist here. An operator who sets one of these keys relies on it: a broker that ignored the
/// key would be open.
const PROTECTIONS: [&str; 7] = [
    "alter.config.policy.class.name",
    "authorizer.class.name",
    "client.quota.callback.class",
    "create.topic.policy.class.name",
    "principal.builder.class",
    "zookeeper.ssl.crl.enable",
    "zookeeper.ssl.ocsp.enable",
];

/// Limits of connections. They exist for the whole broker only.
const LISTENER_LIMITS: [&str; 2] = ["max.connections", "max.connection.creation.rate"];

/// Keys that name classes or Java's providers.
const UNLOADABLE: [&str; 3] = ["security.providers", "ssl.engine.factory.class", "ssl.provider"];

const NO_CLASSES: &str = "names a class or provider of a JVM, which barnabas cannot load: remove the key";

const NO_PROTECTION: &str =
    "barnabas has not this protection yet, and no classes can be loaded: remove the key to run without it";

/// Checks one setting by itself; returns a warning if it has no effect.
pub(super) fn review(name: &str, property: &Property) -> Result<Option<Warning>, ConfigError> {
    let refuse = |reason: &str| Err(ConfigError::key(name, reason).with_origin(&property.origin));
    let warn = |reason: &str| {
        Ok(Some(Warning {
            origin: property.origin.clone(),
            key: name.to_string(),
            reason: reason.to_string(),
        }))
    };
    let Some(key) = broker_key(name) else {
        return match listener_base_key(name).and_then(broker_key) {
            Some(base) if PROTECTIONS.contains(&base.name) => refuse(NO_PROTECTION),
            Some(base) if LISTENER_LIMITS.contains(&base.name) => {
                warn("the limit of a single listener is not honoured yet")
            }
            Some(base) if matches!(base.support, Support::Honoured | Support::AtStart) => {
                if base.is_sensitive() || property.value.trim().is_empty() {
                    return Ok(None);
                }
                base.parse(&property.value)
                    .map_err(|e| e.with_origin(&property.origin))?;
                Ok(None)
            }
            Some(base) if UNLOADABLE.contains(&base.name) => refuse(NO_CLASSES),
            Some(_) => warn("this setting of a single listener is not honoured yet"),
            None if providers::is_provider_key(name) => Ok(None),
            None => warn("Kafka 3.9 has no such key"),
        };
    };
    let value = key
        .parse(&property.value)
        .map_err(|e| e.with_origin(&property.origin))?;
    let value = value.to_string();
    match key.support {
        _ if name == "zookeeper.metadata.migration.enable" && value == "true" => {
            refuse("migration to KRaft is not supported: barnabas brokers stay with ZooKeeper")
        }
        _ if name == "group.coordinator.rebalance.protocols" && value != "classic" => {
            refuse("only the classic protocol exists in a ZooKeeper-mode cluster")
        }
        _ if name == "inter.broker.protocol.version" && !value.starts_with("3.9") => refuse(
            "barnabas speaks inter-broker protocol 3.9 only, which brokers older than that do not: upgrade them to 3.9 \
             first, then remove the key",
        ),
        Support::KRaft if !value.is_empty() => refuse(
            "belongs to KRaft, but barnabas is a broker for clusters coordinated by ZooKeeper: remove it and set \
             zookeeper.connect",
        ),
        Support::NotYet if PROTECTIONS.contains(&name) && key.default != Some(value.as_str()) => {
            refuse(NO_PROTECTION)
        }
        Support::NotYet if UNLOADABLE.contains(&name) && !value.is_empty() => refuse(NO_CLASSES),
        Support::NotYet if key.default != Some(value.as_str()) => warn("is set but not honoured yet"),
        Support::NoEffect if key.default != Some(value.as_str()) => warn("has no effect in this broker"),
        _ => Ok(None),
    }
}
