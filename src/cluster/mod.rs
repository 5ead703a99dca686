//! Owns one partition on this broker: its leadership, in-sync replicas and high watermark. Imports `common`, `record`,
//! `log` and `metadata`, but never the protocol, the network or a clock. Kafka 3.9: `Partition`, `Replica`.
//!
//! [`PartitionState`] makes the decisions without side effects. [`Partition`] holds it together with the log under one
//! lock and carries the decisions out. Actions that must happen outside the lock (waking waiting requests, asking the
//! controller for another ISR) are returned as [`Effects`] (facts 39 and 77).

pub mod isr_state;
pub mod partition;
pub mod partition_state;
pub mod read;
pub mod replica;

pub use isr_state::IsrProposal;
pub use partition::read_replicas::ReadReplica;
pub use partition::{Effects, Partition};
pub use partition_state::{AlterPartitionOutcome, LeadershipDecision};
pub use read::{FetchPartitionData, FollowerFetch, ReadRequest, error_code};
