//! Functions on trees of znodes: creates a znode with its parents, lists a tree. Kafka 3.9:
//! `KafkaZkClient.createRecursive`.
//!
//! None of these is atomic: other clients may see and change a half-done state.

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _, join_all};

use super::paths;
use super::store::{CreateMode, ZkError, ZkStore};

/// Creates a persistent znode, and its missing parents without data. `NodeExists` if the znode already exists; after a
/// lost connection it may be this caller's own.
pub async fn create_recursive(store: &dyn ZkStore, path: &str, data: Bytes) -> Result<(), ZkError> {
    match store.create(path, data.clone(), CreateMode::Persistent).await {
        Err(ZkError::NoNode(_)) => {
            if let Some(parent) = paths::parent(path) {
                ensure_path(store, parent).await?;
            }
            store.create(path, data, CreateMode::Persistent).await.map(drop)
        }
        other => other.map(drop),
    }
}

/// Makes sure that a persistent znode and its parents exist. Creates the missing ones without data.
pub fn ensure_path<'a>(store: &'a dyn ZkStore, path: &'a str) -> BoxFuture<'a, Result<(), ZkError>> {
    async move {
        match create_recursive(store, path, Bytes::new()).await {
            Ok(()) | Err(ZkError::NodeExists(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
    .boxed()
}

/// The paths of `root` and everything below it, each before its children; children in the order of their names.
pub fn walk<'a>(store: &'a dyn ZkStore, root: &'a str) -> BoxFuture<'a, Result<Vec<String>, ZkError>> {
    async move {
        let Some(children) = store.children(root, false).await? else {
            return Ok(Vec::new());
        };
        let children: Vec<_> = children.iter().map(|name| paths::child(root, name)).collect();
        let mut found = vec![root.to_owned()];
        for below in join_all(children.iter().map(|child| walk(store, child))).await {
            found.extend(below?);
        }
        Ok(found)
    }
    .boxed()
}
