//! Changes the access control lists of an existing cluster's znodes, since `zookeeper.set.acl` concerns only what is
//! created afterwards. Kafka 3.9: `ZkSecurityMigrator`.
//!
//! Kafka's tool also creates the paths that are missing. Here a missing path is left to the broker that needs it: some
//! of these znodes must never be empty.

use std::io::Write;

use futures::future::{BoxFuture, FutureExt as _, join_all};
use tracing::warn;

use super::acl::NodeAcl;
use super::paths;
use super::store::{ZkError, ZkStore};

/// The roots of everything that is changed, beside the chroot itself. What old consumers have stored is left alone.
const SECURE_ROOTS: [&str; 16] = [
    paths::ADMIN,
    paths::BROKERS,
    paths::CLUSTER,
    paths::CONFIG,
    paths::CONTROLLER,
    paths::CONTROLLER_EPOCH,
    paths::ISR_CHANGE_NOTIFICATION,
    paths::PRODUCER_ID_BLOCK,
    paths::LOG_DIR_EVENT_NOTIFICATION,
    paths::DELEGATION_TOKEN,
    paths::EXTENDED_ACLS,
    paths::MIGRATION,
    paths::FEATURE,
    paths::ACLS,
    paths::ACL_CHANGES,
    paths::EXTENDED_ACL_CHANGES,
];

/// Which of the roots do not exist. All of them are missing below a chroot that belongs to no cluster.
pub async fn missing_roots(store: &dyn ZkStore) -> Result<Vec<&'static str>, ZkError> {
    let found = join_all(SECURE_ROOTS.map(|root| store.exists(root, false))).await;
    let mut missing = Vec::new();
    for (root, stat) in SECURE_ROOTS.into_iter().zip(found) {
        if stat?.is_none() {
            missing.push(root);
        }
    }
    Ok(missing)
}

/// Gives every znode the list that it would get if it was created now, with `zookeeper.set.acl` or without. Returns how
/// many were changed. Prints each path.
pub async fn migrate(store: &dyn ZkStore, secure: bool, out: &mut dyn Write) -> Result<usize, ZkError> {
    let mut changed = Vec::from_iter(change(store, "/", secure).await?);
    for below in join_all(SECURE_ROOTS.map(|root| change_recursively(store, root.to_owned(), secure))).await {
        changed.extend(below?);
    }
    for path in &changed {
        // A closed output does not make the work undone.
        let _ = writeln!(out, "{path}");
    }
    Ok(changed.len())
}

/// Changes one znode; `None` if it is gone.
async fn change(store: &dyn ZkStore, path: &str, secure: bool) -> Result<Option<String>, ZkError> {
    match store.set_acl(path, NodeAcl::of(path, secure)).await {
        Ok(()) => Ok(Some(path.to_owned())),
        Err(ZkError::NoNode(_)) => {
            warn!(
                path,
                "the znode is gone, its access control list cannot be changed"
            );
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn change_recursively(
    store: &dyn ZkStore,
    path: String,
    secure: bool,
) -> BoxFuture<'_, Result<Vec<String>, ZkError>> {
    async move {
        let Some(children) = store.children(&path, false).await? else {
            return Ok(Vec::new());
        };
        let mut changed = Vec::from_iter(change(store, &path, secure).await?);
        let below = children.iter().map(|name| paths::child(&path, name));
        for below in join_all(below.map(|child| change_recursively(store, child, secure))).await {
            changed.extend(below?);
        }
        Ok(changed)
    }
    .boxed()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::common::clock::ManualClock;
    use crate::zk::cluster;
    use crate::zk::memory::MemoryZooKeeper;
    use crate::zk::recursive::create_recursive;

    #[tokio::test]
    async fn an_open_cluster_becomes_a_secure_one_and_open_again() {
        let zookeeper = MemoryZooKeeper::new(ManualClock::at(1000));
        let open = zookeeper.connect();
        assert_eq!(missing_roots(&*open).await.unwrap().len(), SECURE_ROOTS.len());
        cluster::create_persistent_paths(&*open).await.unwrap();
        for path in ["/config/brokers/0", "/consumers/g/offsets", "/feature"] {
            create_recursive(&*open, path, Bytes::new()).await.unwrap();
        }
        let before = zookeeper.acls();
        let store = zookeeper.connect_as(&[("sasl", "kafka")], false);
        let mut out = Vec::new();
        let count = migrate(&*store, true, &mut out).await.unwrap();
        let acls = zookeeper.acls();
        assert_eq!(acls.len(), before.len(), "no path is created");
        assert_eq!(count, acls.len() - 3, "all but those of old consumers");
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), count);
        for (path, shown) in &acls {
            let expected = match path.as_str() {
                path if path.starts_with("/consumers") => "world:anyone=rwcda",
                path if NodeAcl::of(path, true) == NodeAcl::Sensitive => "sasl:kafka=rwcda",
                _ => "sasl:kafka=rwcda world:anyone=r",
            };
            assert_eq!(shown, expected, "{path}");
        }
        let missing = missing_roots(&*store).await.unwrap();
        assert!(missing.contains(&paths::CONTROLLER) && !missing.contains(&paths::FEATURE));
        migrate(&*store, false, &mut Vec::new()).await.unwrap();
        assert_eq!(zookeeper.acls(), before);
    }
}
