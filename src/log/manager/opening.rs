//! Opening the log dirs of a broker: steps 8 and 9 of start-up.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::loading_progress::{LoadingProgress, ShownProgress};
use super::{Intervals, LogManager, LogTables, ManagedDir, metrics};
use crate::common::clock::SharedClock;
use crate::common::ids::{Offset, TopicPartition};
use crate::common::parallel;
use crate::config::{BrokerConfig, LogConfig};
use crate::log::checkpoint::{MetaProperties, OffsetCheckpoint, clean_shutdown};
use crate::log::cleaner;
use crate::log::cleaner::manager::CleanerDir;
use crate::log::cleaner::{CleanerConfig, CleanerManager, LogCleaner};
use crate::log::dir::{FailureChannel, LogDir};
use crate::log::dir_lock::DirLock;
use crate::log::error::{LogDirsError, LogError};
use crate::log::fs::Fs;
use crate::log::loader::{LoadParameters, load};
use crate::log::names::{PartitionDirKind, parse_partition_dir};
use crate::log::scheduler::Scheduler;
use crate::log::unified_log::UnifiedLog;
use crate::metrics::Registry;

/// Directories in a log dir that do not belong to a partition.
const OTHER_DIRS: [&str; 2] = ["remote-log-index-cache", "__cluster_metadata-0"];

type TopicConfig<'a> = &'a (dyn Fn(&str) -> LogConfig + Sync);

/// A partition's directory that the manager has to load.
struct LoadJob {
    path: PathBuf,
    partition: TopicPartition,
    kind: PartitionDirKind,
}

/// The result of loading a dir.
#[derive(Default)]
struct Found {
    current: Vec<Arc<UnifiedLog>>,
    future: Vec<Arc<UnifiedLog>>,
    deleted: Vec<PathBuf>,
}

impl Found {
    /// `logs` has the result of each of `jobs`.
    fn new(jobs: &[LoadJob], logs: Vec<Option<Arc<UnifiedLog>>>, deleted: Vec<PathBuf>) -> Self {
        let mut found = Self {
            deleted,
            ..Self::default()
        };
        for (job, log) in jobs.iter().zip(logs) {
            match job.kind {
                PartitionDirKind::Future => found.future.extend(log),
                _ => found.current.extend(log),
            }
        }
        found
    }
}

/// Why a dir was not loaded.
enum LoadError {
    /// The dir failed and is offline.
    Offline,
    /// The broker must not start with this dir.
    Invalid(LogDirsError),
}

impl From<LogError> for LoadError {
    fn from(_: LogError) -> Self {
        Self::Offline
    }
}

fn invalid(reason: String) -> LoadError {
    LoadError::Invalid(LogDirsError(reason))
}

/// See [`LogManager::open`].
pub(super) fn open(
    config: &BrokerConfig,
    topic_config: TopicConfig<'_>,
    clock: SharedClock,
    metrics: &Registry,
    fs: Fs,
) -> Result<Arc<LogManager>, LogDirsError> {
    let failures = Arc::new(FailureChannel::default());
    let scheduler = Scheduler::new(Arc::clone(&clock));
    let logs = LogTables::default();
    let dirs = lock_dirs(
        &config.log_dirs,
        &fs,
        &failures,
        &logs,
        &clock,
        &scheduler,
        metrics,
    )?;
    let cleaner_dir = |managed: &Arc<ManagedDir>| CleanerDir {
        dir: Arc::clone(&managed.dir),
        checkpoint: Arc::clone(&managed.cleaner_checkpoint),
    };
    let cleaner_manager = CleanerManager::new(
        Arc::clone(&logs.current),
        dirs.iter().map(cleaner_dir).collect(),
        Arc::clone(&clock),
        metrics.clone(),
    );
    let manager = Arc::new(LogManager {
        dirs,
        cleaner: LogCleaner::new(
            Arc::new(cleaner_manager),
            CleanerConfig::from(config),
            Arc::clone(&clock),
        ),
        logs,
        preferred_dirs: Mutex::default(),
        moving: Mutex::default(),
        creating: Mutex::default(),
        configuring: Mutex::default(),
        failures,
        clock,
        scheduler,
        threads: Mutex::default(),
        threads_per_dir: AtomicUsize::new(config.num_recovery_threads_per_data_dir.max(1)),
        producer_id_expiration_ms: Arc::new(AtomicI64::new(config.producer_id_expiration_ms)),
        file_delete_delay_ms: config.log_defaults.file_delete_delay_ms,
        intervals: Intervals {
            initial_delay: config.log_initial_task_delay_ms,
            retention: config.log_retention_check_interval_ms,
            flush: config.log_flush_scheduler_interval_ms.max(1),
            recovery_point_checkpoint: config.log_flush_offset_checkpoint_interval_ms,
            start_offset_checkpoint: config.log_flush_start_offset_checkpoint_interval_ms,
            producer_expiration: config.producer_id_expiration_check_interval_ms,
        },
        stopped: Mutex::new(false),
    });
    manager.load_all(topic_config, metrics)?;
    if manager.live_log_dirs().is_empty() {
        let reasons = manager.dirs.iter().filter_map(|d| d.dir.ensure_online().err());
        let reasons: Vec<_> = reasons.map(|e| e.to_string()).collect();
        return Err(LogDirsError(format!("no log dir works: {}", reasons.join("; "))));
    }
    Ok(manager)
}

/// Creates and locks the dirs. A dir that cannot be used counts as failed. A dir that is given twice, or that another
/// broker uses, is an error.
fn lock_dirs(
    paths: &[PathBuf],
    fs: &Fs,
    failures: &Arc<FailureChannel>,
    logs: &LogTables,
    clock: &SharedClock,
    scheduler: &Arc<Scheduler>,
    metrics: &Registry,
) -> Result<Vec<Arc<ManagedDir>>, LogDirsError> {
    if paths.is_empty() {
        return Err(LogDirsError("log.dirs names no directory".to_owned()));
    }
    let mut seen: HashMap<PathBuf, &Path> = HashMap::new();
    let mut dirs = Vec::new();
    for path in paths {
        let dir = LogDir::new(path.clone(), fs.clone(), Arc::clone(failures));
        let lock = match prepare_dir(fs, path) {
            Ok(canonical) => {
                if let Some(other) = seen.insert(canonical, path) {
                    return Err(LogDirsError(format!(
                        "log.dirs has one directory twice, as {} and {}",
                        other.display(),
                        path.display()
                    )));
                }
                lock_dir(&dir)?
            }
            Err(e) => {
                dir.fail(&e);
                None
            }
        };
        dirs.push(ManagedDir::new(dir, lock, logs, clock, scheduler, metrics));
    }
    Ok(dirs)
}

/// Creates a dir and checks that it can be used. Returns its canonical path.
fn prepare_dir(fs: &Fs, path: &Path) -> io::Result<PathBuf> {
    if !path.is_dir() {
        fs.create_dir_all(path)?;
        if let Some(parent) = path.parent().filter(|parent| parent.is_dir()) {
            fs.sync_dir(parent)?;
        }
    }
    // A dir whose meta.properties cannot be read may belong to another broker.
    MetaProperties::read(fs, path)?;
    path.canonicalize()
}

/// `None` if locking failed, which is a failure of the dir; an error if another broker holds the lock.
fn lock_dir(dir: &LogDir) -> Result<Option<DirLock>, LogDirsError> {
    match DirLock::acquire(dir.fs(), dir.path()) {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Err(LogDirsError(e.to_string())),
        result => Ok(dir.check(result).ok()),
    }
}

impl LogManager {
    /// Locks the log dirs and loads every log in them. `topic_config` returns the configuration of a topic. A dir that
    /// fails is left out, unless no other dir is left. An operator must resolve these errors: a directory that does not
    /// belong in a log dir, a dir that is in use, a partition that exists twice. The metrics of the dirs go to
    /// `metrics`.
    pub fn open(
        config: &BrokerConfig,
        topic_config: &(dyn Fn(&str) -> LogConfig + Sync),
        clock: SharedClock,
        metrics: &Registry,
    ) -> Result<Arc<Self>, LogDirsError> {
        let manager = open(config, topic_config, clock, metrics, Fs::default())?;
        metrics::register(&manager, metrics);
        cleaner::metrics::register(&manager, metrics);
        Ok(manager)
    }

    /// Loads every dir, all at the same time.
    fn load_all(&self, topic_config: TopicConfig<'_>, metrics: &Registry) -> Result<(), LogDirsError> {
        let mut shown = ShownProgress::new(metrics);
        let add = |managed: &Arc<ManagedDir>| {
            let progress = shown.add_dir(managed.dir.path(), self.threads_per_dir());
            (Arc::clone(managed), progress)
        };
        let dirs: Vec<_> = self.dirs.iter().map(add).collect();
        let load = |(managed, progress): &(_, _)| self.load_dir(managed, topic_config, progress);
        let results = parallel::map(&dirs, dirs.len(), load);
        for (managed, result) in self.dirs.iter().zip(results) {
            match result {
                Ok(found) => self.take_in(managed, found)?,
                // The failure was logged and reported where it happened.
                Err(LoadError::Offline) => {}
                Err(LoadError::Invalid(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn take_in(&self, managed: &Arc<ManagedDir>, found: Found) -> Result<(), LogDirsError> {
        for log in &found.current {
            let partition = log.topic_partition();
            let other = self
                .logs
                .current
                .write()
                .insert(partition.clone(), Arc::clone(log));
            let Some(other) = other else { continue };
            if !self.finish_replacement(log, &other) {
                return Err(LogDirsError(format!(
                    "{partition} lies in {} and in {}; remove the one that is not wanted",
                    other.path().display(),
                    log.path().display()
                )));
            }
        }
        for copy in &found.future {
            self.take_in_copy(copy, &found.current);
        }
        for path in found.deleted {
            self.remove_later(&managed.dir, path, self.file_delete_delay_ms);
        }
        let is_there = |partition: &TopicPartition| self.logs.current.read().contains_key(partition);
        managed.cleaner_checkpoint.retain(is_there);
        // The file must not keep offsets of deleted partitions: a new partition of the same name would take them over.
        if managed.checkpoint_recovery_points() {
            managed.checkpoint_log_start_offsets();
        }
        Ok(())
    }

    /// Loads the logs of one dir with the configured number of threads.
    fn load_dir(
        &self,
        managed: &Arc<ManagedDir>,
        topic_config: TopicConfig<'_>,
        progress: &LoadingProgress,
    ) -> Result<Found, LoadError> {
        let dir = &managed.dir;
        dir.ensure_online()?;
        let had_clean_shutdown = dir.check(clean_shutdown::take(dir.fs(), dir.path()))?;
        let recovery_points = recovery_points(&managed.recovery_points, dir)?;
        let log_start_offsets = read_or_nothing(&managed.log_start_offsets, dir)?;
        dir.check(managed.cleaner_checkpoint.load())?;
        // Without the high watermarks a replica could drop committed records, so a torn file must not count as an empty
        // one.
        *managed.high_watermarks.lock() = dir.check(managed.high_watermark_file.read())?;
        let (jobs, deleted) = Self::list_partitions(dir)?;
        tracing::info!(
            dir = %dir.path().display(),
            logs = jobs.len(),
            clean = had_clean_shutdown,
            "loading logs"
        );
        let started = self.clock.monotonic_ms();
        progress.logs.store(jobs.len(), Ordering::Relaxed);
        let load = |thread: usize, job: &LoadJob| {
            let config = topic_config(&job.partition.topic);
            // A log without an entry is newer than the file.
            let recovery_point = recovery_points
                .as_ref()
                .map(|known| known.get(&job.partition).copied().unwrap_or(0));
            let log_start_offset = log_start_offsets.get(&job.partition).copied();
            let loaded = load(&LoadParameters {
                dir: &job.path,
                fs: dir.fs(),
                config: &config,
                had_clean_shutdown,
                recovery_point,
                cleaned_to: managed.cleaner_checkpoint.get(&job.partition),
                log_start_offset: log_start_offset.unwrap_or(0),
                producer_id_expiration_ms: &self.producer_id_expiration_ms,
                now_ms: self.clock.wall_ms(),
                unflushed_segments: &progress.segments[thread],
            });
            progress.logs.fetch_sub(1, Ordering::Relaxed);
            let context = Arc::clone(&managed.context);
            if let (PartitionDirKind::Future, Err(error)) = (job.kind, &loaded)
                && error.kind() == io::ErrorKind::InvalidData
            {
                // The log that the copy was to replace is complete without it.
                tracing::warn!(path = %job.path.display(), %error, "leaving alone a copy that cannot be read");
                return Ok(None);
            }
            let loaded = dir.check(loaded)?;
            Ok(Some(UnifiedLog::new(
                context,
                job.partition.clone(),
                Arc::new(config),
                loaded,
            )))
        };
        let loaded = parallel::map_numbered(&jobs, self.threads_per_dir(), load).into_iter();
        let logs: Vec<Option<Arc<UnifiedLog>>> = loaded.collect::<Result<_, LogError>>()?;
        let took_ms = self.clock.monotonic_ms() - started;
        tracing::info!(dir = %dir.path().display(), logs = jobs.len(), took_ms, "loaded logs");
        Ok(Found::new(&jobs, logs, deleted))
    }

    /// Lists the contents of a log dir: directories to load and directories to remove. Leaves stray replicas alone.
    fn list_partitions(dir: &LogDir) -> Result<(Vec<LoadJob>, Vec<PathBuf>), LoadError> {
        let (mut jobs, mut deleted) = (Vec::new(), Vec::new());
        let mut known: BTreeSet<TopicPartition> = BTreeSet::new();
        for name in dir.check(dir.fs().list(dir.path()))? {
            let path = dir.path().join(&name);
            if OTHER_DIRS.contains(&name.as_str()) || !path.is_dir() {
                continue;
            }
            let Some((partition, kind)) = parse_partition_dir(&name) else {
                return Err(invalid(format!(
                    "{} is not the directory of a partition and must not be in a log dir",
                    path.display()
                )));
            };
            match kind {
                PartitionDirKind::Deleted => deleted.push(path),
                PartitionDirKind::Stray => {
                    tracing::warn!(path = %path.display(), "leaving a stray replica alone");
                }
                PartitionDirKind::Current | PartitionDirKind::Future => {
                    if kind == PartitionDirKind::Current && !known.insert(partition.clone()) {
                        return Err(invalid(format!(
                            "{partition} has two directories in {}",
                            dir.path().display()
                        )));
                    }
                    jobs.push(LoadJob {
                        path,
                        partition,
                        kind,
                    });
                }
            }
        }
        Ok((jobs, deleted))
    }
}

/// Up to which offsets the logs of a dir were flushed; `None` if the file is missing or malformed.
fn recovery_points(
    file: &OffsetCheckpoint,
    dir: &LogDir,
) -> Result<Option<HashMap<TopicPartition, Offset>>, LogError> {
    let is_there = dir.check(dir.fs().length(file.path()))?.is_some();
    match file.read() {
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            tracing::warn!(error = %e, "ignoring an unreadable checkpoint");
            Ok(None)
        }
        points => Ok(dir.check(points).map(|points| is_there.then_some(points))?),
    }
}

/// The content of a checkpoint file. A malformed file costs time, not data: recovery then starts from 0.
fn read_or_nothing(
    file: &OffsetCheckpoint,
    dir: &LogDir,
) -> Result<HashMap<TopicPartition, Offset>, LogError> {
    match file.read() {
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            tracing::warn!(error = %e, "ignoring an unreadable checkpoint");
            Ok(HashMap::new())
        }
        result => dir.check(result),
    }
}
