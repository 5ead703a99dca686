//! Records statistics of the last minute, as the sensors of Kafka's own metrics library do: there are two samples of
//! thirty seconds each, and the older one is dropped when a third one starts. Kafka: `SampledStat`, `Rate`, `Max`,
//! `Avg`.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::common::clock::SharedClock;

/// `metrics.sample.window.ms`.
const WINDOW_MS: i64 = 30_000;
/// `metrics.num.samples`.
const SAMPLES: usize = 2;

#[derive(Clone, Copy)]
struct Sample {
    start_ms: i64,
    count: u64,
    sum: f64,
    max: f64,
}

impl Sample {
    fn at(start_ms: i64) -> Self {
        Self {
            start_ms,
            count: 0,
            sum: 0.0,
            max: f64::NEG_INFINITY,
        }
    }
}

/// The samples of a value, newest first.
struct Samples {
    clock: SharedClock,
    samples: Mutex<[Option<Sample>; SAMPLES]>,
}

impl Samples {
    fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            samples: Mutex::new([None; SAMPLES]),
        }
    }

    fn record(&self, value: f64) {
        let now_ms = self.clock.monotonic_ms();
        let mut samples = self.samples.lock();
        if samples[0].is_none_or(|newest| now_ms - newest.start_ms >= WINDOW_MS) {
            samples.rotate_right(1);
            samples[0] = Some(Sample::at(now_ms));
        }
        if let Some(newest) = &mut samples[0] {
            newest.count += 1;
            newest.sum += value;
            newest.max = newest.max.max(value);
        }
    }

    /// The samples that are not too old, combined into one, and the present time.
    fn combined(&self) -> (Sample, i64) {
        let now_ms = self.clock.monotonic_ms();
        let mut all = Sample::at(now_ms);
        let samples = *self.samples.lock();
        let is_recent = |sample: &Sample| now_ms - sample.start_ms < WINDOW_MS * SAMPLES as i64;
        for sample in samples.into_iter().flatten().filter(is_recent) {
            all.start_ms = all.start_ms.min(sample.start_ms);
            all.count += sample.count;
            all.sum += sample.sum;
            all.max = all.max.max(sample.max);
        }
        (all, now_ms)
    }
}

/// Counts events: their total number, and their recent number per second. Kafka: `Meter`.
pub struct SampledRate {
    count: AtomicU64,
    samples: Samples,
}

impl SampledRate {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self {
            count: AtomicU64::new(0),
            samples: Samples::new(clock),
        }
    }

    /// Records that `events` events happened.
    pub fn mark(&self, events: u64) {
        self.count.fetch_add(events, Ordering::Relaxed);
        self.samples.record(events as f64);
    }

    /// The number of events since the broker started.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The recent number of events per second. The time is never taken as shorter than one sample; otherwise the first
    /// event would look like a very high rate.
    pub fn per_second(&self) -> f64 {
        let (all, now_ms) = self.samples.combined();
        all.sum / ((now_ms - all.start_ms).max(WINDOW_MS) as f64 / 1000.0)
    }
}

/// Records the recent durations of an action.
pub struct SampledTimes {
    samples: Samples,
}

impl SampledTimes {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self {
            samples: Samples::new(clock),
        }
    }

    /// Records one duration.
    pub fn record(&self, time: f64) {
        self.samples.record(time);
    }

    /// The longest recent duration; NaN if there is none.
    pub fn max(&self) -> f64 {
        let (all, _) = self.samples.combined();
        if all.count == 0 { f64::NAN } else { all.max }
    }

    /// The mean recent duration; NaN if there is none.
    pub fn average(&self) -> f64 {
        let (all, _) = self.samples.combined();
        all.sum / all.count as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::clock::ManualClock;

    #[test]
    fn a_rate_looks_back_over_two_samples() {
        let clock = ManualClock::at(0);
        let rate = SampledRate::new(clock.clone());
        assert_eq!(rate.per_second(), 0.0);
        rate.mark(30);
        assert_eq!(rate.per_second(), 1.0, "no shorter time than a sample is counted");
        clock.advance(40_000);
        assert_eq!(rate.per_second(), 0.75);
        rate.mark(30);
        assert_eq!(rate.per_second(), 1.5);
        clock.advance(20_000);
        assert_eq!(rate.per_second(), 1.0, "the first sample is a minute old");
        clock.advance(60_000);
        assert_eq!((rate.per_second(), rate.count()), (0.0, 60));
    }

    #[test]
    fn times_are_forgotten() {
        let clock = ManualClock::at(0);
        let times = SampledTimes::new(clock.clone());
        assert!(times.max().is_nan() && times.average().is_nan());
        times.record(9.0);
        times.record(3.0);
        assert_eq!((times.max(), times.average()), (9.0, 6.0));
        clock.advance(30_000);
        times.record(1.0);
        assert_eq!(times.max(), 9.0);
        clock.advance(30_000);
        assert_eq!((times.max(), times.average()), (1.0, 1.0));
    }
}
