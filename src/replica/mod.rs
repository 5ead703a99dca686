//! L4. The replicas on this broker: appends, fetches, leadership, fetchers. Kafka 3.9: `ReplicaManager`.

pub mod hooks;
pub mod manager;

pub use hooks::{BrokerEpochSource, LeadershipChange, ReplicaListener, TopicConfigs};
pub use manager::{AppendResult, ReplicaManager};
