//! A limit of real time for tests that wait for other threads or for sockets, independent of the test's own clock.

use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::Duration;

/// Longer than any wait of a unit test on a loaded machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Gives a test [`LIMIT`] while this lives. After that the process ends and names the test, because a test cannot be
/// failed in another way while a thread of it hangs.
pub struct Limit {
    _alive: SyncSender<()>,
}

impl Limit {
    /// Starts the limit for the test on this thread.
    pub fn start() -> Self {
        Self::of(LIMIT, |test| {
            eprintln!("{test} hangs");
            std::process::abort();
        })
    }

    fn of(limit: Duration, on_exceeded: impl FnOnce(&str) + Send + 'static) -> Self {
        let (alive, dropped) = mpsc::sync_channel(0);
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        std::thread::spawn(move || {
            if dropped.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                on_exceeded(&test);
            }
        });
        Self { _alive: alive }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_outlives_the_limit_is_told() {
        let (told, exceeded) = mpsc::channel();
        let tell = |told: &mpsc::Sender<String>| {
            let told = told.clone();
            move |test: &str| told.send(test.to_owned()).unwrap()
        };
        drop(Limit::of(Duration::from_secs(60), tell(&told)));
        let kept = Limit::of(Duration::from_millis(1), tell(&told));
        let test = exceeded.recv_timeout(LIMIT).unwrap();
        assert!(test.ends_with("only_what_outlives_the_limit_is_told"), "{test}");
        drop((kept, told));
        assert!(
            exceeded.recv_timeout(LIMIT).is_err(),
            "the other one was dropped in time"
        );
    }
}
