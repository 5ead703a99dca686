//! Records how often an action happens and how long it takes. Yammer: `Timer`.

use std::time::Duration;

use super::histogram::{Histogram, HistogramSnapshot};
use super::meter::Rates;
use crate::common::clock::SharedClock;

/// Records durations in microseconds. As in Kafka, they are shown in milliseconds.
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

    /// Records one action of this duration.
    pub fn update(&self, duration: Duration) {
        self.micros
            .update(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// The number of actions since the broker started.
    pub fn count(&self) -> u64 {
        self.micros.count()
    }

    /// The number of actions per second, as moving averages over 1, 5 and 15 minutes.
    pub fn rates(&self) -> [f64; 3] {
        self.rates.at(self.count())
    }

    /// The durations, in microseconds.
    pub fn snapshot(&self) -> HistogramSnapshot {
        self.micros.snapshot()
    }
}
