//! The test suite for every store. The store in memory always runs it; the real one runs it against the ZooKeeper in
//! `BARNABAS_TEST_ZOOKEEPER=host:port`. Without that variable those tests report that they were skipped.

mod cluster;
pub mod proxy;
mod store;

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use self::proxy::{Proxy, Way};
use super::memory::{MemorySession, MemoryZooKeeper};
use super::security::ZkSecurity;
use super::session::{MAX_IN_FLIGHT, ZkOptions, ZkSession};
use super::store::{WatchEvent, WatchKind, ZkStore};
use crate::common::clock::ManualClock;
use crate::common::ids::{random_uuid, uuid_to_base64};
use crate::common::limit::Limit;

/// A source of sessions.
pub trait Ensemble {
    type Session: ZkStore;
    async fn connect(&self) -> Arc<Self::Session>;
    /// Ends the session as ZooKeeper would, and allows a new one only after some operations have failed.
    async fn expire(&self, session: &Arc<Self::Session>);
    async fn close(&self, session: &Arc<Self::Session>);
}

/// An ensemble in memory for each test.
pub struct InMemory(MemoryZooKeeper);

impl InMemory {
    pub fn new() -> Self {
        Self(MemoryZooKeeper::new(ManualClock::at(1000)))
    }
}

impl Ensemble for InMemory {
    type Session = MemorySession;

    async fn connect(&self) -> Arc<MemorySession> {
        self.0.connect()
    }

    async fn expire(&self, session: &Arc<MemorySession>) {
        session.expire();
        session.establish();
    }

    async fn close(&self, session: &Arc<MemorySession>) {
        session.close();
    }
}

/// A chroot of the test's own in a running ZooKeeper.
pub struct Real {
    pub connect: String,
    /// The proxies by session id.
    ways: Mutex<HashMap<i64, Arc<Proxy>>>,
}

impl Real {
    /// `None` if there is no ZooKeeper to test with, with a line on standard error that no test runner hides.
    pub fn for_test(name: &str) -> Option<Self> {
        match std::env::var("BARNABAS_TEST_ZOOKEEPER") {
            Ok(servers) => {
                let unique = uuid_to_base64(random_uuid());
                Some(Self {
                    connect: format!("{servers}/barnabas-test/{name}-{unique}"),
                    ways: Mutex::default(),
                })
            }
            Err(_) => {
                let _ = writeln!(
                    std::io::stderr(),
                    "SKIPPED {name} against a real ZooKeeper: BARNABAS_TEST_ZOOKEEPER is not set"
                );
                None
            }
        }
    }

    pub fn options(&self) -> ZkOptions {
        ZkOptions {
            connect: self.connect.clone(),
            session_timeout: Duration::from_secs(4),
            connection_timeout: Duration::from_secs(10),
            max_in_flight: MAX_IN_FLIGHT,
            create_chroot: true,
            security: ZkSecurity::default(),
        }
    }
}

impl Ensemble for Real {
    type Session = ZkSession;

    async fn connect(&self) -> Arc<ZkSession> {
        let proxy = Arc::new(Proxy::before(self).await);
        let session = proxy.connect().await;
        self.ways.lock().insert(session.session_id(), proxy);
        Arc::new(session)
    }

    async fn expire(&self, session: &Arc<ZkSession>) {
        // A client with the id and password of a session can close it, unless the owner takes it back in the meantime.
        let way = Arc::clone(&self.ways.lock()[&session.session_id()]);
        way.cut().await;
        let servers = self.connect.split('/').next().unwrap();
        let connector = zookeeper_client::Client::connector().with_session(session.session_info());
        let intruder = connector.connect(servers).await.unwrap();
        let mut state = intruder.state_watcher();
        drop(intruder);
        let _limit = Limit::start();
        while !state.changed().await.is_terminated() {}
        way.set(Way::Open);
    }

    async fn close(&self, session: &Arc<ZkSession>) {
        session.close().await;
    }
}

/// Runs every test of the suite in memory and against a real ZooKeeper.
macro_rules! suite {
    ($($name:ident)*) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&crate::zk::suite::InMemory::new()).await;
            })*
        }
        mod real {
            $(#[tokio::test]
            async fn $name() {
                if let Some(ensemble) = crate::zk::suite::Real::for_test(stringify!($name)) {
                    super::$name(&ensemble).await;
                }
            })*
        }
    };
}

use suite;

/// The next event, which must come soon.
pub async fn next(events: &mut UnboundedReceiver<WatchEvent>) -> (String, WatchKind) {
    let event = timeout(Duration::from_secs(20), events.recv())
        .await
        .expect("an event")
        .unwrap();
    (event.path, event.kind)
}

/// The value that [`next`] returns for this event.
pub fn event(path: &str, kind: WatchKind) -> (String, WatchKind) {
    (path.to_owned(), kind)
}
