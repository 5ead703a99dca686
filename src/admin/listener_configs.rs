//! The rules for settings of single listeners that are changed at run time. Kafka 3.9: `DynamicBrokerConfig`,
//! `DynamicListenerConfig`, `SslFactory.validateReconfiguration`.
//!
//! As in Kafka, every key with a listener's prefix is stored. The stores of TLS take effect at once, the rest when the
//! broker starts again.

use super::error::AdminError;
use crate::common::error::ErrorCode;
use crate::config::BrokerConfig;
use crate::config::definition::listener_base_key;
use crate::security::tls::{TlsListener, check_replacement};

/// Keys that can be changed at run time only for one listener.
const STORES: [&str; 11] = [
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
    "ssl.engine.factory.class",
];

/// Keys of a listener that may be set for all brokers.
const OF_ALL_BROKERS: [&str; 3] = [
    "max.connections",
    "max.connection.creation.rate",
    "num.network.threads",
];

/// Whether a key limits the connections of one listener. Such limits are not built, so they must not be accepted.
pub(super) fn is_limit(name: &str) -> bool {
    listener_base_key(name).is_some_and(|base| OF_ALL_BROKERS[..2].contains(&base))
}

/// Those of the keys that need the prefix of a listener and have none.
pub(super) fn without_listener<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let found: Vec<&str> = names.filter(|name| STORES.contains(name)).collect();
    found.join(", ")
}

/// Those of the keys that have the prefix of a listener and cannot be set for all brokers.
pub(super) fn of_one_broker<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let is_of_one = |name: &&str| listener_base_key(name).is_some_and(|base| !OF_ALL_BROKERS.contains(&base));
    let found: Vec<&str> = names.filter(is_of_one).collect();
    found.join(", ")
}

/// Loads the stores that would change, as the listener would.
pub(super) fn validate_stores(before: &BrokerConfig, config: &BrokerConfig) -> Result<(), AdminError> {
    for (listener, settings) in &config.listener_configs {
        let endpoint = config
            .listeners
            .iter()
            .find(|endpoint| endpoint.listener == *listener);
        let has_tls = endpoint.is_some_and(|endpoint| endpoint.security_protocol.has_tls());
        let is_new = before
            .listener_configs
            .get(listener)
            .is_none_or(|old| old.ssl != settings.ssl);
        if !has_tls || !is_new {
            continue;
        }
        let loaded = TlsListener::new(&settings.ssl).and_then(|_| {
            let old = before.listener_configs.get(listener);
            old.map_or(Ok(()), |old| check_replacement(&old.ssl, &settings.ssl))
        });
        if let Err(error) = loaded {
            let message = format!(
                "Invalid value org.apache.kafka.common.config.ConfigException: Validation of dynamic config update of \
                 SSLFactory failed: {error} for configuration Invalid dynamic configuration"
            );
            return Err(AdminError::new(ErrorCode::InvalidRequest, message));
        }
    }
    Ok(())
}
