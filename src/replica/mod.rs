//! Owns the replicas on this broker: appends, reads, leadership changes, fetchers. Kafka 3.9: `ReplicaManager`.

pub mod add_partitions_to_txn;
pub mod alter_log_dirs;
pub mod append;
pub mod delete_records;
pub mod describe_log_dirs;
pub mod fetch;
pub mod fetch_session;
pub mod fetcher;
pub mod hooks;
pub mod leader_and_isr;
pub mod list_offsets;
pub mod manager;
pub mod produce;
pub mod replication_quota;
pub mod stop_replica;

mod alter_partition;
mod delayed_operations;
pub mod fetch_params;
mod high_watermark_checkpoint;
mod hosted_partitions;
mod isr_expiry;
mod log_dir_failure;
mod meters;
pub mod metrics;
mod preferred_read_replica;
mod replica_metrics;
mod throttled_replicas;
pub mod topic_metrics;
pub mod transaction_verification;
mod update_metadata;

pub use add_partitions_to_txn::TransactionalOperation;
pub use append::{AppendEntry, AppendResult};
pub use delete_records::DeleteRecordsResult;
pub use describe_log_dirs::{LogDirDescription, ReplicaInDir};
pub use fetch_params::{ClientMetadata, FetchParams, FetchPartition};
pub use hooks::{BrokerEpochSource, LeadershipChange, ReplicaListener, TopicConfigs};
pub use leader_and_isr::{LeaderAndIsrUpdate, PartitionUpdate};
pub use manager::ReplicaManager;
pub use stop_replica::{StopPartition, StopReplicaUpdate};
