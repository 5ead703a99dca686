//! Owns the metadata cache: the cluster as the controller has described it to this broker. Kafka 3.9:
//! `ZkMetadataCache`.

pub mod cache;
pub mod update;

pub use cache::{BrokerMetadata, MetadataCache, MetadataSnapshot, PartitionMetadata, TopicMetadata};
