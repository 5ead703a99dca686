//! Owns what each listener wants of its clients before it serves them: TLS, a proof of identity by SASL, and how long a
//! failure is kept from them. Kafka 3.9: `ChannelBuilders.serverChannelBuilder`, `SslChannelBuilder`,
//! `SaslChannelBuilder`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{BrokerConfig, Endpoint, SecurityProtocol};
use crate::security::sasl::{SaslMechanisms, ScramCredentialCache};
use crate::security::tls::{TlsListener, self_test};

/// The security of one listener.
pub(super) struct ListenerSecurity {
    pub(super) protocol: SecurityProtocol,
    /// Present if the protocol has TLS.
    pub(super) tls: Option<Arc<TlsListener>>,
    /// Present if the protocol has SASL.
    pub(super) sasl: Option<Arc<SaslMechanisms>>,
    /// `sasl.server.max.receive.size`: the largest frame before a client is authenticated.
    pub(super) max_receive_bytes: usize,
    /// `connection.failed.authentication.delay.ms`: how long the answer to a failure, and the close, are held back.
    pub(super) failure_delay: Duration,
}

/// The security of all listeners of a broker, by their names.
#[derive(Clone, Default)]
pub struct ListenerSecurities(BTreeMap<String, Arc<ListenerSecurity>>);

/// The settings of a listener's TLS or SASL cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("listener {listener}: {reason}")]
pub struct SecurityError {
    /// The listener's name.
    pub(super) listener: String,
    /// Kafka's text.
    pub(super) reason: String,
}

impl ListenerSecurities {
    /// Reads the stores and sets the mechanisms up. `users` are those of SCRAM.
    pub async fn new(config: &BrokerConfig, users: &ScramCredentialCache) -> Result<Self, SecurityError> {
        let mut listeners = BTreeMap::new();
        for endpoint in &config.listeners {
            let security = ListenerSecurity::new(config, endpoint, users).await;
            let security = security.map_err(|reason| SecurityError {
                listener: endpoint.listener.clone(),
                reason,
            })?;
            listeners.insert(endpoint.listener.clone(), Arc::new(security));
        }
        Ok(Self(listeners))
    }

    /// Of listeners without protection.
    #[cfg(test)]
    pub(crate) fn plaintext(config: &BrokerConfig) -> Self {
        let security = Arc::new(ListenerSecurity {
            protocol: SecurityProtocol::Plaintext,
            tls: None,
            sasl: None,
            max_receive_bytes: 0,
            failure_delay: Duration::ZERO,
        });
        let names = config.listeners.iter().map(|endpoint| endpoint.listener.clone());
        Self(names.map(|name| (name, security.clone())).collect())
    }

    /// Loads the key and trust stores again whose settings or files have changed. Connections that are open go on. A
    /// store that cannot be used changes nothing. Returns the listeners that have changed.
    pub fn reconfigure(&self, config: &BrokerConfig) -> Vec<String> {
        let mut changed = Vec::new();
        for (listener, security) in &self.0 {
            let (Some(tls), Some(settings)) = (&security.tls, config.listener_configs.get(listener)) else {
                continue;
            };
            match tls.reconfigure(&settings.ssl) {
                Ok(false) => {}
                Ok(true) => {
                    tracing::info!(listener, "the key store or trust store was loaded again");
                    changed.push(listener.clone());
                }
                Err(error) => {
                    let broker = config.broker_id;
                    tracing::error!(listener, %error, "Per-broker configs of {broker} could not be applied");
                }
            }
        }
        changed
    }

    /// The security of one listener.
    pub(super) fn of(&self, listener: &str) -> Option<&Arc<ListenerSecurity>> {
        self.0.get(listener)
    }
}

impl ListenerSecurity {
    async fn new(
        config: &BrokerConfig,
        endpoint: &Endpoint,
        users: &ScramCredentialCache,
    ) -> Result<Self, String> {
        let protocol = endpoint.security_protocol;
        let settings = config.listener_config(&endpoint.listener);
        let tls = if protocol.has_tls() {
            let tls = TlsListener::new(&settings.ssl).map_err(|error| error.to_string())?;
            if endpoint.listener == config.inter_broker_listener_name {
                self_test(&settings.ssl, &tls).map_err(|error| error.to_string())?;
            }
            Some(Arc::new(tls))
        } else {
            None
        };
        let sasl = if protocol.has_sasl() {
            let properties = &config.system_properties;
            let sasl = SaslMechanisms::new(&endpoint.listener, &settings.sasl, properties, users).await;
            Some(Arc::new(sasl.map_err(|error| error.to_string())?))
        } else {
            None
        };
        Ok(Self {
            protocol,
            tls,
            sasl,
            max_receive_bytes: usize::try_from(settings.sasl.server_max_receive_size).unwrap_or(0),
            failure_delay: Duration::from_millis(config.connection_failed_authentication_delay_ms),
        })
    }
}
