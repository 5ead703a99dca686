//! Logs for tests: they are in a temporary directory, with a manual clock and background jobs that the test runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use bytes::Bytes;
use parking_lot::Mutex;

use super::dir::{FailureChannel, LogDir};
use super::fs::{Call, Faults, Fs, Verdict};
use super::loader::{LoadParameters, load};
use super::scheduler::Scheduler;
use super::unified_log::{AppendOrigin, FetchIsolation, LogAppendInfo, LogContext, LogMetrics, UnifiedLog};
use crate::common::clock::ManualClock;
use crate::common::ids::{LeaderEpoch, Offset, TopicPartition};
use crate::config::LogConfig;
use crate::metrics::Registry;
use crate::record::{BatchBuilder, RecordBatches};

/// The start time of a [`TestLog`]'s clock.
pub const NOW_MS: i64 = 1_700_000_000_000;

/// A log with its clock, scheduler and dir.
pub struct TestLog {
    pub root: Arc<tempfile::TempDir>,
    pub log: Arc<UnifiedLog>,
    pub clock: Arc<ManualClock>,
    pub scheduler: Arc<Scheduler>,
    pub failures: Arc<FailureChannel>,
    pub config: LogConfig,
}

/// How to open a log.
#[derive(Clone, Copy, Default)]
pub struct Opening {
    pub clean: bool,
    /// The checkpointed recovery point, if there is one.
    pub recovery_point: Option<Offset>,
    /// From the cleaner's checkpoint.
    pub cleaned_to: Option<Offset>,
    pub log_start_offset: Offset,
}

/// An opening after a kill: the flushed offset is unknown.
pub const UNCLEAN: Opening = Opening {
    clean: false,
    recovery_point: Some(0),
    cleaned_to: None,
    log_start_offset: 0,
};

/// An opening after a clean stop.
pub const CLEAN: Opening = Opening {
    clean: true,
    recovery_point: Some(0),
    cleaned_to: None,
    log_start_offset: 0,
};

/// A directory for a log, in memory if the system supports it: tests that fsync thousands of times then do not wait for
/// a disk.
pub fn root() -> Arc<tempfile::TempDir> {
    let in_memory = Path::new("/dev/shm");
    let root = match in_memory.is_dir() {
        true => tempfile::tempdir_in(in_memory),
        false => tempfile::tempdir(),
    };
    Arc::new(root.unwrap())
}

impl TestLog {
    /// An empty log.
    pub fn new(config: LogConfig) -> Self {
        let root = root();
        Self::open(root, config, CLEAN, Fs::default()).unwrap()
    }

    /// The log in `root/t-0`.
    pub fn open(
        root: Arc<tempfile::TempDir>,
        config: LogConfig,
        opening: Opening,
        fs: Fs,
    ) -> std::io::Result<Self> {
        let clock = ManualClock::at(NOW_MS);
        let scheduler = Scheduler::new(clock.clone());
        let failures = Arc::new(FailureChannel::default());
        let dir = LogDir::new(root.path().to_owned(), fs.clone(), Arc::clone(&failures));
        let loaded = load(&LoadParameters {
            dir: &root.path().join("t-0"),
            fs: &fs,
            config: &config,
            had_clean_shutdown: opening.clean,
            recovery_point: opening.recovery_point,
            cleaned_to: opening.cleaned_to,
            log_start_offset: opening.log_start_offset,
            producer_id_expiration_ms: &Arc::new(AtomicI64::new(i64::MAX)),
            now_ms: NOW_MS,
            unflushed_segments: &Default::default(),
        })?;
        let context = Arc::new(LogContext {
            dir,
            clock: clock.clone(),
            scheduler: Arc::clone(&scheduler),
            metrics: LogMetrics::new(&Registry::default()),
            on_truncated: Box::new(|_| {}),
        });
        let partition = TopicPartition::new("t", 0);
        Ok(Self {
            root,
            log: UnifiedLog::new(context, partition, Arc::new(config.clone()), loaded),
            clock,
            scheduler,
            failures,
            config,
        })
    }

    /// Opens the same files again, as they are now.
    pub fn reopen(self, opening: Opening) -> Self {
        let Self {
            root, log, config, ..
        } = self;
        drop(log);
        Self::open(root, config, opening, Fs::default()).unwrap()
    }

    /// The partition's directory.
    pub fn path(&self) -> PathBuf {
        self.root.path().join("t-0")
    }

    /// Appends one batch as the leader.
    pub fn append(&self, records: Bytes, epoch: LeaderEpoch) -> LogAppendInfo {
        self.log
            .append_as_leader(records, epoch, AppendOrigin::Client)
            .unwrap()
    }

    /// Appends `count` batches of one record of about `size` bytes each, with timestamps from the clock.
    pub fn fill(&self, count: usize, size: usize) {
        for i in 0..count {
            self.append(batch(1, NOW_MS + i as i64, size), 0);
        }
    }

    /// Raises the high watermark to the end of the log.
    pub fn commit(&self) {
        self.log.maybe_increment_high_watermark(Offset::MAX);
    }

    /// Base offset of every batch that a reader finds from `offset` on.
    pub fn read_all(&self, mut offset: Offset, isolation: FetchIsolation) -> Vec<Offset> {
        let mut found = Vec::new();
        loop {
            let read = self.log.read(offset, 1 << 20, isolation, true).unwrap();
            let Some(slice) = read.records else {
                return found;
            };
            let bytes = slice.read().unwrap();
            for batch in RecordBatches::new(&bytes) {
                let batch = batch.unwrap();
                assert!(batch.is_valid_crc());
                found.push(batch.base_offset());
                offset = batch.next_offset();
            }
        }
    }

    /// Names of the files in the partition's directory.
    pub fn files(&self) -> Vec<String> {
        Fs::default().list(&self.path()).unwrap()
    }
}

/// A batch of `count` records with values of `size` bytes, all with one timestamp.
pub fn batch(count: usize, timestamp: i64, size: usize) -> Bytes {
    let mut builder = BatchBuilder::new(0);
    for _ in 0..count {
        builder.append(timestamp, Some(b"k"), Some(&vec![b'v'; size]), &[]);
    }
    builder.build()
}

/// A batch that begins at `offset`, as a leader of `epoch` would send it.
pub fn leader_batch(offset: Offset, count: usize, epoch: LeaderEpoch) -> Bytes {
    let mut builder = BatchBuilder::new(offset).partition_leader_epoch(epoch);
    for _ in 0..count {
        builder.append(NOW_MS, None, Some(b"value"), &[]);
    }
    builder.build()
}

/// Copies a directory with its content; the copy is writable.
pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_dir(&entry.path(), &target),
            false => fs::write(&target, fs::read(entry.path()).unwrap()).unwrap(),
        }
    }
}

/// A captured log dir of Apache Kafka 3.9.1.
pub fn captured(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/log/testdata")
        .join(name)
}

/// A failing disk: after so many changing calls every call fails, and the first failing write may store a part of its
/// bytes.
pub struct Dying {
    left: Mutex<usize>,
    cut: usize,
}

impl Dying {
    /// Fails at the call after `calls`, with `cut` bytes of it written.
    pub fn after(calls: usize, cut: usize) -> Fs {
        Fs::with_faults(Arc::new(Self {
            left: Mutex::new(calls),
            cut,
        }))
    }
}

impl Faults for Dying {
    fn before(&self, call: Call, _path: &Path) -> Verdict {
        if call == Call::Read {
            return Verdict::Proceed;
        }
        let mut left = self.left.lock();
        let error = std::io::Error::other("the disk is dead");
        match left.checked_sub(1) {
            Some(fewer) => {
                *left = fewer;
                Verdict::Proceed
            }
            None if *left == 0 && self.cut > 0 && matches!(call, Call::Write(_)) => {
                Verdict::Cut(self.cut, error)
            }
            None => Verdict::Fail(error),
        }
    }
}

/// A disk on which one changing call fails and all others work: it was full for a moment, or lost a write. A failing
/// write stores a part of its bytes.
pub struct FailingOnce {
    left: Mutex<usize>,
    matches: fn(Call) -> bool,
    kind: std::io::ErrorKind,
}

impl FailingOnce {
    /// Fails the matching call after `calls` others.
    pub fn after(calls: usize, matches: fn(Call) -> bool, kind: std::io::ErrorKind) -> Fs {
        Fs::with_faults(Arc::new(Self {
            left: Mutex::new(calls),
            matches,
            kind,
        }))
    }
}

impl Faults for FailingOnce {
    fn before(&self, call: Call, _path: &Path) -> Verdict {
        if !(self.matches)(call) {
            return Verdict::Proceed;
        }
        let mut left = self.left.lock();
        let is_due = *left == 0;
        *left = left.wrapping_sub(1);
        match (is_due, call) {
            (false, _) => Verdict::Proceed,
            (true, Call::Write(_)) => Verdict::Cut(13, self.kind.into()),
            (true, _) => Verdict::Fail(self.kind.into()),
        }
    }
}
