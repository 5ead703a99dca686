//! Owns the transaction coordinator. Kafka 3.9: `TransactionCoordinator`, `TransactionStateManager`,
//! `TransactionMarkerChannelManager`.
//!
//! | file | holds |
//! |---|---|
//! | `state` `metadata` | one transactional id as a pure state machine |
//! | `log` | keys and values of `__transaction_state` |
//! | `state_manager` `loader` `expiry` | all ids: whose partition this broker leads, how transitions get into the log, what expires |
//! | `marker_channel` `marker_sender` | the markers that end a transaction, to the leaders of its partitions |
//! | `coordinator` | what the API layer calls |
//! | `metrics` | what is counted, by Kafka's names |
//!
//! **Locks** are taken in this order: a partition of the ids (its ownership, the ids in it), then one id. No lock is
//! held across an `.await`. An append to the log begins under both locks, so that an append of an earlier leader epoch
//! never follows one of a later epoch; the wait for the append happens without the locks.

mod complaints;
pub mod coordinator;
mod expiry;
mod loader;
pub mod log;
pub mod marker_channel;
pub mod marker_sender;
pub mod metadata;
mod metrics;
pub mod state;
pub mod state_manager;

pub use coordinator::{ListFilter, TransactionCoordinator};
pub use marker_sender::NetworkMarkerSender;
pub use metadata::{ProducerIdAndEpoch, TransactionResult, TransactionValue};
pub use state::TransactionState;
