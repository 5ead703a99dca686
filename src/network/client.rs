//! Owns one ordered connection to one broker. Kafka 3.9: `NetworkClient`.
//!
//! One task drives a connection. It writes requests in the order in which it receives them, and gives each response to
//! the oldest waiting request, because brokers answer in order. Every error ends the connection and fails all requests
//! in flight. The next request opens a new connection. The client never retries.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::channel_builder::ChannelBuilder;
use super::client_connection::{Connection, Identity};
use super::request_writer::{Outgoing, Waiting};
use crate::common::ids::BrokerId;
use crate::config::Endpoint;
use crate::protocol::WireRequest;
use crate::protocol::codec;
use crate::protocol::messages::ApiVersionsRequest;

/// A broker and the address of the listener to connect to. Kafka 3.9: `BrokerEndPoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "self-explanatory")]
pub struct BrokerAddress {
    pub id: BrokerId,
    pub endpoint: Endpoint,
}

impl BrokerAddress {
    /// A broker's address on one of its listeners.
    pub fn new(id: BrokerId, endpoint: &Endpoint) -> Self {
        Self {
            id,
            endpoint: endpoint.clone(),
        }
    }

    #[cfg(test)]
    pub(crate) fn plaintext(id: BrokerId, host: &str, port: u16) -> Self {
        let endpoint = Endpoint {
            listener: "PLAINTEXT".to_owned(),
            security_protocol: crate::config::SecurityProtocol::Plaintext,
            host: host.to_owned(),
            port,
        };
        Self { id, endpoint }
    }
}

/// The client id, the timeouts and the protection of a client's connections.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    channels: ChannelBuilder,
    client_id: String,
    request_timeout: Duration,
    connection_timeout: Duration,
}

impl ClientSettings {
    /// Creates settings. `request_timeout` applies to connecting, and again to each response.
    pub fn new(channels: &ChannelBuilder, client_id: impl Into<String>, request_timeout: Duration) -> Self {
        Self {
            channels: channels.clone(),
            client_id: client_id.into(),
            request_timeout,
            connection_timeout: request_timeout,
        }
    }

    /// Sets a separate timeout for connecting.
    pub fn with_connection_timeout(self, connection_timeout: Duration) -> Self {
        Self {
            connection_timeout,
            ..self
        }
    }
}

/// Why no response came. The broker may or may not have executed the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The connection could not be opened, or it broke.
    #[error("connection to broker {broker} failed: {reason}")]
    Disconnected {
        /// The peer broker.
        broker: BrokerId,
        /// The reason.
        reason: String,
    },
    /// No response came within the request timeout. The connection is closed.
    #[error("broker {0} did not answer in time")]
    TimedOut(BrokerId),
    /// The response cannot be decoded.
    #[error("broker {broker} sent an unreadable response: {reason}")]
    Malformed {
        /// The peer broker.
        broker: BrokerId,
        /// The reason.
        reason: String,
    },
    /// This broker and the peer have no common version of the API, or the request's version cannot express its content.
    #[error("broker {broker} cannot be sent this request: {reason}")]
    Unsupported {
        /// The peer broker.
        broker: BrokerId,
        /// The reason.
        reason: String,
    },
}

/// A connection that opens at its first use and again after it broke. Requests are sent in the order of the `send`
/// calls (of their first polls). Several requests may be in flight.
pub struct NetworkClient {
    address: BrokerAddress,
    settings: ClientSettings,
    next_correlation_id: AtomicI32,
    /// Keeps the requests in order: held from the check for an open connection until the request is in the connection's
    /// queue.
    order: tokio::sync::Mutex<()>,
    connection: Mutex<Option<Arc<Connection>>>,
}

impl NetworkClient {
    /// Creates a client. It does not connect yet.
    pub fn new(address: BrokerAddress, settings: ClientSettings) -> Self {
        Self {
            address,
            settings,
            next_correlation_id: AtomicI32::new(0),
            order: tokio::sync::Mutex::new(()),
            connection: Mutex::new(None),
        }
    }

    /// The peer broker.
    pub fn address(&self) -> &BrokerAddress {
        &self.address
    }

    /// Sends one request in exactly this version and waits for its response. Dropping the future does not cancel the
    /// request.
    pub async fn send<R: WireRequest>(&self, request: &R, version: i16) -> Result<R::Response, NetworkError> {
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = codec::encode_request(request, version, correlation_id, &self.settings.client_id)
            .map_err(|error| self.unsupported(error.to_string()))?;
        let (respond, response) = oneshot::channel();
        let outgoing = Outgoing {
            frame,
            waiting: Waiting {
                correlation_id,
                respond,
            },
        };

        let turn = self.order.lock().await;
        let connection = self.connect_if_needed().await?;
        if connection.requests.send(outgoing).await.is_err() {
            return Err(self.disconnected("it was closed"));
        }
        drop(turn);

        let frame = match timeout(self.settings.request_timeout, response).await {
            Ok(Ok(Ok(frame))) => frame,
            Ok(Ok(Err(reason))) => return Err(self.disconnected(&reason)),
            Ok(Err(_)) => return Err(self.disconnected("it was closed")),
            Err(_) => {
                connection.close();
                return Err(NetworkError::TimedOut(self.address.id));
            }
        };
        codec::decode_response(frame, version).map_err(|error| {
            connection.close();
            self.malformed(error.to_string())
        })
    }

    /// The highest version of an API that both this broker and the peer support. Sends ApiVersions once per connection.
    pub async fn negotiate<R: WireRequest>(&self, ours: RangeInclusive<i16>) -> Result<i16, NetworkError> {
        let turn = self.order.lock().await;
        let connection = self.connect_if_needed().await?;
        drop(turn);
        let theirs = connection
            .peer_versions
            .get_or_try_init(|| self.ask_versions())
            .await?;
        let common = theirs.get(&R::KEY).and_then(|theirs| {
            let highest = *theirs.end().min(ours.end());
            (theirs.contains(&highest) && ours.contains(&highest)).then_some(highest)
        });
        common
            .ok_or_else(|| self.unsupported(format!("it serves api {} in none of versions {ours:?}", R::KEY)))
    }

    /// Closes the connection and fails the requests in flight. A later request connects again.
    pub fn close(&self) {
        if let Some(connection) = self.connection.lock().take() {
            connection.close();
        }
    }

    /// Returns the open connection, or opens a new one. The caller must hold `order`.
    async fn connect_if_needed(&self) -> Result<Arc<Connection>, NetworkError> {
        let open = self.connection.lock().clone().filter(|c| !c.is_closed());
        if let Some(connection) = open {
            return Ok(connection);
        }
        let connection = Arc::new(self.connect().await?);
        *self.connection.lock() = Some(connection.clone());
        Ok(connection)
    }

    /// Opens a connection. If the listener wants SASL, the first thing that the connection's task does is to prove this
    /// broker's identity; requests wait for it.
    async fn connect(&self) -> Result<Connection, NetworkError> {
        #[cfg(test)]
        if let Some(network) = simulated::SimulatedNetwork::of_this_thread() {
            let connected = timeout(
                self.settings.connection_timeout,
                network.connect(&self.settings.client_id, self.address.id),
            );
            let connected = connected
                .await
                .map_err(|_| self.disconnected("no answer in time"))?;
            return connected.map_err(|reason| self.disconnected(&reason));
        }
        let opened = self.settings.channels.open(&self.address.endpoint);
        timeout(self.settings.connection_timeout, opened)
            .await
            .map_err(|_| {
                self.disconnected(&format!("{}: no answer in time", self.address.endpoint.address()))
            })?
            .map(|transport| Connection::start(transport, self.identity()))
            .map_err(|reason| self.disconnected(&reason))
    }

    fn identity(&self) -> Identity {
        Identity {
            channels: self.settings.channels.clone(),
            broker: self.address.id,
            endpoint: self.address.endpoint.clone(),
            client_id: self.settings.client_id.clone(),
        }
    }

    async fn ask_versions(&self) -> Result<HashMap<i16, RangeInclusive<i16>>, NetworkError> {
        // Version 0 has all the needed data, and every broker supports it.
        let response = self.send(&ApiVersionsRequest::default(), 0).await?;
        if response.error_code != 0 {
            let reason = format!("ApiVersions answered with error {}", response.error_code);
            return Err(self.malformed(reason));
        }
        let apis = response.api_keys.iter();
        Ok(apis
            .map(|api| (api.api_key, api.min_version..=api.max_version))
            .collect())
    }

    fn disconnected(&self, reason: &str) -> NetworkError {
        NetworkError::Disconnected {
            broker: self.address.id,
            reason: reason.to_string(),
        }
    }

    fn malformed(&self, reason: String) -> NetworkError {
        NetworkError::Malformed {
            broker: self.address.id,
            reason,
        }
    }

    fn unsupported(&self, reason: String) -> NetworkError {
        NetworkError::Unsupported {
            broker: self.address.id,
            reason,
        }
    }
}

impl Drop for NetworkClient {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
pub mod simulated;
#[cfg(test)]
mod tests;
