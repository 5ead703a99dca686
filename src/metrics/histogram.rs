//! Records the distribution of values. Yammer: `Histogram`, which keeps a sample of the values; here every value
//! counts, in buckets.
//!
//! A bucket is as wide as a sixteenth of its smallest value, so a percentile is exact below 32, and within 6 % above.
//! As in Yammer, percentiles cover the last minutes: there are two windows of buckets. Values are written to the newer
//! window and read from both. The reader replaces the older window when the newer one is old enough.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::common::clock::SharedClock;

/// The number of buckets for each power of two, and its logarithm.
const STEPS: u64 = 16;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Larger values are counted as this one: 2^40 is 12 days in microseconds, or a terabyte in bytes.
const LARGEST: u64 = (1 << 40) - 1;
const BUCKETS: usize = bucket(LARGEST) + 1;
/// How long values are written to one window, in milliseconds.
const WINDOW_MS: i64 = 150_000;

type Window = [AtomicU32; BUCKETS];

/// Records values. An update is a few atomic additions; a histogram without values has no buckets in memory.
pub struct Histogram {
    count: AtomicU64,
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
    windows: OnceLock<Box<[Window; 2]>>,
    /// The index of the window to which values are written.
    written: AtomicUsize,
    clock: SharedClock,
    /// The time in milliseconds since which values are written to that window.
    written_since_ms: Mutex<i64>,
}

/// The values of a histogram at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramSnapshot {
    /// Values since the broker started.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// The smallest of them; 0 if there are none.
    pub min: u64,
    /// The largest of them.
    pub max: u64,
    /// The recent values: the smallest value of each bucket, and the number of values in it.
    recent: Vec<(u64, u64)>,
}

/// The bucket of a value: each value below 2·STEPS has its own bucket.
const fn bucket(value: u64) -> usize {
    if value < 2 * STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - STEP_BITS;
    (shift as u64 * STEPS + (value >> shift)) as usize
}

/// The smallest value of a bucket, and its width.
fn bounds(bucket: usize) -> (u64, u64) {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return (bucket, 1);
    }
    let shift = bucket / STEPS - 1;
    ((STEPS + bucket % STEPS) << shift, 1 << shift)
}

impl Histogram {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self {
            count: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
            windows: OnceLock::new(),
            written: AtomicUsize::new(0),
            written_since_ms: Mutex::new(clock.monotonic_ms()),
            clock,
        }
    }

    /// Records a value.
    pub fn update(&self, value: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
        self.min.fetch_min(value, Ordering::Relaxed);
        self.max.fetch_max(value, Ordering::Relaxed);
        let windows = self.windows.get_or_init(|| {
            Box::new(std::array::from_fn(|_| {
                std::array::from_fn(|_| AtomicU32::new(0))
            }))
        });
        let window = &windows[self.written.load(Ordering::Relaxed)];
        window[bucket(value.min(LARGEST))].fetch_add(1, Ordering::Relaxed);
    }

    /// The number of values since the broker started.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The present state.
    pub fn snapshot(&self) -> HistogramSnapshot {
        let Some(windows) = self.windows.get() else {
            return HistogramSnapshot::default();
        };
        self.move_on(windows);
        let total = |i: usize| {
            let counts = windows
                .iter()
                .map(|window| u64::from(window[i].load(Ordering::Relaxed)));
            counts.sum::<u64>()
        };
        let recent = (0..BUCKETS).map(|i| (bounds(i).0, total(i)));
        HistogramSnapshot {
            count: self.count(),
            sum: self.sum.load(Ordering::Relaxed),
            min: self.min.load(Ordering::Relaxed),
            max: self.max.load(Ordering::Relaxed),
            recent: recent.filter(|(_, count)| *count > 0).collect(),
        }
    }

    fn move_on(&self, windows: &[Window; 2]) {
        let mut since = self.written_since_ms.lock();
        let now = self.clock.monotonic_ms();
        if now - *since < WINDOW_MS {
            return;
        }
        *since = now;
        let next = 1 - self.written.load(Ordering::Relaxed);
        windows[next]
            .iter()
            .for_each(|bucket| bucket.store(0, Ordering::Relaxed));
        self.written.store(next, Ordering::Relaxed);
    }
}

impl HistogramSnapshot {
    /// The mean of all values; 0 if there are none.
    pub fn mean(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.sum as f64 / self.count as f64
        }
    }

    /// The smallest value that at least the given share (0 to 1) of the recent values does not exceed; 0 if there are
    /// none.
    pub fn quantile(&self, share: f64) -> f64 {
        let total: u64 = self.recent.iter().map(|(_, count)| count).sum();
        let wanted = (share * total as f64).ceil().max(1.0);
        let mut seen = 0;
        for (smallest, count) in &self.recent {
            seen += count;
            if seen as f64 >= wanted {
                let (_, width) = bounds(bucket(*smallest));
                let middle = *smallest as f64 + (width - 1) as f64 / 2.0;
                return middle.clamp(self.min as f64, self.max as f64);
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::clock::ManualClock;

    #[test]
    fn buckets_cover_every_value_without_gaps() {
        for value in (0..5000).chain([1 << 20, (1 << 30) + 12345, LARGEST]) {
            let (smallest, width) = bounds(bucket(value));
            assert!((smallest..smallest + width).contains(&value), "{value}");
            assert!(value < 32 || width * STEPS <= value, "{value}: {width}");
        }
        let mut next = 0;
        for i in 0..BUCKETS {
            let (smallest, width) = bounds(i);
            assert_eq!(smallest, next);
            next += width;
        }
        assert_eq!(next, LARGEST + 1);
    }

    #[test]
    fn percentiles_are_within_their_promise() {
        let histogram = Histogram::new(ManualClock::at(0));
        assert_eq!(histogram.snapshot(), HistogramSnapshot::default());
        (1..=1000).for_each(|v| histogram.update(v));
        let all = histogram.snapshot();
        assert_eq!((all.count, all.min, all.max, all.mean()), (1000, 1, 1000, 500.5));
        for share in [0.01, 0.5, 0.75, 0.95, 0.98, 0.99, 0.999] {
            let (found, exact) = (all.quantile(share), 1000.0 * share);
            assert!((found - exact).abs() <= exact * 0.0625, "{share}: {found}");
        }
        histogram.update(u64::MAX);
        assert_eq!(histogram.snapshot().max, u64::MAX);
    }

    #[test]
    fn percentiles_forget_and_counts_do_not() {
        let clock = ManualClock::at(0);
        let histogram = Histogram::new(clock.clone());
        let median = || histogram.snapshot().quantile(0.5);
        histogram.update(20);
        clock.advance(WINDOW_MS);
        assert_eq!(median(), 20.0);
        histogram.update(10);
        histogram.update(10);
        assert_eq!(median(), 10.0);
        clock.advance(WINDOW_MS);
        assert_eq!(median(), 10.0);
        clock.advance(WINDOW_MS);
        assert_eq!(median(), 0.0);
        assert_eq!((histogram.snapshot().count, histogram.snapshot().max), (3, 20));
    }
}
