//! Creates topics on demand, when a Metadata or FindCoordinator request names a topic that does not exist. Kafka 3.9:
//! `AutoTopicCreationManager`.
//!
//! In a ZooKeeper-mode cluster every broker creates such topics itself, whether it is the controller or not.

use std::time::Duration;

use super::create_topics::NewTopic;
use super::manager::AdminManager;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicName;
use crate::common::topic_name::{self, GROUP_METADATA_TOPIC, TRANSACTION_STATE_TOPIC};
use crate::config::BrokerConfig;

/// The answer to the client that named the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoCreated {
    /// The topic.
    pub topic: TopicName,
    /// LEADER_NOT_AVAILABLE if the topic was created: the client then asks again.
    pub error: ErrorCode,
}

impl AdminManager {
    /// Creates topics with the settings of this broker, and internal topics with Kafka's settings. It does not wait for
    /// leaders. If another request is creating the topic at the same time, the result is UNKNOWN_TOPIC_OR_PARTITION:
    /// the client then asks again.
    pub async fn auto_create(&self, topics: &[TopicName]) -> Vec<AutoCreated> {
        let mut results = Vec::with_capacity(topics.len());
        let mut creatable = InFlight {
            admin: self,
            topics: Vec::new(),
        };
        for topic in topics {
            let error = if topic_name::validate(topic).is_err() {
                ErrorCode::InvalidTopicException
            } else if !self.in_flight.lock().insert(topic.clone()) {
                ErrorCode::UnknownTopicOrPartition
            } else {
                creatable.topics.push(topic.clone());
                continue;
            };
            results.push(AutoCreated {
                topic: topic.clone(),
                error,
            });
        }
        let config = self.configs.current();
        let new: Vec<NewTopic> = creatable
            .topics
            .iter()
            .map(|topic| new_topic(topic, &config))
            .collect();
        for outcome in self.create_topics(&new, Duration::ZERO, false).await {
            let error = match outcome.error.map_or(ErrorCode::None, |e| e.code) {
                // The creation did not wait for leaders, but the topic exists.
                ErrorCode::RequestTimedOut | ErrorCode::TopicAlreadyExists => ErrorCode::LeaderNotAvailable,
                code => code,
            };
            results.push(AutoCreated {
                topic: outcome.name.into(),
                error,
            });
        }
        results
    }
}

/// The topics that this task is creating. They are released even if the task is dropped before it ends.
struct InFlight<'a> {
    admin: &'a AdminManager,
    topics: Vec<TopicName>,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut in_flight = self.admin.in_flight.lock();
        for topic in &self.topics {
            in_flight.remove(topic);
        }
    }
}

/// The topic with the settings that this broker has for it.
fn new_topic(topic: &str, config: &BrokerConfig) -> NewTopic {
    let settings = |configs: &[(&str, String)]| {
        let setting = |(key, value): &(&str, String)| (key.to_string(), Some(value.clone()));
        configs.iter().map(setting).collect()
    };
    let (partitions, replication_factor, configs) = match topic {
        GROUP_METADATA_TOPIC => (
            config.offsets_topic_num_partitions,
            config.offsets_topic_replication_factor,
            settings(&[
                ("cleanup.policy", "compact".into()),
                ("compression.type", "producer".into()),
                ("segment.bytes", config.offsets_topic_segment_bytes.to_string()),
            ]),
        ),
        TRANSACTION_STATE_TOPIC => (
            config.transaction_state_log_num_partitions,
            config.transaction_state_log_replication_factor,
            settings(&[
                ("cleanup.policy", "compact".into()),
                ("compression.type", "uncompressed".into()),
                (
                    "min.insync.replicas",
                    config.transaction_state_log_min_isr.to_string(),
                ),
                (
                    "segment.bytes",
                    config.transaction_state_log_segment_bytes.to_string(),
                ),
                ("unclean.leader.election.enable", "false".into()),
            ]),
        ),
        _ => (config.num_partitions, config.default_replication_factor, vec![]),
    };
    NewTopic {
        name: topic.to_string(),
        partitions: Some(partitions),
        replication_factor: Some(replication_factor),
        configs,
        ..NewTopic::default()
    }
}
