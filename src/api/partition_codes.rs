//! The error codes of partitions, grouped by topic, in the answers of OffsetCommit, TxnOffsetCommit and OffsetDelete.
//! Kafka 3.9: the builders of their responses, and the maps in which `GroupCoordinatorAdapter` keeps partitions.

use std::collections::HashMap;

use crate::common::error::ErrorCode;
use crate::common::ids::{TopicName, TopicPartition};
use crate::metadata::MetadataSnapshot;

/// Codes of partitions by topic. Each topic occurs once, even if the request repeats it.
#[derive(Debug, Default)]
pub(super) struct PartitionCodes {
    topics: Vec<(TopicName, Vec<(i32, ErrorCode)>)>,
    index_of: HashMap<TopicName, usize>,
}

impl PartitionCodes {
    /// Adds one partition's code.
    pub(super) fn push(&mut self, partition: TopicPartition, code: ErrorCode) {
        let TopicPartition { topic, partition } = partition;
        let index = *self.index_of.entry(topic).or_insert_with_key(|topic| {
            self.topics.push((topic.clone(), Vec::new()));
            self.topics.len() - 1
        });
        self.topics[index].1.push((partition, code));
    }

    /// Returns the partitions that exist; the others get UNKNOWN_TOPIC_OR_PARTITION.
    pub(super) fn existing<V>(
        &mut self,
        snapshot: &MetadataSnapshot,
        asked: impl IntoIterator<Item = (TopicPartition, V)>,
    ) -> Vec<(TopicPartition, V)> {
        let mut existing = Vec::new();
        for (key, value) in asked {
            match snapshot.partition(&key.topic, key.partition) {
                Some(_) => existing.push((key, value)),
                None => self.push(key, ErrorCode::UnknownTopicOrPartition),
            }
        }
        existing
    }

    /// The topics in the order in which they came, with their partitions.
    pub(super) fn into_topics(self) -> Vec<(TopicName, Vec<(i32, ErrorCode)>)> {
        self.topics
    }
}

impl Extend<(TopicPartition, ErrorCode)> for PartitionCodes {
    fn extend<I: IntoIterator<Item = (TopicPartition, ErrorCode)>>(&mut self, codes: I) {
        for (partition, code) in codes {
            self.push(partition, code);
        }
    }
}

/// Each partition once, with its last entry in the request.
pub(super) fn last_of_each<V>(
    entries: impl IntoIterator<Item = (TopicPartition, V)>,
) -> Vec<(TopicPartition, V)> {
    let mut kept: Vec<(TopicPartition, V)> = Vec::new();
    let mut index_of: HashMap<TopicPartition, usize> = HashMap::new();
    for (partition, value) in entries {
        match index_of.get(&partition) {
            Some(&index) => kept[index].1 = value,
            None => {
                index_of.insert(partition.clone(), kept.len());
                kept.push((partition, value));
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_occurs_once() {
        let mut codes = PartitionCodes::default();
        codes.push(TopicPartition::new("t", 7), ErrorCode::UnknownTopicOrPartition);
        codes.extend([
            (TopicPartition::new("u", 0), ErrorCode::None),
            (TopicPartition::new("t", 0), ErrorCode::None),
        ]);
        let unknown = (7, ErrorCode::UnknownTopicOrPartition);
        let expected = [
            ("t".into(), vec![unknown, (0, ErrorCode::None)]),
            ("u".into(), vec![(0, ErrorCode::None)]),
        ];
        assert_eq!(codes.into_topics(), expected);
    }

    #[test]
    fn what_is_said_last_counts() {
        let said = [("t", 0, 1), ("t", 1, 2), ("t", 0, 3)];
        let said = said.map(|(topic, partition, value)| (TopicPartition::new(topic, partition), value));
        let expected = [(TopicPartition::new("t", 0), 3), (TopicPartition::new("t", 1), 2)];
        assert_eq!(last_of_each(said), expected);
    }
}
