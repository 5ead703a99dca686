#![doc = include_str!("ARCHITECTURE.md")]
// Modules in the order of their layers, lowest first; `tidy.rs` holds the imports to it.

mod common;
mod config;
mod metrics;

mod protocol;
mod purgatory;
mod record;
mod security;

mod log;
mod network;
mod zk;

mod cluster;
mod metadata;

mod replica;

mod admin;
mod controller;
mod coordinator;

mod api;

mod broker;
mod cli;

#[cfg(test)]
mod tidy;

pub use cli::Cli;
pub use common::loggers::Loggers;

/// What the benches and the package `testcontainers` use of the library.
#[doc(hidden)]
pub mod parts {
    pub use crate::common::clock::{Clock, SystemClock};
    pub use crate::common::coordinator_key::partition_for;
    pub use crate::common::error::ErrorCode;
    pub use crate::common::ids::{Offset, TopicId, TopicPartition};
    pub use crate::config::definition::{ConfigKey, ConfigType, Rule, broker_keys, topic_keys};
    pub use crate::config::{BrokerConfig, LogConfig, Origin, Properties, TimestampType};
    pub use crate::coordinator::coordinator_log::{AppendOptions, CoordinatorLog, TransactionalProducer};
    pub use crate::coordinator::group::commit::CommitRequest;
    pub use crate::coordinator::group::log as group_log;
    pub use crate::coordinator::group::{
        GroupCoordinator, JoinRequest, OffsetAndMetadata, Protocol, SyncRequest,
    };
    pub use crate::coordinator::transaction::log as transaction_log;
    pub use crate::coordinator::transaction::{ProducerIdAndEpoch, TransactionState, TransactionValue};
    pub use crate::log::index::AbortedTxn;
    pub use crate::log::producer_state::read_snapshot;
    pub use crate::log::{AppendOrigin, LogManager, VerificationGuard};
    pub use crate::metrics::Registry;
    pub use crate::record::{
        BatchBuilder, Compression, ControlRecordType, EndTransactionMarker, RecordBatch, RecordBatches,
        RecordReader,
    };
}
