//! A connection to the ensemble: the client of crate zookeeper-client, the task that serves it, and how both are made.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};
use zookeeper_client as zk;
use zookeeper_client::{Client, SessionInfo};

use super::connect_string::ConnectString;
use super::options::ZkOptions;
use super::request::acls;
use crate::zk::acl::NodeAcl;
use crate::zk::paths;
use crate::zk::store::ZkError;

/// Pause between two attempts to connect. Each attempt tries every server once.
pub(super) const CONNECT_BACKOFF: Duration = Duration::from_secs(1);
/// Pause between the first attempts.
pub(super) const FIRST_CONNECT_BACKOFF: Duration = Duration::from_millis(100);
/// The reason for a missing connection until the first attempt ends.
const NO_ANSWER: &str = "no answer";

/// A client of crate zookeeper-client and the task that serves it.
pub struct Connection {
    pub(super) client: Arc<Client>,
    serving: Option<JoinHandle<()>>,
}

impl Connection {
    /// The client's session.
    pub fn session(&self) -> &SessionInfo {
        self.client.session()
    }

    /// How long ZooKeeper keeps a session from which it hears nothing.
    pub fn session_timeout(&self) -> Duration {
        self.client.session_timeout()
    }

    /// Ends the client but not the session. Otherwise the client would look for a server for another 7/5 of the session
    /// timeout, and take the session away from the next client.
    pub(super) async fn abandon(self) {
        if let Some(serving) = self.serving {
            serving.abort();
            // It does not matter whether the task had ended before.
            let _ = serving.await;
        }
    }
}

/// Catches the task that crate zookeeper-client starts when it has connected; the crate returns no handle to it.
#[derive(Default)]
struct Spawner {
    spawned: Mutex<Option<JoinHandle<()>>>,
}

impl spawns::Spawn for Spawner {
    fn spawn(&self, task: spawns::Task) {
        *self.spawned.lock() = Some(tokio::spawn(Box::into_pin(task.future)));
    }
}

/// Makes the first connection within the connection timeout, or fails. Creates the chroot.
pub async fn connect_first(
    options: &ZkOptions,
    connect_string: &ConnectString,
) -> Result<Connection, ZkError> {
    let mut reason = NO_ANSWER.to_owned();
    let connecting = async {
        let mut backoff = FIRST_CONNECT_BACKOFF;
        loop {
            match connect_and_create_chroot(options, connect_string).await {
                Ok(connection) => return Ok(connection),
                Err(zk::Error::BadArguments(what)) => {
                    return Err(ZkError::InvalidConnectString {
                        connect: options.connect.clone(),
                        reason: what.to_string(),
                    });
                }
                // The identity is refused; another attempt would be too.
                Err(zk::Error::AuthFailed) => {
                    error!("Auth failed, initialized=true connectionState=AUTH_FAILED");
                    return Err(ZkError::AuthFailed(first_path(connect_string)));
                }
                Err(zk::Error::InvalidAcl) => return Err(ZkError::InvalidAcl(first_path(connect_string))),
                Err(zk::Error::Unimplemented) => {
                    return Err(ZkError::TooOld {
                        servers: connect_string.servers.clone(),
                    });
                }
                Err(error) => {
                    // Log the reason once, not at every attempt: an operator at the console wants to know the reason.
                    if std::mem::replace(&mut reason, error.to_string()) == NO_ANSWER {
                        warn!(%error, servers = connect_string.servers, "waits for zookeeper");
                    }
                }
            }
            sleep(backoff).await;
            backoff = CONNECT_BACKOFF.min(2 * backoff);
        }
    };
    match timeout(options.connection_timeout, connecting).await {
        Ok(Ok(connection)) => {
            let timeout_ms = connection.client.session_timeout().as_millis() as u64;
            info!(session = %connection.client.session_id(), timeout_ms, "zookeeper session established");
            Ok(connection)
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ZkError::Unreachable {
            servers: connect_string.servers.clone(),
            timeout_ms: options.connection_timeout.as_millis() as u64,
            reason,
        }),
    }
}

async fn connect_and_create_chroot(
    options: &ZkOptions,
    connect_string: &ConnectString,
) -> Result<Connection, zk::Error> {
    let connection = connect(options, connect_string, None).await?;
    let unrooted = match Client::clone(&connection.client).chroot("/") {
        Ok(unrooted) | Err(unrooted) => unrooted,
    };
    match &connect_string.chroot {
        Some(chroot) if options.create_chroot => {
            let acl = NodeAcl::of(chroot, options.security.set_acl);
            let mode = zk::CreateMode::Persistent.with_acls(acls(acl));
            unrooted.mkdir(chroot, &mode).await?;
        }
        // `/zookeeper` always exists: the driver only checks whether the server knows the operation.
        _ => {
            let open = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
            if unrooted.mkdir("/zookeeper", &open).await == Err(zk::Error::Unimplemented) {
                return Err(zk::Error::Unimplemented);
            }
        }
    }
    Ok(connection)
}

/// The znode that Kafka asks for first, which its messages name.
fn first_path(connect_string: &ConnectString) -> String {
    let chroot = connect_string.chroot.clone();
    chroot.unwrap_or_else(|| paths::CONSUMERS.to_owned())
}

/// Tries every server once.
pub(super) async fn connect(
    options: &ZkOptions,
    connect_string: &ConnectString,
    session: Option<SessionInfo>,
) -> Result<Connection, zk::Error> {
    let mut connector = Client::connector()
        .with_session_timeout(options.session_timeout)
        .with_fail_eagerly();
    if let Some(session) = session {
        connector = connector.with_session(session);
    }
    if let Some(sasl) = &options.security.sasl {
        connector = connector.with_sasl(sasl.clone());
    }
    let mut servers = connect_string.servers.clone();
    if let Some(tls) = &options.security.tls {
        connector = connector.with_tls(tls.clone());
        let encrypted = servers.split(',').map(|server| format!("tcp+tls://{server}"));
        servers = encrypted.collect::<Vec<_>>().join(",");
    }
    let spawner = Spawner::default();
    let mut connecting = pin!(connector.connect(&servers));
    let connected = poll_fn(|context| {
        let _scope = spawns::enter(&spawner);
        connecting.as_mut().poll(context)
    });
    let client = connected.await?;
    let client = match &connect_string.chroot {
        None => client,
        Some(chroot) => client.chroot(chroot.clone()).map_err(|_| {
            error!(%chroot, "chroot is no path");
            zk::Error::BadArguments(&"the chroot is no path")
        })?,
    };
    Ok(Connection {
        client: Arc::new(client),
        serving: spawner.spawned.into_inner(),
    })
}
