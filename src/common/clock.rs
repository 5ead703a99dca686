//! The clock: the only code that reads the time. Everything that waits or expires takes a [`Clock`], so that tests
//! control the time.

use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

/// A source of wall-clock and monotonic time, both in milliseconds.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970, as in records and znodes. May jump.
    fn wall_ms(&self) -> i64;
    /// Milliseconds since some fixed point in the past. Never goes back; for timeouts and lags.
    fn monotonic_ms(&self) -> i64;
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The operating system's time.
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts a minute in the past, so that "a while ago" is never negative.
    pub fn shared() -> SharedClock {
        Arc::new(Self {
            start: Instant::now(),
        })
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of time")]
    fn wall_ms(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |d| d.as_millis() as i64)
    }

    fn monotonic_ms(&self) -> i64 {
        60_000 + self.start.elapsed().as_millis() as i64
    }
}

/// A clock that moves only when a test moves it.
#[cfg(test)]
#[derive(Default)]
pub struct ManualClock {
    now_ms: AtomicI64,
}

#[cfg(test)]
impl ManualClock {
    /// A clock that stands at `now_ms` for both kinds of time.
    pub fn at(now_ms: i64) -> Arc<Self> {
        Arc::new(Self {
            now_ms: AtomicI64::new(now_ms),
        })
    }

    /// Moves both kinds of time forward.
    pub fn advance(&self, by_ms: i64) {
        self.now_ms.fetch_add(by_ms, Ordering::SeqCst);
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn wall_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn monotonic_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }
}
