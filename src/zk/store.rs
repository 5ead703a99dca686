//! The trait in front of ZooKeeper, so that everything above can be driven without one.
//!
//! Two implementations: `session` (a real ensemble) and `memory` (a double with versions, ephemerals, multi,
//! watches and injected faults). One shared test suite is run against both.

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::mpsc;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "ZooKeeper's own error names")]
pub enum ZkError {
    #[error("no such znode: {0}")]
    NoNode(String),
    #[error("znode exists: {0}")]
    NodeExists(String),
    #[error("version of {0} is not the expected one")]
    BadVersion(String),
    #[error("znode has children: {0}")]
    NotEmpty(String),
    /// The operation may or may not have been applied (traps 2 and 3).
    #[error("connection to ZooKeeper lost")]
    ConnectionLoss,
    #[error("ZooKeeper session expired")]
    SessionExpired,
    #[error("not authorized: {0}")]
    NoAuth(String),
    #[error("ZooKeeper: {0}")]
    Other(String),
}

/// How a znode is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "ZooKeeper's own mode names")]
pub enum CreateMode {
    Persistent,
    PersistentSequential,
    Ephemeral,
}

/// What ZooKeeper keeps beside a znode's data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Transaction that created it; for a registration this is the broker epoch.
    pub czxid: i64,
    /// Transaction that last changed its data.
    pub mzxid: i64,
    /// When it was created, milliseconds since 1970.
    pub ctime_ms: i64,
    /// How often its data changed.
    pub version: i32,
    /// The session that owns it; 0 if it is persistent.
    pub ephemeral_owner: i64,
}

/// One write of a multi. `version: None` means any.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "ZooKeeper's own operations")]
pub enum ZkOp {
    Create {
        path: String,
        data: Bytes,
        mode: CreateMode,
    },
    SetData {
        path: String,
        data: Bytes,
        version: Option<i32>,
    },
    Delete {
        path: String,
        version: Option<i32>,
    },
    Check {
        path: String,
        version: i32,
    },
}

/// What one write of a multi brought.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each operation")]
pub enum ZkOpResult {
    /// The path as created (a sequential one has its number).
    Created {
        path: String,
        stat: Stat,
    },
    Set {
        stat: Stat,
    },
    Deleted,
    Checked,
}

/// Why a multi was refused: nothing of it was applied, unless `error` is a connection loss.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error} (operation {index} of a multi)")]
pub struct MultiError {
    /// The first operation that failed; 0 when the whole multi failed.
    pub index: usize,
    /// Its error.
    pub error: ZkError,
}

/// What a watch saw, or what became of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// The znode; empty for events of the session.
    pub path: String,
    /// What happened.
    pub kind: WatchKind,
}

/// Kinds of [`WatchEvent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "ZooKeeper's own event names")]
pub enum WatchKind {
    NodeCreated,
    NodeDeleted,
    NodeDataChanged,
    NodeChildrenChanged,
    /// The session is gone, and with it every ephemeral znode and every watch.
    SessionExpired,
    /// A new session stands where one expired. Everything must be registered and read again.
    SessionEstablished,
}

/// The operations that barnabas needs of ZooKeeper. Paths are below the chroot.
///
/// Operations may be started one after the other without waiting: they are pipelined and applied in order.
/// `watch: true` arms a one-shot watch whose event goes to every subscriber; arming the same path twice is
/// harmless. A watch is re-armed by the next read only, so always read again after an event (trap 7).
pub trait ZkStore: Send + Sync + 'static {
    /// Data and stat; `None` if there is no such znode (a watch then waits for its creation).
    fn get(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<(Bytes, Stat)>, ZkError>>;
    /// The stat; `None` if there is no such znode (a watch then waits for its creation).
    fn exists(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<Stat>, ZkError>>;
    /// Names of the children, sorted; `None` if there is no such znode (then nothing is watched).
    fn children(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<Vec<String>>, ZkError>>;
    /// Creates a znode; the parent must exist.
    fn create(
        &self,
        path: &str,
        data: Bytes,
        mode: CreateMode,
    ) -> BoxFuture<'static, Result<(String, Stat), ZkError>>;
    /// Replaces the data.
    fn set(&self, path: &str, data: Bytes, version: Option<i32>)
    -> BoxFuture<'static, Result<Stat, ZkError>>;
    /// Deletes a znode without children.
    fn delete(&self, path: &str, version: Option<i32>) -> BoxFuture<'static, Result<(), ZkError>>;
    /// All or nothing.
    fn multi(&self, ops: Vec<ZkOp>) -> BoxFuture<'static, Result<Vec<ZkOpResult>, MultiError>>;
    /// The session that owns what is created ephemeral now.
    fn session_id(&self) -> i64;
    /// Every event from now on.
    fn subscribe(&self) -> mpsc::UnboundedReceiver<WatchEvent>;
}
