//! Owns the access control lists of the znodes: which list each path gets. Kafka 3.9: `ZkData.defaultAcls`,
//! `ZkData.sensitivePath`.
//!
//! ZooKeeper sets a list when a znode is created and never inherits it, so every creation names its own.

use std::fmt;

use super::paths;

/// Znodes that hold credentials, and all whose paths only begin alike: Kafka compares texts, not parts of paths.
const SENSITIVE: [&str; 3] = ["/config/users", "/config/brokers", paths::DELEGATION_TOKENS];

/// The kinds of lists that Kafka gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeAcl {
    /// Everyone may do everything.
    Open,
    /// The identity that creates the znode may do everything, all others may read.
    Readable,
    /// The identity that creates the znode may do everything, all others nothing.
    Sensitive,
}

impl NodeAcl {
    /// The list of a path. Only a secured cluster (`zookeeper.set.acl`) restricts anything.
    pub fn of(path: &str, set_acl: bool) -> Self {
        match set_acl {
            false => Self::Open,
            // Old consumers of any identity create their groups there.
            true if path == paths::CONSUMERS => Self::Open,
            true if SENSITIVE.iter().any(|root| path.starts_with(root)) => Self::Sensitive,
            true => Self::Readable,
        }
    }

    /// The entries of a list for the identities of the session that creates the znode: `sasl:kafka`, or several.
    #[cfg(test)]
    pub fn entries(self, identities: &[(String, String)]) -> Vec<AclEntry> {
        let anyone = |permissions| AclEntry::new("world", "anyone", permissions);
        let mut entries: Vec<_> = match self {
            Self::Open => return vec![anyone(AclEntry::ALL)],
            Self::Readable | Self::Sensitive => identities
                .iter()
                .map(|(scheme, id)| AclEntry::new(scheme, id, AclEntry::ALL))
                .collect(),
        };
        if self == Self::Readable {
            entries.push(anyone(AclEntry::READ));
        }
        entries
    }
}

/// One entry of a znode's list, as ZooKeeper returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// How the identity was proved: `sasl`, `x509`, `world`.
    pub scheme: String,
    /// The identity.
    pub id: String,
    /// The bits of what it may do.
    pub permissions: u8,
}

impl AclEntry {
    /// Read a znode and its children.
    #[cfg(test)]
    pub const READ: u8 = 1;
    /// Everything.
    #[cfg(test)]
    pub const ALL: u8 = 31;
    /// The letters of the bits, lowest first.
    const LETTERS: [char; 5] = ['r', 'w', 'c', 'd', 'a'];

    /// An entry of these parts.
    pub fn new(scheme: &str, id: &str, permissions: u8) -> Self {
        Self {
            scheme: scheme.to_owned(),
            id: id.to_owned(),
            permissions,
        }
    }
}

/// Writes `sasl:kafka=rwcda`.
impl fmt::Display for AclEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}=", self.scheme, self.id)?;
        for (bit, letter) in Self::LETTERS.into_iter().enumerate() {
            if self.permissions & (1 << bit) != 0 {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::common::clock::ManualClock;
    use crate::zk::memory::MemoryZooKeeper;
    use crate::zk::recursive::create_recursive;
    use crate::zk::{CreateMode, ZkError, ZkOp, ZkStore, cluster};

    #[test]
    fn each_path_has_the_list_of_kafkas_rule() {
        for (path, acl) in [
            ("/", NodeAcl::Readable),
            ("/kafka", NodeAcl::Readable),
            ("/consumers", NodeAcl::Open),
            ("/consumers/g", NodeAcl::Readable),
            ("/consumersX", NodeAcl::Readable),
            ("/brokers/ids/0", NodeAcl::Readable),
            ("/controller", NodeAcl::Readable),
            ("/config/topics/t", NodeAcl::Readable),
            ("/config/changes/config_change_", NodeAcl::Readable),
            ("/config/users", NodeAcl::Sensitive),
            ("/config/users/alice/clients/c", NodeAcl::Sensitive),
            ("/config/brokers", NodeAcl::Sensitive),
            ("/config/brokersX", NodeAcl::Sensitive),
            ("/config/brokers/<default>", NodeAcl::Sensitive),
            ("/config/broker", NodeAcl::Readable),
            ("/delegation_token", NodeAcl::Readable),
            ("/delegation_token/tokens", NodeAcl::Sensitive),
            ("/delegation_token/tokens/abc", NodeAcl::Sensitive),
            ("/delegation_token/token_changes", NodeAcl::Readable),
            ("/kafka-acl/Topic/t", NodeAcl::Readable),
        ] {
            assert_eq!(NodeAcl::of(path, true), acl, "{path}");
            assert_eq!(NodeAcl::of(path, false), NodeAcl::Open, "{path}");
        }
    }

    #[tokio::test]
    async fn every_way_to_create_a_znode_follows_the_rule() {
        let zookeeper = MemoryZooKeeper::new(ManualClock::at(1000));
        let store = zookeeper.connect_as(&[("sasl", "kafka"), ("x509", "CN=broker0")], true);
        cluster::create_persistent_paths(&*store).await.unwrap();
        cluster::get_or_create_cluster_id(&*store).await.unwrap();
        let create = |path: &str, mode| ZkOp::Create {
            path: path.to_owned(),
            data: Bytes::new(),
            mode,
        };
        store
            .create("/brokers/ids/0", Bytes::new(), CreateMode::Ephemeral)
            .await
            .unwrap();
        store
            .multi(vec![
                create("/controller", CreateMode::Ephemeral),
                create("/controller_epoch", CreateMode::Persistent),
                create("/config/changes/config_change_", CreateMode::PersistentSequential),
                create("/config/users/alice", CreateMode::Persistent),
            ])
            .await
            .unwrap();
        for path in [
            "/config/brokers/0",
            "/consumers/g/offsets/t/0",
            "/config/topics/t",
        ] {
            create_recursive(&*store, path, Bytes::new()).await.unwrap();
        }
        let acls = zookeeper.acls();
        assert!(acls.len() > 25, "{acls:#?}");
        for (path, shown) in acls.iter().filter(|(path, _)| *path != "/") {
            let all = "sasl:kafka=rwcda x509:CN=broker0=rwcda";
            let expected = match path.as_str() {
                "/consumers" => "world:anyone=rwcda".to_owned(),
                path if path.starts_with("/config/users") || path.starts_with("/config/brokers") => {
                    all.to_owned()
                }
                _ => format!("{all} world:anyone=r"),
            };
            assert_eq!(shown, &expected, "{path}");
        }
        let anonymous = zookeeper.connect_as(&[], true);
        let refused = anonymous
            .create("/config/brokers/1", Bytes::new(), CreateMode::Persistent)
            .await;
        assert_eq!(refused, Err(ZkError::InvalidAcl("/config/brokers/1".to_owned())));
        let open = zookeeper.connect();
        open.create("/config/brokers/2", Bytes::new(), CreateMode::Persistent)
            .await
            .unwrap();
        assert_eq!(zookeeper.acls()["/config/brokers/2"], "world:anyone=rwcda");
        store
            .set_acl("/config/brokers/2", NodeAcl::Sensitive)
            .await
            .unwrap();
        let entries = store.acl("/config/brokers/2").await.unwrap().unwrap();
        assert_eq!(entries[0].to_string(), "sasl:kafka=rwcda");
    }

    #[test]
    fn entries_are_shown_as_in_the_facts() {
        let shown = |acl: NodeAcl| {
            let entries = acl.entries(&[("sasl".to_owned(), "kafka".to_owned())]);
            entries
                .iter()
                .map(AclEntry::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(shown(NodeAcl::Open), "world:anyone=rwcda");
        assert_eq!(shown(NodeAcl::Readable), "sasl:kafka=rwcda world:anyone=r");
        assert_eq!(shown(NodeAcl::Sensitive), "sasl:kafka=rwcda");
    }
}
