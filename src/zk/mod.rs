//! L2. ZooKeeper: paths, znodes, the session and its watches, the store in front of it all.
//! Imports only `common` and `config`. Kafka 3.9: `KafkaZkClient`, `ZooKeeperClient`, `ZkData`.

pub mod memory;
pub mod paths;
pub mod sanitizer;
pub mod store;
pub mod znode;

pub use store::{CreateMode, MultiError, Stat, WatchEvent, WatchKind, ZkError, ZkOp, ZkOpResult, ZkStore};
