//! Owns a simulated network. Requests and responses travel as bytes between brokers on one thread. They may be late or
//! lost, and connections may break. A [`NetworkClient`](super::NetworkClient) uses this network if it connects on a
//! thread that has called [`SimulatedNetwork::join`].
//!
//! A connection keeps the order of its messages, like TCP. Messages of different connections may overtake each other. A
//! request in transit may still arrive after its connection breaks; the broker then executes it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::common::ids::BrokerId;
use crate::network::client_connection::{Connection, SEND_QUEUE};
use crate::network::request_writer::{Outgoing, Waiting};
use crate::network::{Reply, RequestContext};
use crate::protocol::codec;
use crate::protocol::{Chunk, Request, Response};

/// The id of a client that is not a broker.
pub const CLIENT: BrokerId = -1;

/// Handles a request at a broker.
pub type Handler = Arc<dyn Fn(RequestContext, i32, Request) -> BoxFuture<'static, Reply> + Send + Sync>;

/// All brokers and the connections between them.
pub struct SimulatedNetwork {
    state: Mutex<State>,
    /// Notified when a pair is unblocked.
    unblocked: Notify,
}

struct State {
    random: StdRng,
    nodes: BTreeMap<BrokerId, Node>,
    connections: Vec<OpenConnection>,
    /// The blocked pairs of brokers, with the smaller id first. No message arrives between them.
    blocked: BTreeSet<(BrokerId, BrokerId)>,
    panics: usize,
    /// When the first message arrived.
    begin: Option<Instant>,
    /// The hash of every message that has arrived: its time, destination and content.
    digest: DefaultHasher,
}

struct Node {
    handler: Handler,
    /// Cancelled when the process ends.
    gone: CancellationToken,
}

struct OpenConnection {
    between: (BrokerId, BrokerId),
    broken: CancellationToken,
}

thread_local! {
    static NETWORK: RefCell<Option<Arc<SimulatedNetwork>>> = const { RefCell::new(None) };
}

impl SimulatedNetwork {
    /// Creates a network without brokers. The same seed makes the same delays.
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                random: StdRng::seed_from_u64(seed),
                nodes: BTreeMap::new(),
                connections: Vec::new(),
                blocked: BTreeSet::new(),
                panics: 0,
                begin: None,
                digest: DefaultHasher::new(),
            }),
            unblocked: Notify::new(),
        })
    }

    /// Makes every later connection of this thread use `network`. `None` selects real sockets again.
    pub fn join(network: Option<Arc<Self>>) {
        NETWORK.set(network);
    }

    /// The network that this thread has joined.
    pub fn of_this_thread() -> Option<Arc<Self>> {
        NETWORK.with_borrow(Clone::clone)
    }

    /// A broker starts to serve.
    pub fn listen(&self, broker: BrokerId, handler: Handler) {
        let gone = CancellationToken::new();
        self.state.lock().nodes.insert(broker, Node { handler, gone });
    }

    /// Ends a broker's process with all its handlers and connections.
    pub fn kill(&self, broker: BrokerId) {
        let mut state = self.state.lock();
        if let Some(node) = state.nodes.remove(&broker) {
            node.gone.cancel();
        }
        state.break_connections(|(a, b)| a == broker || b == broker);
    }

    /// Blocks all messages between two brokers until [`Self::unblock`]. Messages in transit arrive after that.
    pub fn block(&self, a: BrokerId, b: BrokerId) {
        self.state.lock().blocked.insert(ordered(a, b));
    }

    /// Undoes [`Self::block`].
    pub fn unblock(&self, a: BrokerId, b: BrokerId) {
        self.state.lock().blocked.remove(&ordered(a, b));
        self.unblocked.notify_waiters();
    }

    /// Breaks every connection between two brokers. New ones can be made.
    pub fn break_between(&self, a: BrokerId, b: BrokerId) {
        self.state
            .lock()
            .break_connections(|between| between == ordered(a, b));
    }

    /// The number of handlers that have panicked.
    pub fn panics(&self) -> usize {
        self.state.lock().panics
    }

    pub(super) async fn connect(
        self: &Arc<Self>,
        client_id: &str,
        to: BrokerId,
    ) -> Result<Connection, String> {
        let between = ordered(sender(client_id), to);
        self.travel(between).await;
        let mut state = self.state.lock();
        let node = state.nodes.get(&to).ok_or("connection refused")?;
        let (handler, gone) = (node.handler.clone(), node.gone.clone());
        let broken = CancellationToken::new();
        state
            .connections
            .retain(|connection| !connection.broken.is_cancelled());
        state.connections.push(OpenConnection {
            between,
            broken: broken.clone(),
        });
        drop(state);
        let (requests, outgoing) = mpsc::channel(SEND_QUEUE);
        let (to_server, arriving) = mpsc::unbounded_channel();
        let (to_client, responses) = mpsc::unbounded_channel();
        let server = Server {
            network: self.clone(),
            between,
            broken: broken.clone(),
            handler,
            to_client,
        };
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = gone.cancelled() => {}
                () = server.serve(arriving) => {}
            }
        });
        let driver = tokio::spawn(drive(broken, outgoing, to_server, responses)).abort_handle();
        Ok(Connection::driven_by(driver, requests))
    }

    /// Waits for the travel time of a message.
    async fn travel(&self, between: (BrokerId, BrokerId)) {
        let delay_ms = {
            let random = &mut self.state.lock().random;
            match random.random_range(0..100) {
                0 => random.random_range(20..400),
                1..5 => random.random_range(4..20),
                _ => random.random_range(0..3),
            }
        };
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        // `Notify` wakes messages in the order in which they came. The order of a `watch` would be random.
        loop {
            let unblocked = self.unblocked.notified();
            if !self.state.lock().blocked.contains(&between) {
                break;
            }
            unblocked.await;
        }
    }

    fn note(&self, between: (BrokerId, BrokerId), message: &[u8]) {
        let mut state = self.state.lock();
        let begin = *state.begin.get_or_insert_with(Instant::now);
        (begin.elapsed(), between).hash(&mut state.digest);
        without_temporary_names(message).for_each(|part| part.hash(&mut state.digest));
    }

    /// A hash of all messages so far. Equal histories have equal digests.
    pub fn digest(&self) -> u64 {
        self.state.lock().digest.finish()
    }
}

impl State {
    fn break_connections(&mut self, which: impl Fn((BrokerId, BrokerId)) -> bool) {
        self.connections.retain(|connection| {
            let breaks = which(connection.between);
            if breaks {
                connection.broken.cancel();
            }
            !breaks
        });
    }
}

/// Removes the names of temporary directories. Error messages contain them, and they differ in every run.
fn without_temporary_names(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    const BEGIN: &[u8] = b"/.tmp";
    const RANDOM: usize = 6;
    let mut rest = Some(message);
    std::iter::from_fn(move || {
        let message = rest.take()?;
        let Some(at) = message.windows(BEGIN.len()).position(|bytes| bytes == BEGIN) else {
            return Some(message);
        };
        rest = message.get(at + BEGIN.len() + RANDOM..);
        Some(&message[..at])
    })
}

fn ordered(a: BrokerId, b: BrokerId) -> (BrokerId, BrokerId) {
    (a.min(b), a.max(b))
}

/// The broker id in a client id. Controllers and leaders use `3`, fetchers use `broker-3-fetcher-0`.
fn sender(client_id: &str) -> BrokerId {
    let name = client_id.strip_prefix("broker-").unwrap_or(client_id);
    let digits = name.split('-').next().unwrap_or_default();
    digits.parse().unwrap_or(CLIENT)
}

/// The client's end of a connection.
async fn drive(
    broken: CancellationToken,
    mut requests: mpsc::Receiver<Outgoing>,
    to_server: mpsc::UnboundedSender<Bytes>,
    mut responses: mpsc::UnboundedReceiver<Bytes>,
) {
    let mut in_flight = VecDeque::new();
    loop {
        tokio::select! {
            biased;
            () = broken.cancelled() => break,
            response = responses.recv() => {
                let Some(frame) = response else { break };
                let oldest: Waiting = in_flight.pop_front().expect("one response for each request");
                assert_eq!(codec::correlation_id(&frame), Some(oldest.correlation_id));
                let _ = oldest.respond.send(Ok(frame));
            }
            outgoing = requests.recv() => {
                let Some(outgoing) = outgoing else { break };
                in_flight.push_back(outgoing.waiting);
                if to_server.send(outgoing.frame).is_err() {
                    break;
                }
            }
        }
    }
    requests.close();
    while let Ok(outgoing) = requests.try_recv() {
        in_flight.push_back(outgoing.waiting);
    }
    for request in in_flight {
        let _ = request.respond.send(Err("the connection broke".to_owned()));
    }
}

/// The broker's end of a connection.
struct Server {
    network: Arc<SimulatedNetwork>,
    between: (BrokerId, BrokerId),
    broken: CancellationToken,
    handler: Handler,
    to_client: mpsc::UnboundedSender<Bytes>,
}

impl Server {
    async fn serve(self, mut arriving: mpsc::UnboundedReceiver<Bytes>) {
        while let Some(mut frame) = arriving.recv().await {
            self.network.travel(self.between).await;
            let is_lost = self.broken.is_cancelled() && self.network.state.lock().random.random_bool(0.5);
            if is_lost {
                return;
            }
            frame.advance(size_of::<i32>());
            self.network.note(self.between, &frame);
            let Some(response) = self.handle(frame).await else {
                break;
            };
            self.network.travel(self.between).await;
            self.network.note(self.between, &response);
            if self.to_client.send(response).is_err() {
                return;
            }
        }
        self.broken.cancel();
    }

    /// The response without its length prefix; `None` closes the connection.
    async fn handle(&self, frame: Bytes) -> Option<Bytes> {
        let (header, request) = codec::decode_request(frame).expect("brokers understand each other");
        let context = RequestContext {
            api_version: header.version,
            client_id: header.client_id.to_string(),
            peer: SocketAddr::from(([127, 0, 0, 1], 1)),
            listener: "PLAINTEXT".to_owned(),
            security_protocol: crate::config::SecurityProtocol::Plaintext,
            principal: crate::security::KafkaPrincipal::anonymous(),
        };
        let handled = AssertUnwindSafe((self.handler)(context, header.correlation_id, request));
        match handled.catch_unwind().await {
            Ok(Reply::Send(response)) => read_all(response),
            Ok(Reply::Nothing | Reply::Close) => None,
            Err(_) => {
                self.network.state.lock().panics += 1;
                None
            }
        }
    }
}

/// The bytes on the wire. `None` if a file of the response was truncated since; sendfile detects this too.
fn read_all(response: Response) -> Option<Bytes> {
    let mut bytes = Vec::with_capacity(response.len());
    for chunk in response.into_chunks() {
        match chunk {
            Chunk::Bytes(part) => bytes.extend_from_slice(&part),
            Chunk::File(range) => {
                let begin = bytes.len();
                bytes.resize(begin + range.length, 0);
                range
                    .file
                    .read_exact_at(&mut bytes[begin..], range.position)
                    .ok()?;
            }
        }
    }
    Some(Bytes::from(bytes).slice(size_of::<i32>()..))
}
