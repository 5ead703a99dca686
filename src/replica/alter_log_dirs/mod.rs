//! Moves replicas between the log dirs of this broker (KIP-113). Kafka 3.9: `ReplicaManager.alterReplicaLogDirs`,
//! `ReplicaAlterLogDirsManager`, `ReplicaAlterLogDirsThread`.
//!
//! A separate thread makes a copy (`-future`) in the wanted dir while the log is still served. When the copy has every
//! record, it takes the log's place. Kafka runs the replica fetcher against the broker itself for this, with leader
//! epochs and fencing. Here every [`step`](copy::step) compares the epochs of log and copy anew, as a follower's fetch
//! does with its leader (KIP-595), so changes of the leader and truncations need no special handling.

mod copy;
mod manager;
mod mover;
mod request;
#[cfg(test)]
mod tests;

pub(super) use manager::ReplicaAlterLogDirsManager;
