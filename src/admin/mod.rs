//! Administration: validates topics and configurations, writes them as znodes, and reads the changes of others.
//! Imports `common`, `config`, `metadata`, `purgatory`, `zk`. Kafka 3.9: `ZkAdminManager`, `AdminZkClient`,
//! `ZkConfigManager`.
//!
//! Nothing here creates a log or elects a leader: a topic is written to ZooKeeper, where the controller finds it,
//! and appears in the metadata cache once the controller has told of it.

pub mod alter_configs;
pub mod assignment;
pub mod auto_creation;
pub mod change_listener;
pub mod create_topics;
pub mod delete_topics;
pub mod describe_configs;
pub mod dynamic_configs;
pub mod entity_config;
pub mod error;
pub mod manager;
pub mod partitions;

pub use alter_configs::{AlterOperation, ConfigAlteration};
pub use change_listener::{ConfigChangeListener, ConfigListener};
pub use create_topics::NewTopic;
pub use describe_configs::{ConfigEntry, ConfigResource};
pub use dynamic_configs::DynamicConfigs;
pub use error::AdminError;
pub use manager::AdminManager;
pub use partitions::NewPartitions;

#[cfg(test)]
pub(crate) mod tests;
