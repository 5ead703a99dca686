//! The broker as a value: connects all layers, starts and stops them in Kafka's order. Nothing here decides anything.
//! Kafka 3.9: `KafkaServer`.
//!
//! No statics and no process-wide settings: any number of brokers run in one process.

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
