//! Defines every configuration key of Apache Kafka 3.9: its name, type, default and rule, whether it may change while
//! the broker runs, and what barnabas does with it. Each subject has one table. Kafka 3.9: `KafkaConfig`, `LogConfig`,
//! `ConfigDef`.
//!
//! A test compares the tables with a recorded DescribeConfigs response of a real broker (`tests.rs`).

mod broker_coordinator;
mod broker_kraft;
mod broker_log;
mod broker_network;
mod broker_own;
mod broker_quota;
mod broker_remote;
mod broker_replication;
mod broker_security;
mod broker_server;
mod broker_zookeeper;
pub mod documentation;
mod key;
mod table;
mod topic;

pub use key::{ConfigKey, ConfigType, Rule, Support, UpdateMode, Value};
pub use table::{
    broker_key, broker_keys, broker_synonyms, dynamic_broker_key, is_dynamic_password, listener_base_key,
    topic_key, topic_keys,
};

#[cfg(test)]
mod tests;
