//! How to reach ZooKeeper. Kafka 3.9: the settings `zookeeper.*`.

use std::time::Duration;

use crate::config::BrokerConfig;
use crate::zk::security::ZkSecurity;
use crate::zk::store::ZkError;

/// Default limit of requests in flight. Kafka's default of `zookeeper.max.in.flight.requests`, 10, makes a controller
/// with many partitions wait for round trips. ZooKeeper's own limit of outstanding requests is 1000 too.
pub const MAX_IN_FLIGHT: usize = 1000;

/// How to reach ZooKeeper.
#[derive(Clone, Debug)]
pub struct ZkOptions {
    /// `host:port,…/chroot`, as in `zookeeper.connect`.
    pub connect: String,
    /// How long ZooKeeper should keep a session from which it hears nothing. ZooKeeper may choose another value.
    pub session_timeout: Duration,
    /// How long to try for the first connection. Later attempts have no time limit.
    pub connection_timeout: Duration,
    /// How many requests may be in flight; the others wait.
    pub max_in_flight: usize,
    /// Whether to create the chroot if it is missing. A broker does; a tool that only reads does not.
    pub create_chroot: bool,
    /// The identity towards ZooKeeper.
    pub security: ZkSecurity,
}

impl ZkOptions {
    /// The options from a broker's configuration. [`MAX_IN_FLIGHT`] holds unless `zookeeper.max.in.flight.requests` is
    /// set. Fails where Kafka refuses to start with a secured ZooKeeper.
    pub fn from_config(config: &BrokerConfig) -> Result<Self, ZkError> {
        Ok(Self {
            connect: config.zookeeper_connect.clone(),
            session_timeout: Duration::from_millis(config.zookeeper_session_timeout_ms),
            connection_timeout: Duration::from_millis(config.zookeeper_connection_timeout_ms),
            max_in_flight: config.zookeeper_max_in_flight_requests.unwrap_or(MAX_IN_FLIGHT),
            create_chroot: true,
            security: ZkSecurity::from_config(config)?,
        })
    }

    /// The same options with an identity.
    pub fn with_security(self, security: ZkSecurity) -> Self {
        Self { security, ..self }
    }

    /// The options for a command line tool, with Kafka's default timeouts.
    pub fn for_tool(connect: &str) -> Self {
        Self {
            connect: connect.to_owned(),
            session_timeout: Duration::from_secs(18),
            connection_timeout: Duration::from_secs(18),
            max_in_flight: MAX_IN_FLIGHT,
            create_chroot: false,
            security: ZkSecurity::default(),
        }
    }
}
