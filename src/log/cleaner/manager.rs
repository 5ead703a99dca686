//! The cleaner manager: chooses the next log to clean and keeps the cleaning state of all logs. Kafka 3.9:
//! `LogCleanerManager`, and the body of `CleanerThread`.
//!
//! Lock order: the manager holds no lock while it reads or writes a log, except for `selecting`, under which one thread
//! at a time looks at every compacted log.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::checkpoint::CleanerCheckpoint;
use super::clean::{Cleaner, Watch};
use super::error::CleanError;
use super::quarantine::{Quarantine, Quarantined, uncleanable_partition};
use super::selection::LogToClean;
use super::states::{CleaningStates, Paused};
use super::stats::{CleanerStats, PreCleanStats};
use crate::common::clock::SharedClock;
use crate::common::ids::{Offset, TopicPartition};
use crate::log::dir::LogDir;
use crate::log::unified_log::{Logs, UnifiedLog};
use crate::metrics::{MetricName, Registry};

/// A log dir with the cleaner's state for it.
pub struct CleanerDir {
    /// The dir.
    pub dir: Arc<LogDir>,
    /// `cleaner-offset-checkpoint`.
    pub checkpoint: Arc<CleanerCheckpoint>,
}

/// The result of one round of a thread.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Round {
    /// The thread cleaned a log to the end; there may be another one.
    pub cleaned: bool,
    /// The statistics of that clean.
    pub stats: Option<CleanerStats>,
    /// The statistics of the selection.
    pub pre_clean: Option<PreCleanStats>,
}

/// Chooses logs, guards them while they are cleaned, and knows how far they are clean.
pub struct CleanerManager {
    logs: Arc<RwLock<Logs>>,
    dirs: Vec<CleanerDir>,
    clock: SharedClock,
    states: Arc<CleaningStates>,
    quarantine: Mutex<Quarantine>,
    /// The registry that shows each partition in quarantine.
    metrics: Registry,
    selecting: Mutex<()>,
    /// Dirty ratio of the dirtiest log at the last selection, as the bits of an `f64`.
    dirtiest_ratio: AtomicU64,
    /// Monotonic time of the last selection.
    last_run_ms: AtomicI64,
}

/// Longest sleep of a throttled thread before it checks whether the clean is still wanted.
const NAP_MS_MAX: i64 = 100;

/// The thread that a clean runs on.
pub trait Worker {
    /// Whether the thread has to end.
    fn is_stopped(&self) -> bool;
    /// Counts bytes read or written. Returns for how many milliseconds the thread should sleep.
    fn throttle(&self, bytes: usize) -> i64;
    /// Sleeps.
    fn nap(&self, ms: i64);
}

/// The check that a clean makes between two pieces of work.
struct Aborts<'a> {
    manager: &'a CleanerManager,
    log: &'a UnifiedLog,
    truncations: u64,
    worker: &'a dyn Worker,
}

impl Watch for Aborts<'_> {
    fn proceed(&self, bytes: usize) -> Result<(), CleanError> {
        self.check()?;
        let mut left_ms = self.worker.throttle(bytes);
        while left_ms > 0 {
            self.worker.nap(left_ms.min(NAP_MS_MAX));
            left_ms -= NAP_MS_MAX;
            self.check()?;
        }
        self.check()
    }
}

impl Aborts<'_> {
    fn check(&self) -> Result<(), CleanError> {
        let partition = self.log.topic_partition();
        let is_unwanted = self.worker.is_stopped()
            || self.manager.states.is_aborted(partition)
            || self.log.is_outdated(self.truncations);
        match is_unwanted {
            true => Err(CleanError::Aborted),
            false => Ok(()),
        }
    }
}

impl CleanerManager {
    /// A manager of the logs in these dirs.
    pub(in crate::log) fn new(
        logs: Arc<RwLock<Logs>>,
        dirs: Vec<CleanerDir>,
        clock: SharedClock,
        metrics: Registry,
    ) -> Self {
        let last_run_ms = AtomicI64::new(clock.monotonic_ms());
        Self {
            logs,
            dirs,
            clock,
            states: Arc::default(),
            quarantine: Mutex::default(),
            metrics,
            selecting: Mutex::default(),
            dirtiest_ratio: AtomicU64::new(0),
            last_run_ms,
        }
    }

    /// One round of a cleaner thread: cleans the filthiest log, if one is filthy enough, and applies the retention of
    /// compacted logs.
    pub fn clean_once(&self, cleaner: &mut Cleaner, thread_id: usize, worker: &dyn Worker) -> Round {
        let mut round = Round::default();
        if let Some((target, pre_clean)) = self.grab_filthiest_log() {
            round.pre_clean = Some(pre_clean);
            let partition = target.log.topic_partition().clone();
            let cleaned = self.clean_log(cleaner, &target, worker);
            if let Some((end, stats)) = self.done_cleaning(&target, cleaned) {
                stats.log(thread_id, &partition, target.first_dirty_offset, end, &pre_clean);
                round.cleaned = true;
                round.stats = Some(stats);
            }
            self.states.end(&partition);
        }
        self.delete_old_segments(worker);
        self.forget_deleted();
        round
    }

    /// Takes the log that needs cleaning most for the caller.
    fn grab_filthiest_log(&self) -> Option<(LogToClean, PreCleanStats)> {
        let _selecting = self.selecting.lock();
        let now_ms = self.clock.wall_ms();
        self.last_run_ms
            .store(self.clock.monotonic_ms(), Ordering::Relaxed);
        let mut pre_clean = PreCleanStats::default();
        let mut dirtiest = 0.0f64;
        let mut due: Vec<LogToClean> = Vec::new();
        for log in self.compacted_logs() {
            let Some(target) = self.look_at(&log, now_ms) else {
                continue;
            };
            if target.compaction_delay_ms > 0 {
                pre_clean.delayed_partitions += 1;
                pre_clean.max_compaction_delay_ms =
                    pre_clean.max_compaction_delay_ms.max(target.compaction_delay_ms);
            }
            dirtiest = dirtiest.max(target.cleanable_ratio());
            if target.is_due() {
                due.push(target);
            }
        }
        self.dirtiest_ratio.store(dirtiest.to_bits(), Ordering::Relaxed);
        pre_clean.cleanable_partitions = due.len();
        let filthiest = due
            .into_iter()
            .max_by(|a, b| a.cleanable_ratio().total_cmp(&b.cleanable_ratio()))?;
        // The log may have been paused since the selection looked at it.
        let taken = self.states.try_begin(filthiest.log.topic_partition());
        taken.then_some((filthiest, pre_clean))
    }

    fn compacted_logs(&self) -> Vec<Arc<UnifiedLog>> {
        let logs = self.logs.read();
        let compacted = logs.values().filter(|log| log.config().cleanup_policy.compact);
        compacted.cloned().collect()
    }

    /// What can be cleaned of a log; `None` if the cleaner must leave it alone.
    fn look_at(&self, log: &Arc<UnifiedLog>, now_ms: i64) -> Option<LogToClean> {
        let partition = log.topic_partition();
        let is_left_alone = log.dir().is_offline()
            || self.states.is_taken(partition)
            || self.quarantine.lock().holds(partition, self.clock.monotonic_ms());
        if is_left_alone {
            return None;
        }
        let checkpoint = self.checkpoint_of(log)?;
        match LogToClean::new(log, checkpoint.get(partition), now_ms) {
            Ok(target) => {
                if target.resets_checkpoint {
                    drop(
                        log.dir()
                            .check(checkpoint.update(partition, target.first_dirty_offset)),
                    );
                }
                Some(target)
            }
            Err(error) => {
                if let CleanError::Uncleanable(reason) = CleanError::from_io(log.dir(), &error) {
                    self.add_to_quarantine(log, reason);
                }
                None
            }
        }
    }

    /// Cleans a log. Every failure, even a panic, becomes an error of this log.
    fn clean_log(
        &self,
        cleaner: &mut Cleaner,
        target: &LogToClean,
        worker: &dyn Worker,
    ) -> Result<(Offset, CleanerStats), CleanError> {
        let watch = Aborts {
            manager: self,
            log: &target.log,
            truncations: target.truncations,
            worker,
        };
        let cleaned = catch_unwind(AssertUnwindSafe(|| cleaner.clean(target, &watch)));
        let cleaned = cleaned.unwrap_or_else(|_| {
            Err(CleanError::Uncleanable(
                "the cleaner panicked, which is a bug of it".to_owned(),
            ))
        });
        match cleaned {
            // A truncation or a deletion during the read may have caused the error.
            Err(CleanError::Uncleanable(_)) if watch.check().is_err() => Err(CleanError::Aborted),
            Err(CleanError::Uncleanable(_)) if target.log.open_path().is_err() => Err(CleanError::Aborted),
            result => result,
        }
    }

    /// Records the outcome of a clean. Returns its end and statistics if it completed.
    fn done_cleaning(
        &self,
        target: &LogToClean,
        cleaned: Result<(Offset, CleanerStats), CleanError>,
    ) -> Option<(Offset, CleanerStats)> {
        let partition = target.log.topic_partition();
        match cleaned {
            Ok((end, stats)) => {
                if let Some(checkpoint) = self.checkpoint_of(&target.log) {
                    let dir = target.log.dir();
                    drop(dir.check(checkpoint.update(partition, end)));
                    // A truncation has lowered the checkpoint, perhaps before this point.
                    if target.log.is_outdated(target.truncations) {
                        let active = target.log.active_segment_base_offset();
                        drop(dir.check(checkpoint.truncate(partition, active)));
                    }
                }
                if self.change_quarantine(|quarantine| quarantine.remove(partition)) {
                    tracing::info!(log = %partition, "a log that could not be cleaned is clean");
                }
                return Some((end, stats));
            }
            Err(CleanError::Aborted) => tracing::info!(log = %partition, "cleaning aborted"),
            Err(CleanError::Uncleanable(reason)) => self.add_to_quarantine(&target.log, reason),
            // The error was logged when the dir went offline.
            Err(CleanError::Storage(error)) => tracing::debug!(log = %partition, %error, "cleaning ended"),
        }
        None
    }

    fn add_to_quarantine(&self, log: &UnifiedLog, reason: String) {
        let (partition, dir) = (log.topic_partition(), log.dir().path().to_owned());
        let now_ms = self.clock.monotonic_ms();
        let retry_in_ms =
            self.change_quarantine(|quarantine| quarantine.add(partition, dir, reason.clone(), now_ms));
        tracing::warn!(
            log = %partition, reason, retry_in_ms,
            "cannot clean log; it stays as it is, a changed configuration of its topic has it tried again at once"
        );
    }

    /// Applies retention to compacted logs; the log manager does so for the others.
    fn delete_old_segments(&self, worker: &dyn Worker) {
        for log in self.compacted_logs() {
            if worker.is_stopped() {
                return;
            }
            if self.states.try_begin(log.topic_partition()) {
                // The failure of a dir was reported where it happened.
                drop(log.delete_old_segments());
                self.states.end(log.topic_partition());
            }
        }
    }

    fn forget_deleted(&self) {
        let logs = self.logs.read();
        let is_gone = {
            let quarantine = self.quarantine.lock();
            quarantine
                .iter()
                .any(|(partition, _)| !logs.contains_key(partition))
        };
        if is_gone {
            self.change_quarantine(|quarantine| quarantine.retain(|partition| logs.contains_key(partition)));
        }
    }

    /// Changes the quarantine and updates the metrics that show it.
    fn change_quarantine<T>(&self, change: impl FnOnce(&mut Quarantine) -> T) -> T {
        let mut quarantine = self.quarantine.lock();
        let shown = |quarantine: &Quarantine| -> BTreeSet<MetricName> {
            let names = quarantine.iter().map(|(p, q)| uncleanable_partition(p, q));
            names.collect()
        };
        let before = shown(&quarantine);
        let result = change(&mut quarantine);
        let after = shown(&quarantine);
        before
            .difference(&after)
            .for_each(|name| self.metrics.remove(name));
        for name in after.difference(&before) {
            self.metrics.gauge(name.clone(), || 1.0);
        }
        result
    }

    fn checkpoint_of(&self, log: &UnifiedLog) -> Option<&Arc<CleanerCheckpoint>> {
        let dir = self.dirs.iter().find(|dir| Arc::ptr_eq(&dir.dir, log.dir()));
        dir.map(|dir| &dir.checkpoint)
    }

    /// Keeps the cleaner away from a partition. Returns when no thread is cleaning it.
    pub fn abort_and_pause(&self, partition: &TopicPartition) -> Paused {
        self.states.abort_and_pause(partition)
    }

    /// Does work that must not run during a clean of a log that is not compacted: retention. `None` if a thread still
    /// cleans the log, as after a change of policy.
    pub fn unless_cleaning<T>(&self, partition: &TopicPartition, work: impl FnOnce() -> T) -> Option<T> {
        self.states.try_begin(partition).then(|| {
            let result = work();
            self.states.end(partition);
            result
        })
    }

    /// Handles a changed topic configuration: stops cleaning the topic's partitions that are not compacted (any more),
    /// and allows a new attempt on those that could not be cleaned.
    pub fn on_topic_config_change(&self, topic: &str, not_compacted: &[TopicPartition]) {
        self.quarantine
            .lock()
            .retry_topic(topic, self.clock.monotonic_ms());
        for partition in not_compacted {
            self.states.abort(partition);
        }
    }

    /// Moves a partition's checkpoint entry to another log dir.
    pub fn alter_checkpoint_dir(&self, partition: &TopicPartition, from: &Path, to: &Path) {
        let find = |path: &Path| self.dirs.iter().find(|dir| dir.dir.path() == path);
        let (Some(from), Some(to)) = (find(from), find(to)) else {
            return;
        };
        if let Some(offset) = from.checkpoint.get(partition) {
            let removed = from.checkpoint.remove(std::slice::from_ref(partition));
            drop(from.dir.check(removed));
            drop(to.dir.check(to.checkpoint.update(partition, offset)));
        }
        self.change_quarantine(|quarantine| quarantine.move_to(partition, to.dir.path().to_owned()));
    }

    /// First dirty offset of a partition; `None` if it was never cleaned.
    pub fn checkpointed(&self, partition: &TopicPartition) -> Option<Offset> {
        self.dirs.iter().find_map(|dir| dir.checkpoint.get(partition))
    }

    /// The partitions that cannot be cleaned, and why.
    pub fn uncleanable_partitions(&self) -> Vec<(TopicPartition, Quarantined)> {
        let quarantine = self.quarantine.lock();
        let mut all: Vec<_> = quarantine.iter().map(|(p, q)| (p.clone(), q.clone())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Bytes in a log dir that are dirty but cannot be cleaned.
    pub fn uncleanable_bytes(&self, dir: &Path) -> u64 {
        let now_ms = self.clock.wall_ms();
        let bytes = |partition: &TopicPartition| {
            let log = self.logs.read().get(partition).cloned()?;
            let checkpointed = self.checkpoint_of(&log)?.get(partition);
            Some(LogToClean::new(&log, checkpointed, now_ms).ok()?.cleanable_bytes)
        };
        let uncleanable = self.uncleanable_partitions();
        let here = uncleanable
            .iter()
            .filter(|(_, quarantined)| quarantined.dir == dir);
        here.filter_map(|(partition, _)| bytes(partition)).sum()
    }

    /// Dirty ratio of the dirtiest log at the last selection.
    pub fn dirtiest_ratio(&self) -> f64 {
        f64::from_bits(self.dirtiest_ratio.load(Ordering::Relaxed))
    }

    /// Milliseconds since the last selection.
    pub fn time_since_last_run_ms(&self) -> i64 {
        self.clock.monotonic_ms() - self.last_run_ms.load(Ordering::Relaxed)
    }

    /// The log dirs.
    pub fn dirs(&self) -> &[CleanerDir] {
        &self.dirs
    }
}
