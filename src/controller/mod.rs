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

mod admin_request;
mod alter_partition;
mod broker_change;
mod broker_request_batch;
mod channel_manager;
mod channel_metrics;
mod context;
mod control_request;
mod controlled_shutdown;
mod controller_state;
mod election;
mod elector;
mod error;
mod event;
mod event_manager;
mod event_queue;
mod failover;
mod handle;
mod kafka_controller;
mod metrics;
mod notifications;
mod partition_reassignment;
mod partition_state;
mod partition_state_machine;
mod preferred_leader;
mod producer_ids;
mod reassignment;
mod rebalance_timer;
mod replica_election;
mod replica_state;
mod replica_state_machine;
mod state_machines;
mod status;
mod topic_assignments;
mod topic_change;
mod topic_deletion;
mod update_features;
mod zk_client;

#[cfg(test)]
mod tests;

pub use admin_request::{
    ElectionResults, ElectionType, FeatureResults, FeatureUpdate, FeatureUpgrade, ListReassignmentsResult,
    ReassignmentResult, TargetReplicas,
};
pub use handle::ControllerHandle;
pub use kafka_controller::{Controller, ControllerSetup, RegisterBroker};
