//! Owns the requests that wait for a change of a partition. Kafka 3.9: `DelayedOperations`.

use crate::cluster::{Effects, Partition};
use crate::common::ids::TopicPartition;
use crate::purgatory::Purgatory;

/// The event that a waiting fetch waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum DelayedFetchKey {
    /// The end of the log, for replicas.
    LogEnd(TopicPartition),
    /// The high watermark, for consumers.
    HighWatermark(TopicPartition),
}

/// The purgatories of this broker's partitions; a clone is another handle to the same purgatories.
#[derive(Clone, Default)]
pub(super) struct DelayedOperations {
    pub(super) produce: Purgatory<TopicPartition>,
    pub(super) fetch: Purgatory<DelayedFetchKey>,
    pub(super) delete_records: Purgatory<TopicPartition>,
}

impl DelayedOperations {
    /// Wakes the requests that a change of one partition may complete. The caller does not hold the partition's lock.
    pub(super) fn wake(&self, partition: &Partition, effects: &Effects) {
        let name = partition.topic_partition();
        if effects.log_end_advanced {
            self.fetch.wake(&DelayedFetchKey::LogEnd(name.clone()));
        }
        if effects.high_watermark_advanced {
            self.produce.wake(name);
            self.wake_consumers(name);
        }
        if effects.log_start_moved {
            self.delete_records.wake(name);
        }
    }

    /// Wakes the fetches of consumers.
    pub(super) fn wake_consumers(&self, name: &TopicPartition) {
        self.fetch.wake(&DelayedFetchKey::HighWatermark(name.clone()));
    }

    /// Wakes all requests that wait for a partition whose leadership has changed.
    pub(super) fn wake_all_of(&self, name: &TopicPartition) {
        self.produce.wake(name);
        self.delete_records.wake(name);
        self.fetch.wake(&DelayedFetchKey::LogEnd(name.clone()));
        self.wake_consumers(name);
    }

    /// Wakes everything.
    pub(super) fn wake_all(&self) {
        self.fetch.wake_all();
        self.produce.wake_all();
        self.delete_records.wake_all();
    }
}
