//! Owns the threads that copy logs to other log dirs. Kafka 3.9: `ReplicaAlterLogDirsManager`,
//! `ReplicaAlterLogDirsThread`.
//!
//! The partitions are spread over the threads as they are over fetchers. A thread copies one partition at a time, in
//! the order of their names, so that each copy is complete soon. A thread exists while it has something to copy.
//! Copying may wait long for a disk, so it does not run on the runtime's threads.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::copy;
use crate::cluster::Partition;
use crate::common::ids::TopicPartition;
use crate::config::BrokerConfig;
use crate::log::{LogManager, UnifiedLog};
use crate::purgatory::Purgatory;
use crate::replica::fetcher::apply::ApplyError;
use crate::replica::fetcher::fetcher_id;
use crate::replica::replication_quota::ReplicationQuota;

/// How long a thread over its quota sleeps before it looks again.
const THROTTLED: Duration = Duration::from_millis(100);

/// All copying threads of this broker.
pub struct LogDirMover {
    work: Arc<Work>,
    threads: usize,
}

/// The state that the threads share.
struct Work {
    log_manager: Arc<LogManager>,
    quota: Arc<ReplicationQuota>,
    /// An unfinished copy holds the low watermark back.
    delayed_delete_records: Purgatory<TopicPartition>,
    bytes_max: usize,
    back_off: Duration,
    queues: Mutex<Queues>,
    changed: Condvar,
}

#[derive(Default)]
struct Queues {
    by_thread: HashMap<usize, BTreeMap<TopicPartition, Job>>,
    threads: HashMap<usize, JoinHandle<()>>,
    stopped: bool,
}

/// One partition that is being copied.
#[derive(Clone)]
struct Job {
    partition: Arc<Partition>,
    copy: Arc<UnifiedLog>,
    /// Whether the records that were copied until the copy was nearly complete are on disk.
    flushed: bool,
    /// The end of the pause after an error.
    delayed_until: Option<Instant>,
}

/// The number of bytes that may still be missing when appends are made to wait for the rest of the copy: a disk writes
/// them in a fraction of a second.
const LAST_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The result of one step.
enum Progress {
    /// There is more to copy.
    Copied,
    /// There is little more to copy, and everything that was copied is on disk.
    Flushed,
    /// The copy has become the log, or is no longer wanted.
    Done,
    /// The step failed; another try may help.
    BackOff,
}

impl LogDirMover {
    /// Creates a mover without threads.
    pub fn new(
        config: &BrokerConfig,
        log_manager: Arc<LogManager>,
        quota: Arc<ReplicationQuota>,
        delayed_delete_records: Purgatory<TopicPartition>,
    ) -> Self {
        let bytes_max = usize::try_from(config.replica_fetch_max_bytes).unwrap_or(0);
        Self {
            threads: config
                .num_replica_alter_log_dirs_threads
                .unwrap_or(config.log_dirs.len())
                .max(1),
            work: Arc::new(Work {
                log_manager,
                quota,
                delayed_delete_records,
                bytes_max: bytes_max
                    .min(usize::try_from(config.replica_fetch_response_max_bytes).unwrap_or(0)),
                back_off: Duration::from_millis(config.replica_fetch_backoff_ms),
                queues: Mutex::default(),
                changed: Condvar::new(),
            }),
        }
    }

    /// Starts to copy a partition's log. A copy that is already under way continues from where it is.
    pub fn add(&self, partition: Arc<Partition>, copy: Arc<UnifiedLog>) {
        let name = partition.topic_partition().clone();
        let id = fetcher_id(&name, self.threads);
        let mut queues = self.work.queues.lock();
        if queues.stopped {
            return;
        }
        let job = Job {
            partition,
            copy,
            flushed: false,
            delayed_until: None,
        };
        queues.by_thread.entry(id).or_default().insert(name, job);
        // A thread that ends removes itself from the map under this lock.
        if let Entry::Vacant(vacant) = queues.threads.entry(id) {
            let work = self.work.clone();
            let thread = std::thread::Builder::new().name(format!("alter-log-dirs-{id}"));
            match thread.spawn(move || work.run(id)) {
                Ok(thread) => drop(vacant.insert(thread)),
                Err(error) => tracing::error!(%error, "cannot start a thread that copies between log dirs"),
            }
        }
        drop(queues);
        self.work.changed.notify_all();
    }

    /// Stops copying a partition. A step that is under way may still finish after this returns.
    pub fn remove(&self, name: &TopicPartition) {
        let mut queues = self.work.queues.lock();
        queues
            .by_thread
            .values_mut()
            .for_each(|jobs| drop(jobs.remove(name)));
        drop(queues);
        self.work.changed.notify_all();
    }

    /// The largest number of records that any copy lacks (metric `MaxLag`).
    pub fn max_lag(&self) -> i64 {
        let copies = self.work.log_manager.all_future_logs();
        let lag = |copy: &Arc<UnifiedLog>| {
            let log = self.work.log_manager.get_log(copy.topic_partition())?;
            Some(log.log_end_offset() - copy.log_end_offset())
        };
        copies.iter().filter_map(lag).max().unwrap_or(0).max(0)
    }

    /// How many copies failed at their last step (metric `FailedPartitionsCount`).
    pub fn failed_partitions(&self) -> usize {
        let queues = self.work.queues.lock();
        let jobs = queues.by_thread.values().flat_map(BTreeMap::values);
        jobs.filter(|job| job.delayed_until.is_some()).count()
    }

    /// Ends all threads and waits for them; that takes at most one step.
    pub fn shutdown(&self) {
        let threads: Vec<_> = {
            let mut queues = self.work.queues.lock();
            queues.stopped = true;
            queues.threads.drain().map(|(_, thread)| thread).collect()
        };
        self.work.changed.notify_all();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread that copies between log dirs panicked");
            }
        }
    }
}

impl Work {
    fn run(&self, id: usize) {
        while let Some((name, job)) = self.next(id) {
            let progress = self.copy(&job);
            let mut queues = self.queues.lock();
            let jobs = queues.by_thread.get_mut(&id);
            let Some(present) = jobs.and_then(|jobs| jobs.get_mut(&name)) else {
                continue;
            };
            if !Arc::ptr_eq(&present.copy, &job.copy) {
                // The move was cancelled and started again in another dir while this step ran.
                continue;
            }
            match progress {
                Progress::Copied => present.delayed_until = None,
                Progress::Flushed => present.flushed = true,
                Progress::BackOff => present.delayed_until = Some(Instant::now() + self.back_off),
                Progress::Done => {
                    if let Some(jobs) = queues.by_thread.get_mut(&id) {
                        jobs.remove(&name);
                    }
                }
            }
        }
    }

    /// Waits until there is a partition to copy and the quota allows it, and returns it; `None` if no partition is
    /// left.
    fn next(&self, id: usize) -> Option<(TopicPartition, Job)> {
        let mut queues = self.queues.lock();
        loop {
            let jobs = queues.by_thread.get(&id);
            if queues.stopped || jobs.is_none_or(BTreeMap::is_empty) {
                queues.by_thread.remove(&id);
                queues.threads.remove(&id);
                return None;
            }
            let now = Instant::now();
            let is_ready = |job: &Job| job.delayed_until.is_none_or(|until| until <= now);
            let ready = jobs.and_then(|jobs| jobs.iter().find(|(_, job)| is_ready(job)));
            let wait = match ready {
                Some((name, job)) if !self.quota.is_exceeded() => return Some((name.clone(), job.clone())),
                Some(_) => THROTTLED,
                None => self.back_off,
            };
            self.changed.wait_for(&mut queues, wait);
        }
    }

    fn copy(&self, job: &Job) -> Progress {
        let Some((log, copy)) = job.partition.log_and_future_log() else {
            return Progress::Done;
        };
        match self.step(job, &log, &copy) {
            Ok(progress) => progress,
            Err(error) => self.after_error(job, &error),
        }
    }

    /// Decides what follows an error. If the partition was deleted or the move cancelled meanwhile, or if one of the
    /// two dirs has failed (which is reported elsewhere), the copy is done. Otherwise the next step looks at the log
    /// again: a truncation may have removed bytes during a read.
    fn after_error(&self, job: &Job, error: &ApplyError) -> Progress {
        let name = job.partition.topic_partition();
        let wanted = job.partition.log_and_future_log().filter(|(log, copy)| {
            let works = |log: &UnifiedLog| !log.log_dir().is_offline();
            works(log) && works(copy) && Arc::ptr_eq(copy, &job.copy)
        });
        match wanted {
            Some(_) => {
                tracing::warn!(partition = %name, ?error, "copying to another log dir failed, backing off");
                Progress::BackOff
            }
            None => {
                tracing::info!(partition = %name, ?error, "copying to another log dir ends");
                Progress::Done
            }
        }
    }

    /// Copies one step. A copy that is nearly complete, or that no longer catches up with the log, is flushed to disk,
    /// because soon only the copy has these records. The records that arrived since then are copied while appends wait.
    fn step(&self, job: &Job, log: &UnifiedLog, copy: &UnifiedLog) -> Result<Progress, ApplyError> {
        let name = job.partition.topic_partition();
        let lag = || log.log_end_offset().saturating_sub(copy.log_end_offset());
        let lag_before = lag();
        let bytes = self.catch_up(log, copy)?;
        self.delayed_delete_records.wake(name);
        let is_near = bytes <= self.bytes_max / 2;
        // Producers that write as fast as the copy is made would otherwise delay its end without limit.
        let is_held_off = lag() >= lag_before && log.size().saturating_sub(copy.size()) <= LAST_BYTES_MAX;
        if !is_near && !is_held_off {
            return Ok(Progress::Copied);
        }
        if !job.flushed {
            copy.flush()?;
            return Ok(Progress::Flushed);
        }
        let finished = job.partition.maybe_replace_with_future_log(|log, copy| {
            while self.catch_up(log, copy)? > 0 {}
            // This flush is short, because all but the last records were flushed before.
            copy.flush()?;
            let is_complete = copy::is_complete(log, copy)?;
            if is_complete {
                self.log_manager.replace_current_with_future_log(name)?;
            }
            Ok::<_, ApplyError>(is_complete)
        })?;
        self.delayed_delete_records.wake(name);
        Ok(if finished {
            Progress::Done
        } else {
            Progress::Copied
        })
    }

    /// Copies up to the end of the log, but hardly more than `bytes_max`. One read is not enough, because a read ends
    /// with its segment and segments may be small.
    fn catch_up(&self, log: &UnifiedLog, copy: &UnifiedLog) -> Result<usize, ApplyError> {
        let mut copied = 0;
        while copied < self.bytes_max {
            let bytes = copy::step(log, copy, self.bytes_max)?;
            if bytes == 0 {
                break;
            }
            self.quota.record(bytes as u64);
            copied += bytes;
        }
        Ok(copied)
    }
}
