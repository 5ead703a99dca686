//! The tree of znodes and the effect of a transaction on it. The tree has no clients and watches; it returns the
//! changes.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::common::clock::SharedClock;
use crate::zk::acl::{AclEntry, NodeAcl};
use crate::zk::paths;
use crate::zk::store::{CreateMode, MultiError, Stat, WatchKind, ZkError, ZkOp, ZkOpResult};

/// A change that may trip a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub path: String,
    pub kind: WatchKind,
}

#[derive(Clone)]
struct Znode {
    data: Bytes,
    stat: Stat,
    acl: Vec<AclEntry>,
    /// How many children this znode has ever had: the source of sequential names.
    children_created: i32,
}

/// The session that a transaction belongs to.
#[derive(Clone, Copy)]
pub struct Creator<'a> {
    pub session_id: i64,
    /// Schemes and ids that the session has proved.
    pub identities: &'a [(String, String)],
    /// Whether what it creates belongs to it.
    pub set_acl: bool,
}

/// Every znode by its path. The children of a znode follow it in the map.
pub struct Tree {
    znodes: BTreeMap<String, Znode>,
    last_zxid: i64,
    clock: SharedClock,
}

impl Tree {
    pub fn new(clock: SharedClock) -> Self {
        let root = Znode {
            data: Bytes::new(),
            stat: Stat::default(),
            acl: NodeAcl::Open.entries(&[]),
            children_created: 0,
        };
        Self {
            znodes: BTreeMap::from([("/".to_owned(), root)]),
            last_zxid: 0,
            clock,
        }
    }

    pub fn snapshot(&self) -> BTreeMap<String, Bytes> {
        self.znodes
            .iter()
            .map(|(path, znode)| (path.clone(), znode.data.clone()))
            .collect()
    }

    pub fn acls(&self) -> BTreeMap<String, String> {
        let shown = |acl: &[AclEntry]| {
            let entries: Vec<_> = acl.iter().map(AclEntry::to_string).collect();
            entries.join(" ")
        };
        self.znodes
            .iter()
            .map(|(path, znode)| (path.clone(), shown(&znode.acl)))
            .collect()
    }

    pub fn get(&self, path: &str) -> Option<(Bytes, Stat)> {
        self.znodes
            .get(path)
            .map(|znode| (znode.data.clone(), znode.stat))
    }

    pub fn acl(&self, path: &str) -> Option<Vec<AclEntry>> {
        self.znodes.get(path).map(|znode| znode.acl.clone())
    }

    pub fn set_acl(&mut self, path: &str, acl: Vec<AclEntry>) -> Result<(), ZkError> {
        self.existing(path)?.acl = acl;
        Ok(())
    }

    pub fn children(&self, path: &str) -> Option<Vec<String>> {
        self.znodes
            .contains_key(path)
            .then(|| self.child_names(path).map(str::to_owned).collect())
    }

    fn child_names<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a str> {
        let prefix = paths::child(path, "");
        let length = prefix.len();
        self.znodes
            .range(prefix.clone()..)
            .take_while(move |(other, _)| other.starts_with(&prefix))
            .map(move |(other, _)| &other[length..])
            .filter(|name| !name.is_empty() && !name.contains('/'))
    }

    /// Applies all of `ops` under one transaction id, or none of them.
    pub fn multi(
        &mut self,
        ops: &[ZkOp],
        creator: Creator,
    ) -> Result<(Vec<ZkOpResult>, Vec<Changed>), MultiError> {
        self.last_zxid += 1;
        let mut undo = Undo::default();
        let mut results = Vec::with_capacity(ops.len());
        let mut changes = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            match self.apply(op, creator, &mut undo, &mut changes) {
                Ok(result) => results.push(result),
                Err(error) => {
                    undo.roll_back(self);
                    return Err(MultiError { index, error });
                }
            }
        }
        Ok((results, changes))
    }

    pub fn remove_ephemerals_of(&mut self, session_id: i64) -> Vec<Changed> {
        let owned = |znode: &Znode| session_id != 0 && znode.stat.ephemeral_owner == session_id;
        let paths: Vec<_> = self
            .znodes
            .iter()
            .filter(|(_, znode)| owned(znode))
            .map(|(path, _)| path.clone())
            .collect();
        self.last_zxid += 1;
        let mut changes = Vec::new();
        for path in &paths {
            self.znodes.remove(path);
            push_deletion(path, &mut changes);
        }
        changes
    }

    fn apply(
        &mut self,
        op: &ZkOp,
        creator: Creator,
        undo: &mut Undo,
        changes: &mut Vec<Changed>,
    ) -> Result<ZkOpResult, ZkError> {
        match op {
            ZkOp::Create { path, data, mode } => {
                let path = self.create(path, data.clone(), *mode, creator, undo)?;
                changes.push(changed(&path, WatchKind::NodeCreated));
                if let Some(parent) = paths::parent(&path) {
                    changes.push(changed(parent, WatchKind::NodeChildrenChanged));
                }
                let stat = self.znodes[&path].stat;
                Ok(ZkOpResult::Created { path, stat })
            }
            ZkOp::SetData { path, data, version } => {
                let zxid = self.last_zxid;
                self.check(path, *version)?;
                undo.remember(self, path);
                let znode = self.existing(path)?;
                znode.data = data.clone();
                znode.stat.mzxid = zxid;
                znode.stat.version += 1;
                let stat = znode.stat;
                changes.push(changed(path, WatchKind::NodeDataChanged));
                Ok(ZkOpResult::Set { stat })
            }
            ZkOp::Delete { path, version } => {
                self.check(path, *version)?;
                if self.child_names(path).next().is_some() {
                    return Err(ZkError::NotEmpty(path.clone()));
                }
                undo.remember(self, path);
                self.znodes.remove(path);
                push_deletion(path, changes);
                Ok(ZkOpResult::Deleted)
            }
            ZkOp::Check { path, version } => {
                self.check(path, Some(*version))?;
                Ok(ZkOpResult::Checked)
            }
        }
    }

    fn create(
        &mut self,
        path: &str,
        data: Bytes,
        mode: CreateMode,
        creator: Creator,
        undo: &mut Undo,
    ) -> Result<String, ZkError> {
        let malformed = || ZkError::Other(format!("malformed path {path:?}"));
        let parent_path = paths::parent(path).ok_or_else(malformed)?;
        let sequential = mode == CreateMode::PersistentSequential;
        if !path.starts_with('/') || (path.ends_with('/') && !sequential) {
            return Err(malformed());
        }
        let Some(parent) = self.znodes.get(parent_path) else {
            return Err(ZkError::NoNode(path.to_owned()));
        };
        if parent.stat.ephemeral_owner != 0 {
            return Err(ZkError::Other(format!(
                "{parent_path} is ephemeral and can have no children"
            )));
        }
        let acl = NodeAcl::of(path, creator.set_acl).entries(creator.identities);
        if acl.is_empty() {
            return Err(ZkError::InvalidAcl(path.to_owned()));
        }
        let path = match mode {
            CreateMode::PersistentSequential => format!("{path}{:010}", parent.children_created),
            CreateMode::Persistent | CreateMode::Ephemeral => path.to_owned(),
        };
        if self.znodes.contains_key(&path) {
            return Err(ZkError::NodeExists(path));
        }
        undo.remember(self, parent_path);
        undo.remember(self, &path);
        self.existing(parent_path)?.children_created += 1;
        let stat = Stat {
            czxid: self.last_zxid,
            mzxid: self.last_zxid,
            ctime_ms: self.clock.wall_ms(),
            version: 0,
            ephemeral_owner: if mode == CreateMode::Ephemeral {
                creator.session_id
            } else {
                0
            },
        };
        let znode = Znode {
            data,
            stat,
            acl,
            children_created: 0,
        };
        self.znodes.insert(path.clone(), znode);
        Ok(path)
    }

    fn existing(&mut self, path: &str) -> Result<&mut Znode, ZkError> {
        self.znodes
            .get_mut(path)
            .ok_or_else(|| ZkError::NoNode(path.to_owned()))
    }

    fn check(&mut self, path: &str, version: Option<i32>) -> Result<(), ZkError> {
        let actual = self.existing(path)?.stat.version;
        match version {
            Some(expected) if expected != actual => Err(ZkError::BadVersion(path.to_owned())),
            _ => Ok(()),
        }
    }
}

fn changed(path: &str, kind: WatchKind) -> Changed {
    Changed {
        path: path.to_owned(),
        kind,
    }
}

fn push_deletion(path: &str, changes: &mut Vec<Changed>) {
    changes.push(changed(path, WatchKind::NodeDeleted));
    if let Some(parent) = paths::parent(path) {
        changes.push(changed(parent, WatchKind::NodeChildrenChanged));
    }
}

/// The state of the znodes before a transaction touched them.
#[derive(Default)]
struct Undo(Vec<(String, Option<Znode>)>);

impl Undo {
    fn remember(&mut self, tree: &Tree, path: &str) {
        self.0.push((path.to_owned(), tree.znodes.get(path).cloned()));
    }

    fn roll_back(self, tree: &mut Tree) {
        for (path, before) in self.0.into_iter().rev() {
            match before {
                Some(znode) => tree.znodes.insert(path, znode),
                None => tree.znodes.remove(&path),
            };
        }
    }
}
