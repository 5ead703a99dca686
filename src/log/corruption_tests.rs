//! Corruption tests: they flip every byte of every file of a log dir, and truncate, zero and remove every file. A start
//! then finds the longest valid prefix, or fails with a message that names the file. It never panics and never reads
//! garbage as records.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::clean_shutdown;
use super::checkpoint::offset::{LOG_START_OFFSET_FILE, RECOVERY_POINT_FILE};
use super::testing::{self, NOW_MS, batch, captured, copy_dir, leader_batch};
use super::unified_log::{AppendOrigin, FetchIsolation};
use super::{LogManager, UnifiedLog};
use crate::common::clock::ManualClock;
use crate::common::ids::{Offset, TopicPartition};
use crate::config::{BrokerConfig, LogConfig};
use crate::metrics::Registry;
use crate::record::{BatchBuilder, ControlRecordType, EndTransactionMarker, RecordBatches};

/// Bytes of a batch's header that its checksum does not cover: base offset, and, behind the length, the leader's epoch.
const UNCOVERED: [std::ops::Range<usize>; 2] = [0..8, 12..16];

fn open(dir: &Path) -> Result<Arc<LogManager>, String> {
    let mut config = BrokerConfig::for_test(1, dir);
    config.producer_id_expiration_ms = i64::MAX;
    let topic_config = |_: &str| topic_config();
    let opened = LogManager::open(
        &config,
        &topic_config,
        ManualClock::at(NOW_MS),
        &Registry::default(),
    );
    opened.map_err(|error| error.to_string())
}

fn topic_config() -> LogConfig {
    LogConfig {
        segment_bytes: 400,
        index_interval_bytes: 100,
        segment_index_bytes: 120,
        retention_ms: -1,
        ..LogConfig::default()
    }
}

/// A batch by its first offset, with its bytes.
type Batch = (Offset, Vec<u8>);

/// The batches in the files of a log, in order: file, first byte in it, batch.
type Place = (PathBuf, usize, Batch);

fn places(dir: &Path, partition: &TopicPartition) -> Vec<Place> {
    let mut found = Vec::new();
    let partition_dir = PathBuf::from(partition.to_string());
    for file in files(&dir.join(&partition_dir)) {
        if file.extension().is_none_or(|suffix| suffix != "log") {
            continue;
        }
        let file = partition_dir.join(file);
        let bytes = std::fs::read(dir.join(&file)).unwrap();
        let mut position = 0;
        for batch in RecordBatches::new(&bytes) {
            let bytes = batch.unwrap().bytes().to_vec();
            let length = bytes.len();
            found.push((file.clone(), position, (batch_offset(&bytes), bytes)));
            position += length;
        }
    }
    found
}

fn batch_offset(bytes: &[u8]) -> Offset {
    RecordBatches::new(bytes).next().unwrap().unwrap().base_offset()
}

/// The whole batches that a reader gets before the first error.
fn read(log: &UnifiedLog) -> Vec<Batch> {
    let (mut offset, mut found) = (log.log_start_offset(), Vec::new());
    while let Ok(data) = log.read(offset, 1 << 20, FetchIsolation::LogEnd, true) {
        let Some(slice) = data.records else { break };
        let bytes = slice.read().unwrap();
        let before = offset;
        for batch in RecordBatches::new(&bytes) {
            let Ok(batch) = batch else { return found };
            offset = batch.next_offset();
            found.push((batch.base_offset(), batch.bytes().to_vec()));
        }
        if offset <= before {
            break;
        }
    }
    found
}

/// A stopped log dir with one log that has everything: several segments, epochs, a producer, an aborted transaction.
fn small_dir() -> Arc<tempfile::TempDir> {
    let root = testing::root();
    let manager = open(root.path()).unwrap();
    let t = TopicPartition::new("t", 0);
    let id = Some(crate::common::ids::random_uuid());
    let log = manager.get_or_create_log(&t, id, true, topic_config()).unwrap();
    let append = |bytes, epoch, origin| log.append_as_leader(bytes, epoch, origin).unwrap();
    for i in 0..3 {
        append(batch(1, NOW_MS + i, 60), i as i32 / 2, AppendOrigin::Client);
    }
    let mut open_txn = BatchBuilder::new(0).producer(7, 0, 0).transactional(true);
    open_txn.append(NOW_MS + 3, None, Some(b"v"), &[]);
    append(open_txn.build(), 1, AppendOrigin::Client);
    let marker = EndTransactionMarker {
        control_type: ControlRecordType::Abort,
        coordinator_epoch: 0,
    };
    let marker = BatchBuilder::end_transaction_marker(marker, 7, 0, NOW_MS + 4);
    append(marker, 1, AppendOrigin::Coordinator);
    log.append_as_follower(leader_batch(5, 2, 3), 3).unwrap();
    log.maybe_increment_high_watermark(7);
    manager.checkpoint_high_watermarks(&[(t, 7)].into());
    manager.shutdown();
    root
}

/// The regular files below a directory, relative to it.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = PathBuf::from(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path()).iter().map(|file| name.join(file))),
            false => found.push(name),
        }
    }
    found.sort();
    found
}

/// Damage to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip(usize, u8),
    Cut(usize),
    Zero(usize),
    Remove,
}

impl Damage {
    /// Does the damage. Returns the first byte that has changed.
    fn apply(self, path: &Path) -> usize {
        let before = std::fs::read(path).unwrap();
        let mut bytes = before.clone();
        match self {
            Self::Flip(at, mask) => bytes[at] ^= mask,
            Self::Cut(at) => bytes.truncate(at),
            Self::Zero(from) => bytes[from..].fill(0),
            Self::Remove => {
                std::fs::remove_file(path).unwrap();
                return 0;
            }
        }
        std::fs::write(path, &bytes).unwrap();
        let same = before.iter().zip(&bytes).take_while(|(a, b)| a == b);
        same.count()
    }
}

fn damages(length: usize, step: usize) -> impl Iterator<Item = Damage> {
    let flips = (0..length)
        .step_by(step)
        .map(|at| Damage::Flip(at, if at % 2 == 0 { 1 } else { 0xc0 }));
    let cuts = (0..length)
        .step_by(step * 5)
        .flat_map(|at| [Damage::Cut(at), Damage::Zero(at)]);
    flips.chain(cuts).chain([Damage::Remove])
}

/// Whether no checksum covers a byte of a file.
fn is_uncovered(places: &[Place], file: &Path, at: usize) -> bool {
    let here = places.iter().filter(|(place, ..)| place == file);
    let within = here.filter_map(|(_, start, (_, bytes))| Some((at.checked_sub(*start)?, bytes.len())));
    let mut within = within.filter(|(within, length)| within < length);
    within.any(|(within, _)| UNCOVERED.iter().any(|range| range.contains(&within)))
}

/// Opens a copy of a dir after some damage, and compares what each log returns with its content before.
fn damaged(dir: &Path, logs: &[Known], file: &Path, damage: Damage, is_clean: bool) {
    let root = testing::root();
    copy_dir(dir, root.path());
    if !is_clean {
        for name in [clean_shutdown::FILE_NAME, RECOVERY_POINT_FILE] {
            let _ = std::fs::remove_file(root.path().join(name));
        }
    }
    let path = root.path().join(file);
    if !path.exists() {
        return;
    }
    let at = damage.apply(&path);
    let case = format!("{} {damage:?}, clean: {is_clean}", file.display());
    let manager = match open(root.path()) {
        Ok(manager) => manager,
        Err(message) => {
            let name = file.file_name().unwrap().to_string_lossy();
            assert!(message.contains(&*name), "{case}: {message}");
            return;
        }
    };
    // A file that places the log's start beyond its end is valid in itself, so the damage cannot be noticed.
    if file.ends_with(LOG_START_OFFSET_FILE) {
        return;
    }
    for known in logs {
        let log = manager.get_log(&known.partition);
        let log = log.unwrap_or_else(|| panic!("{case}: {} is gone", known.partition));
        known.check(&read(&log), file, at, damage, is_clean, &case);
    }
}

/// A log before the damage.
struct Known {
    partition: TopicPartition,
    places: Vec<Place>,
    /// The batches that readers could see.
    batches: Vec<Batch>,
}

impl Known {
    fn check(&self, found: &[Batch], file: &Path, at: usize, damage: Damage, is_clean: bool, case: &str) {
        if !self.places.iter().any(|(place, ..)| place == file) {
            assert_eq!(found, self.batches, "{case}: {}", self.partition);
            return;
        }
        let is_intact = |(place, start, (_, bytes)): &&Place| {
            place.as_path() < file || (place == file && start + bytes.len() <= at)
        };
        let intact = self.places.iter().take_while(is_intact).count();
        let hidden = self.places.len() - self.batches.len();
        let intact = intact.saturating_sub(hidden).min(self.batches.len());
        assert!(
            found.len() >= intact,
            "{case}: {} of {intact} batches",
            found.len()
        );
        assert_eq!(found[..intact], self.batches[..intact], "{case}");
        // A missing file, or one that ends with a whole batch, looks like the result of compaction.
        let ends_here = |(place, start, (_, bytes)): &Place| place == file && start + bytes.len() == at;
        let is_undetectable = match damage {
            Damage::Flip(..) => is_uncovered(&self.places, file, at),
            Damage::Cut(_) => at == 0 || self.places.iter().any(ends_here),
            Damage::Zero(_) => false,
            Damage::Remove => true,
        };
        if !is_clean && !is_undetectable {
            assert_eq!(found.len(), intact, "{case}: not the longest valid prefix");
        }
        for (offset, bytes) in &found[intact..] {
            // After a clean stop only the reader checks checksums.
            let is_known = self.batches.iter().any(|(_, known)| known[16..] == bytes[16..]);
            let batch = RecordBatches::new(bytes).next().unwrap().unwrap();
            assert!(
                is_known || !batch.is_valid_crc(),
                "{case}: offset {offset} out of nowhere"
            );
        }
    }
}

fn damage_everything(dir: &Path, step: usize) -> usize {
    let copy = testing::root();
    copy_dir(dir, copy.path());
    let manager = open(copy.path()).unwrap();
    let known = |log: &Arc<UnifiedLog>| Known {
        partition: log.topic_partition().clone(),
        places: places(dir, log.topic_partition()),
        batches: read(log),
    };
    let logs: Vec<Known> = manager.all_logs().iter().map(known).collect();
    drop(manager);
    let mut cases = 0;
    for file in files(dir) {
        let length = std::fs::metadata(dir.join(&file)).unwrap().len() as usize;
        let is_deleted = file.extension().is_some_and(|suffix| suffix == "deleted");
        if is_deleted || file.ends_with(".lock") {
            continue;
        }
        for damage in damages(length, step) {
            for is_clean in [true, false] {
                damaged(dir, &logs, &file, damage, is_clean);
                cases += 1;
            }
        }
    }
    cases
}

#[test]
fn any_damaged_byte_leaves_a_valid_prefix_or_a_message() {
    let root = small_dir();
    let cases = damage_everything(root.path(), 1);
    assert!(cases > 2000, "{cases}");
}

#[test]
fn any_damage_to_kafkas_own_files_leaves_a_valid_prefix_or_a_message() {
    for name in ["broker1", "broker2"] {
        let cases = damage_everything(&captured(name), 101);
        assert!(cases > 100, "{cases}");
    }
}
