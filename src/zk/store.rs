//! The trait in front of ZooKeeper, so that everything above can be driven without one.
//!
//! Two implementations: `session` (a real ensemble) and `memory` (a double with versions, ephemerals, multi,
//! watches and injected faults). One shared test suite is run against both.
//!
//! # Lost connections
//!
//! When a connection breaks, the answers of the operations under way are lost; each may have been applied or not.
//! As in Kafka (`KafkaZkClient.retryRequestsUntilConnected`) every such operation is sent again unchanged once the
//! session has a connection again, inside the store, so callers do not see connection losses. What they may see
//! instead is **their own write in the way**: a `NodeExists`, `NoNode` or `BadVersion` that the first attempt
//! caused. A caller must read again before it draws a conclusion from one of these three: the controller's election
//! (fact 2), every conditional write of a partition's state (fact 3), a broker's registration
//! (`cluster::register_broker` does), a producer id block. A sequential znode may have been created twice, so a
//! notification must be harmless when it is read twice. Who does not care, such as a recursive creation that takes
//! `NodeExists` for success, has nothing to do.
//!
//! Operations resent keep their order, but one that was started just when the connection broke may overtake them.
//! Writes that depend on each other belong in one multi, or the second is started after the first was answered.

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::znode::ZnodeError;

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
    /// The store was closed while the operation was under way, which may or may not have been applied.
    #[error("connection to ZooKeeper lost")]
    ConnectionLoss,
    /// No session stands. The operation may have been applied in the one that ended. Everything is done again
    /// after [`WatchKind::SessionEstablished`].
    #[error("ZooKeeper session expired")]
    SessionExpired,
    #[error("not authorized: {0}")]
    NoAuth(String),
    /// The znode is there, but nobody can read it.
    #[error("data of {path}: {error}")]
    Malformed { path: String, error: ZnodeError },
    /// `zookeeper.connect` makes no sense.
    #[error("zookeeper.connect {connect:?}: {reason}")]
    InvalidConnectString { connect: String, reason: String },
    /// There was no first connection in time.
    #[error("no connection to ZooKeeper at {servers} within {timeout_ms} ms: {reason}")]
    Unreachable {
        servers: String,
        timeout_ms: u64,
        reason: String,
    },
    /// The server does not know what is asked of it: the first that does is 3.5.
    #[error("ZooKeeper at {servers} is older than 3.5")]
    TooOld { servers: String },
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

impl ZkOp {
    /// The znode it is about; the prefix of the name of a sequential one.
    pub fn path(&self) -> &str {
        match self {
            Self::Create { path, .. }
            | Self::SetData { path, .. }
            | Self::Delete { path, .. }
            | Self::Check { path, .. } => path,
        }
    }

    /// The data that it brings.
    pub fn data(&self) -> &[u8] {
        match self {
            Self::Create { data, .. } | Self::SetData { data, .. } => data,
            Self::Delete { .. } | Self::Check { .. } => &[],
        }
    }
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

/// Data and stat of each of many znodes; `None` where there is none.
pub type Znodes = Vec<Option<(Bytes, Stat)>>;

/// The operations that barnabas needs of ZooKeeper. Paths are below the chroot.
///
/// Operations may be started one after the other without waiting: they are pipelined and applied in order.
/// They are under way as soon as they are called; dropping a future does not take its operation back.
/// `watch: true` arms a one-shot watch whose event goes to every subscriber; arming the same path twice is
/// harmless. A watch is re-armed by the next read only, so always read again after an event (fact 7).
/// An event may come twice or without a change behind it; none is lost while the session lives.
///
/// While no session stands, from [`WatchKind::SessionExpired`] to [`WatchKind::SessionEstablished`], every
/// operation fails with [`ZkError::SessionExpired`]; while the session merely has no connection, they wait.
pub trait ZkStore: Send + Sync + 'static {
    /// Data and stat; `None` if there is no such znode (a watch then waits for its creation).
    fn get(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<(Bytes, Stat)>, ZkError>>;
    /// [`ZkStore::get`] for many znodes that are not watched, in the order of `paths`.
    fn get_all(&self, paths: Vec<String>) -> BoxFuture<'static, Result<Znodes, ZkError>>;
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
