//! Owns the configuration: Kafka's `server.properties`, the definition of every key, and the typed values that other
//! modules use. Imports only `common`. Kafka 3.9: `KafkaConfig`, `LogConfig`, `ConfigDef`.

pub mod broker;
mod current;
pub mod definition;
pub mod error;
mod listener_settings;
mod listeners;
mod loading;
mod origin;
pub mod properties;
pub mod providers;
mod reader;
mod review;
pub mod security;
mod system_properties;
pub mod topic;
pub mod zookeeper;

pub use broker::{BrokerConfig, Endpoint, RACK_AWARE_REPLICA_SELECTOR, SecurityProtocol};
pub use current::CurrentConfig;
pub use error::ConfigError;
pub use origin::Origin;
pub use properties::Properties;
pub use system_properties::SystemProperties;
#[cfg(test)]
pub use topic::CleanupPolicy;
pub use topic::{CompressionType, LogConfig, TimestampType};

#[cfg(test)]
mod tests;
