//! A store for tests that can be held: its user's operations wait while the rest of the cluster goes on.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use crate::zk::acl::{AclEntry, NodeAcl};
use crate::zk::store::MultiError;
use crate::zk::{CreateMode, Stat, WatchEvent, ZkError, ZkOp, ZkOpResult, ZkStore};

/// A store whose operations wait while it is held.
pub struct GatedStore<S> {
    inner: Arc<S>,
    gate: Gate,
}

/// Lets operations through in the order of their arrival: a session keeps the order of its requests.
#[derive(Clone)]
struct Gate {
    open: watch::Receiver<bool>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Gate {
    async fn pass<T>(mut self, then: impl FnOnce() -> T) -> T {
        let _turn = self.turn.lock().await;
        let _ = self.open.wait_for(|&open| open).await;
        then()
    }
}

impl<S: ZkStore> GatedStore<S> {
    /// A gate that is open while `open` is true.
    pub fn new(inner: Arc<S>, open: &watch::Sender<bool>) -> Self {
        let gate = Gate {
            open: open.subscribe(),
            turn: Arc::default(),
        };
        Self { inner, gate }
    }

    fn when_open<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&S) -> BoxFuture<'static, T> + Send + 'static,
    ) -> BoxFuture<'static, T> {
        let (inner, gate) = (self.inner.clone(), self.gate.clone());
        async move { gate.pass(|| operation(&inner)).await.await }.boxed()
    }
}

impl<S: ZkStore> ZkStore for GatedStore<S> {
    fn get(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<(Bytes, Stat)>, ZkError>> {
        let path = path.to_owned();
        self.when_open(move |s| s.get(&path, watch))
    }

    fn get_all(&self, paths: Vec<String>) -> BoxFuture<'static, Result<Vec<Option<(Bytes, Stat)>>, ZkError>> {
        self.when_open(move |s| s.get_all(paths))
    }

    fn exists(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<Stat>, ZkError>> {
        let path = path.to_owned();
        self.when_open(move |s| s.exists(&path, watch))
    }

    fn children(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<Vec<String>>, ZkError>> {
        let path = path.to_owned();
        self.when_open(move |s| s.children(&path, watch))
    }

    fn create(
        &self,
        path: &str,
        data: Bytes,
        mode: CreateMode,
    ) -> BoxFuture<'static, Result<(String, Stat), ZkError>> {
        let path = path.to_owned();
        self.when_open(move |s| s.create(&path, data, mode))
    }

    fn set(
        &self,
        path: &str,
        data: Bytes,
        version: Option<i32>,
    ) -> BoxFuture<'static, Result<Stat, ZkError>> {
        let path = path.to_owned();
        self.when_open(move |s| s.set(&path, data, version))
    }

    fn delete(&self, path: &str, version: Option<i32>) -> BoxFuture<'static, Result<(), ZkError>> {
        let path = path.to_owned();
        self.when_open(move |s| s.delete(&path, version))
    }

    fn acl(&self, path: &str) -> BoxFuture<'static, Result<Option<Vec<AclEntry>>, ZkError>> {
        let path = path.to_owned();
        self.when_open(move |s| s.acl(&path))
    }

    fn set_acl(&self, path: &str, acl: NodeAcl) -> BoxFuture<'static, Result<(), ZkError>> {
        let path = path.to_owned();
        self.when_open(move |s| s.set_acl(&path, acl))
    }

    fn multi(&self, ops: Vec<ZkOp>) -> BoxFuture<'static, Result<Vec<ZkOpResult>, MultiError>> {
        self.when_open(move |s| s.multi(ops))
    }

    fn session_id(&self) -> i64 {
        self.inner.session_id()
    }

    fn subscribe(&self) -> mpsc::UnboundedReceiver<WatchEvent> {
        let (mut events, gate) = (self.inner.subscribe(), self.gate.clone());
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                if gate.clone().pass(|| sender.send(event)).await.is_err() {
                    return;
                }
            }
        });
        receiver
    }
}
