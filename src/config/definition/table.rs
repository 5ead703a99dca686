//! Joins all tables of keys. Kafka 3.9: `KafkaConfig.configDef`, `LogConfig.configDef`.

use super::{ConfigKey, UpdateMode};

const KEY_TABLES: &[&[ConfigKey]] = &[
    super::broker_coordinator::KEYS,
    super::broker_kraft::KEYS,
    super::broker_log::KEYS,
    super::broker_network::KEYS,
    super::broker_own::KEYS,
    super::broker_remote::KEYS,
    super::broker_replication::KEYS,
    super::broker_security::KEYS,
    super::broker_server::KEYS,
    super::broker_zookeeper::KEYS,
];

/// Every key of `server.properties`, in the order of the tables.
pub fn broker_keys() -> impl Iterator<Item = &'static ConfigKey> {
    KEY_TABLES.iter().flat_map(|keys| keys.iter())
}

/// The key of `server.properties` with this name.
pub fn broker_key(name: &str) -> Option<&'static ConfigKey> {
    broker_keys().find(|key| key.name == name)
}

/// The broker key with this name; keys that exist only in ZooKeeper are included.
pub fn dynamic_broker_key(name: &str) -> Option<&'static ConfigKey> {
    broker_key(name).or_else(|| super::broker_quota::KEYS.iter().find(|key| key.name == name))
}

/// Every key of a topic, ordered by name.
pub fn topic_keys() -> &'static [ConfigKey] {
    super::topic::KEYS
}

/// The key of a topic with this name.
pub fn topic_key(name: &str) -> Option<&'static ConfigKey> {
    topic_keys().iter().find(|key| key.name == name)
}

/// The names under which a broker setting can be given, the most specific one first: milliseconds have priority over
/// minutes, and minutes over hours. A listener's own key (`listener.name.x.key`) falls back to the plain key.
pub fn broker_synonyms(name: &str) -> Vec<&str> {
    const FAMILIES: &[&[&str]] = &[
        &["log.roll.ms", "log.roll.hours"],
        &["log.roll.jitter.ms", "log.roll.jitter.hours"],
        &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
    ];
    if name == "log.flush.interval.ms" {
        return vec![name, "log.flush.scheduler.interval.ms"];
    }
    if let Some(family) = FAMILIES.iter().find(|family| family.contains(&name)) {
        return family.to_vec();
    }
    match listener_base_key(name) {
        Some(base) => vec![name, base],
        None => vec![name],
    }
}

/// Whether a setting of a broker in ZooKeeper holds a password, which is stored encoded. As in Kafka, the end of the
/// name decides, so that keys of a listener and of a mechanism are found too.
pub fn is_dynamic_password(name: &str) -> bool {
    let mut passwords = broker_keys().filter(|key| key.is_sensitive() && key.update != UpdateMode::ReadOnly);
    passwords.any(|key| name.ends_with(key.name))
}

/// The plain key of a listener's own key: `ssl.keystore.location` for `listener.name.internal.ssl.keystore.location`.
pub fn listener_base_key(name: &str) -> Option<&str> {
    /// Keys that can also be given for one SASL mechanism, with the mechanism's name before the key.
    const PER_MECHANISM: &[&str] = &[
        "sasl.jaas.config",
        "sasl.login.callback.handler.class",
        "sasl.login.class",
        "sasl.server.callback.handler.class",
        "connections.max.reauth.ms",
    ];
    let (_, base) = name.strip_prefix("listener.name.")?.split_once('.')?;
    let per_mechanism = PER_MECHANISM.iter().find(|key| base.ends_with(**key));
    Some(per_mechanism.map_or(base, |key| key))
}
