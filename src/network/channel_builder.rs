//! Owns how connections to other brokers are opened: each by the security protocol of its endpoint. Every connection
//! between brokers is opened here. Kafka 3.9: `ChannelBuilders.clientChannelBuilder`.
//!
//! A broker connects with the settings of its own listener of the same name: the inter-broker listener, or the
//! control-plane listener.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::listener_security::{ListenerSecurities, SecurityError};
use super::transport::Transport;
use crate::common::clock::SharedClock;
use crate::config::{BrokerConfig, Endpoint, SecurityProtocol};
use crate::security::sasl::{SaslClient, SaslMechanisms};
use crate::security::tls::TlsClient;

/// Opens connections. All clones share the same protection.
#[derive(Clone, Default)]
pub struct ChannelBuilder {
    listeners: Arc<BTreeMap<String, ClientSecurity>>,
}

/// How this broker connects to the listeners of one name.
struct ClientSecurity {
    protocol: SecurityProtocol,
    tls: Option<TlsClient>,
    sasl: Option<SaslIdentity>,
}

/// What this broker proves its identity with.
struct SaslIdentity {
    mechanisms: Arc<SaslMechanisms>,
    /// `sasl.mechanism.inter.broker.protocol`.
    mechanism: String,
    clock: SharedClock,
}

impl ChannelBuilder {
    /// For clusters without protection.
    #[cfg(test)]
    pub fn plaintext() -> Self {
        Self::default()
    }

    /// With the protection of the inter-broker listener and of the control-plane listener.
    pub fn new(
        config: &BrokerConfig,
        securities: &ListenerSecurities,
        clock: &SharedClock,
    ) -> Result<Self, SecurityError> {
        let control_plane = config.control_plane_listener_name.as_deref();
        let names = [Some(config.inter_broker_listener_name.as_str()), control_plane];
        let mut listeners = BTreeMap::new();
        for listener in names.into_iter().flatten() {
            let Some(security) = securities.of(listener) else {
                continue;
            };
            let settings = config.listener_config(listener);
            let tls = security.tls.as_ref().map(|_| TlsClient::new(&settings.ssl));
            let tls = tls.transpose().map_err(|error| SecurityError {
                listener: listener.to_owned(),
                reason: error.to_string(),
            })?;
            let sasl = security.sasl.as_ref().map(|mechanisms| SaslIdentity {
                mechanisms: mechanisms.clone(),
                mechanism: config.sasl_mechanism_inter_broker_protocol.clone(),
                clock: clock.clone(),
            });
            let protocol = security.protocol;
            listeners.insert(listener.to_owned(), ClientSecurity { protocol, tls, sasl });
        }
        Ok(Self {
            listeners: Arc::new(listeners),
        })
    }

    /// Loads the stores of connections to listeners of one name again.
    pub fn reconfigure(&self, listener: &str, config: &BrokerConfig) {
        let security = self.listeners.get(listener);
        if let Some(tls) = security.and_then(|security| security.tls.as_ref())
            && let Err(error) = tls.reconfigure(&config.listener_config(listener).ssl)
        {
            tracing::error!(listener, %error, "the stores for connections to other brokers stay as they are");
        }
    }

    fn security(&self, endpoint: &Endpoint) -> Option<&ClientSecurity> {
        let security = self.listeners.get(&endpoint.listener)?;
        (security.protocol == endpoint.security_protocol).then_some(security)
    }

    /// Whether there are settings for the endpoint's security protocol.
    pub fn can_open(&self, endpoint: &Endpoint) -> bool {
        endpoint.security_protocol == SecurityProtocol::Plaintext || self.security(endpoint).is_some()
    }

    /// The client of a new SASL exchange with an endpoint, if its protocol has SASL.
    pub(super) async fn sasl_client(&self, endpoint: &Endpoint) -> Result<Option<SaslClient>, String> {
        let Some(identity) = self
            .security(endpoint)
            .and_then(|security| security.sasl.as_ref())
        else {
            return Ok(None);
        };
        let now_ms = identity.clock.wall_ms();
        let client = identity
            .mechanisms
            .client(&identity.mechanism, &endpoint.host, now_ms);
        client.await.map(Some).map_err(|error| error.to_string())
    }

    /// Connects to an endpoint, up to the end of the TLS handshake.
    pub(super) async fn open(&self, endpoint: &Endpoint) -> Result<Transport, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", endpoint.address());
        if !self.can_open(endpoint) {
            let (listener, protocol) = (&endpoint.listener, endpoint.security_protocol.name());
            return Err(format!(
                "{}: this broker has no settings for {listener}, {protocol}",
                endpoint.address()
            ));
        }
        let connected = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await;
        let stream = connected.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        match self.security(endpoint).and_then(|security| security.tls.as_ref()) {
            None => Ok(Transport::Plain(stream)),
            Some(tls) => Transport::connect(stream, tls.client_config(), &endpoint.host)
                .await
                .map_err(failed),
        }
    }
}

/// Shows no settings: some are secret.
impl fmt::Debug for ChannelBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelBuilder")
    }
}
