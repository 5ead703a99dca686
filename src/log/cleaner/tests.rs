//! Tests of the whole cleaner, on logs in a temporary directory and with a manual clock.

mod bad_input;
mod crashes;
mod model;
mod policies;
mod rules;
mod threads;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;

use super::checkpoint::CleanerCheckpoint;
use super::clean::Cleaner;
use super::config::CleanerConfig;
use super::manager::{CleanerDir, CleanerManager, Round, Worker};
use crate::common::ids::{Offset, ProducerId, TopicPartition};
use crate::config::{CleanupPolicy, LogConfig};
use crate::log::checkpoint::OffsetCheckpoint;
use crate::log::checkpoint::offset::CLEANER_OFFSET_FILE;
use crate::log::fs::Fs;
use crate::log::testing::{CLEAN, NOW_MS, Opening, TestLog};
use crate::log::unified_log::{AppendOrigin, FetchIsolation};
use crate::metrics::Registry;
use crate::record::{
    BatchBuilder, Compression, ControlRecordType, EndTransactionMarker, RecordBatches, RecordReader,
};

/// A check that always lets the clean go on.
struct Unhindered;

impl Worker for Unhindered {
    fn is_stopped(&self) -> bool {
        false
    }

    fn throttle(&self, _bytes: usize) -> i64 {
        0
    }

    fn nap(&self, _ms: i64) {}
}

/// One compacted log and its cleaner.
struct Cleaning {
    test: TestLog,
    manager: CleanerManager,
    cleaner: Cleaner,
    metrics: Registry,
}

/// A record: offset, key, value, timestamp.
type Found = (Offset, Vec<u8>, Option<Vec<u8>>, i64);

const CONFIG: CleanerConfig = CleanerConfig {
    enable: true,
    threads: 1,
    dedupe_buffer_bytes: 1 << 20,
    load_factor: 0.9,
    io_buffer_bytes: 16 << 10,
    io_max_bytes_per_second: f64::MAX,
    backoff_ms: 0,
    max_message_bytes: 1 << 20,
};

/// A configuration that cleans everything dirty and keeps tombstones for 1000 ms.
fn compacted() -> LogConfig {
    LogConfig {
        cleanup_policy: CleanupPolicy {
            delete: false,
            compact: true,
        },
        min_cleanable_dirty_ratio: 0.0,
        delete_retention_ms: 1000,
        ..LogConfig::default()
    }
}

impl Cleaning {
    fn new(config: LogConfig) -> Self {
        Self::of(TestLog::new(config), &CONFIG)
    }

    fn of(test: TestLog, config: &CleanerConfig) -> Self {
        let partition = test.log.topic_partition().clone();
        let logs = Arc::new(RwLock::new(HashMap::from([(partition, test.log.clone())])));
        let dir = Arc::clone(test.log.log_dir());
        let file = OffsetCheckpoint::new(dir.fs(), dir.path(), CLEANER_OFFSET_FILE);
        let checkpoint = Arc::new(CleanerCheckpoint::new(file));
        checkpoint.load().unwrap();
        let metrics = Registry::default();
        Self {
            manager: CleanerManager::new(
                logs,
                vec![CleanerDir { dir, checkpoint }],
                test.clock.clone(),
                metrics.clone(),
            ),
            metrics,
            cleaner: Cleaner::new(config, test.clock.clone()),
            test,
        }
    }

    fn reopen(self, opening: Opening) -> Self {
        self.reopen_with(opening, Fs::default())
    }

    /// Opens the same files again, with the high watermark at the end.
    fn reopen_with(self, opening: Opening, fs: Fs) -> Self {
        let TestLog {
            root,
            log,
            config,
            clock,
            ..
        } = self.test;
        let now = crate::common::clock::Clock::wall_ms(&*clock);
        drop((log, self.manager));
        let test = TestLog::open(root, config, opening, fs).unwrap();
        test.clock.advance(now - NOW_MS);
        test.commit();
        Self::of(test, &CONFIG)
    }

    /// Appends one record in a batch of its own.
    fn put(&self, key: &[u8], value: Option<&[u8]>) -> Offset {
        let mut builder = BatchBuilder::new(0);
        builder.append(self.now(), Some(key), value, &[("h", Some(b"x"))]);
        self.test.append(builder.build(), 0).first_offset
    }

    fn now(&self) -> i64 {
        crate::common::clock::Clock::wall_ms(&*self.test.clock)
    }

    fn end_transaction(&self, producer_id: ProducerId, control_type: ControlRecordType) {
        let marker = EndTransactionMarker {
            control_type,
            coordinator_epoch: 0,
        };
        let records = BatchBuilder::end_transaction_marker(marker, producer_id, 0, self.now());
        let log = &self.test.log;
        log.append_as_leader(records, 0, AppendOrigin::Coordinator)
            .unwrap();
    }

    /// Rolls the log, so that everything can be cleaned, and does one round.
    fn roll_and_clean(&mut self) -> Round {
        self.test.commit();
        self.test.log.roll().unwrap();
        self.clean()
    }

    fn clean(&mut self) -> Round {
        self.manager.clean_once(&mut self.cleaner, 0, &Unhindered)
    }

    /// Every data record in the log, aborted ones too.
    fn contents(&self) -> Vec<Found> {
        records_in(&self.bytes())
    }

    fn offsets(&self) -> Vec<Offset> {
        self.contents().iter().map(|(offset, ..)| *offset).collect()
    }

    /// The bytes of the whole log.
    fn bytes(&self) -> Bytes {
        let log = &self.test.log;
        let mut bytes = Vec::new();
        for segment in log.cleaning_view().segments {
            let slice = segment.records().slice(0, segment.size() as usize).unwrap();
            bytes.extend(slice.read().unwrap());
        }
        bytes.into()
    }

    /// The records that a `read_committed` consumer sees, by the rules that consumers follow.
    fn committed(&self) -> Vec<Found> {
        let log = &self.test.log;
        let mut offset = log.log_start_offset();
        let mut found = Vec::new();
        loop {
            let read = log
                .read(offset, 3000, FetchIsolation::TxnCommitted, true)
                .unwrap();
            let Some(slice) = read.records else { return found };
            let mut aborted = read.aborted_transactions.unwrap();
            aborted.sort_by_key(|(_, first_offset)| *first_offset);
            let mut within: Vec<ProducerId> = Vec::new();
            let bytes = slice.read().unwrap();
            for batch in RecordBatches::new(&bytes).map(Result::unwrap) {
                while let Some(&(producer_id, first_offset)) = aborted.first()
                    && first_offset <= batch.last_offset()
                {
                    within.push(producer_id);
                    aborted.remove(0);
                }
                let is_abort = EndTransactionMarker::read(&batch, batch.records())
                    .unwrap()
                    .is_some_and(|(marker, _)| marker.control_type == ControlRecordType::Abort);
                if is_abort {
                    within.retain(|&producer_id| producer_id != batch.producer_id());
                }
                if !(batch.is_transactional() && within.contains(&batch.producer_id())) {
                    let records = records_in(batch.bytes());
                    found.extend(records.into_iter().filter(|(o, ..)| *o >= offset));
                }
                offset = batch.next_offset().max(offset);
            }
        }
    }

    fn unfinished_files(&self) -> Vec<String> {
        let mut files = self.test.files();
        files.retain(|name| name.contains(".cleaned") || name.contains(".swap"));
        files
    }

    fn quarantine_reason(&self) -> Option<String> {
        let all = self.manager.uncleanable_partitions();
        all.first().map(|(_, quarantined)| quarantined.reason.clone())
    }
}

/// The data records in batches, whose checksums must be right.
fn records_in(bytes: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    for batch in RecordBatches::new(bytes).map(Result::unwrap) {
        assert!(batch.is_valid_crc(), "offset {}", batch.base_offset());
        if batch.is_control_batch() {
            continue;
        }
        let mut reader = RecordReader::new(&batch, 1 << 20).unwrap();
        while let Some(record) = reader.next().unwrap() {
            found.push((
                record.offset,
                record.key.unwrap_or_default().to_vec(),
                record.value.map(<[u8]>::to_vec),
                record.timestamp,
            ));
        }
    }
    found
}

/// The example that introductions to compaction show.
#[test]
fn the_last_value_of_each_key_stays() {
    let mut cleaning = Cleaning::new(compacted());
    let keys = ["K1", "K2", "K1", "K1", "K3", "K2", "K4", "K5", "K5", "K2", "K6"];
    for (i, key) in keys.iter().enumerate() {
        cleaning.put(key.as_bytes(), Some(format!("V{}", i + 1).as_bytes()));
    }
    let before = cleaning.contents();
    let round = cleaning.roll_and_clean();
    assert!(round.cleaned);
    assert_eq!(cleaning.offsets(), [3, 4, 6, 8, 9, 10]);
    assert!(cleaning.contents().iter().all(|record| before.contains(record)));
    let log = &cleaning.test.log;
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 11));
    assert_eq!(cleaning.manager.checkpointed(log.topic_partition()), Some(11));
    assert!(cleaning.unfinished_files().is_empty());
    let stats = round.stats.unwrap();
    assert_eq!((stats.messages_read, stats.messages_written), (11, 6));
    assert!(!cleaning.clean().cleaned, "nothing is dirty any more");
    let reopened = cleaning.reopen(CLEAN);
    assert_eq!(reopened.offsets(), [3, 4, 6, 8, 9, 10]);
    assert_eq!(
        reopened.test.read_all(0, FetchIsolation::LogEnd),
        [3, 4, 6, 8, 9, 10]
    );
}
