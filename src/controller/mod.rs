//! The controller of the cluster: elections, reassignments, deletions. Imports `common`, `config`, `metrics`,
//! `protocol`, `zk`, `network`, `metadata`; knows nothing of logs, sockets or replicas. Kafka 3.9: `KafkaController`.
//!
//! Everything that can happen is a [`event::ControllerEvent`] in one queue. One task takes the events out of the queue
//! and handles them one by one, and only this task uses the [`context`]. So the controller needs no locks, and an event
//! is handled to its end before the next one begins.
//!
//! An event usually moves partitions or replicas from one state to another. A transition first writes to ZooKeeper, on
//! condition that this broker is still the controller, then changes the context, and at last sends requests to the
//! brokers, whose responses come back as events.
//!
//! The files lie in three layers, and each imports only layers below and files of its own layer, without circles:
//!
//! - *Event handlers*, which are the methods of the controller and use all of its parts: [`kafka_controller`], which
//!   dispatches, [`elector`], [`failover`], [`broker_change`], [`topic_change`], [`alter_partition`],
//!   [`controlled_shutdown`], [`notifications`], [`partition_reassignment`], [`preferred_leader`], [`producer_ids`],
//!   [`update_features`].
//! - *Machines*, which know nothing of the controller and name the parts that they use. Several state changes in a row:
//!   [`topic_deletion`], [`reassignment`], [`replica_election`]. One state change: [`state_machines`], which runs
//!   [`partition_state_machine`] and [`replica_state_machine`] and sends the batch. Their tools: [`election`],
//!   [`topic_assignments`], [`broker_request_batch`], [`channel_manager`] with [`channel_metrics`], [`zk_client`].
//!   Around the events: [`event_manager`] (the loop), [`handle`] (the interface to the rest of the broker),
//!   [`metrics`], [`rebalance_timer`].
//! - *Nouns*, which have no IO: [`context`], [`partition_state`], [`replica_state`], [`event`], [`event_queue`],
//!   [`control_request`], [`admin_request`], [`controller_state`], [`status`], [`error`].

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
    ElectionResults, ElectionType, FeatureUpdate, FeatureUpgrade, ReassignmentResult, TargetReplicas,
};
pub use handle::ControllerHandle;
pub use kafka_controller::{Controller, ControllerSetup, RegisterBroker};
