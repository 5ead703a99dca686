//! Access to ZooKeeper: paths, znodes, the session with its watches, and the store trait in front of them. Imports only
//! `common` and `config`. Kafka 3.9: `KafkaZkClient`, `ZooKeeperClient`, `ZkData`.
//!
//! From the bottom up: [`paths`] and [`znode`] define the znodes' places and forms, without any connection. [`store`]
//! is the trait that all users of ZooKeeper call. [`session`] implements it on a real ensemble, `memory` for tests (a
//! release build does not contain it). [`recursive`], [`cluster`], [`registration`] and [`dump`] are functions over any
//! store.
//!
//! This module does not elect the controller, does not decide what a controller writes, and does not apply
//! configurations.

mod acl;
pub mod check;
pub mod cluster;
pub mod dump;
#[cfg(test)]
pub mod gate;
#[cfg(test)]
pub mod memory;
pub mod paths;
pub mod recursive;
pub mod registration;
pub mod sanitizer;
mod security;
pub mod security_migration;
pub mod session;
pub mod store;
pub mod znode;

#[cfg(test)]
mod schema;
#[cfg(test)]
mod suite;

pub use security::ZkSecurity;
pub use session::{ZkOptions, ZkSession};
pub use store::{CreateMode, Stat, WatchEvent, WatchKind, ZkError, ZkOp, ZkOpResult, ZkStore};
