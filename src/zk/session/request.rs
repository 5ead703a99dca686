//! One request to ZooKeeper: its translation into calls of crate zookeeper-client, and the meaning of the answer.

use bytes::Bytes;
use futures::future::join_all;
use tokio::sync::oneshot;
use zookeeper_client as zk;
use zookeeper_client::{Client, MultiReadResult, MultiWriteError, MultiWriteResult, OneshotWatcher};

use crate::zk::acl::{AclEntry, NodeAcl};
use crate::zk::store::{CreateMode, MultiError, Stat, WatchKind, ZkError, ZkOp, ZkOpResult};

/// The creator may do everything, all others may read.
const READABLE: &[zk::Acl] = &[
    zk::Acl::new_const(zk::Permission::ALL, "auth", ""),
    zk::Acl::new_const(zk::Permission::READ, "world", "anyone"),
];

/// A request and the receiver of its answer.
pub struct Operation {
    pub request: Request,
    pub reply: oneshot::Sender<Result<Answer, MultiError>>,
}

/// A request to ZooKeeper.
pub enum Request {
    Get {
        path: String,
        watch: bool,
    },
    /// All znodes in one request, which ZooKeeper supports since 3.6.
    GetAll(Vec<String>),
    /// The same, with one request for each znode.
    GetEach(Vec<String>),
    Exists {
        path: String,
        watch: bool,
    },
    Children {
        path: String,
        watch: bool,
    },
    Acl(String),
    SetAcl {
        path: String,
        acl: NodeAcl,
    },
    Write(ZkOp),
    Multi(Vec<ZkOp>),
}

/// ZooKeeper's answer; each kind of request has its own kind of answer.
#[derive(Debug)]
pub enum Answer {
    Data(Option<(Bytes, Stat)>),
    AllData(Vec<Option<(Bytes, Stat)>>),
    Stat(Option<Stat>),
    Children(Option<Vec<String>>),
    Acl(Option<Vec<AclEntry>>),
    AclSet,
    Written(ZkOpResult),
    Multi(Vec<ZkOpResult>),
}

/// The outcome of a request.
pub enum Outcome {
    /// ZooKeeper answered, and a watch was armed if the request asked for one.
    Answered(Answer, Option<Watch>),
    /// ZooKeeper refused the request; nothing was changed.
    Refused(MultiError),
    /// There was no answer. The request may have been sent or not.
    Unanswered,
    /// The server is too old to know this request.
    Unimplemented,
}

/// The two kinds of watches that a path can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchClass {
    /// Creation, deletion and change of data.
    Data,
    /// Change of children and deletion.
    Children,
}

impl WatchClass {
    /// Arms a watch; `None` if the watch needs an existing znode and there is none.
    pub async fn watch(self, client: &Client, path: &str) -> Result<Option<Watch>, zk::Error> {
        match self {
            Self::Data => {
                let (stat, watcher) = client.check_and_watch_stat(path).await?;
                Ok(Some(Watch::data(stat.as_ref(), watcher)))
            }
            Self::Children => match client.get_and_watch_children(path).await {
                Ok((_, stat, watcher)) => Ok(Some(Watch::children(&stat, watcher))),
                Err(zk::Error::NoNode) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// The event that a watch would have sent, from the transactions that last changed the watched znode; `None` if
    /// nothing changed.
    pub fn what_happened(self, before: Option<i64>, now: Option<i64>) -> Option<WatchKind> {
        match (self, before, now) {
            (_, before, now) if before == now => None,
            (_, _, None) => Some(WatchKind::NodeDeleted),
            (Self::Data, None, Some(_)) => Some(WatchKind::NodeCreated),
            (Self::Data, Some(_), Some(_)) => Some(WatchKind::NodeDataChanged),
            (Self::Children, _, Some(_)) => Some(WatchKind::NodeChildrenChanged),
        }
    }
}

/// A watch that was just armed.
pub struct Watch {
    pub class: WatchClass,
    /// The transaction that last changed the watched znode; `None` if it does not exist.
    pub changed_in: Option<i64>,
    pub watcher: OneshotWatcher,
}

impl Request {
    /// Path and class of the watch that the request asks for.
    pub fn watch_wanted(&self) -> Option<(&str, WatchClass)> {
        match self {
            Self::Get { path, watch: true } | Self::Exists { path, watch: true } => {
                Some((path, WatchClass::Data))
            }
            Self::Children { path, watch: true } => Some((path, WatchClass::Children)),
            _ => None,
        }
    }

    /// Sends the request at the first poll. `arm` is false if the requested watch is armed already; `set_acl` tells
    /// whether a created znode belongs to this client.
    pub async fn execute(&self, client: &Client, arm: bool, set_acl: bool) -> Outcome {
        let executed = match self {
            Self::Get { path, .. } => get(client, path, arm).await,
            Self::GetAll(paths) => match get_all(client, paths).await {
                Err(zk::Error::Unimplemented) => return Outcome::Unimplemented,
                read => read,
            },
            Self::GetEach(paths) => get_each(client, paths).await,
            Self::Exists { path, .. } => exists(client, path, arm).await,
            Self::Children { path, .. } => children(client, path, arm).await,
            Self::Acl(path) => acl(client, path).await,
            Self::SetAcl { path, acl } => client
                .set_acl(path, &acls(*acl), None)
                .await
                .map(|_| (Answer::AclSet, None)),
            Self::Write(op) => write(client, op, set_acl)
                .await
                .map(|written| (Answer::Written(written), None)),
            Self::Multi(ops) => return multi(client, ops, set_acl).await,
        };
        match executed {
            Ok((answer, watch)) => Outcome::Answered(answer, watch),
            Err(error) => refused(0, error, self.path()),
        }
    }

    fn path(&self) -> &str {
        match self {
            Self::Get { path, .. }
            | Self::Exists { path, .. }
            | Self::Children { path, .. }
            | Self::Acl(path)
            | Self::SetAcl { path, .. } => path,
            Self::GetAll(paths) | Self::GetEach(paths) => paths.first().map_or("", String::as_str),
            Self::Write(op) => op.path(),
            Self::Multi(ops) => ops.first().map_or("", ZkOp::path),
        }
    }
}

type Executed = Result<(Answer, Option<Watch>), zk::Error>;

async fn get(client: &Client, path: &str, arm: bool) -> Executed {
    loop {
        let got = match arm {
            true => client
                .get_and_watch_data(path)
                .await
                .map(|(data, stat, watcher)| (data, stat, Some(watcher))),
            false => client.get_data(path).await.map(|(data, stat)| (data, stat, None)),
        };
        match got {
            Ok((data, stat, watcher)) => {
                let answer = Answer::Data(Some((data.into(), stat_from(&stat))));
                return Ok((answer, watcher.map(|watcher| Watch::data(Some(&stat), watcher))));
            }
            Err(zk::Error::NoNode) if arm => match client.check_and_watch_stat(path).await? {
                (None, watcher) => return Ok((Answer::Data(None), Some(Watch::data(None, watcher)))),
                // Another client created the znode in between; now the loop can read it.
                (Some(_), _) => continue,
            },
            Err(zk::Error::NoNode) => return Ok((Answer::Data(None), None)),
            Err(error) => return Err(error),
        }
    }
}

async fn get_all(client: &Client, paths: &[String]) -> Executed {
    let mut reader = client.new_multi_reader();
    for path in paths {
        reader.add_get_data(path)?;
    }
    let found = reader.commit().await?.into_iter().map(|read| match read {
        MultiReadResult::Data { data, stat } => Ok(Some((data.into(), stat_from(&stat)))),
        MultiReadResult::Error {
            err: zk::Error::NoNode,
        } => Ok(None),
        MultiReadResult::Error { err } => Err(err),
        other => unreachable!("no such read was asked for: {other:?}"),
    });
    Ok((Answer::AllData(found.collect::<Result<_, _>>()?), None))
}

async fn get_each(client: &Client, paths: &[String]) -> Executed {
    let found = join_all(paths.iter().map(|path| client.get_data(path))).await;
    let found = found.into_iter().map(|read| match read {
        Ok((data, stat)) => Ok(Some((data.into(), stat_from(&stat)))),
        Err(zk::Error::NoNode) => Ok(None),
        Err(error) => Err(error),
    });
    Ok((Answer::AllData(found.collect::<Result<_, _>>()?), None))
}

async fn exists(client: &Client, path: &str, arm: bool) -> Executed {
    let (stat, watcher) = match arm {
        true => client
            .check_and_watch_stat(path)
            .await
            .map(|(stat, watcher)| (stat, Some(watcher)))?,
        false => (client.check_stat(path).await?, None),
    };
    let watch = watcher.map(|watcher| Watch::data(stat.as_ref(), watcher));
    Ok((Answer::Stat(stat.as_ref().map(stat_from)), watch))
}

async fn children(client: &Client, path: &str, arm: bool) -> Executed {
    let listed = match arm {
        true => client
            .get_and_watch_children(path)
            .await
            .map(|(names, stat, watcher)| (names, Some(Watch::children(&stat, watcher)))),
        false => client.list_children(path).await.map(|names| (names, None)),
    };
    match listed {
        Ok((mut names, watch)) => {
            names.sort_unstable();
            Ok((Answer::Children(Some(names)), watch))
        }
        Err(zk::Error::NoNode) => Ok((Answer::Children(None), None)),
        Err(error) => Err(error),
    }
}

impl Watch {
    fn data(stat: Option<&zk::Stat>, watcher: OneshotWatcher) -> Self {
        Self {
            class: WatchClass::Data,
            changed_in: stat.map(|stat| stat.mzxid),
            watcher,
        }
    }

    fn children(stat: &zk::Stat, watcher: OneshotWatcher) -> Self {
        Self {
            class: WatchClass::Children,
            changed_in: Some(stat.pzxid),
            watcher,
        }
    }
}

async fn acl(client: &Client, path: &str) -> Executed {
    match client.get_acl(path).await {
        Ok((entries, _)) => {
            let entries = entries.iter().map(entry_from).collect();
            Ok((Answer::Acl(Some(entries)), None))
        }
        Err(zk::Error::NoNode) => Ok((Answer::Acl(None), None)),
        Err(error) => Err(error),
    }
}

fn entry_from(entry: &zk::Acl) -> AclEntry {
    let bits = [
        zk::Permission::READ,
        zk::Permission::WRITE,
        zk::Permission::CREATE,
        zk::Permission::DELETE,
        zk::Permission::ADMIN,
    ];
    let bits = bits.into_iter().enumerate();
    let permissions = bits
        .filter(|(_, permission)| entry.permission().has(*permission))
        .fold(0, |permissions, (bit, _)| permissions | 1 << bit);
    AclEntry::new(entry.scheme(), entry.id(), permissions)
}

async fn write(client: &Client, op: &ZkOp, set_acl: bool) -> Result<ZkOpResult, zk::Error> {
    match op {
        ZkOp::Create { path, data, mode } => {
            let (stat, sequence) = client
                .create(path, data, &create_options(path, *mode, set_acl))
                .await?;
            let path = match mode {
                CreateMode::PersistentSequential => format!("{path}{sequence}"),
                CreateMode::Persistent | CreateMode::Ephemeral => path.clone(),
            };
            let stat = stat_from(&stat);
            Ok(ZkOpResult::Created { path, stat })
        }
        ZkOp::SetData { path, data, version } => {
            let stat = client.set_data(path, data, *version).await?;
            Ok(ZkOpResult::Set {
                stat: stat_from(&stat),
            })
        }
        ZkOp::Delete { path, version } => client.delete(path, *version).await.map(|()| ZkOpResult::Deleted),
        ZkOp::Check { .. } => unreachable!("the store's trait has checks in multis only"),
    }
}

async fn multi(client: &Client, ops: &[ZkOp], set_acl: bool) -> Outcome {
    let mut writer = client.new_multi_writer();
    for (index, op) in ops.iter().enumerate() {
        let added = match op {
            ZkOp::Create { path, data, mode } => {
                writer.add_create(path, data, &create_options(path, *mode, set_acl))
            }
            ZkOp::SetData { path, data, version } => writer.add_set_data(path, data, *version),
            ZkOp::Delete { path, version } => writer.add_delete(path, *version),
            ZkOp::Check { path, version } => writer.add_check_version(path, *version),
        };
        if let Err(error) = added {
            return refused(index, error, op.path());
        }
    }
    match writer.commit().await {
        Ok(results) => Outcome::Answered(
            Answer::Multi(results.into_iter().map(op_result_from).collect()),
            None,
        ),
        Err(MultiWriteError::RequestFailed { source }) => {
            refused(0, source, ops.first().map_or("", ZkOp::path))
        }
        Err(MultiWriteError::OperationFailed { index, source }) => {
            refused(index, source, ops.get(index).map_or("", ZkOp::path))
        }
    }
}

/// A sequential znode's rule is that of its prefix.
fn create_options(path: &str, mode: CreateMode, set_acl: bool) -> zk::CreateOptions<'static> {
    let acls = acls(NodeAcl::of(path, set_acl));
    match mode {
        CreateMode::Persistent => zk::CreateMode::Persistent.with_acls(acls),
        CreateMode::PersistentSequential => zk::CreateMode::PersistentSequential.with_acls(acls),
        CreateMode::Ephemeral => zk::CreateMode::Ephemeral.with_acls(acls),
    }
}

/// The list as it is sent. ZooKeeper puts all identities of the session in place of the scheme `auth`.
pub fn acls(acl: NodeAcl) -> zk::Acls<'static> {
    match acl {
        NodeAcl::Open => zk::Acls::anyone_all(),
        NodeAcl::Readable => zk::Acls::new(READABLE),
        NodeAcl::Sensitive => zk::Acls::creator_all(),
    }
}

fn op_result_from(result: MultiWriteResult) -> ZkOpResult {
    match result {
        MultiWriteResult::Check => ZkOpResult::Checked,
        MultiWriteResult::Delete => ZkOpResult::Deleted,
        MultiWriteResult::Create { path, stat } => ZkOpResult::Created {
            path,
            stat: stat_from(&stat),
        },
        MultiWriteResult::SetData { stat } => ZkOpResult::Set {
            stat: stat_from(&stat),
        },
        other => unreachable!("no such operation was in the multi: {other:?}"),
    }
}

fn stat_from(stat: &zk::Stat) -> Stat {
    Stat {
        czxid: stat.czxid,
        mzxid: stat.mzxid,
        ctime_ms: stat.ctime,
        version: stat.version,
        ephemeral_owner: stat.ephemeral_owner,
    }
}

/// Whether an error concerns the connection and not the request.
pub fn is_lost(error: &zk::Error) -> bool {
    matches!(
        error,
        zk::Error::ConnectionLoss
            // This error, too, only means that crate zookeeper-client has given up; the driver finds out whether the
            // session expired.
            | zk::Error::SessionExpired
            | zk::Error::SessionMoved
            | zk::Error::Timeout
            | zk::Error::NoHosts
            | zk::Error::AuthFailed
            | zk::Error::ClientClosed
            | zk::Error::Custom(_)
    )
}

fn refused(index: usize, error: zk::Error, path: &str) -> Outcome {
    let path = || path.to_owned();
    if is_lost(&error) {
        return Outcome::Unanswered;
    }
    let error = match error {
        zk::Error::NoNode => ZkError::NoNode(path()),
        zk::Error::NodeExists => ZkError::NodeExists(path()),
        zk::Error::BadVersion => ZkError::BadVersion(path()),
        zk::Error::NotEmpty => ZkError::NotEmpty(path()),
        zk::Error::NoAuth => ZkError::NoAuth(path()),
        zk::Error::InvalidAcl => ZkError::InvalidAcl(path()),
        other => ZkError::Other(format!("{}: {other}", path())),
    };
    Outcome::Refused(MultiError { index, error })
}
