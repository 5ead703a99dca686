//! Moving replicas between the log dirs of this broker (KIP-113). Kafka 3.9: `ReplicaManager.alterReplicaLogDirs`,
//! `ReplicaAlterLogDirsManager`, `ReplicaAlterLogDirsThread`.
//!
//! A copy (`-future`) is made in the wanted dir by a thread of its own while the log goes on serving; when the copy
//! has every record, it takes the log's place. Kafka runs the replica fetcher against the broker itself for that,
//! leader epochs, fencing and all. Here every [`step`](copy::step) compares the epochs of log and copy anew,
//! as a follower's fetch does with its leader (KIP-595), so neither changes of the leader nor truncations matter.

mod copy;
mod manager;
mod mover;
mod request;
#[cfg(test)]
mod tests;

pub(super) use manager::ReplicaAlterLogDirsManager;
