//! One ordered connection to one broker. Kafka 3.9: `NetworkClient`, `InterBrokerSendThread`.

use std::time::Duration;

use crate::common::ids::BrokerId;
use crate::protocol::WireRequest;

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "self-explanatory")]
pub struct BrokerAddress {
    pub id: BrokerId,
    pub host: String,
    pub port: u16,
}

/// Why no response came. The request may or may not have been carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No connection, or it broke.
    #[error("connection to broker {broker} failed: {reason}")]
    Disconnected {
        /// The peer.
        broker: BrokerId,
        /// Why.
        reason: String,
    },
    /// No response within the request timeout; the connection is closed.
    #[error("broker {0} did not answer in time")]
    TimedOut(BrokerId),
    /// The response cannot be decoded.
    #[error("broker {broker} sent an unreadable response: {reason}")]
    Malformed {
        /// The peer.
        broker: BrokerId,
        /// Why.
        reason: String,
    },
}

/// A connection that is made when first used and made anew after it broke. Requests are sent in the order in
/// which `send` was called; several may be in flight.
pub struct NetworkClient {}

#[allow(unused_variables, missing_docs, reason = "skeleton")]
impl NetworkClient {
    pub fn new(address: BrokerAddress, client_id: &str, request_timeout: Duration) -> Self {
        todo!()
    }
    pub fn address(&self) -> &BrokerAddress {
        todo!()
    }
    /// Sends one request in exactly this version and waits for its response.
    pub async fn send<R: WireRequest>(&self, request: &R, version: i16) -> Result<R::Response, NetworkError> {
        todo!()
    }
    /// Highest version of an API that the peer and we both speak (asks with ApiVersions once a connection).
    pub async fn negotiate<R: WireRequest>(
        &self,
        ours: std::ops::RangeInclusive<i16>,
    ) -> Result<i16, NetworkError> {
        todo!()
    }
    pub fn close(&self) {
        todo!()
    }
}
