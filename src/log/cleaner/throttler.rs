//! Keeps all cleaner threads together below `log.cleaner.io.max.bytes.per.second`. Kafka 3.9: `Throttler`.

use parking_lot::Mutex;

/// How often the rate is checked: pauses are long enough to be exact, and short enough to avoid bursts.
const CHECK_INTERVAL_MS: i64 = 300;

struct Period {
    start_ms: i64,
    bytes: f64,
}

/// A limit shared by threads.
pub struct Throttler {
    bytes_per_second: Mutex<f64>,
    period: Mutex<Period>,
}

impl Throttler {
    /// A limit in bytes per second.
    pub fn new(bytes_per_second: f64, now_ms: i64) -> Self {
        Self {
            bytes_per_second: Mutex::new(bytes_per_second),
            period: Mutex::new(Period {
                start_ms: now_ms,
                bytes: 0.0,
            }),
        }
    }

    /// Changes the limit.
    pub fn set_rate(&self, bytes_per_second: f64) {
        *self.bytes_per_second.lock() = bytes_per_second;
    }

    /// Counts bytes. Returns how many milliseconds the caller must pause to meet the rate. `now_ms` is monotonic.
    pub fn observe(&self, bytes: usize, now_ms: i64) -> i64 {
        let rate = *self.bytes_per_second.lock();
        let mut period = self.period.lock();
        period.bytes += bytes as f64;
        let elapsed_ms = now_ms - period.start_ms;
        if elapsed_ms < CHECK_INTERVAL_MS || period.bytes == 0.0 {
            return 0;
        }
        let wanted_ms = period.bytes / rate * 1000.0;
        *period = Period {
            start_ms: now_ms,
            bytes: 0.0,
        };
        let pause_ms = (wanted_ms - elapsed_ms as f64).max(0.0) as i64;
        // The pause belongs to the period that has just ended.
        period.start_ms += pause_ms;
        pause_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_bring_the_rate_down_to_the_limit() {
        let throttler = Throttler::new(1000.0, 0);
        let (mut now, mut bytes) = (0, 0);
        while now < 60_000 {
            bytes += 100;
            now += 10 + throttler.observe(100, now);
        }
        let rate = bytes as f64 / (now as f64 / 1000.0);
        assert!((900.0..=1100.0).contains(&rate), "{rate} bytes a second");
        throttler.set_rate(f64::MAX);
        assert!((0..100).all(|i| throttler.observe(1 << 20, now + i * 400) == 0));
    }
}
