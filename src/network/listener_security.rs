//! Owns what a listener wants of its clients before it serves them: TLS, a proof of identity by SASL, and how long a
//! failure is kept from them. Kafka 3.9: `SslChannelBuilder`, `SaslChannelBuilder`, `PlaintextChannelBuilder`.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{BrokerConfig, Endpoint, SecurityProtocol};
use crate::security::sasl::SaslMechanisms;
use crate::security::tls::TlsListener;

/// The security of one listener.
#[derive(Clone)]
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

impl ListenerSecurity {
    /// The security of one listener of a configuration. The error is Kafka's text.
    pub(super) fn of(config: &BrokerConfig, endpoint: &Endpoint) -> Result<Self, String> {
        let _ = config;
        match endpoint.security_protocol {
            SecurityProtocol::Plaintext => Ok(Self {
                protocol: SecurityProtocol::Plaintext,
                tls: None,
                sasl: None,
                max_receive_bytes: 524_288,
                failure_delay: Duration::from_millis(100),
            }),
            other => Err(format!("{} is not built", other.name())),
        }
    }
}
