//! Tracks the progress of a fetcher in one partition. Kafka 3.9: `PartitionFetchState`.

use std::sync::Arc;

use tokio::time::Instant;

use crate::cluster::Partition;
use crate::common::ids::{LeaderEpoch, Offset, TopicId};
#[cfg(test)]
use crate::common::planted::{self, Mistake};
use crate::log::UnifiedLog;

/// The next action for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The log has no epochs to compare: the fetcher truncates it at the high watermark before it fetches.
    Truncating,
    /// The next fetch tells whether the logs diverge (KIP-595).
    Fetching,
}

/// One partition of a fetcher.
#[derive(Clone)]
pub(super) struct PartitionFetchState {
    pub(super) partition: Arc<Partition>,
    /// `None` if the topic has no id. Then the whole fetch must use version 12.
    pub(super) topic_id: Option<TopicId>,
    /// The leader epoch in which the replica follows.
    pub(super) epoch: LeaderEpoch,
    /// Next offset to fetch; the end of the log.
    pub(super) fetch_offset: Offset,
    /// The latest epoch in the log. It is kept when a response brings no records (fact 36).
    pub(super) last_fetched_epoch: Option<LeaderEpoch>,
    pub(super) phase: Phase,
    /// The end of the pause after an error.
    pub(super) delayed_until: Option<Instant>,
    /// The number of records between the fetch offset and the leader's high watermark; `None` until the first response.
    pub(super) lag: Option<i64>,
}

impl PartitionFetchState {
    /// Creates the state for a new assignment; `None` if the assignment is already void.
    pub(super) fn begin(
        partition: Arc<Partition>,
        topic_id: Option<TopicId>,
        epoch: LeaderEpoch,
    ) -> Option<Self> {
        let start = |log: &UnifiedLog| match log.latest_epoch() {
            Some(latest) => (Phase::Fetching, log.log_end_offset(), Some(latest)),
            None => (Phase::Truncating, log.high_watermark(), None),
        };
        #[cfg(test)]
        let start = |log: &UnifiedLog| match planted::is_planted(Mistake::TruncatesToHighWatermark) {
            true => (Phase::Truncating, log.high_watermark(), None),
            false => start(log),
        };
        let (phase, fetch_offset, last_fetched_epoch) = partition.as_follower(epoch, start)?;
        Some(Self {
            partition,
            topic_id,
            epoch,
            fetch_offset,
            last_fetched_epoch,
            phase,
            delayed_until: None,
            lag: None,
        })
    }

    /// Starts again from the end of the log; a back-off stays.
    pub(super) fn begin_again(&mut self) {
        if let Some(begun) = Self::begin(self.partition.clone(), self.topic_id, self.epoch) {
            *self = Self {
                delayed_until: self.delayed_until,
                lag: self.lag,
                ..begun
            };
        }
    }

    /// Whether the follower had all committed records when the leader last answered.
    pub(super) fn is_in_sync(&self) -> bool {
        self.lag.is_some_and(|lag| lag <= 0)
    }

    /// Whether the next request may ask for this partition.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.phase == Phase::Fetching && self.delayed_until.is_none_or(|until| until <= now)
    }
}
