//! The driver: the task that owns the connection. The module above draws its states.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _, join_all, ready};
use futures::stream::{FuturesOrdered, FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use zookeeper_client as zk;
use zookeeper_client::{Client, EventType, SessionInfo, SessionState, WatchedEvent};

use super::connect_string::ConnectString;
use super::connection::{CONNECT_BACKOFF, Connection, FIRST_CONNECT_BACKOFF, connect};
use super::options::ZkOptions;
use super::request::{Operation, Outcome, Request, Watch, WatchClass, is_lost};
use super::shared::Shared;
use crate::zk::store::{MultiError, WatchKind, ZkError};

/// How long a close waits for ZooKeeper's confirmation; half the session timeout at most.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest total length of watched paths that crate zookeeper-client may have to arm again. Beyond 128 KiB the crate
/// needs a second request, takes its answer for an unexpected one, and fails on every later attempt too.
const REARMED_BYTES: usize = 100 * 1024;

type WatchKey = (String, WatchClass);

/// Owns the connection to the ensemble: opens sessions, pipelines requests, arms watches again.
pub struct Driver {
    options: ZkOptions,
    connect_string: ConnectString,
    shared: Arc<Shared>,
    requests: mpsc::UnboundedReceiver<Operation>,
    closing: CancellationToken,
    /// Sent requests in the order of sending, which is also the order of ZooKeeper's answers.
    in_flight: FuturesOrdered<BoxFuture<'static, (Operation, Outcome)>>,
    /// Requests that lost their answers. The driver sends them again, in this order, before any new request.
    unanswered: VecDeque<Operation>,
    /// The armed watches, each with the transaction that last changed the watched znode; `None` if the znode does not
    /// exist. A read that asks for an armed watch does not arm a second one, so watches cannot pile up.
    armed: HashMap<WatchKey, Option<i64>>,
    /// The total length of the watched paths.
    armed_bytes: usize,
    watches: FuturesUnordered<BoxFuture<'static, (WatchKey, WatchedEvent)>>,
    /// Whether the servers are older than ZooKeeper 3.6 and cannot read many znodes in one request.
    reads_each: bool,
}

/// Why the driver stopped serving a client.
enum Ended {
    /// The client is unusable, or could not arm the watches again.
    Lost,
    Closing,
}

/// The event that the driver handles next.
enum Step {
    Fired(WatchKey, WatchedEvent),
    Done(Operation, Outcome),
    State(SessionState),
    Requested(usize),
    Closing,
}

impl Driver {
    /// A driver that has not connected yet; [`Self::run`] does.
    pub fn new(
        options: ZkOptions,
        connect_string: ConnectString,
        shared: Arc<Shared>,
        requests: mpsc::UnboundedReceiver<Operation>,
        closing: CancellationToken,
    ) -> Self {
        Self {
            options,
            connect_string,
            shared,
            requests,
            closing,
            in_flight: FuturesOrdered::new(),
            unanswered: VecDeque::new(),
            armed: HashMap::new(),
            armed_bytes: 0,
            watches: FuturesUnordered::new(),
            reads_each: false,
        }
    }

    /// Runs until the session is closed.
    pub async fn run(mut self, mut connection: Connection) {
        loop {
            if let Ended::Closing = self.serve(&connection.client).await {
                break;
            }
            self.shared.connected.send_replace(false);
            connection.abandon().await;
            self.collect_lost().await;
            connection = match self.find_session().await {
                Some(found) => found,
                None => return,
            };
            self.shared.connected.send_replace(true);
        }
        if *self.shared.connected.borrow() {
            self.close(connection.client).await;
        } else {
            warn!("zookeeper is away; the session's ephemerals will be gone when it expires");
            connection.abandon().await;
        }
    }

    async fn serve(&mut self, client: &Arc<Client>) -> Ended {
        let mut state = client.state_watcher();
        if client.state().is_terminated() {
            return Ended::Lost;
        }
        let mut requested = Vec::new();
        loop {
            if self.in_flight.is_empty() {
                for operation in std::mem::take(&mut self.unanswered) {
                    self.send(client, operation);
                }
            }
            match self.next_step(&mut state, &mut requested).await {
                Step::Fired(key, event) => self.fire(key, &event),
                Step::Done(operation, outcome) => self.finish(operation, outcome),
                Step::State(SessionState::Disconnected) => {
                    warn!("connection to zookeeper lost");
                    self.shared.connected.send_replace(false);
                    if self.armed_bytes > REARMED_BYTES {
                        return Ended::Lost;
                    }
                }
                Step::State(state) if state.is_terminated() => return Ended::Lost,
                Step::State(_) => {
                    info!("connection to zookeeper found again");
                    self.shared.connected.send_replace(true);
                }
                Step::Requested(0) | Step::Closing => return Ended::Closing,
                Step::Requested(_) => {
                    for operation in requested.drain(..) {
                        self.send(client, operation);
                    }
                }
            }
        }
    }

    async fn next_step(&mut self, state: &mut zk::StateWatcher, requested: &mut Vec<Operation>) -> Step {
        let room = match self.unanswered.is_empty() {
            true => self.options.max_in_flight.saturating_sub(self.in_flight.len()),
            false => 0,
        };
        tokio::select! {
            // Watch events come before answers, so that no caller sees a znode's new data before the event.
            biased;
            () = self.closing.cancelled() => Step::Closing,
            // A client that has given up fails every request at once, so the driver must see its end before it sends
            // more.
            state = state.changed() => Step::State(state),
            Some((key, event)) = self.watches.next() => Step::Fired(key, event),
            Some((operation, outcome)) = self.in_flight.next() => Step::Done(operation, outcome),
            count = self.requests.recv_many(requested, room), if room > 0 => Step::Requested(count),
        }
    }

    fn send(&mut self, client: &Arc<Client>, mut operation: Operation) {
        if self.reads_each
            && let Request::GetAll(paths) = &mut operation.request
        {
            operation.request = Request::GetEach(std::mem::take(paths));
        }
        let wanted = operation.request.watch_wanted();
        let arm = wanted.is_some_and(|(path, class)| !self.armed.contains_key(&(path.to_owned(), class)));
        let set_acl = self.options.security.set_acl;
        let client = Arc::clone(client);
        let mut sending = async move {
            let outcome = operation.request.execute(&client, arm, set_acl).await;
            (operation, outcome)
        }
        .boxed();
        // The first poll sends the request; this keeps the order.
        let sent = match (&mut sending).now_or_never() {
            Some(done) => ready(done).boxed(),
            None => sending,
        };
        self.in_flight.push_back(sent);
    }

    fn finish(&mut self, operation: Operation, outcome: Outcome) {
        let result = match outcome {
            Outcome::Unanswered => return self.unanswered.push_back(operation),
            // An old server also closes the connection after such a request.
            Outcome::Unimplemented => {
                self.reads_each = true;
                return self.unanswered.push_back(operation);
            }
            Outcome::Refused(error) => Err(error),
            Outcome::Answered(answer, watch) => {
                if let (Some(watch), Some((path, class))) = (watch, operation.request.watch_wanted()) {
                    self.arm((path.to_owned(), class), watch);
                }
                Ok(answer)
            }
        };
        // If the caller no longer waits, the answer is dropped.
        let _ = operation.reply.send(result);
    }

    fn arm(&mut self, key: WatchKey, watch: Watch) {
        let Watch {
            class,
            changed_in,
            watcher,
        } = watch;
        debug_assert_eq!(class, key.1);
        if self.armed.insert(key.clone(), changed_in).is_none() {
            self.armed_bytes += self.length_of(&key);
        }
        self.watches
            .push(async move { (key, watcher.changed().await) }.boxed());
    }

    /// The length of a path including the chroot, as ZooKeeper sees it.
    fn length_of(&self, (path, _): &WatchKey) -> usize {
        let chroot = self.connect_string.chroot.as_ref();
        chroot.map_or(0, String::len) + path.len()
    }

    fn fire(&mut self, key: WatchKey, event: &WatchedEvent) {
        let kind = match event.event_type {
            // The session ended; `state` reports this too.
            EventType::Session => return,
            EventType::NodeCreated => WatchKind::NodeCreated,
            EventType::NodeDeleted => WatchKind::NodeDeleted,
            EventType::NodeDataChanged => WatchKind::NodeDataChanged,
            EventType::NodeChildrenChanged => WatchKind::NodeChildrenChanged,
        };
        if self.armed.remove(&key).is_some() {
            self.armed_bytes -= self.length_of(&key);
        }
        self.shared.publish(key.0, kind);
    }

    /// Runs after the driver has given the client up: collects the requests without an answer and drops the client's
    /// watches.
    async fn collect_lost(&mut self) {
        while let Some((operation, outcome)) = self.in_flight.next().await {
            match outcome {
                // The client reports this error for requests that were lost with it.
                Outcome::Refused(MultiError {
                    error: ZkError::Other(_),
                    ..
                }) => self.unanswered.push_back(operation),
                outcome => self.finish(operation, outcome),
            }
        }
        self.watches.clear();
    }

    /// Finds the old session again or establishes a new one; `None` if the store is closed in the meantime.
    async fn find_session(&mut self) -> Option<Connection> {
        let old = self.shared.session.lock().clone();
        while let Some(connection) = self.find_old_session(&old).await? {
            info!(session = %old.id(), "zookeeper session found again");
            if self.rearm(&connection.client).await {
                return Some(connection);
            }
            connection.abandon().await;
            self.watches.clear();
            sleep(FIRST_CONNECT_BACKOFF).await;
        }
        warn!(session = %old.id(), "zookeeper session expired");
        self.armed.clear();
        self.armed_bytes = 0;
        for operation in std::mem::take(&mut self.unanswered) {
            fail(operation, ZkError::SessionExpired);
        }
        self.shared.publish(String::new(), WatchKind::SessionExpired);
        let connection = self.establish_session().await?;
        let session = connection.client.session();
        *self.shared.session.lock() = session.clone();
        info!(session = %session.id(), "zookeeper session established");
        self.shared.publish(String::new(), WatchKind::SessionEstablished);
        Some(connection)
    }

    /// Tries to reconnect to the old session until ZooKeeper says that it has expired. Requests wait in the meantime.
    /// `None` if the store is closed, `Some(None)` if the session is gone.
    async fn find_old_session(&mut self, old: &SessionInfo) -> Option<Option<Connection>> {
        let mut backoff = FIRST_CONNECT_BACKOFF;
        loop {
            let connecting = connect(&self.options, &self.connect_string, Some(old.clone()));
            let connected = tokio::select! {
                () = self.closing.cancelled() => return None,
                connected = connecting => connected,
            };
            match connected {
                Ok(connection) => return Some(Some(connection)),
                Err(zk::Error::SessionExpired) => return Some(None),
                // ZooKeeper keeps the session while the identity is refused, perhaps for a moment only.
                Err(zk::Error::AuthFailed) => {
                    error!("Auth failed, initialized=true connectionState=AUTH_FAILED");
                }
                Err(error) => warn!(%error, "cannot connect to zookeeper, trying again"),
            }
            tokio::select! {
                () = self.closing.cancelled() => return None,
                () = sleep(backoff) => {}
            }
            backoff = CONNECT_BACKOFF.min(2 * backoff);
        }
    }

    /// Tries without a time limit to establish a new session. Requests fail in the meantime.
    async fn establish_session(&mut self) -> Option<Connection> {
        let mut backoff = Duration::ZERO;
        loop {
            let (options, connect_string) = (&self.options, &self.connect_string);
            let connecting = async move {
                sleep(backoff).await;
                connect(options, connect_string, None).await
            };
            tokio::pin!(connecting);
            let connected = loop {
                tokio::select! {
                    () = self.closing.cancelled() => return None,
                    connected = &mut connecting => break connected,
                    operation = self.requests.recv() => fail(operation?, ZkError::SessionExpired),
                }
            };
            match connected {
                Ok(connection) => return Some(connection),
                Err(error) => warn!(%error, "cannot establish a zookeeper session, trying again"),
            }
            backoff = CONNECT_BACKOFF;
        }
    }

    /// Arms the watches of the old client, which are gone with it, again, however many there are, and sends events for
    /// the znodes that have changed in the meantime: readers must not read thousands of unchanged znodes again. Returns
    /// whether all watches are armed; if not, the connection is lost again.
    async fn rearm(&mut self, client: &Client) -> bool {
        // The new connection may be to another server, which must not show an older tree than the last one.
        if let Err(error) = client.sync("/").await {
            warn!(%error, "zookeeper does not say that it is up to date");
        }
        let armed: Vec<_> = self.armed.drain().collect();
        self.armed_bytes = 0;
        let mut lost = false;
        let watched = join_all(armed.iter().map(|((path, class), _)| class.watch(client, path))).await;
        for ((key, before), watched) in armed.into_iter().zip(watched) {
            if watched.as_ref().is_err_and(is_lost) {
                // The driver keeps the watch for the next connection.
                lost = true;
                self.armed_bytes += self.length_of(&key);
                self.armed.insert(key, before);
                continue;
            }
            let (now, watch) = match watched {
                Ok(watch) => (watch.as_ref().and_then(|watch| watch.changed_in), watch),
                // The next reader gets the error.
                Err(_) => (Some(-1), None),
            };
            if let Some(kind) = key.1.what_happened(before, now) {
                self.shared.publish(key.0.clone(), kind);
            }
            if let Some(watch) = watch {
                self.arm(key, watch);
            }
        }
        !lost
    }

    /// Ends the session. The client closes the session when its last handle is dropped.
    async fn close(self, client: Arc<Client>) {
        let session_timeout = client.session_timeout();
        let mut state = client.state_watcher();
        drop(self);
        drop(client);
        let closed = async { while !state.changed().await.is_terminated() {} };
        if timeout(CLOSE_TIMEOUT.min(session_timeout / 2), closed)
            .await
            .is_err()
        {
            warn!(
                "zookeeper did not confirm the end of the session; its ephemerals will be gone when it expires"
            );
        }
    }
}

fn fail(operation: Operation, error: ZkError) {
    let _ = operation.reply.send(Err(MultiError { index: 0, error }));
}
