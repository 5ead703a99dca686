//! The task that owns the connection; see the module above for what it goes through.

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
use super::request::{Operation, Outcome, Watch, WatchClass};
use super::{Shared, ZkOptions};
use crate::zk::store::{MultiError, WatchKind, ZkError};

/// Between two tries for a connection: each tries every server once.
const CONNECT_BACKOFF: Duration = Duration::from_secs(1);
/// The first tries come faster.
const FIRST_CONNECT_BACKOFF: Duration = Duration::from_millis(100);
/// How long closing waits for ZooKeeper to confirm it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Why there is no connection before the first try has ended.
const NO_ANSWER: &str = "no answer";

type WatchKey = (String, WatchClass);

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
    /// The watches that stand, and whether the znode existed when they were armed. A read that asks for one that
    /// stands already does not arm another, so they cannot pile up.
    armed: HashMap<WatchKey, bool>,
    watches: FuturesUnordered<BoxFuture<'static, (WatchKey, WatchedEvent)>>,
}

/// Why serving ended.
enum Ended {
    /// The client is of no use any more.
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
            watches: FuturesUnordered::new(),
        }
    }

    /// Until the session is closed for good.
    pub async fn run(mut self, first: Client) {
        let mut client = Arc::new(first);
        loop {
            if let Ended::Closing = self.serve(&client).await {
                break;
            }
            self.settle_lost().await;
            drop(client);
            client = match self.find_session().await {
                Some(found) => Arc::new(found),
                None => return,
            };
        }
        self.close(client).await;
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
                Step::State(SessionState::Disconnected) => warn!("connection to zookeeper lost"),
                Step::State(state) if state.is_terminated() => return Ended::Lost,
                Step::State(_) => info!("connection to zookeeper found again"),
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

    fn send(&mut self, client: &Arc<Client>, operation: Operation) {
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
            Outcome::Refused(error) => Err(error),
            Outcome::Answered(answer, watch) => {
                if let (Some(watch), Some((path, class))) = (watch, operation.request.watch_wanted()) {
                    self.arm((path.to_owned(), class), watch);
                }
                Ok(answer)
            }
        };
        // Whoever does not wait for the answer does not want it.
        let _ = operation.reply.send(result);
    }

    fn arm(&mut self, key: WatchKey, watch: Watch) {
        let Watch {
            class,
            existed,
            watcher,
        } = watch;
        debug_assert_eq!(class, key.1);
        self.armed.insert(key.clone(), existed);
        self.watches
            .push(async move { (key, watcher.changed().await) }.boxed());
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
        self.armed.remove(&key);
        self.shared.publish(key.0, kind);
    }

    /// After the client has given up: collects what it left without an answer, and forgets its watches.
    async fn settle_lost(&mut self) {
        while let Some((operation, outcome)) = self.in_flight.next().await {
            self.finish(operation, outcome);
        }
        self.watches.clear();
    }

    /// Finds the old session again or establishes a new one; `None` if the store is closed meanwhile.
    async fn find_session(&mut self) -> Option<Client> {
        let old = self.shared.session.lock().clone();
        if let Some(client) = self.find_old_session(&old).await? {
            info!(session = %old.id(), "zookeeper session found again");
            self.wake_watches(&client).await;
            return Some(client);
        }
        warn!(session = %old.id(), "zookeeper session expired");
        self.armed.clear();
        for operation in std::mem::take(&mut self.unanswered) {
            fail(operation, ZkError::SessionExpired);
        }
        self.shared.publish(String::new(), WatchKind::SessionExpired);
        let client = self.establish_session().await?;
        *self.shared.session.lock() = client.session().clone();
        info!(session = %client.session_id(), "zookeeper session established");
        self.shared.publish(String::new(), WatchKind::SessionEstablished);
        Some(client)
    }

    /// Tries to come back to the old session for as long as nobody says that it expired. Meanwhile requests wait.
    /// `None` if the store is closed, `Some(None)` if the session is gone.
    async fn find_old_session(&mut self, old: &SessionInfo) -> Option<Option<Client>> {
        let mut backoff = FIRST_CONNECT_BACKOFF;
        loop {
            let connecting = connect(&self.options, &self.connect_string, Some(old.clone()));
            let connected = tokio::select! {
                () = self.closing.cancelled() => return None,
                connected = connecting => connected,
            };
            match connected {
                Ok(client) => return Some(Some(client)),
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
    async fn establish_session(&mut self) -> Option<Client> {
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
                Ok(client) => return Some(client),
                Err(error) => warn!(%error, "cannot establish a zookeeper session, trying again"),
            }
            backoff = CONNECT_BACKOFF;
        }
    }

    /// The watches of the old client are gone with it, and with them whatever they would have told. So tell every
    /// subscriber of every watch that there may be news: they read again, and arm it again by that.
    async fn wake_watches(&mut self, client: &Client) {
        let armed: Vec<_> = self.armed.drain().collect();
        let stats = join_all(armed.iter().map(|((path, _), _)| client.check_stat(path))).await;
        for (((path, class), existed), stat) in armed.into_iter().zip(stats) {
            let exists = match stat {
                Ok(stat) => stat.is_some(),
                // Lost again already; a change is the safest guess, for it makes them read.
                Err(_) => existed,
            };
            let kind = match (class, existed, exists) {
                (_, _, false) => WatchKind::NodeDeleted,
                (WatchClass::Children, _, true) => WatchKind::NodeChildrenChanged,
                (WatchClass::Data, false, true) => WatchKind::NodeCreated,
                (WatchClass::Data, true, true) => WatchKind::NodeDataChanged,
            };
            self.shared.publish(path, kind);
        }
    }

    /// Ends the session. The client does so when the last handle to it is dropped.
    async fn close(self, client: Arc<Client>) {
        let mut state = client.state_watcher();
        drop(self);
        drop(client);
        let closed = async { while !state.changed().await.is_terminated() {} };
        if timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            warn!(
                "zookeeper did not confirm the end of the session; its ephemerals will be gone when it expires"
            );
        }
    }
}

fn fail(operation: Operation, error: ZkError) {
    let _ = operation.reply.send(Err(MultiError { index: 0, error }));
}

/// The first connection: within the connection timeout or never. Creates the chroot.
pub async fn connect_first(options: &ZkOptions, connect_string: &ConnectString) -> Result<Client, ZkError> {
    let mut reason = NO_ANSWER.to_owned();
    let connecting = async {
        let mut backoff = FIRST_CONNECT_BACKOFF;
        loop {
            match connect_and_create_chroot(options, connect_string).await {
                Ok(client) => return Ok(client),
                Err(zk::Error::BadArguments(what)) => return Err(what.to_string()),
                Err(error) => {
                    // Once, not at each of the many tries: who waits at the console wants to know for what.
                    if std::mem::replace(&mut reason, error.to_string()) == NO_ANSWER {
                        warn!(%error, servers = connect_string.servers, "waits for zookeeper");
                    }
                }
            }
            sleep(backoff).await;
            backoff = CONNECT_BACKOFF.min(2 * backoff);
        }
    };
    match timeout(options.connection_timeout, connecting).await {
        Ok(Ok(client)) => {
            let timeout_ms = client.session_timeout().as_millis() as u64;
            info!(session = %client.session_id(), timeout_ms, "zookeeper session established");
            Ok(client)
        }
        Ok(Err(reason)) => Err(ZkError::InvalidConnectString {
            connect: options.connect.clone(),
            reason,
        }),
        Err(_) => Err(ZkError::Unreachable {
            servers: connect_string.servers.clone(),
            timeout_ms: options.connection_timeout.as_millis() as u64,
            reason,
        }),
    }
}

async fn connect_and_create_chroot(
    options: &ZkOptions,
    connect_string: &ConnectString,
) -> Result<Client, zk::Error> {
    let client = connect(options, connect_string, None).await?;
    if let (Some(chroot), true) = (&connect_string.chroot, options.create_chroot) {
        let open = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
        let unrooted = match client.clone().chroot("/") {
            Ok(unrooted) | Err(unrooted) => unrooted,
        };
        unrooted.mkdir(chroot, &open).await?;
    }
    Ok(client)
}

/// Tries every server once.
async fn connect(
    options: &ZkOptions,
    connect_string: &ConnectString,
    session: Option<SessionInfo>,
) -> Result<Client, zk::Error> {
    let mut connector = Client::connector()
        .with_session_timeout(options.session_timeout)
        .with_fail_eagerly();
    if let Some(session) = session {
        connector = connector.with_session(session);
    }
    let client = connector.connect(&connect_string.servers).await?;
    match &connect_string.chroot {
        None => Ok(client),
        Some(chroot) => client.chroot(chroot.clone()).map_err(|_| {
            error!(%chroot, "chroot is no path");
            zk::Error::BadArguments(&"the chroot is no path")
        }),
    }
}
