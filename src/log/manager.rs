//! The log manager: the log dirs of one broker and the logs in them. Kafka 3.9: `LogManager`.
//!
//! A dir that fails goes offline alone, and the other dirs go on. Its logs answer with storage errors until
//! [`LogManager::take_failed_dirs`] releases them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::checkpoint::offset::{
    CLEANER_OFFSET_FILE, HIGH_WATERMARK_FILE, LOG_START_OFFSET_FILE, OffsetCheckpoint, RECOVERY_POINT_FILE,
};
use super::cleaner::LogCleaner;
use super::cleaner::checkpoint::CleanerCheckpoint;
use super::cleaner::states::Paused;
use super::dir::{FailureChannel, LogDir};
use super::dir_lock::DirLock;
use super::error::LogError;
use super::fs::is_refusal;
use super::loader::{LoadParameters, load};
use super::names::{PartitionDirKind, partition_dir_with_suffix};
use super::scheduler::Scheduler;
use super::unified_log::{LogContext, LogMetrics, Logs, UnifiedLog};
use crate::common::clock::SharedClock;
use crate::common::ids::{Offset, TopicId, TopicPartition};
#[cfg(test)]
use crate::common::seeded;
use crate::config::LogConfig;
use crate::metrics::Registry;

mod background;
mod checkpoints;
mod configuration;
mod future;
mod loading_progress;
mod metrics;
mod opening;

/// A log dir with the manager's state for it.
struct ManagedDir {
    dir: Arc<LogDir>,
    /// The logs of all dirs, including this one.
    logs: LogTables,
    /// The context that its logs share.
    context: Arc<LogContext>,
    /// Released when the dir fails, or when the manager shuts down.
    lock: Mutex<Option<DirLock>>,
    recovery_points: OffsetCheckpoint,
    log_start_offsets: OffsetCheckpoint,
    high_watermark_file: OffsetCheckpoint,
    cleaner_checkpoint: Arc<CleanerCheckpoint>,
    /// The content of `high_watermark_file`; the lock orders its writers.
    high_watermarks: Mutex<HashMap<TopicPartition, Offset>>,
    /// Orders the writers of the other checkpoints.
    checkpointing: Mutex<()>,
    /// Whether logs have been created since the dir was last fsynced.
    sync_is_due: AtomicBool,
}

/// The logs of all dirs. A dir has at most one of them for each partition.
#[derive(Clone, Default)]
struct LogTables {
    current: Arc<RwLock<Logs>>,
    /// Copies that will replace a log of another dir (`-future`).
    future: Arc<RwLock<Logs>>,
}

/// Intervals of the background jobs, in milliseconds.
struct Intervals {
    initial_delay: u64,
    retention: u64,
    flush: u64,
    recovery_point_checkpoint: u64,
    start_offset_checkpoint: u64,
    producer_expiration: u64,
}

/// The log directories of one broker.
pub struct LogManager {
    dirs: Vec<Arc<ManagedDir>>,
    logs: LogTables,
    /// The dir chosen for a partition's log, existing or not.
    preferred_dirs: Mutex<HashMap<TopicPartition, Arc<ManagedDir>>>,
    /// Partitions whose log is being copied. Their cleaning is paused, so that the log and its copy keep the same
    /// records.
    moving: Mutex<HashMap<TopicPartition, Paused>>,
    /// Held while a log is created or deleted, so that a partition has only one directory.
    creating: Mutex<()>,
    /// Held while a topic's configuration is read and applied.
    configuring: Mutex<()>,
    failures: Arc<FailureChannel>,
    clock: SharedClock,
    scheduler: Arc<Scheduler>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// `num.recovery.threads.per.data.dir`.
    threads_per_dir: AtomicUsize,
    /// `producer.id.expiration.ms`, shared with every log.
    producer_id_expiration_ms: Arc<AtomicI64>,
    /// `log.segment.delete.delay.ms`, for directories that were still to be removed when the broker stopped.
    file_delete_delay_ms: i64,
    intervals: Intervals,
    cleaner: LogCleaner,
    /// Set by the first call of [`LogManager::shutdown`].
    stopped: Mutex<bool>,
}

impl LogManager {
    /// The log of a partition, if an online dir has one.
    pub fn get_log(&self, partition: &TopicPartition) -> Option<Arc<UnifiedLog>> {
        self.logs.current.read().get(partition).cloned()
    }

    /// Every log, in no particular order.
    pub fn all_logs(&self) -> Vec<Arc<UnifiedLog>> {
        let logs: Vec<_> = self.logs.current.read().values().cloned().collect();
        #[cfg(test)]
        let logs = seeded::arranged(logs, |log| log.topic_partition().clone());
        logs
    }

    /// The partition's log, created if there is none: in its preferred dir, or in the dir with the fewest logs.
    /// `is_new` means that the controller says that no replica existed on this broker before. Without it no log is
    /// created while a dir is offline, because the log may be there (fact 15). A new log's directory survives a power
    /// loss only after [`Self::sync_created_logs`].
    pub fn get_or_create_log(
        &self,
        partition: &TopicPartition,
        topic_id: Option<TopicId>,
        is_new: bool,
        config: LogConfig,
    ) -> Result<Arc<UnifiedLog>, LogError> {
        let log = self.get_or_create(partition, is_new, config)?;
        // Assigning the id takes an fsync, so partitions do it in parallel, without the lock.
        if let Some(id) = topic_id.filter(|id| !id.is_nil()) {
            log.assign_topic_id(id)?;
        }
        Ok(log)
    }

    fn get_or_create(
        &self,
        partition: &TopicPartition,
        is_new: bool,
        config: LogConfig,
    ) -> Result<Arc<UnifiedLog>, LogError> {
        let _creating = self.creating.lock();
        if let Some(log) = self.get_log(partition) {
            return Ok(log);
        }
        if !is_new {
            self.ensure_all_online()?;
        }
        let dir = self.dir_for_new_log(partition)?;
        self.give_up_copy_in(&dir.dir, partition);
        let log = self.create_log(&dir, &partition.to_string(), partition, config)?;
        self.logs
            .current
            .write()
            .insert(partition.clone(), Arc::clone(&log));
        self.preferred_dirs.lock().remove(partition);
        tracing::info!(log = %partition, dir = %dir.dir.path().display(), "created log");
        Ok(log)
    }

    /// Returns an error if any dir is offline: a log that is not found may be there.
    fn ensure_all_online(&self) -> Result<(), LogError> {
        self.dirs.iter().try_for_each(|d| d.dir.ensure_online())
    }

    /// The preferred dir, or the online one with the fewest logs.
    fn dir_for_new_log(&self, partition: &TopicPartition) -> Result<Arc<ManagedDir>, LogError> {
        if let Some(preferred) = self.preferred_dirs.lock().get(partition) {
            preferred.dir.ensure_online()?;
            return Ok(Arc::clone(preferred));
        }
        let logs = self.logs.current.read();
        let live: Vec<_> = self.dirs.iter().filter(|d| !d.dir.is_offline()).collect();
        if let [only] = live[..] {
            return Ok(Arc::clone(only));
        }
        let fewest = live.into_iter().min_by_key(|d| {
            let is_here = |log: &&Arc<UnifiedLog>| Arc::ptr_eq(log.log_dir(), &d.dir);
            logs.values().filter(is_here).count()
        });
        let fewest = fewest.ok_or_else(|| self.dirs[0].dir.error("no log dir is online"));
        fewest.map(Arc::clone)
    }

    fn create_log(
        &self,
        managed: &Arc<ManagedDir>,
        name: &str,
        partition: &TopicPartition,
        config: LogConfig,
    ) -> Result<Arc<UnifiedLog>, LogError> {
        let dir = &managed.dir;
        let path = dir.path().join(name);
        if path.symlink_metadata().is_ok() && !path.is_dir() {
            return Err(dir.error(&format!("{} is in the way of {partition}", path.display())));
        }
        let loaded = load(&LoadParameters {
            dir: &path,
            fs: dir.fs(),
            config: &config,
            had_clean_shutdown: true,
            recovery_point: None,
            cleaned_to: None,
            log_start_offset: 0,
            producer_id_expiration_ms: &self.producer_id_expiration_ms,
            now_ms: self.clock.wall_ms(),
            unflushed_segments: &AtomicUsize::default(),
        });
        let loaded = dir.check(loaded)?;
        managed.sync_is_due.store(true, Ordering::Release);
        let context = Arc::clone(&managed.context);
        Ok(UnifiedLog::new(
            context,
            partition.clone(),
            Arc::new(config),
            loaded,
        ))
    }

    /// Fsyncs the dirs in which logs were created: one fsync for each dir, however many logs there are. Before that, a
    /// power loss may remove a new log with its directory, so the broker must not promise anything about it.
    pub fn sync_created_logs(&self) {
        let _creating = self.creating.lock();
        for managed in &self.dirs {
            let dir = &managed.dir;
            if managed.sync_is_due.swap(false, Ordering::AcqRel) && !dir.is_offline() {
                drop(dir.check(dir.fs().sync_dir(dir.path())));
            }
        }
    }

    /// Renames the directory to `-delete` and removes the log from the checkpoints. The files are removed after
    /// `file.delete.delay.ms`. A copy that is being made is deleted too. Does nothing if there is no such log.
    pub fn delete_log(&self, partition: &TopicPartition) -> Result<(), LogError> {
        self.delete_logs(std::slice::from_ref(partition))
    }

    /// Does [`Self::delete_log`] for many logs and writes the checkpoints once. Tries all logs and returns the first
    /// error.
    pub fn delete_logs(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        let _creating = self.creating.lock();
        let mut result = Ok(());
        for partition in partitions {
            // The cleaner must not write into the directory of a new partition with this name.
            let _paused = self.cleaner.manager().abort_and_pause(partition);
            self.moving.lock().remove(partition);
            for logs in [&self.logs.future, &self.logs.current] {
                let Some(log) = logs.write().remove(partition) else {
                    continue;
                };
                if let Err(error) = self.move_away(&log) {
                    result = result.and(Err(error));
                }
            }
        }
        for managed in self.dirs.iter().filter(|d| !d.dir.is_offline()) {
            let forgotten = managed.forget_checkpoints(partitions);
            result = result.and(managed.dir.check(forgotten));
        }
        result
    }

    fn move_away(&self, log: &Arc<UnifiedLog>) -> Result<(), LogError> {
        let dir = log.log_dir();
        let name = partition_dir_with_suffix(log.topic_partition(), PartitionDirKind::Deleted);
        let path = dir.path().join(name);
        log.rename_dir(&path, true)?;
        tracing::info!(log = %log.topic_partition(), path = %path.display(), "deleted log, its files will follow");
        self.remove_later(dir, path, log.config().file_delete_delay_ms);
        Ok(())
    }

    /// Schedules the removal of a deleted log's directory.
    fn remove_later(&self, dir: &Arc<LogDir>, path: PathBuf, delay_ms: i64) {
        let dir = Arc::clone(dir);
        self.scheduler.schedule(delay_ms, move || {
            if dir.is_offline() {
                return;
            }
            match dir.fs().remove_dir_all(&path) {
                // A file in it is protected, mounted or being written; that is no failure of the disk.
                Err(error) if is_refusal(&error) => {
                    tracing::warn!(path = %path.display(), %error, "cannot remove the rest of a deleted log, leaving it");
                }
                result => drop(dir.check(result)),
            }
        });
    }

    /// The log cleaner.
    pub fn cleaner(&self) -> &LogCleaner {
        &self.cleaner
    }

    /// Dirs that are online.
    pub fn live_log_dirs(&self) -> Vec<PathBuf> {
        let live = self.dirs.iter().filter(|d| !d.dir.is_offline());
        live.map(|d| d.dir.path().to_owned()).collect()
    }

    /// Dirs that have failed since the last call, including those that failed at start. Releases their logs and their
    /// locks.
    pub fn take_failed_dirs(&self) -> Vec<PathBuf> {
        let failed = self.failures.take();
        for logs in [&self.logs.current, &self.logs.future] {
            let gone: Vec<_> = {
                let mut logs = logs.write();
                let on_failed = |log: &UnifiedLog| failed.iter().any(|dir| dir == log.log_dir().path());
                let gone: Vec<_> = logs.values().filter(|log| on_failed(log)).cloned().collect();
                logs.retain(|_, log| !on_failed(log));
                gone
            };
            gone.iter().for_each(|log| log.abandon());
        }
        let copies = self.logs.future.read();
        self.moving
            .lock()
            .retain(|partition, _| copies.contains_key(partition));
        for managed in &self.dirs {
            if failed.iter().any(|dir| dir == managed.dir.path()) {
                managed.lock.lock().take();
            }
        }
        failed
    }

    /// A notification for new results of [`Self::take_failed_dirs`].
    pub fn failure_notification(&self) -> Arc<Notify> {
        self.failures.notify()
    }

    /// Partitions whose log is in a dir.
    pub fn partitions_in(&self, log_dir: &Path) -> Vec<TopicPartition> {
        let logs = self.logs.current.read();
        let here = logs.iter().filter(|(_, log)| log.log_dir().path() == log_dir);
        here.map(|(partition, _)| partition.clone()).collect()
    }
}

impl ManagedDir {
    /// A dir whose logs go into `logs`; a dir without a lock is offline.
    fn new(
        dir: Arc<LogDir>,
        lock: Option<DirLock>,
        logs: &LogTables,
        clock: &SharedClock,
        scheduler: &Arc<Scheduler>,
        metrics: &Registry,
    ) -> Arc<Self> {
        let (fs, path) = (dir.fs().clone(), dir.path().to_owned());
        let file = |name| OffsetCheckpoint::new(&fs, &path, name);
        Arc::new_cyclic(|me: &Weak<Self>| Self {
            recovery_points: file(RECOVERY_POINT_FILE),
            log_start_offsets: file(LOG_START_OFFSET_FILE),
            high_watermark_file: file(HIGH_WATERMARK_FILE),
            cleaner_checkpoint: Arc::new(CleanerCheckpoint::new(file(CLEANER_OFFSET_FILE))),
            high_watermarks: Mutex::default(),
            checkpointing: Mutex::default(),
            sync_is_due: AtomicBool::new(false),
            logs: logs.clone(),
            lock: Mutex::new(lock),
            context: Arc::new(LogContext {
                dir: Arc::clone(&dir),
                clock: Arc::clone(clock),
                scheduler: Arc::clone(scheduler),
                metrics: LogMetrics::new(metrics),
                on_truncated: {
                    let me = Weak::clone(me);
                    Box::new(move |log| {
                        if let Some(me) = me.upgrade() {
                            me.checkpoint_recovery_points();
                            let active = log.active_segment_base_offset();
                            let truncated = me.cleaner_checkpoint.truncate(log.topic_partition(), active);
                            drop(me.dir.check(truncated));
                        }
                    })
                },
            }),
            dir,
        })
    }
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod power_loss_tests;
#[cfg(test)]
mod tests;
