//! Power loss tests of a whole log dir: the power fails at every single call on the dir and its logs. Afterwards no log
//! has a hole or has lost its beginning, and no promised record is missing.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::{LogManager, opening};
use crate::common::clock::ManualClock;
use crate::common::ids::{Offset, TopicPartition, random_uuid};
use crate::config::{BrokerConfig, LogConfig};
use crate::log::error::LogDirsError;
use crate::log::fs::{Call, Faults, Fs, Verdict};
use crate::log::power_loss::{Durability, Left};
use crate::log::testing::{self, NOW_MS, batch};
use crate::log::unified_log::{AppendOrigin, FetchIsolation, UnifiedLog};
use crate::metrics::Registry;
use crate::record::RecordBatches;

/// How many states are drawn at each call.
const DRAWS: u64 = 3;

fn topic_config() -> LogConfig {
    LogConfig {
        segment_bytes: 300,
        segment_index_bytes: 240,
        retention_ms: -1,
        ..LogConfig::default()
    }
}

fn open(dir: &Path, fs: Fs) -> Result<Arc<LogManager>, LogDirsError> {
    let config = BrokerConfig::for_test(1, dir);
    let clock = ManualClock::at(NOW_MS);
    opening::open(&config, &|_| topic_config(), clock, &Registry::default(), fs)
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

/// Offsets and timestamps of a log from its beginning; an error if it cannot be read.
fn content(log: &UnifiedLog) -> Result<Vec<(Offset, i64)>, String> {
    let (mut offset, mut found) = (log.log_start_offset(), Vec::new());
    let read = |offset| log.read(offset, 1 << 20, FetchIsolation::LogEnd, true);
    while let Some(slice) = read(offset).map_err(|error| error.to_string())?.records {
        for batch in RecordBatches::new(&slice.read().map_err(|error| error.to_string())?) {
            let batch = batch.map_err(|error| error.to_string())?;
            found.push((batch.base_offset(), batch.max_timestamp()));
            offset = batch.next_offset();
        }
    }
    Ok(found)
}

/// The state that must survive.
#[derive(Clone, Default)]
struct Promised {
    /// Partition 0 exists.
    exists: bool,
    /// It has this many records.
    records: usize,
}

struct Draw {
    left: Left,
    promised: Promised,
    case: String,
}

/// A disk that only observes.
struct Disk(Mutex<Watched>);

struct Watched {
    durability: Durability,
    promised: Promised,
    draws: Vec<Draw>,
    calls: u64,
}

impl Disk {
    fn promise(&self, change: impl FnOnce(&mut Promised)) {
        change(&mut self.0.lock().promised);
    }
}

impl Faults for Disk {
    fn before(&self, call: Call, path: &Path) -> Verdict {
        if call == Call::Read {
            return Verdict::Proceed;
        }
        let watched = &mut *self.0.lock();
        watched.calls += 1;
        for draw in 0..DRAWS {
            let seed = watched.calls * DRAWS + draw;
            watched.draws.push(Draw {
                left: watched.durability.draw(&mut StdRng::seed_from_u64(seed)),
                promised: watched.promised.clone(),
                case: format!("seed {seed}, at {call:?} {}", path.display()),
            });
        }
        watched.durability.before(call, path);
        Verdict::Proceed
    }
}

/// The records of each log that ever existed, by its partition.
type Written = Vec<(i32, Vec<(Offset, i64)>)>;

struct Life<'a> {
    manager: &'a LogManager,
    written: Written,
    clock: i64,
}

impl Life<'_> {
    /// Creates a log as a LeaderAndIsr request does.
    fn create(&mut self, number: i32) -> Arc<UnifiedLog> {
        let (id, config) = (Some(random_uuid()), topic_config());
        let log = self
            .manager
            .get_or_create_log(&partition(number), id, true, config);
        self.manager.sync_created_logs();
        self.written.push((number, Vec::new()));
        log.unwrap()
    }

    fn append(&mut self, log: &UnifiedLog, count: usize) {
        for _ in 0..count {
            self.clock += 1;
            let offset = log.log_end_offset();
            // The records may be on the disk before the append returns.
            let index = log.topic_partition().partition;
            let written = self.written.iter_mut().rfind(|(number, _)| *number == index);
            written.unwrap().1.push((offset, self.clock));
            log.append_as_leader(batch(1, self.clock, 80), 0, AppendOrigin::Client)
                .unwrap();
        }
    }
}

fn live(manager: &LogManager, disk: &Disk) -> Written {
    let mut life = Life {
        manager,
        written: Written::new(),
        clock: NOW_MS,
    };
    let first = life.create(0);
    disk.promise(|promised| promised.exists = true);
    let second = life.create(1);
    for log in [&first, &second] {
        life.append(log, 5);
    }
    manager.scheduler.run_due();
    first.flush().unwrap();
    disk.promise(|promised| promised.records = 5);
    life.append(&first, 5);
    life.append(&second, 2);
    manager.checkpoint_recovery_points();
    life.append(&second, 3);
    manager.delete_log(&partition(1)).unwrap();
    // Another log with the same name.
    let third = life.create(1);
    life.append(&third, 6);
    first.truncate_to(7).unwrap();
    let kept = life.written[0].1[..7].to_vec();
    life.written.push((0, kept));
    life.append(&first, 4);
    manager.scheduler.run_due();
    manager.checkpoint_recovery_points();
    life.written
}

fn check(draw: &Draw, written: &Written) {
    let case = &draw.case;
    let root = testing::root();
    let dir = root.path().join("logs");
    std::fs::create_dir(&dir).unwrap();
    draw.left.write(&dir);
    let manager = open(&dir, Fs::default()).unwrap_or_else(|error| panic!("{case}: {error}"));
    for log in manager.all_logs() {
        let name = log.topic_partition();
        let found = content(&log).unwrap_or_else(|error| panic!("{case}: {name}: {error}"));
        assert_eq!(log.log_start_offset(), 0, "{case}: {name}");
        let is_beginning =
            |(number, records): &(i32, Vec<_>)| *number == name.partition && records.starts_with(&found);
        assert!(
            written.iter().any(is_beginning),
            "{case}: {name}: {found:?}, of {written:?}"
        );
    }
    let first = manager.get_log(&partition(0));
    assert!(first.is_some() || !draw.promised.exists, "{case}: t-0 is gone");
    let end = first.map_or(0, |log| log.log_end_offset());
    let promised = draw.promised.records as Offset;
    assert!(
        end >= promised,
        "{case}: t-0 ends at {end}, {promised} were flushed"
    );
}

#[test]
fn no_log_loses_its_beginning_with_the_power() {
    let root = testing::root();
    let dir = root.path().join("logs");
    std::fs::create_dir(&dir).unwrap();
    let disk = Arc::new(Disk(Mutex::new(Watched {
        durability: Durability::of(&dir),
        promised: Promised::default(),
        draws: Vec::new(),
        calls: 0,
    })));
    let manager = open(&dir, Fs::with_faults(Arc::clone(&disk) as Arc<dyn Faults>)).unwrap();
    let written = live(&manager, &disk);
    let draws = std::mem::take(&mut disk.0.lock().draws);
    assert!(draws.len() > 500, "{}", draws.len());
    draws.iter().for_each(|draw| check(draw, &written));
}
