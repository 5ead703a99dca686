//! The data of every znode: encoders and decoders, one kind of znode in each file. Kafka 3.9: `ZkData`.
//!
//! Encoders write the keys in Kafka's order, so that the znodes of two clusters can be compared as text. Decoders are
//! as tolerant as Kafka's: they ignore unknown keys, accept any order, and require only the keys that Kafka requires.
//! Every failure is a [`ZnodeError`], never a panic. Kafka treats some broken znodes as empty; where it does so, the
//! decoder's comment says it.

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
    /// The data is not JSON or, where text is expected, not a number.
    #[error("malformed: {0}")]
    Malformed(String),
    /// JSON without a key that Kafka requires.
    #[error("key {0:?} is missing")]
    MissingKey(String),
    /// JSON with a value of the wrong type or out of range.
    #[error("key {key:?} is not {expected}")]
    WrongType {
        /// The key.
        key: String,
        /// The expected type.
        expected: &'static str,
    },
    /// A version that neither Kafka 3.9 nor barnabas knows.
    #[error("unsupported version {0}")]
    UnsupportedVersion(i32),
}
