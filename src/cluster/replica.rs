//! Tracks one follower for its leader: its position, and when it last caught up. Kafka 3.9: `Replica`.

use crate::common::ids::{BrokerId, Offset};

/// Stands for an offset that the follower has not told this leader yet.
pub const UNKNOWN_OFFSET: Offset = -1;

/// A follower as its leader sees it. Times are monotonic milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    broker_id: BrokerId,
    log_start_offset: Offset,
    log_end_offset: Offset,
    /// The leader's log end offset and the time of the last fetch. If a later fetch starts at this offset, the follower
    /// had all records of the leader at that time, however fast the log grows.
    last_fetch_leader_log_end_offset: Offset,
    last_fetch_ms: Option<i64>,
    /// `None` if the follower has not caught up since this leader epoch started (fact 41).
    last_caught_up_ms: Option<i64>,
}

impl Replica {
    /// Creates a follower whose position is not known.
    pub fn new(broker_id: BrokerId) -> Self {
        Self {
            broker_id,
            log_start_offset: UNKNOWN_OFFSET,
            log_end_offset: UNKNOWN_OFFSET,
            last_fetch_leader_log_end_offset: UNKNOWN_OFFSET,
            last_fetch_ms: None,
            last_caught_up_ms: None,
        }
    }

    /// The broker of this replica.
    pub fn broker_id(&self) -> BrokerId {
        self.broker_id
    }

    /// The start of the follower's log, or [`UNKNOWN_OFFSET`].
    pub fn log_start_offset(&self) -> Offset {
        self.log_start_offset
    }

    /// The next offset that the follower will write, or [`UNKNOWN_OFFSET`].
    pub fn log_end_offset(&self) -> Offset {
        self.log_end_offset
    }

    /// The last time at which the follower had all records of the leader.
    pub fn last_caught_up_ms(&self) -> Option<i64> {
        self.last_caught_up_ms
    }

    /// Records a fetch from `fetch_offset`, made when the leader's log ended at `leader_log_end_offset`.
    pub fn on_fetch(
        &mut self,
        fetch_offset: Offset,
        log_start_offset: Offset,
        leader_log_end_offset: Offset,
        now_ms: i64,
    ) {
        if fetch_offset >= leader_log_end_offset {
            self.caught_up_at(now_ms);
        } else if let Some(last_fetch_ms) = self.last_fetch_ms
            && fetch_offset >= self.last_fetch_leader_log_end_offset
        {
            self.caught_up_at(last_fetch_ms);
        }
        self.log_start_offset = log_start_offset;
        self.log_end_offset = fetch_offset;
        self.last_fetch_leader_log_end_offset =
            self.last_fetch_leader_log_end_offset.max(leader_log_end_offset);
        self.last_fetch_ms = Some(now_ms);
    }

    fn caught_up_at(&mut self, time_ms: i64) {
        self.last_caught_up_ms = Some(self.last_caught_up_ms.map_or(time_ms, |t| t.max(time_ms)));
    }

    /// Starts a leader epoch. A new leader knows nothing about its followers' logs; a leader that is elected again
    /// keeps what it knows. Members of the ISR have the maximal lag time from now on to catch up.
    pub fn reset(&mut self, now_ms: i64, leader_log_end_offset: Offset, is_new_leader: bool, in_isr: bool) {
        self.last_caught_up_ms = in_isr.then_some(now_ms);
        if is_new_leader {
            *self = Self {
                last_caught_up_ms: self.last_caught_up_ms,
                ..Self::new(self.broker_id)
            };
        } else {
            self.last_fetch_leader_log_end_offset = leader_log_end_offset;
            self.last_fetch_ms = in_isr.then_some(now_ms);
        }
    }

    /// Whether the follower has all records of the leader, or had them less than `max_lag_ms` ago.
    pub fn is_caught_up(&self, leader_log_end_offset: Offset, now_ms: i64, max_lag_ms: i64) -> bool {
        self.log_end_offset == leader_log_end_offset
            || self
                .last_caught_up_ms
                .is_some_and(|t| now_ms.saturating_sub(t) <= max_lag_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_that_reaches_where_the_leader_was_at_its_last_fetch_was_caught_up_then() {
        let mut replica = Replica::new(2);
        replica.on_fetch(0, 0, 100, 1_000);
        assert_eq!(
            replica.last_caught_up_ms(),
            None,
            "a first fetch far behind proves nothing"
        );
        replica.on_fetch(100, 0, 180, 2_000);
        assert_eq!(replica.last_caught_up_ms(), Some(1_000));
        replica.on_fetch(150, 0, 300, 3_000);
        assert_eq!(replica.last_caught_up_ms(), Some(1_000), "180 was the mark");
        replica.on_fetch(300, 5, 300, 4_000);
        assert_eq!(replica.last_caught_up_ms(), Some(4_000));
        assert_eq!((replica.log_start_offset(), replica.log_end_offset()), (5, 300));
    }

    #[test]
    fn caught_up_means_equal_or_recently_so() {
        let mut replica = Replica::new(2);
        replica.on_fetch(10, 0, 10, 1_000);
        for (leader_end, now, expected) in [(10, 99_000, true), (11, 31_000, true), (11, 31_001, false)] {
            assert_eq!(
                replica.is_caught_up(leader_end, now, 30_000),
                expected,
                "{leader_end} at {now}"
            );
        }
    }

    #[test]
    fn a_new_leader_forgets_offsets_and_trusts_only_the_isr() {
        let mut replica = Replica::new(2);
        replica.on_fetch(10, 0, 10, 1_000);
        let before = replica;
        replica.reset(5_000, 12, true, false);
        assert_eq!(replica, Replica::new(2));
        let mut replica = before;
        replica.reset(5_000, 12, false, true);
        assert_eq!(
            (replica.log_end_offset(), replica.last_caught_up_ms()),
            (10, Some(5_000))
        );
        let mut replica = before;
        replica.reset(5_000, 12, true, true);
        assert_eq!(
            (replica.log_end_offset(), replica.last_caught_up_ms()),
            (UNKNOWN_OFFSET, Some(5_000))
        );
    }
}
