//! The store on a real ensemble: one ZooKeeper session, which is replaced by a new one when it expires. Kafka 3.9:
//! `ZooKeeperClient` and the retrying half of `KafkaZkClient`.
//!
//! Callers hold a [`ZkSession`], which only puts requests into a queue. One task, the driver, owns the connection. It
//! starts the requests in the order of the queue, many at a time, and matches the answers. It sends unanswered requests
//! again after a connection breaks, turns one-shot watches into events for all subscribers, and recovers the session:
//!
//! ```text
//!            connection lost, found again by crate zookeeper-client: what was unanswered is sent again
//!           ┌──────┐
//!           ▼      │
//! connect ─► serving ──── no connection for 7/5 of the session timeout, or ZooKeeper says "expired",
//!           ▲      │      or connection lost with more watches than the crate can arm
//!           │      │                                      │
//!           │      └─ closed: the session ends at once    ▼
//!           │                                    ask for the old session ──┐ every second
//!           │  it lives: watches armed again,    │           ▲─────────────┘
//!           ├── events for changes, send again ──┤
//!           │                                    │ it does not: SessionExpired, operations fail
//!           │                                    ▼
//!           └── SessionEstablished ──── ask for a new session, every second
//! ```
//!
//! After an outage of the whole ensemble it matters that the driver asks for the old session first. ZooKeeper keeps all
//! sessions through such an outage, however long it takes, and Kafka's brokers keep their registrations; so does
//! barnabas.
//!
//! zookeeper-client 0.11.2 cannot arm more than 128 KiB of watched paths again on a new connection; a controller
//! reaches that with about 3000 topics. The driver does not let a client with more watches reconnect: it drops the
//! client at once, and the lower half of the drawing arms all watches again by reading. Persistent watches would not
//! help: the crate does not arm those again at all.

mod connect_string;
mod connection;
mod driver;
mod options;
mod request;
mod shared;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, try_join_all};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::connect_string::ConnectString;
use self::driver::Driver;
#[cfg(test)]
pub use self::options::MAX_IN_FLIGHT;
pub use self::options::ZkOptions;
use self::request::{Answer, Operation, Request};
use self::shared::Shared;
use super::acl::{AclEntry, NodeAcl};
use super::store::{CreateMode, MultiError, Stat, WatchEvent, ZkError, ZkOp, ZkOpResult, ZkStore};

/// How many znodes one request reads. A round trip through ZooKeeper's threads takes longer than many reads.
const READS_AT_ONCE: usize = 100;

/// A session with a real ensemble. Dropping it ends the session like [`ZkSession::close`], without waiting.
pub struct ZkSession {
    operations: mpsc::UnboundedSender<Operation>,
    shared: Arc<Shared>,
    closing: CancellationToken,
    session_timeout: Duration,
    driver: Mutex<Option<JoinHandle<()>>>,
}

impl ZkSession {
    /// Connects, and creates the chroot if the options say so. Retries until the connection timeout has passed. Fails
    /// at once if the connect string is invalid.
    pub async fn connect(options: ZkOptions) -> Result<Self, ZkError> {
        let connect_string = ConnectString::parse(&options.connect)?;
        let connection = connection::connect_first(&options, &connect_string).await?;
        let (operations, requests) = mpsc::unbounded_channel();
        let closing = CancellationToken::new();
        let shared = Arc::new(Shared {
            session: Mutex::new(connection.session().clone()),
            connected: watch::Sender::new(true),
            subscribers: Mutex::default(),
        });
        let session_timeout = connection.session_timeout();
        let driver = Driver::new(
            options,
            connect_string,
            Arc::clone(&shared),
            requests,
            closing.clone(),
        );
        let driver = tokio::spawn(driver.run(connection));
        Ok(Self {
            operations,
            shared,
            closing,
            session_timeout,
            driver: Mutex::new(Some(driver)),
        })
    }

    /// The negotiated timeout: how long ZooKeeper keeps a session from which it hears nothing.
    pub fn session_timeout(&self) -> Duration {
        self.session_timeout
    }

    /// Whether there is a connection to ZooKeeper; the receiver sees changes.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.shared.connected.subscribe()
    }

    /// Ends the session. When this returns, ZooKeeper has removed the session's ephemerals, unless it was unreachable.
    /// Operations in flight and later ones fail with [`ZkError::ConnectionLoss`].
    pub async fn close(&self) {
        self.closing.cancel();
        let driver = self.driver.lock().take();
        if let Some(driver) = driver {
            // The task can only have failed by a panic, which has been reported.
            let _ = driver.await;
        }
    }

    /// Id and password of the session. A test can use them to end the session without the driver.
    #[cfg(test)]
    pub(super) fn session_info(&self) -> zookeeper_client::SessionInfo {
        self.shared.session.lock().clone()
    }

    fn start(&self, request: Request) -> impl Future<Output = Result<Answer, MultiError>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let sent = self.operations.send(Operation { request, reply });
        async move {
            let lost = || MultiError {
                index: 0,
                error: ZkError::ConnectionLoss,
            };
            sent.map_err(|_| lost())?;
            answer.await.unwrap_or_else(|_| Err(lost()))
        }
    }

    /// Starts a request whose answer is always the same variant of [`Answer`].
    fn start_and_take<T: 'static>(
        &self,
        request: Request,
        take: impl FnOnce(Answer) -> Option<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, ZkError>> {
        let answer = self.start(request);
        async move {
            let answer = answer.await.map_err(|error| error.error)?;
            Ok(take(answer).expect("the driver answers each request with its own kind of answer"))
        }
        .boxed()
    }
}

impl ZkStore for ZkSession {
    fn get(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<(Bytes, Stat)>, ZkError>> {
        let path = path.to_owned();
        self.start_and_take(Request::Get { path, watch }, |answer| match answer {
            Answer::Data(data) => Some(data),
            _ => None,
        })
    }

    fn get_all(&self, paths: Vec<String>) -> BoxFuture<'static, Result<Vec<Option<(Bytes, Stat)>>, ZkError>> {
        let answers: Vec<_> = paths
            .chunks(READS_AT_ONCE)
            .map(|paths| {
                self.start_and_take(Request::GetAll(paths.to_vec()), |answer| match answer {
                    Answer::AllData(data) => Some(data),
                    _ => None,
                })
            })
            .collect();
        async move { Ok(try_join_all(answers).await?.concat()) }.boxed()
    }

    fn exists(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<Stat>, ZkError>> {
        let path = path.to_owned();
        self.start_and_take(Request::Exists { path, watch }, |answer| match answer {
            Answer::Stat(stat) => Some(stat),
            _ => None,
        })
    }

    fn children(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<Vec<String>>, ZkError>> {
        let path = path.to_owned();
        self.start_and_take(Request::Children { path, watch }, |answer| match answer {
            Answer::Children(children) => Some(children),
            _ => None,
        })
    }

    fn create(
        &self,
        path: &str,
        data: Bytes,
        mode: CreateMode,
    ) -> BoxFuture<'static, Result<(String, Stat), ZkError>> {
        let path = path.to_owned();
        self.start_and_take(
            Request::Write(ZkOp::Create { path, data, mode }),
            |answer| match answer {
                Answer::Written(ZkOpResult::Created { path, stat }) => Some((path, stat)),
                _ => None,
            },
        )
    }

    fn set(
        &self,
        path: &str,
        data: Bytes,
        version: Option<i32>,
    ) -> BoxFuture<'static, Result<Stat, ZkError>> {
        let path = path.to_owned();
        self.start_and_take(
            Request::Write(ZkOp::SetData { path, data, version }),
            |answer| match answer {
                Answer::Written(ZkOpResult::Set { stat }) => Some(stat),
                _ => None,
            },
        )
    }

    fn delete(&self, path: &str, version: Option<i32>) -> BoxFuture<'static, Result<(), ZkError>> {
        let path = path.to_owned();
        self.start_and_take(
            Request::Write(ZkOp::Delete { path, version }),
            |answer| match answer {
                Answer::Written(ZkOpResult::Deleted) => Some(()),
                _ => None,
            },
        )
    }

    fn acl(&self, path: &str) -> BoxFuture<'static, Result<Option<Vec<AclEntry>>, ZkError>> {
        self.start_and_take(Request::Acl(path.to_owned()), |answer| match answer {
            Answer::Acl(entries) => Some(entries),
            _ => None,
        })
    }

    fn set_acl(&self, path: &str, acl: NodeAcl) -> BoxFuture<'static, Result<(), ZkError>> {
        let path = path.to_owned();
        self.start_and_take(Request::SetAcl { path, acl }, |answer| match answer {
            Answer::AclSet => Some(()),
            _ => None,
        })
    }

    fn multi(&self, ops: Vec<ZkOp>) -> BoxFuture<'static, Result<Vec<ZkOpResult>, MultiError>> {
        let answer = self.start(Request::Multi(ops));
        async move {
            match answer.await? {
                Answer::Multi(results) => Ok(results),
                other => unreachable!("a multi was answered with {other:?}"),
            }
        }
        .boxed()
    }

    fn session_id(&self) -> i64 {
        self.shared.session.lock().id().0
    }

    fn subscribe(&self) -> mpsc::UnboundedReceiver<WatchEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.shared.subscribers.lock().push(sender);
        receiver
    }
}
