//! Owns one ordered connection to one broker. Kafka 3.9: `NetworkClient`.
//!
//! One task drives a connection. It writes requests in the order in which it receives them, and gives each response to
//! the oldest waiting request, because brokers answer in order. Every error ends the connection and fails all requests
//! in flight. The next request opens a new connection. The client never retries.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{OnceCell, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::channel_builder::ChannelBuilder;
use super::stream;
use super::transport::{ReadHalf, Transport, WriteHalf};
use crate::common::ids::BrokerId;
use crate::config::Endpoint;
use crate::protocol::WireRequest;
use crate::protocol::codec;
use crate::protocol::frame::FrameBuffer;
use crate::protocol::messages::ApiVersionsRequest;

/// The maximum number of requests in the queue to the connection's task. Further senders wait.
const SEND_QUEUE: usize = 16;
/// The maximum size of a response. Kafka has no limit here except that of the length prefix.
const MAX_RESPONSE_BYTES: usize = i32::MAX as usize;

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
            .map(Connection::start)
            .map_err(|reason| self.disconnected(&reason))
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

/// A request that waits to be written to the socket.
struct Outgoing {
    frame: Bytes,
    waiting: Waiting,
}

/// A request that waits for its response frame, or for the error if none comes.
struct Waiting {
    correlation_id: i32,
    respond: oneshot::Sender<Result<Bytes, String>>,
}

/// One TCP connection and the task that drives it.
struct Connection {
    requests: mpsc::Sender<Outgoing>,
    driver: AbortHandle,
    closed: AtomicBool,
    peer_versions: OnceCell<HashMap<i16, RangeInclusive<i16>>>,
}

impl Connection {
    fn start(stream: Transport) -> Self {
        let (requests, outgoing) = mpsc::channel(SEND_QUEUE);
        let driver = tokio::spawn(drive(stream, outgoing)).abort_handle();
        Self::driven_by(driver, requests)
    }

    fn driven_by(driver: AbortHandle, requests: mpsc::Sender<Outgoing>) -> Self {
        Self {
            requests,
            driver,
            closed: AtomicBool::new(false),
            peer_versions: OnceCell::new(),
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) || self.requests.is_closed()
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.driver.abort();
    }
}

/// Writes requests and reads responses until one of the two fails. Then fails the waiting requests.
async fn drive(stream: Transport, mut requests: mpsc::Receiver<Outgoing>) {
    let in_flight = Mutex::new(VecDeque::new());
    let (incoming, outgoing) = stream.split();
    let reason = tokio::select! {
        reason = write_requests(outgoing, &mut requests, &in_flight) => reason,
        reason = read_responses(incoming, &in_flight) => reason,
    };
    requests.close();
    let mut waiting: Vec<Waiting> = in_flight.into_inner().into();
    while let Ok(outgoing) = requests.try_recv() {
        waiting.push(outgoing.waiting);
    }
    for request in waiting {
        // Sending fails if the caller has dropped its request.
        let _ = request.respond.send(Err(reason.clone()));
    }
}

/// Returns the reason for the end.
async fn write_requests(
    mut stream: WriteHalf,
    requests: &mut mpsc::Receiver<Outgoing>,
    in_flight: &Mutex<VecDeque<Waiting>>,
) -> String {
    while let Some(outgoing) = requests.recv().await {
        // Added before the write, because the response may arrive before this task runs again.
        in_flight.lock().push_back(outgoing.waiting);
        let written = async {
            stream.write_all(&outgoing.frame).await?;
            stream.flush().await
        };
        if let Err(error) = written.await {
            return error.to_string();
        }
    }
    "the client was dropped".to_string()
}

/// Returns the reason for the end.
async fn read_responses(mut stream: ReadHalf, in_flight: &Mutex<VecDeque<Waiting>>) -> String {
    let mut frames = FrameBuffer::new(MAX_RESPONSE_BYTES);
    loop {
        match stream::read_some(&mut stream, &mut frames).await {
            Ok(0) => return "the broker closed it".to_string(),
            Ok(_) => {}
            Err(error) => return error.to_string(),
        }
        loop {
            let frame = match frames.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return error.to_string(),
            };
            let Some(oldest) = in_flight.lock().pop_front() else {
                return "a response came that nobody asked for".to_string();
            };
            if codec::correlation_id(&frame) != Some(oldest.correlation_id) {
                let reason = "a response came out of order".to_string();
                let _ = oldest.respond.send(Err(reason.clone()));
                return reason;
            }
            // Sending fails if the caller has dropped its request.
            let _ = oldest.respond.send(Ok(frame));
        }
    }
}

#[cfg(test)]
pub mod simulated;
#[cfg(test)]
mod tests;
