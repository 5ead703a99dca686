//! How often something happens and how long it takes. Yammer: `Timer`.

use std::time::Duration;

use super::histogram::{Histogram, HistogramSnapshot};
use super::meter::Rates;
use crate::common::clock::SharedClock;

/// Records durations, in microseconds; they are shown in milliseconds, as Kafka's are.
pub struct Timer {
    micros: Histogram,
    rates: Rates,
}

impl Timer {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self {
            micros: Histogram::new(clock.clone()),
            rates: Rates::new(clock),
        }
    }

    /// It happened, and took this long.
    pub fn update(&self, duration: Duration) {
        self.micros
            .update(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// How often it happened.
    pub fn count(&self) -> u64 {
        self.micros.count()
    }

    /// How often a second, as moving averages over 1, 5 and 15 minutes.
    pub fn rates(&self) -> [f64; 3] {
        self.rates.at(self.count())
    }

    /// How long it took, in microseconds.
    pub fn snapshot(&self) -> HistogramSnapshot {
        self.micros.snapshot()
    }
}
