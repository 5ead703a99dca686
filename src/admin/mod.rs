//! Administers topics and configurations: validates them, writes them as znodes, and reads changes that other brokers
//! wrote. Imports `common`, `config`, `metadata`, `purgatory`, `zk`. Kafka 3.9: `ZkAdminManager`, `AdminZkClient`,
//! `ZkConfigManager`.
//!
//! This module creates no log and elects no leader: it writes a topic to ZooKeeper, where the controller finds it. The
//! topic appears in the metadata cache when the controller has announced it.

pub mod alter_configs;
pub mod assignment;
pub mod auto_creation;
pub mod broker_passwords;
mod change_listener;
pub mod create_topics;
pub mod delete_topics;
pub mod describe_configs;
pub mod dynamic_configs;
pub mod entity_config;
pub mod error;
pub mod listener_configs;
mod manager;
pub mod partitions;
pub mod scram_credentials;
pub mod user_credentials;

pub use alter_configs::{AlterOperation, ConfigAlteration};
pub use change_listener::{ConfigChangeListener, ConfigListener};
pub use create_topics::NewTopic;
pub use describe_configs::{ConfigEntry, ConfigResource};
pub use dynamic_configs::DynamicConfigs;
pub use error::AdminError;
pub use manager::AdminManager;
pub use partitions::NewPartitions;
pub use scram_credentials::{ScramAlterations, ScramDeletion, ScramUpsertion};

#[cfg(test)]
pub(crate) mod tests;
