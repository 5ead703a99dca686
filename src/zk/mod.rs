//! L2. ZooKeeper: paths, znodes, the session and its watches, the store in front of it all.
//! Imports only `common` and `config`. Kafka 3.9: `KafkaZkClient`, `ZooKeeperClient`, `ZkData`.

pub mod cluster;
pub mod dump;
pub mod memory;
pub mod paths;
pub mod recursive;
pub mod registration;
pub mod sanitizer;
pub mod session;
pub mod store;
pub mod znode;

#[cfg(test)]
mod schema;
#[cfg(test)]
mod suite;

pub use session::{ZkOptions, ZkSession};
pub use store::{CreateMode, MultiError, Stat, WatchEvent, WatchKind, ZkError, ZkOp, ZkOpResult, ZkStore};
