//! The data of every znode: encode and decode, one noun a file. Kafka 3.9: `ZkData`.
//!
//! Encoders write the keys in the order in which Kafka writes them, so that a person who compares two clusters
//! sees the same text. Decoders are as tolerant as Kafka's: unknown keys are ignored, the order is free, and
//! only what Kafka demands is demanded. Whatever breaks, the result is a [`ZnodeError`], never a panic; Kafka
//! takes some broken znodes for empty ones, and where it does so the decoder says.

pub mod broker_id;
pub mod cluster_id;
pub mod config_change;
pub mod config_entity;
pub mod consumer_offset;
pub mod controller;
pub mod controller_epoch;
pub mod feature;
pub mod isr_change;
mod json;
pub mod log_dir_event;
pub mod partition_state;
pub mod preferred_replica_election;
pub mod producer_id_block;
pub mod reassign_partitions;
pub mod topic;

#[cfg(test)]
mod tests;

pub use broker_id::BrokerInfo;
pub use config_change::ConfigChange;
pub use config_entity::ConfigEntity;
pub use controller::ControllerRegistration;
pub use feature::{FeatureStatus, FeatureZnode};
pub use producer_id_block::ProducerIdBlock;
pub use topic::TopicAssignment;

/// Why a znode's data could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZnodeError {
    /// Neither JSON nor, where text is expected, a number.
    #[error("malformed: {0}")]
    Malformed(String),
    /// JSON, but without a key that Kafka demands.
    #[error("key {0:?} is missing")]
    MissingKey(String),
    /// JSON with a value that is of another type or out of range.
    #[error("key {key:?} is not {expected}")]
    WrongType {
        /// The key.
        key: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// A version that neither Kafka 3.9 nor we know.
    #[error("unsupported version {0}")]
    UnsupportedVersion(i32),
}
