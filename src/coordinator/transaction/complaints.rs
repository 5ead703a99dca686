//! Decides when a failure that is retried without limit is logged: not at every attempt, but at regular intervals.

use std::sync::atomic::{AtomicI64, Ordering};

/// Failures that usually pass are not logged before this time.
const PATIENCE_MS: i64 = 10_000;
/// The time between two log messages.
const INTERVAL_MS: i64 = 10 * 60 * 1000;

/// The log state of one operation that is retried.
#[derive(Debug)]
pub(super) struct Complaints {
    since_ms: i64,
    next_ms: AtomicI64,
}

impl Complaints {
    /// Creates the state. The first attempt is made at `now_ms` of the monotonic clock.
    pub(super) fn since(now_ms: i64) -> Self {
        Self {
            since_ms: now_ms,
            next_ms: AtomicI64::new(now_ms),
        }
    }

    /// Whether to log the attempt that has just failed. `passes` is true if failures of this kind usually pass.
    pub(super) fn is_due(&self, now_ms: i64, passes: bool) -> bool {
        let is_patient = passes && now_ms - self.since_ms < PATIENCE_MS;
        let next_ms = self.next_ms.load(Ordering::Relaxed);
        if is_patient || now_ms < next_ms {
            return false;
        }
        // If two attempts fail at the same time, only one is logged.
        let next = self.next_ms.compare_exchange(
            next_ms,
            now_ms + INTERVAL_MS,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        next.is_ok()
    }

    /// The seconds since the first attempt.
    pub(super) fn seconds(&self, now_ms: i64) -> i64 {
        (now_ms - self.since_ms) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_that_stays_wrong_is_told_once_and_then_seldom() {
        let told = |passes| {
            let complaints = Complaints::since(500);
            let times = (0..3_600).map(|second| 500 + second * 1_000);
            times
                .filter(|&now_ms| complaints.is_due(now_ms, passes))
                .map(|now_ms| complaints.seconds(now_ms))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(false), [0, 600, 1_200, 1_800, 2_400, 3_000]);
        assert_eq!(told(true), [10, 610, 1_210, 1_810, 2_410, 3_010]);
    }
}
