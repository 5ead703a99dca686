//! Deletes topics: asks the controller with a znode and waits until the topic is gone. Kafka 3.9:
//! `ZkAdminManager.deleteTopics`, `AdminZkClient.deleteTopic`.

use std::time::Duration;

use bytes::Bytes;

use super::error::AdminError;
use super::manager::AdminManager;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicName;
use crate::zk::{CreateMode, ZkError, paths};

impl AdminManager {
    /// Asks the controller to delete topics and waits until they are gone from the metadata cache, at most for
    /// `timeout`. REQUEST_TIMED_OUT tells that the deletion is still under way.
    pub async fn delete_topics(
        &self,
        topics: &[TopicName],
        timeout: Duration,
    ) -> Vec<(TopicName, Result<(), AdminError>)> {
        let mut outcomes = Vec::with_capacity(topics.len());
        let mut asked = Vec::new();
        for topic in topics {
            let outcome = self.ask_for_deletion(topic).await;
            if outcome.is_ok() {
                asked.push(topic.clone());
            }
            outcomes.push((topic.clone(), outcome));
        }
        if !timeout.is_zero() {
            self.wait_for(&asked, timeout, |snapshot, topic| {
                !snapshot.topics.contains_key(topic)
            })
            .await;
        }
        let snapshot = self.metadata.snapshot();
        for (topic, outcome) in outcomes.iter_mut().filter(|(_, outcome)| outcome.is_ok()) {
            if timeout.is_zero() || snapshot.topics.contains_key(topic) {
                *outcome = Err(ErrorCode::RequestTimedOut.into());
            }
        }
        outcomes
    }

    async fn ask_for_deletion(&self, topic: &str) -> Result<(), AdminError> {
        if self.zk.exists(&paths::topic(topic), false).await?.is_none() {
            let message = format!("topic '{topic}' does not exist");
            return Err(AdminError::new(ErrorCode::UnknownTopicOrPartition, message));
        }
        let path = paths::delete_topic(topic);
        match self.zk.create(&path, Bytes::new(), CreateMode::Persistent).await {
            // The deletion may already be under way: several requests may wait for the same one.
            Ok(_) | Err(ZkError::NodeExists(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
