//! The way to ZooKeeper: paths, znodes, the session with its watches, and the store trait in front of them.
//! Imports only `common` and `config`. Kafka 3.9: `KafkaZkClient`, `ZooKeeperClient`, `ZkData`.
//!
//! From the bottom up: [`paths`] and [`znode`] say what stands where and in which form, and talk to nobody.
//! [`store`] is the trait that everything above is written against; [`session`] implements it on a real ensemble,
//! `memory` for tests, which a release build does not contain. [`recursive`], [`cluster`], [`registration`] and
//! [`dump`] are functions over any store.
//!
//! What is not here: who is elected, what a controller writes, when a configuration counts. And no ACLs yet: every
//! znode is open, as Kafka has it without `zookeeper.set.acl`.

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
pub mod session;
pub mod store;
pub mod znode;

#[cfg(test)]
mod schema;
#[cfg(test)]
mod suite;

pub use session::{ZkOptions, ZkSession};
pub use store::{CreateMode, Stat, WatchEvent, WatchKind, ZkError, ZkOp, ZkOpResult, ZkStore};
