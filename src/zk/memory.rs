//! A ZooKeeper in memory, for tests and simulation: versions, transaction ids, ephemerals, sequential znodes, multi,
//! one-shot watches, and sessions that expire and faults that occur on command. Kafka 3.9: `EmbeddedZookeeper`.
//!
//! A call applies its operation at once, so the futures are ready at once and the operations happen in the order of the
//! calls. No call waits or reads the operating system's time.

mod tree;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use self::tree::{Changed, Creator, Tree};
use super::acl::{AclEntry, NodeAcl};
use super::store::{CreateMode, MultiError, Stat, WatchEvent, WatchKind, ZkError, ZkOp, ZkOpResult, ZkStore};
use crate::common::clock::SharedClock;

/// The ensemble: one tree shared by any number of sessions.
pub struct MemoryZooKeeper {
    state: Arc<Mutex<State>>,
}

/// One broker's session, which may expire and be established again any number of times.
pub struct MemorySession {
    state: Arc<Mutex<State>>,
    client: usize,
}

/// A fault to inject into a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The write is applied, but its answer is lost with the connection. The store therefore sends the write again
    /// unchanged, and the caller sees the outcome of the second attempt (facts 2 and 3).
    AnswerLost,
    /// The write is not applied; the caller sees this error.
    Refused(ZkError),
}

struct State {
    tree: Tree,
    clients: Vec<Client>,
    last_session_id: i64,
}

#[derive(Default)]
struct Client {
    /// 0 while there is no session.
    session_id: i64,
    /// Schemes and ids that it proves with every session.
    identities: Vec<(String, String)>,
    /// Whether what it creates belongs to its identities.
    set_acl: bool,
    data_watches: BTreeSet<String>,
    child_watches: BTreeSet<String>,
    subscribers: Vec<mpsc::UnboundedSender<WatchEvent>>,
    faults: VecDeque<(String, Fault)>,
}

impl MemoryZooKeeper {
    /// An empty tree. `clock` provides the creation times.
    pub fn new(clock: SharedClock) -> Self {
        let state = State {
            tree: Tree::new(clock),
            clients: Vec::new(),
            last_session_id: 0x1000,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// A new session.
    pub fn connect(&self) -> Arc<MemorySession> {
        self.connect_as(&[], false)
    }

    /// A new session with these schemes and ids. With `set_acl`, what it creates belongs to it.
    pub fn connect_as(&self, identities: &[(&str, &str)], set_acl: bool) -> Arc<MemorySession> {
        let identities = identities.iter();
        let mut state = self.state.lock();
        let session_id = state.next_session_id();
        state.clients.push(Client {
            session_id,
            identities: identities
                .map(|(scheme, id)| ((*scheme).to_owned(), (*id).to_owned()))
                .collect(),
            set_acl,
            ..Client::default()
        });
        Arc::new(MemorySession {
            state: Arc::clone(&self.state),
            client: state.clients.len() - 1,
        })
    }

    /// Every path with its access control list, as text.
    pub fn acls(&self) -> BTreeMap<String, String> {
        self.state.lock().tree.acls()
    }

    /// Every path with its data, for tests that compare the whole tree.
    pub fn snapshot(&self) -> BTreeMap<String, Bytes> {
        self.state.lock().tree.snapshot()
    }
}

impl MemorySession {
    /// Ends the session: its ephemerals and watches are removed, its subscribers get an event, and every operation
    /// fails until [`MemorySession::establish`].
    pub fn expire(&self) {
        let mut state = self.state.lock();
        state.end_session(self.client);
        state.tell_subscribers(self.client, WatchKind::SessionExpired);
    }

    /// Like [`MemorySession::expire`], but leaves the ephemerals. ZooKeeper does so for a while when the client notices
    /// the expiry first (and without end with ZOOKEEPER-2985).
    pub fn expire_leaving_ephemerals(&self) {
        let mut state = self.state.lock();
        state.forget_session(self.client);
        state.tell_subscribers(self.client, WatchKind::SessionExpired);
    }

    /// Establishes a new session after one has expired.
    pub fn establish(&self) {
        let mut state = self.state.lock();
        assert_eq!(
            state.clients[self.client].session_id, 0,
            "a session stands already"
        );
        let session_id = state.next_session_id();
        state.clients[self.client].session_id = session_id;
        state.tell_subscribers(self.client, WatchKind::SessionEstablished);
    }

    /// Closes the session: like expiry, but the subscribers get no event.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.clients[self.client].subscribers.clear();
        state.end_session(self.client);
    }

    /// Makes the next write that touches `path` or anything below it fail. A multi matches if any of its operations
    /// does. Several faults for the same write are used one at a time, in the order of injection.
    pub fn inject(&self, path: &str, fault: Fault) {
        let mut state = self.state.lock();
        state.clients[self.client]
            .faults
            .push_back((path.to_owned(), fault));
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut State, usize) -> Result<T, ZkError>,
    ) -> BoxFuture<'static, Result<T, ZkError>> {
        let mut state = self.state.lock();
        let result = state
            .check_session(self.client)
            .and_then(|()| read(&mut state, self.client));
        ready(result).boxed()
    }

    fn write(&self, ops: &[ZkOp]) -> Result<Vec<ZkOpResult>, MultiError> {
        let mut state = self.state.lock();
        state.check_session(self.client).map_err(whole_multi)?;
        match state.take_fault(self.client, ops) {
            Some(Fault::Refused(error)) => return Err(whole_multi(error)),
            // The caller does not see the result of the first attempt.
            Some(Fault::AnswerLost) => drop(state.apply(self.client, ops)),
            None => {}
        }
        state.apply(self.client, ops)
    }

    fn write_one(&self, op: ZkOp) -> Result<ZkOpResult, ZkError> {
        let mut results = self.write(&[op]).map_err(|error| error.error)?;
        Ok(results.remove(0))
    }
}

fn whole_multi(error: ZkError) -> MultiError {
    MultiError { index: 0, error }
}

impl State {
    fn next_session_id(&mut self) -> i64 {
        self.last_session_id += 1;
        self.last_session_id
    }

    fn check_session(&self, client: usize) -> Result<(), ZkError> {
        match self.clients[client].session_id {
            0 => Err(ZkError::SessionExpired),
            _ => Ok(()),
        }
    }

    fn forget_session(&mut self, client: usize) -> i64 {
        let ended = &mut self.clients[client];
        ended.data_watches.clear();
        ended.child_watches.clear();
        std::mem::take(&mut ended.session_id)
    }

    fn end_session(&mut self, client: usize) {
        let session_id = self.forget_session(client);
        let changes = self.tree.remove_ephemerals_of(session_id);
        self.fire(&changes);
    }

    fn apply(&mut self, client: usize, ops: &[ZkOp]) -> Result<Vec<ZkOpResult>, MultiError> {
        let Client {
            session_id,
            identities,
            set_acl,
            ..
        } = &self.clients[client];
        let creator = Creator {
            session_id: *session_id,
            identities,
            set_acl: *set_acl,
        };
        let (results, changes) = self.tree.multi(ops, creator)?;
        self.fire(&changes);
        Ok(results)
    }

    fn take_fault(&mut self, client: usize, ops: &[ZkOp]) -> Option<Fault> {
        let touches = |below: &str| {
            let below_it = |path: &str| {
                path.strip_prefix(below)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            ops.iter().any(|op| below_it(op.path()))
        };
        let faults = &mut self.clients[client].faults;
        let at = faults.iter().position(|(path, _)| touches(path))?;
        faults.remove(at).map(|(_, fault)| fault)
    }

    /// Fires the watches that match `changes`, each once.
    fn fire(&mut self, changes: &[Changed]) {
        for client in &mut self.clients {
            for Changed { path, kind } in changes {
                let tripped = match kind {
                    WatchKind::NodeCreated | WatchKind::NodeDataChanged => client.data_watches.remove(path),
                    WatchKind::NodeChildrenChanged => client.child_watches.remove(path),
                    // Not short-circuited: a deletion trips both kinds of watches, with one event.
                    _ => client.data_watches.remove(path) | client.child_watches.remove(path),
                };
                if tripped {
                    client.send(WatchEvent {
                        path: path.clone(),
                        kind: *kind,
                    });
                }
            }
        }
    }

    fn tell_subscribers(&mut self, client: usize, kind: WatchKind) {
        self.clients[client].send(WatchEvent {
            path: String::new(),
            kind,
        });
    }
}

impl Client {
    fn send(&mut self, event: WatchEvent) {
        self.subscribers
            .retain(|subscriber| subscriber.send(event.clone()).is_ok());
    }
}

impl ZkStore for MemorySession {
    fn get(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<(Bytes, Stat)>, ZkError>> {
        self.read(|state, client| {
            if watch {
                state.clients[client].data_watches.insert(path.to_owned());
            }
            Ok(state.tree.get(path))
        })
    }

    fn get_all(&self, paths: Vec<String>) -> BoxFuture<'static, Result<Vec<Option<(Bytes, Stat)>>, ZkError>> {
        self.read(|state, _| Ok(paths.iter().map(|path| state.tree.get(path)).collect()))
    }

    fn exists(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<Stat>, ZkError>> {
        self.get(path, watch)
            .map(|result| Ok(result?.map(|(_, stat)| stat)))
            .boxed()
    }

    fn children(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<Vec<String>>, ZkError>> {
        self.read(|state, client| {
            let children = state.tree.children(path);
            if watch && children.is_some() {
                state.clients[client].child_watches.insert(path.to_owned());
            }
            Ok(children)
        })
    }

    fn create(
        &self,
        path: &str,
        data: Bytes,
        mode: CreateMode,
    ) -> BoxFuture<'static, Result<(String, Stat), ZkError>> {
        let path = path.to_owned();
        let result = self
            .write_one(ZkOp::Create { path, data, mode })
            .map(|result| match result {
                ZkOpResult::Created { path, stat } => (path, stat),
                other => unreachable!("a create answered with {other:?}"),
            });
        ready(result).boxed()
    }

    fn set(
        &self,
        path: &str,
        data: Bytes,
        version: Option<i32>,
    ) -> BoxFuture<'static, Result<Stat, ZkError>> {
        let path = path.to_owned();
        let result = self
            .write_one(ZkOp::SetData { path, data, version })
            .map(|result| match result {
                ZkOpResult::Set { stat } => stat,
                other => unreachable!("a set answered with {other:?}"),
            });
        ready(result).boxed()
    }

    fn delete(&self, path: &str, version: Option<i32>) -> BoxFuture<'static, Result<(), ZkError>> {
        let path = path.to_owned();
        let result = self.write_one(ZkOp::Delete { path, version }).map(drop);
        ready(result).boxed()
    }

    fn acl(&self, path: &str) -> BoxFuture<'static, Result<Option<Vec<AclEntry>>, ZkError>> {
        self.read(|state, _| Ok(state.tree.acl(path)))
    }

    fn set_acl(&self, path: &str, acl: NodeAcl) -> BoxFuture<'static, Result<(), ZkError>> {
        self.read(|state, client| {
            let entries = acl.entries(&state.clients[client].identities);
            state.tree.set_acl(path, entries)
        })
    }

    fn multi(&self, ops: Vec<ZkOp>) -> BoxFuture<'static, Result<Vec<ZkOpResult>, MultiError>> {
        ready(self.write(&ops)).boxed()
    }

    fn session_id(&self) -> i64 {
        self.state.lock().clients[self.client].session_id
    }

    fn subscribe(&self) -> mpsc::UnboundedReceiver<WatchEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.state.lock().clients[self.client].subscribers.push(sender);
        receiver
    }
}
