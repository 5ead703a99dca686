//! The controller of the cluster: elections, reassignments, deletions. Imports `common`, `config`, `metrics`, `protocol`, `zk`,
//! `network`, `metadata`; knows nothing of logs, sockets or replicas. Kafka 3.9: `KafkaController`.
//!
//! Everything that can happen is one [`event::ControllerEvent`]; one task takes them out of one queue, one after the
//! other ([`event_manager`]), and only that task touches the [`context`]. So nothing in here is locked, and what an
//! event has begun is finished before the next one looks at it.
//!
//! An event usually moves partitions or replicas from one state to another ([`partition_state_machine`],
//! [`replica_state_machine`]). A transition first writes to ZooKeeper, on condition that we are still the controller
//! ([`zk_client`]), then notes in the context what was written, and at last tells the brokers
//! ([`broker_request_batch`], [`channel_manager`]), whose answers come back as events.

pub mod broker_request_batch;
pub mod channel_manager;
pub mod context;
pub mod election;
pub mod event;
pub mod event_manager;
pub mod handle;
pub mod kafka_controller;
pub mod partition_state_machine;
pub mod reassignment;
pub mod replica_state_machine;
pub mod zk_client;

mod alter_partition;
mod broker_change;
mod channel_metrics;
mod controlled_shutdown;
mod elector;
mod failover;
mod metrics;
mod notifications;
mod preferred_leader;
mod producer_ids;
mod topic_change;
mod topic_deletion;
mod update_features;

#[cfg(test)]
mod tests;

pub use event::{ElectionResults, ElectionType};
pub use handle::ControllerHandle;
pub use kafka_controller::{Controller, ControllerSetup, RegisterBroker};
pub use update_features::{FeatureUpdate, FeatureUpgrade};
