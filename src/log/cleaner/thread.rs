//! The cleaner's threads: a loop around [`CleanerManager::clean_once`], and the start and stop of threads when the
//! configuration changes. Kafka 3.9: `LogCleaner`, `CleanerThread`.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::clean::Cleaner;
use super::config::CleanerConfig;
use super::manager::{CleanerManager, Worker};
use super::stats::{CleanerStats, PreCleanStats};
use super::throttler::Throttler;
use crate::common::clock::SharedClock;

#[derive(Default)]
struct SignalState {
    stopped: bool,
    /// A log may have to be cleaned.
    awake: bool,
}

/// Ends a thread, or wakes it.
#[derive(Default)]
struct ThreadSignal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

impl ThreadSignal {
    fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    fn wake(&self) {
        self.state.lock().awake = true;
        self.changed.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.state.lock().stopped
    }

    /// Sleeps until the time is over or another thread wakes this one.
    fn sleep(&self, time: Duration) {
        let mut state = self.state.lock();
        if !state.stopped && !state.awake {
            self.changed.wait_for(&mut state, time);
        }
        state.awake = false;
    }
}

/// The last round of a thread.
#[derive(Default)]
struct LastRound {
    stats: CleanerStats,
    pre_clean: PreCleanStats,
}

struct CleanerThread {
    signal: Arc<ThreadSignal>,
    last: Arc<Mutex<LastRound>>,
    handle: JoinHandle<()>,
}

/// The state that the threads share.
struct Shared {
    manager: Arc<CleanerManager>,
    throttler: Throttler,
    clock: SharedClock,
}

/// One thread, as its cleans see it.
struct ThisThread<'a> {
    shared: &'a Shared,
    signal: &'a ThreadSignal,
}

impl Worker for ThisThread<'_> {
    fn is_stopped(&self) -> bool {
        self.signal.is_stopped()
    }

    fn throttle(&self, bytes: usize) -> i64 {
        let now_ms = self.shared.clock.monotonic_ms();
        self.shared.throttler.observe(bytes, now_ms)
    }

    fn nap(&self, ms: i64) {
        std::thread::sleep(Duration::from_millis(ms.max(0) as u64));
    }
}

/// The cleaner of one broker.
pub struct LogCleaner {
    shared: Arc<Shared>,
    config: Mutex<CleanerConfig>,
    threads: Mutex<Vec<CleanerThread>>,
}

impl LogCleaner {
    /// A cleaner without threads.
    pub fn new(manager: Arc<CleanerManager>, config: CleanerConfig, clock: SharedClock) -> Self {
        let throttler = Throttler::new(config.io_max_bytes_per_second, clock.monotonic_ms());
        Self {
            shared: Arc::new(Shared {
                manager,
                throttler,
                clock,
            }),
            config: Mutex::new(config),
            threads: Mutex::default(),
        }
    }

    /// The manager of the cleaned logs.
    pub fn manager(&self) -> &Arc<CleanerManager> {
        &self.shared.manager
    }

    /// The current configuration.
    pub fn config(&self) -> CleanerConfig {
        self.config.lock().clone()
    }

    /// Whether `log.cleaner.enable` is set.
    pub fn is_enabled(&self) -> bool {
        self.config.lock().enable
    }

    /// Starts the threads, unless the cleaner is switched off.
    pub fn start(&self) {
        // Take the lock before reading the configuration: a caller that switches the cleaner off then finds the
        // threads.
        let mut threads = self.threads.lock();
        let config = self.config.lock().clone();
        if !config.enable {
            return;
        }
        for id in 0..config.threads {
            match spawn(id, &self.shared, &config) {
                Ok(thread) => threads.push(thread),
                Err(error) => tracing::error!(%error, "cannot start a cleaner thread"),
            }
        }
        tracing::info!(threads = threads.len(), "started the log cleaner");
    }

    /// Ends the threads and aborts their cleans. Returns when the threads have ended.
    pub fn stop(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        threads.iter().for_each(|thread| thread.signal.stop());
        for thread in threads {
            if thread.handle.join().is_err() {
                tracing::error!("a cleaner thread panicked");
            }
        }
    }

    /// Does [`Self::stop`], and allows no new start.
    pub fn shutdown(&self) {
        self.config.lock().enable = false;
        self.stop();
    }

    /// Applies another configuration. If it affects the threads, they end and start again with their share of the
    /// buffers.
    pub fn reconfigure(&self, config: CleanerConfig) {
        let before = {
            let mut current = self.config.lock();
            let config = CleanerConfig {
                enable: current.enable,
                ..config
            };
            if *current == config {
                return;
            }
            std::mem::replace(&mut *current, config)
        };
        let now = self.config.lock().clone();
        tracing::info!(?now, "the log cleaner has another configuration");
        self.shared.throttler.set_rate(now.io_max_bytes_per_second);
        let only_the_rate = CleanerConfig {
            io_max_bytes_per_second: now.io_max_bytes_per_second,
            ..before
        };
        if only_the_rate != now && !self.threads.lock().is_empty() {
            self.stop();
            self.start();
        }
    }

    /// Wakes sleeping threads to check for work.
    pub fn wake(&self) {
        self.threads.lock().iter().for_each(|thread| thread.signal.wake());
    }

    /// The statistics of each thread's last clean and last selection.
    pub fn last_rounds(&self) -> Vec<(CleanerStats, PreCleanStats)> {
        let threads = self.threads.lock();
        let last = threads.iter().map(|thread| {
            let last = thread.last.lock();
            (last.stats.clone(), last.pre_clean)
        });
        last.collect()
    }

    /// Threads that ended without being told to.
    pub fn dead_threads(&self) -> usize {
        let threads = self.threads.lock();
        threads
            .iter()
            .filter(|thread| thread.handle.is_finished())
            .count()
    }
}

fn spawn(id: usize, shared: &Arc<Shared>, config: &CleanerConfig) -> std::io::Result<CleanerThread> {
    let (signal, last): (Arc<ThreadSignal>, Arc<Mutex<LastRound>>) = Default::default();
    let backoff = Duration::from_millis(config.backoff_ms);
    let mut cleaner = Cleaner::new(config, Arc::clone(&shared.clock));
    let (shared, thread_signal, thread_last) = (Arc::clone(shared), Arc::clone(&signal), Arc::clone(&last));
    let handle = std::thread::Builder::new()
        .name(format!("log-cleaner-{id}"))
        .spawn(move || {
            let worker = ThisThread {
                shared: &shared,
                signal: &thread_signal,
            };
            while !thread_signal.is_stopped() {
                let round = shared.manager.clean_once(&mut cleaner, id, &worker);
                let mut last = thread_last.lock();
                last.stats = round.stats.unwrap_or_else(|| last.stats.clone());
                last.pre_clean = round.pre_clean.unwrap_or(last.pre_clean);
                drop(last);
                if !round.cleaned {
                    thread_signal.sleep(backoff);
                }
            }
        })?;
    Ok(CleanerThread { signal, last, handle })
}
