//! Owns the broker as a value: connects all layers, and starts and stops them in Kafka's order. The layers make all
//! decisions. Kafka 3.9: `KafkaServer`.
//!
//! There are no statics and no process-wide settings, so any number of brokers can run in one process.

mod claim_id;
mod context;
mod controlled_shutdown;
mod coordinators;
mod features;
mod host_name;
mod listeners;
mod log_dirs;
mod running;
#[cfg(test)]
mod simulation;
mod start_error;
mod startup;

pub use running::Broker;
