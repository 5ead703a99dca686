//! How far a fetcher is with one partition. Kafka 3.9: `PartitionFetchState`.

use std::sync::Arc;

use tokio::time::Instant;

use crate::cluster::Partition;
use crate::common::ids::{LeaderEpoch, Offset, TopicId};
#[cfg(test)]
use crate::common::planted::{self, Mistake};
use crate::log::UnifiedLog;

/// What comes next for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The log has no epochs to compare: it is cut at the high watermark before anything is fetched.
    Truncating,
    /// The next fetch tells whether the logs diverge (KIP-595).
    Fetching,
}

/// One partition of a fetcher.
#[derive(Clone)]
pub(super) struct PartitionFetchState {
    pub(super) partition: Arc<Partition>,
    /// `None`: the topic has none, and the whole fetch must be made in version 12.
    pub(super) topic_id: Option<TopicId>,
    /// The leader epoch in which it follows.
    pub(super) epoch: LeaderEpoch,
    /// Next offset to fetch; the end of the log.
    pub(super) fetch_offset: Offset,
    /// Latest epoch in the log. It is kept when a response brings no records (fact 36).
    pub(super) last_fetched_epoch: Option<LeaderEpoch>,
    pub(super) phase: Phase,
    /// After an error.
    pub(super) delayed_until: Option<Instant>,
    /// How far the leader's high watermark is ahead; `None` until the first response.
    pub(super) lag: Option<i64>,
}

impl PartitionFetchState {
    /// The beginning of an assignment; `None` if it is already void.
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

    /// Goes on from what is in the log now; a back-off stays.
    pub(super) fn begin_again(&mut self) {
        if let Some(begun) = Self::begin(self.partition.clone(), self.topic_id, self.epoch) {
            *self = Self {
                delayed_until: self.delayed_until,
                lag: self.lag,
                ..begun
            };
        }
    }

    /// Whether it had all that was committed when it was last answered.
    pub(super) fn is_in_sync(&self) -> bool {
        self.lag.is_some_and(|lag| lag <= 0)
    }

    /// Whether the next request may ask for it.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.phase == Phase::Fetching && self.delayed_until.is_none_or(|until| until <= now)
    }
}
