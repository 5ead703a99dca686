//! The task that owns the connection; see the module above for what it goes through.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _, join_all, ready};
use futures::stream::{FuturesOrdered, FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use zookeeper_client as zk;
use zookeeper_client::{Client, EventType, SessionInfo, SessionState, WatchedEvent};

use super::connect_string::ConnectString;
use super::connection::{CONNECT_BACKOFF, Connection, FIRST_CONNECT_BACKOFF, connect};
use super::options::ZkOptions;
use super::request::{Operation, Outcome, Request, Watch, WatchClass, is_lost};
use super::shared::Shared;
use crate::zk::store::{MultiError, WatchKind, ZkError};

/// How long closing waits for ZooKeeper to confirm it, half the session timeout at most.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of watched paths that crate zookeeper-client may have to arm again. Beyond 128 KiB it needs a second request
/// for them, takes its answer for a stray one, and never gets over it.
const REARMED_BYTES: usize = 100 * 1024;

type WatchKey = (String, WatchClass);

/// Owns the connection to the ensemble: opens sessions, pipelines requests, arms watches again.
pub struct Driver {
    options: ZkOptions,
    connect_string: ConnectString,
    shared: Arc<Shared>,
    requests: mpsc::UnboundedReceiver<Operation>,
    closing: CancellationToken,
    /// Sent, in the order in which they were sent, which is also the order of ZooKeeper's answers.
    in_flight: FuturesOrdered<BoxFuture<'static, (Operation, Outcome)>>,
    /// Lost their answers and are sent again, in this order, before anything new is.
    unanswered: VecDeque<Operation>,
    /// The watches that stand, each with the transaction that last changed what it watches; `None` if there is no such
    /// znode. A read that asks for one that stands already does not arm another, so they cannot pile up.
    armed: HashMap<WatchKey, Option<i64>>,
    /// How long their paths are.
    armed_bytes: usize,
    watches: FuturesUnordered<BoxFuture<'static, (WatchKey, WatchedEvent)>>,
    /// Whether the servers are older than ZooKeeper 3.6 and cannot read many znodes in one request.
    reads_each: bool,
}

/// Why serving ended.
enum Ended {
    /// The client is of no use any more, or could not arm the watches again.
    Lost,
    Closing,
}

/// What happened next.
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

    /// Until the session is closed for good.
    pub async fn run(mut self, mut connection: Connection) {
        loop {
            if let Ended::Closing = self.serve(&connection.client).await {
                break;
            }
            self.shared.connected.send_replace(false);
            connection.abandon().await;
            self.settle_lost().await;
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
            // Watches come before answers, so that nobody sees the new data of a znode before the event.
            biased;
            () = self.closing.cancelled() => Step::Closing,
            // What is sent to a client that has given up fails at once, so its end must not wait behind that.
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
        let client = Arc::clone(client);
        let mut sending = async move {
            let outcome = operation.request.execute(&client, arm).await;
            (operation, outcome)
        }
        .boxed();
        // The first poll sends the request, and so keeps the order.
        let sent = match (&mut sending).now_or_never() {
            Some(done) => ready(done).boxed(),
            None => sending,
        };
        self.in_flight.push_back(sent);
    }

    fn finish(&mut self, operation: Operation, outcome: Outcome) {
        let result = match outcome {
            Outcome::Unanswered => return self.unanswered.push_back(operation),
            // Such a server also closes the connection over it.
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
        // A caller that no longer waits does not want the answer.
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

    /// The length of a path as ZooKeeper knows it.
    fn length_of(&self, (path, _): &WatchKey) -> usize {
        let chroot = self.connect_string.chroot.as_ref();
        chroot.map_or(0, String::len) + path.len()
    }

    fn fire(&mut self, key: WatchKey, event: &WatchedEvent) {
        let kind = match event.event_type {
            // The session's end, which `state` tells too.
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

    /// After the client has been given up: collects what it left without an answer, and forgets its watches.
    async fn settle_lost(&mut self) {
        while let Some((operation, outcome)) = self.in_flight.next().await {
            match outcome {
                // What it says of requests that went down with it.
                Outcome::Refused(MultiError {
                    error: ZkError::Other(_),
                    ..
                }) => self.unanswered.push_back(operation),
                outcome => self.finish(operation, outcome),
            }
        }
        self.watches.clear();
    }

    /// Finds the old session again or establishes a new one; `None` if the store is closed meanwhile.
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

    /// Tries to come back to the old session for as long as nobody says that it expired. Meanwhile requests wait.
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
                Err(zk::Error::SessionExpired | zk::Error::AuthFailed) => return Some(None),
                Err(error) => warn!(%error, "cannot connect to zookeeper, trying again"),
            }
            tokio::select! {
                () = self.closing.cancelled() => return None,
                () = sleep(backoff) => {}
            }
            backoff = CONNECT_BACKOFF.min(2 * backoff);
        }
    }

    /// Tries to establish a new session for as long as it takes. Meanwhile requests fail.
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

    /// The watches of the old client are gone with it. Arms them again, however many, and tells of what has changed
    /// meanwhile: readers must not read thousands of unchanged znodes again. Whether all are armed; if not, the connection
    /// is lost again.
    async fn rearm(&mut self, client: &Client) -> bool {
        // The server may be another one, which must not show us an older tree than we know.
        if let Err(error) = client.sync("/").await {
            warn!(%error, "zookeeper does not say that it is up to date");
        }
        let armed: Vec<_> = self.armed.drain().collect();
        self.armed_bytes = 0;
        let mut lost = false;
        let watched = join_all(armed.iter().map(|((path, class), _)| class.watch(client, path))).await;
        for ((key, before), watched) in armed.into_iter().zip(watched) {
            if watched.as_ref().is_err_and(is_lost) {
                // Remembered, for the next connection.
                lost = true;
                self.armed_bytes += self.length_of(&key);
                self.armed.insert(key, before);
                continue;
            }
            let (now, watch) = match watched {
                Ok(watch) => (watch.as_ref().and_then(|watch| watch.changed_in), watch),
                // The next reader hears why.
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

    /// Ends the session. The client does so when the last handle to it is dropped.
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
