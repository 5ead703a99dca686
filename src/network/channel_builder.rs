//! Owns how connections to other brokers are opened: each by the security protocol of its endpoint. Every connection
//! between brokers is opened here. Kafka 3.9: `ChannelBuilders`, `ChannelBuilder`.

use std::fmt;

use tokio::net::TcpStream;

use super::transport::Transport;
use crate::config::{Endpoint, SecurityProtocol};
use crate::security::sasl::SaslClient;

/// Opens connections. All clones share the same protection.
#[derive(Clone, Default)]
pub struct ChannelBuilder;

impl ChannelBuilder {
    /// For clusters without protection.
    pub fn plaintext() -> Self {
        Self::default()
    }

    /// Whether there are settings for the endpoint's security protocol.
    pub fn can_open(&self, endpoint: &Endpoint) -> bool {
        endpoint.security_protocol == SecurityProtocol::Plaintext
    }

    /// The client of a new SASL exchange with an endpoint, if its protocol has SASL.
    pub(super) fn sasl_client(&self, endpoint: &Endpoint) -> Result<Option<SaslClient>, String> {
        match endpoint.security_protocol {
            SecurityProtocol::Plaintext | SecurityProtocol::Ssl => Ok(None),
            SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl => Err("no SASL".to_owned()),
        }
    }

    /// Connects to an endpoint.
    pub(super) async fn open(&self, endpoint: &Endpoint) -> Result<Transport, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", endpoint.address());
        let connected = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await;
        let stream = connected.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        match endpoint.security_protocol {
            SecurityProtocol::Plaintext => Ok(Transport::Plain(stream)),
            other => Err(format!("{}: no protection {}", endpoint.address(), other.name())),
        }
    }
}

/// Shows no settings: some are secret.
impl fmt::Debug for ChannelBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelBuilder")
    }
}
