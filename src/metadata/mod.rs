//! L3. What this broker knows of the cluster, as the controller told it. Kafka 3.9: `ZkMetadataCache`.

pub mod cache;
pub mod update;

pub use cache::{BrokerMetadata, MetadataCache, MetadataImage, PartitionMetadata, TopicMetadata};
