//! The log manager's background jobs and its shutdown. Each job is a method that does it once; the scheduler calls it
//! repeatedly.

use std::sync::{Arc, Weak};

use super::{LogManager, ManagedDir};
use crate::common::parallel;
use crate::log::checkpoint::clean_shutdown;
use crate::log::error::LogError;
use crate::log::unified_log::UnifiedLog;

/// Threads for background jobs: one may wait for a disk while the other runs the periodic jobs.
const BACKGROUND_THREADS: usize = 2;

impl LogManager {
    /// Starts the threads of retention, flush, checkpoints and deletion, and those of the cleaner.
    pub fn start_background(self: &Arc<Self>) {
        let every = |interval_ms: u64, job: fn(&LogManager)| {
            let manager: Weak<LogManager> = Arc::downgrade(self);
            let initial_ms = self.intervals.initial_delay;
            self.scheduler.repeat(initial_ms, interval_ms, move || {
                if let Some(manager) = manager.upgrade() {
                    job(&manager);
                }
            });
        };
        let intervals = &self.intervals;
        every(intervals.retention, |m| m.delete_old_segments());
        every(intervals.flush, |m| m.flush_old());
        every(intervals.recovery_point_checkpoint, |m| {
            m.checkpoint_recovery_points()
        });
        every(intervals.start_offset_checkpoint, |m| {
            m.checkpoint_log_start_offsets()
        });
        every(intervals.producer_expiration, |m| m.remove_expired_producers());
        self.cleaner.start();
        let mut threads = self.threads.lock();
        for i in 0..BACKGROUND_THREADS {
            let scheduler = Arc::clone(&self.scheduler);
            let thread = std::thread::Builder::new()
                .name(format!("log-background-{i}"))
                .spawn(move || scheduler.run());
            match thread {
                Ok(thread) => threads.push(thread),
                Err(error) => tracing::error!(%error, "cannot start a background thread"),
            }
        }
    }

    /// Applies retention once, and releases the files of inactive segments. The cleaner applies retention to compacted
    /// logs; without a cleaner they stay as they are, as in Kafka.
    pub fn delete_old_segments(&self) {
        for log in self.all_logs() {
            if !log.config().cleanup_policy.compact {
                // The failure of a dir was reported where it happened.
                let delete = || drop(log.delete_old_segments());
                self.cleaner
                    .manager()
                    .unless_cleaning(log.topic_partition(), delete);
            }
            log.release_idle();
        }
        for copy in self.all_future_logs() {
            if !copy.config().cleanup_policy.compact {
                drop(copy.delete_old_segments());
            }
            copy.release_idle();
        }
    }

    /// Applies `flush.ms` once.
    pub fn flush_old(&self) {
        for log in self.all_logs().iter().chain(&self.all_future_logs()) {
            drop(log.flush_if_old());
        }
    }

    /// Applies `producer.id.expiration.ms` once.
    pub fn remove_expired_producers(&self) {
        for log in self.all_logs().iter().chain(&self.all_future_logs()) {
            log.remove_expired_producers();
        }
    }

    /// Flushes and closes every log, and writes the checkpoints and the clean-shutdown marker. A dir in which any of
    /// this fails gets no marker. The replica manager writes the high watermarks before.
    pub fn shutdown(&self) {
        if std::mem::replace(&mut *self.stopped.lock(), true) {
            return;
        }
        self.cleaner.shutdown();
        self.scheduler.stop();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a background thread of the log panicked");
            }
        }
        parallel::map(&self.dirs, self.dirs.len(), |managed| self.shut_down_dir(managed));
    }

    fn shut_down_dir(&self, managed: &ManagedDir) {
        let dir = &managed.dir;
        if dir.is_offline() {
            return;
        }
        let here = |log: &Arc<UnifiedLog>| Arc::ptr_eq(log.log_dir(), dir);
        let mut logs = self.all_logs();
        logs.extend(self.all_future_logs());
        logs.retain(here);
        let closed = parallel::map(&logs, self.threads_per_dir(), |log| log.close());
        let closed: Result<Vec<()>, LogError> = closed.into_iter().collect();
        let checkpointed =
            closed.is_ok() && managed.checkpoint_recovery_points() && managed.checkpoint_log_start_offsets();
        // The marker is the last write: everything that it promises is on disk (fact 47).
        if checkpointed && dir.check(clean_shutdown::write(dir.fs(), dir.path())).is_ok() {
            tracing::info!(dir = %dir.path().display(), logs = logs.len(), "closed log dir");
        }
        managed.lock.lock().take();
    }
}

/// The functions that a simulation calls instead of running threads.
#[cfg(test)]
impl LogManager {
    /// [`Self::open`] on a simulated file system.
    pub(in crate::log) fn open_on(
        fs: crate::log::fs::Fs,
        config: &crate::config::BrokerConfig,
        topic_config: &crate::config::LogConfig,
        clock: crate::common::clock::SharedClock,
    ) -> Result<Arc<Self>, crate::log::error::LogDirsError> {
        let (configs, metrics) = (
            |_: &str| topic_config.clone(),
            crate::metrics::Registry::default(),
        );
        super::opening::open(config, &configs, clock, &metrics, fs)
    }

    /// Runs every background job once.
    pub fn run_background_jobs(&self) {
        self.delete_old_segments();
        self.flush_old();
        self.scheduler.run_due();
        self.checkpoint_recovery_points();
        self.checkpoint_log_start_offsets();
    }

    /// Releases the dirs as the end of the process does, even while other values still refer to this one.
    pub fn abandon(&self) {
        for managed in &self.dirs {
            managed.lock.lock().take();
        }
    }
}
