//! Counts events and their rate per second. Yammer: `Meter`, `EWMA`.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::common::clock::SharedClock;

/// The interval in milliseconds at which the averages are updated.
const TICK_MS: i64 = 5_000;
/// The number of minutes that each average covers.
const MINUTES: [f64; 3] = [1.0, 5.0, 15.0];

/// Counts events. Marking is one atomic addition.
pub struct Meter {
    count: AtomicU64,
    rates: Rates,
}

impl Meter {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self {
            count: AtomicU64::new(0),
            rates: Rates::new(clock),
        }
    }

    /// Records that `events` events happened.
    pub fn mark(&self, events: u64) {
        self.count.fetch_add(events, Ordering::Relaxed);
    }

    /// The number of events since the broker started.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The number of events per second, as moving averages over 1, 5 and 15 minutes.
    pub fn rates(&self) -> [f64; 3] {
        self.rates.at(self.count())
    }
}

/// Exponentially weighted moving averages of a growing count. They are updated when they are read: events since the
/// last update are treated as evenly spread. Yammer instead reads the clock at each mark.
pub(super) struct Rates {
    clock: SharedClock,
    moved: Mutex<Moved>,
}

struct Moved {
    at_ms: i64,
    count: u64,
    /// The averages per second; `None` before the first tick.
    averages: Option<[f64; 3]>,
}

impl Rates {
    pub(super) fn new(clock: SharedClock) -> Self {
        let moved = Moved {
            at_ms: clock.monotonic_ms(),
            count: 0,
            averages: None,
        };
        Self {
            clock,
            moved: Mutex::new(moved),
        }
    }

    /// The averages for the present count.
    pub(super) fn at(&self, count: u64) -> [f64; 3] {
        let mut moved = self.moved.lock();
        let ticks = (self.clock.monotonic_ms() - moved.at_ms) / TICK_MS;
        if ticks > 0 {
            let tick_seconds = TICK_MS as f64 / 1000.0;
            let rate = count.saturating_sub(moved.count) as f64 / (ticks as f64 * tick_seconds);
            let averages = moved.averages.map_or([rate; 3], |old| {
                std::array::from_fn(|i| {
                    // The weight of the old average after this number of ticks.
                    let past = (-tick_seconds * ticks as f64 / 60.0 / MINUTES[i]).exp();
                    rate + (old[i] - rate) * past
                })
            });
            *moved = Moved {
                at_ms: moved.at_ms + ticks * TICK_MS,
                count,
                averages: Some(averages),
            };
        }
        moved.averages.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::clock::ManualClock;

    #[test]
    fn rates_are_those_of_the_unix_load_average() {
        let clock = ManualClock::at(0);
        let meter = Meter::new(clock.clone());
        meter.mark(3);
        assert_eq!((meter.count(), meter.rates()), (3, [0.0; 3]));
        clock.advance(5_000);
        assert_eq!(meter.rates(), [0.6; 3]);
        // From Yammer's own test of EWMA: 0.6 per second falls to these rates after a minute without events.
        clock.advance(60_000);
        let [one, five, fifteen] = meter.rates();
        assert!((one - 0.220_727_66).abs() < 1e-6, "{one}");
        assert!((five - 0.491_238_45).abs() < 1e-6, "{five}");
        assert!((fifteen - 0.561_304_19).abs() < 1e-6, "{fifteen}");
    }

    #[test]
    fn looking_often_or_seldom_makes_no_difference_to_an_even_rate() {
        let clock = ManualClock::at(0);
        let (often, seldom) = (Meter::new(clock.clone()), Meter::new(clock.clone()));
        for meter in [&often, &seldom] {
            meter.mark(5);
        }
        clock.advance(5_000);
        assert_eq!(often.rates(), seldom.rates());
        for _ in 0..100 {
            often.mark(50);
            seldom.mark(50);
            clock.advance(5_000);
            often.rates();
        }
        for (a, b) in often.rates().iter().zip(seldom.rates()) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
    }
}
