//! Limits the bytes per second that replication may move (KIP-73). Kafka 3.9: `ReplicationQuotaManager`, `SimpleRate`.
//!
//! The rate is the number of bytes within the last windows, divided by the time since the oldest window started. A
//! quota only tells whether it is exceeded. The sender asks before it sends and records the bytes afterwards, so one
//! response may exceed the quota.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::common::clock::SharedClock;

/// No limit. Kafka uses the largest number of the type for it.
pub const UNLIMITED: u64 = i64::MAX as u64;

/// The quota of one kind of replication.
pub struct ReplicationQuota {
    clock: SharedClock,
    /// The number of windows in the rate.
    windows: usize,
    window_ms: i64,
    bytes_per_second_max: AtomicU64,
    samples: Mutex<VecDeque<Sample>>,
}

/// The bytes of one window.
struct Sample {
    start_ms: i64,
    bytes: u64,
}

impl ReplicationQuota {
    /// Creates a quota without limit.
    pub fn new(clock: SharedClock, windows: usize, window_seconds: u64) -> Self {
        let window_ms = i64::try_from(window_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        Self {
            clock,
            windows: windows.max(1),
            window_ms: window_ms.max(1),
            bytes_per_second_max: AtomicU64::new(UNLIMITED),
            samples: Mutex::default(),
        }
    }

    /// Sets the limit.
    pub fn set_limit(&self, bytes_per_second: u64) {
        self.bytes_per_second_max
            .store(bytes_per_second, Ordering::Relaxed);
    }

    /// The limit; [`UNLIMITED`] if there is none.
    pub fn limit(&self) -> u64 {
        self.bytes_per_second_max.load(Ordering::Relaxed)
    }

    /// Whether there is a limit.
    pub fn is_limited(&self) -> bool {
        self.limit() < UNLIMITED
    }

    /// Records bytes that were moved.
    pub fn record(&self, bytes: u64) {
        let now_ms = self.clock.monotonic_ms();
        let mut samples = self.samples.lock();
        match samples.back_mut() {
            Some(sample) if now_ms - sample.start_ms < self.window_ms => sample.bytes += bytes,
            _ => samples.push_back(Sample {
                start_ms: now_ms,
                bytes,
            }),
        }
        self.forget_old(&mut samples, now_ms);
    }

    /// Whether the rate is above the limit.
    pub fn is_exceeded(&self) -> bool {
        self.is_limited() && self.rate() > self.limit() as f64
    }

    /// The rate in bytes per second.
    pub fn rate(&self) -> f64 {
        let now_ms = self.clock.monotonic_ms();
        let mut samples = self.samples.lock();
        self.forget_old(&mut samples, now_ms);
        let Some(oldest) = samples.front() else {
            return 0.0;
        };
        let elapsed_ms = (now_ms - oldest.start_ms).max(self.window_ms);
        let bytes: u64 = samples.iter().map(|sample| sample.bytes).sum();
        bytes as f64 * 1000.0 / elapsed_ms as f64
    }

    fn forget_old(&self, samples: &mut VecDeque<Sample>, now_ms: i64) {
        let span_ms = self
            .window_ms
            .saturating_mul(i64::try_from(self.windows).unwrap_or(i64::MAX));
        while samples
            .front()
            .is_some_and(|sample| now_ms - sample.start_ms >= span_ms)
        {
            samples.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::clock::ManualClock;

    #[test]
    fn a_burst_exceeds_the_quota_until_time_has_made_it_small() {
        let clock = ManualClock::at(1_000);
        let quota = ReplicationQuota::new(clock.clone(), 11, 1);
        quota.record(1 << 40);
        assert!(!quota.is_exceeded(), "there is no limit yet");
        clock.advance(11_000);
        quota.set_limit(1_000);
        assert!(!quota.is_exceeded(), "forgotten");
        quota.record(5_000);
        for (after_ms, exceeded) in [(0, true), (1_000, true), (3_900, true), (100, false)] {
            clock.advance(after_ms);
            assert_eq!(quota.is_exceeded(), exceeded, "{after_ms}");
        }
        assert_eq!(quota.rate(), 1_000.0);
        quota.record(1);
        assert!(quota.is_exceeded());
        quota.set_limit(UNLIMITED);
        assert!(!quota.is_exceeded());
    }

    #[test]
    fn a_rate_is_over_the_windows_that_are_left() {
        let clock = ManualClock::at(0);
        let quota = ReplicationQuota::new(clock.clone(), 3, 1);
        for _ in 0..10 {
            quota.record(600);
            clock.advance(1_000);
        }
        // The samples of 8 and 9 seconds are left, and it is second 10 now.
        assert_eq!(quota.rate(), 600.0);
        quota.record(600);
        assert_eq!(quota.rate(), 900.0);
    }
}
