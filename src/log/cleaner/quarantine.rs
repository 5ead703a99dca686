//! The quarantine: partitions that could not be cleaned, and why. Kafka 3.9 marks them uncleanable until the broker
//! restarts. barnabas tries again after a pause, and at once when the topic's configuration changes (KAFKA-19895).

use std::collections::HashMap;
use std::path::PathBuf;

use crate::common::ids::TopicPartition;
use crate::metrics::MetricName;

/// Pause after the first failure; it doubles with each further one.
const RETRY_MS_MIN: i64 = 60_000;
/// The longest pause.
const RETRY_MS_MAX: i64 = 60 * 60_000;

/// A partition that could not be cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its log dir.
    pub dir: PathBuf,
    /// The reason, as text for an operator.
    pub reason: String,
    /// Number of failures in a row.
    pub failures: u32,
    /// Monotonic time of the next attempt.
    pub retry_at_ms: i64,
}

/// All such partitions.
#[derive(Default)]
pub struct Quarantine {
    partitions: HashMap<TopicPartition, Quarantined>,
}

impl Quarantine {
    /// Adds a failure. Returns how long the cleaner leaves the partition alone.
    pub fn add(&mut self, partition: &TopicPartition, dir: PathBuf, reason: String, now_ms: i64) -> i64 {
        let failures = self.partitions.get(partition).map_or(0, |q| q.failures) + 1;
        let pause_ms = RETRY_MS_MIN
            .saturating_mul(1 << (failures - 1).min(16))
            .min(RETRY_MS_MAX);
        let quarantined = Quarantined {
            dir,
            reason,
            failures,
            retry_at_ms: now_ms.saturating_add(pause_ms),
        };
        self.partitions.insert(partition.clone(), quarantined);
        pause_ms
    }

    /// Whether the cleaner must leave a partition alone now.
    pub fn holds(&self, partition: &TopicPartition, now_ms: i64) -> bool {
        self.partitions
            .get(partition)
            .is_some_and(|q| now_ms < q.retry_at_ms)
    }

    /// Removes a partition that was cleaned after all. Returns true if it was in quarantine.
    pub fn remove(&mut self, partition: &TopicPartition) -> bool {
        self.partitions.remove(partition).is_some()
    }

    /// Allows an immediate new attempt on the partitions of a topic.
    pub fn retry_topic(&mut self, topic: &str, now_ms: i64) {
        for (partition, quarantined) in &mut self.partitions {
            if &*partition.topic == topic {
                quarantined.retry_at_ms = now_ms;
                quarantined.failures = 0;
            }
        }
    }

    /// Removes partitions that no longer exist.
    pub fn retain(&mut self, is_there: impl Fn(&TopicPartition) -> bool) {
        self.partitions.retain(|partition, _| is_there(partition));
    }

    /// Follows the move of a partition to another dir.
    pub fn move_to(&mut self, partition: &TopicPartition, dir: PathBuf) {
        if let Some(quarantined) = self.partitions.get_mut(partition) {
            quarantined.dir = dir;
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &Quarantined)> {
        self.partitions.iter()
    }
}

/// Longest reason that a tag takes; the log has it all.
const REASON_CHARS_MAX: usize = 300;

/// The name of the gauge of a partition in quarantine, which is 1: `uncleanable-partition`, with topic, partition, log
/// dir and reason as tags. Kafka has no such gauge.
pub(super) fn uncleanable_partition(partition: &TopicPartition, quarantined: &Quarantined) -> MetricName {
    let reason: String = quarantined.reason.chars().take(REASON_CHARS_MAX).collect();
    MetricName::new("kafka.log", "LogCleanerManager", "uncleanable-partition")
        .tag("topic", &partition.topic)
        .tag("partition", partition.partition)
        .tag("logDirectory", quarantined.dir.display())
        .tag("reason", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_a_changed_configuration_ends_them() {
        let mut quarantine = Quarantine::default();
        let partition = TopicPartition::new("t", 0);
        let mut add = |now| quarantine.add(&partition, "/d".into(), "broken".into(), now);
        let pauses: Vec<_> = (0..8).map(|_| add(0) / 60_000).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(quarantine.holds(&partition, 59 * 60_000) && !quarantine.holds(&partition, 60 * 60_000));
        quarantine.retry_topic("other", 5);
        assert!(quarantine.holds(&partition, 5));
        quarantine.retry_topic("t", 5);
        assert!(!quarantine.holds(&partition, 5));
        assert_eq!(quarantine.add(&partition, "/d".into(), "still".into(), 5), 60_000);
        quarantine.retain(|_| false);
        assert_eq!(quarantine.iter().count(), 0);
    }
}
