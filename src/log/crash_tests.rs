//! Crash tests: the disk fails at every single call of every operation of a log, with partial writes too, and the next
//! start recovers the files. The first run of a script, on a working disk, records the log's content after each step. A
//! run that fails within a step must recover with everything that the states before and after that step share, and with
//! nothing that is in neither.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::error::AppendError;
use super::fs::{Call, Fs};
use super::testing::{self, CLEAN, Dying, FailingOnce, NOW_MS, Opening, TestLog, UNCLEAN, batch};
use super::unified_log::{AppendOrigin, FetchIsolation};
use crate::common::error::ErrorCode;
use crate::common::ids::{LeaderEpoch, Offset};
use crate::config::LogConfig;
use crate::record::{BatchBuilder, RecordBatches};

mod power_loss;

/// How many bytes of the failing write reach the disk.
const CUTS: [usize; 5] = [0, 1, 17, 61, 150];

/// An operation on a log.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Append so many batches of one record as the leader.
    Lead(LeaderEpoch, usize),
    /// Append as a follower of a leader in that epoch; by an idempotent producer.
    Follow(LeaderEpoch, usize),
    /// Raise the high watermark to the end.
    Commit,
    Roll,
    Flush,
    /// DeleteRecords: move the log's start.
    MoveStart(Offset),
    /// Apply retention, after so much time has passed.
    Retain(i64),
    /// Run the background jobs, which remove files marked as deleted.
    Tick,
    Truncate(Offset),
    TruncateFully(Offset),
    Close,
}

/// Timestamp of each batch by its offset; all timestamps differ.
type Content = BTreeMap<Offset, i64>;

/// The content of a log after a step.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    start: Offset,
    content: Content,
}

impl State {
    fn of(test: &TestLog) -> Self {
        let start = test.log.log_start_offset();
        Self {
            start,
            content: content(test, start),
        }
    }
}

/// All batches; from `epochs_from` on the log must know their epochs.
fn content(test: &TestLog, epochs_from: Offset) -> Content {
    let mut offset = test.log.log_start_offset();
    let mut found = Content::new();
    while let Some(slice) = test
        .log
        .read(offset, 1 << 20, FetchIsolation::LogEnd, true)
        .unwrap()
        .records
    {
        for batch in RecordBatches::new(&slice.read().unwrap()) {
            let batch = batch.unwrap();
            assert!(batch.is_valid_crc(), "offset {}", batch.base_offset());
            found.insert(batch.base_offset(), batch.max_timestamp());
            // Below a start that was not checkpointed the epochs may be unknown.
            match test.log.epoch_for_offset(batch.base_offset()) {
                None => assert!(batch.base_offset() < epochs_from, "{found:?}"),
                epoch => assert_eq!(epoch, Some(batch.partition_leader_epoch()), "{found:?}"),
            }
            offset = batch.next_offset();
        }
    }
    assert_eq!(offset, test.log.log_end_offset());
    found
}

fn followed(test: &TestLog, epoch: LeaderEpoch, timestamp: i64) -> Bytes {
    let sequence = (timestamp - NOW_MS) as i32;
    let mut builder = BatchBuilder::new(test.log.log_end_offset())
        .partition_leader_epoch(epoch)
        .producer(7, 0, sequence);
    builder.append(timestamp, None, Some(&[b'f'; 90]), &[]);
    builder.build()
}

/// Does one step; `clock` numbers the batches.
fn take(test: &TestLog, step: Step, clock: &mut i64) -> Result<(), AppendError> {
    match step {
        Step::Lead(epoch, count) | Step::Follow(epoch, count) => {
            for _ in 0..count {
                *clock += 1;
                match step {
                    Step::Lead(..) => {
                        test.log
                            .append_as_leader(batch(1, *clock, 80), epoch, AppendOrigin::Client)
                    }
                    _ => test.log.append_as_follower(followed(test, epoch, *clock), epoch),
                }?;
            }
        }
        Step::Commit => test.commit(),
        Step::Roll => test.log.roll()?,
        Step::Flush => test.log.flush()?,
        Step::MoveStart(to) => drop(test.log.maybe_increment_log_start_offset(to)?),
        Step::Retain(ms) => {
            test.clock.advance(ms);
            test.log.delete_old_segments()?;
        }
        Step::Tick => test.clock.advance(test.config.file_delete_delay_ms),
        Step::Truncate(to) => drop(test.log.truncate_to(to)?),
        Step::TruncateFully(to) => test.log.truncate_fully_and_start_at(to)?,
        Step::Close => test.log.close()?,
    }
    test.scheduler.run_due();
    Ok(())
}

/// Splits the steps so that every batch is a step of its own: appends are acknowledged one by one.
fn single(script: &[Step]) -> Vec<Step> {
    let mut steps = Vec::new();
    for &step in script {
        match step {
            Step::Lead(epoch, count) => steps.extend(vec![Step::Lead(epoch, 1); count]),
            Step::Follow(epoch, count) => steps.extend(vec![Step::Follow(epoch, 1); count]),
            other => steps.push(other),
        }
    }
    steps
}

/// Runs a script, fails at every call of it, and recovers. Returns how many failures that were.
fn die_everywhere(config: &LogConfig, script: &[Step]) -> usize {
    let steps = single(script);
    let healthy = TestLog::new(config.clone());
    let mut clock = NOW_MS;
    let mut states = vec![State::of(&healthy)];
    for &step in &steps {
        take(&healthy, step, &mut clock).unwrap();
        states.push(match step {
            Step::Close => states.last().cloned().unwrap(),
            _ => State::of(&healthy),
        });
    }
    let mut deaths = 0;
    for cut in CUTS {
        for calls in 0.. {
            let root = testing::root();
            let fs = Dying::after(calls, cut);
            let opened = TestLog::open(Arc::clone(&root), config.clone(), CLEAN, fs);
            let (survived, recovery_point) = match opened {
                Err(_) => (0, 0),
                Ok(test) => {
                    let mut clock = NOW_MS;
                    let failed = |step: &Step| take(&test, *step, &mut clock).is_err();
                    let survived = steps.iter().position(failed).unwrap_or(steps.len());
                    (survived, test.log.recovery_point())
                }
            };
            let died = survived < steps.len();
            // A checkpoint may be as new as the recovery point, or lost.
            let opening = Opening {
                recovery_point: (calls % 2 == 0).then_some(recovery_point),
                ..UNCLEAN
            };
            if calls % 3 == 0 {
                let fs = Dying::after(calls * 31 % 45, cut);
                drop(TestLog::open(Arc::clone(&root), config.clone(), opening, fs));
            }
            let after = &states[(survived + 1).min(steps.len())];
            check(
                root,
                config,
                opening,
                &states[survived],
                after,
                &format!("{calls} calls, cut at {cut}, in {:?}", steps.get(survived)),
            );
            if !died {
                break;
            }
            deaths += 1;
        }
    }
    deaths
}

/// Checks that a recovered log is between the states before and after the failed step.
fn check(
    root: Arc<tempfile::TempDir>,
    config: &LogConfig,
    opening: Opening,
    before: &State,
    after: &State,
    case: &str,
) {
    let test = TestLog::open(root, config.clone(), opening, Fs::default())
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    let start = before.start.max(after.start);
    let found = content(&test, start);
    for (offset, timestamp) in before.content.range(start..) {
        let is_lost = after.content.get(offset) == Some(timestamp) && found.get(offset) != Some(timestamp);
        assert!(!is_lost, "{case}: lost offset {offset}; {found:?}");
    }
    for (offset, timestamp) in found.range(before.start.min(after.start)..) {
        let known = [before, after].map(|state| state.content.get(offset));
        assert!(
            known.contains(&Some(timestamp)),
            "{case}: offset {offset} out of nowhere"
        );
    }
    assert_sound(test, &found, case);
}

/// Checks that a recovered log has no hole, that lookups by index work, that it accepts another batch, and that it can
/// be closed and opened.
fn assert_sound(test: TestLog, found: &Content, case: &str) {
    let offsets: Vec<Offset> = found.keys().copied().collect();
    assert!(
        offsets.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "{case}: a hole in {offsets:?}"
    );
    let indexes = test.log.check_indexes_thoroughly();
    indexes.unwrap_or_else(|error| panic!("{case}: {error}"));
    for (offset, timestamp) in found {
        let by_time = test.log.offset_by_timestamp(*timestamp).unwrap();
        assert_eq!(by_time.map(|(_, offset, _)| offset), Some(*offset), "{case}");
    }
    let end = test.log.log_end_offset();
    let records = followed(&test, 99, NOW_MS + 1_000_000);
    test.log.append_as_follower(records, 99).unwrap();
    assert_eq!(test.log.log_end_offset(), end + 1, "{case}");
    let producers = test.log.active_producers();
    assert_eq!(producers[0].last_sequence, 1_000_000, "{case}");
    test.log.close().unwrap();
    let test = test.reopen(CLEAN);
    assert_eq!(test.log.log_end_offset(), end + 1, "{case}");
}

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 700,
        index_interval_bytes: 100,
        segment_index_bytes: 240,
        retention_ms: 1000,
        ..LogConfig::default()
    }
}

#[test]
fn appends_rolls_and_flushes_survive_death_at_any_call() {
    use Step::*;
    let script = [
        Lead(0, 4),
        Follow(0, 4),
        Flush,
        Follow(1, 3),
        Roll,
        Lead(2, 5),
        Flush,
        Follow(2, 2),
        Close,
    ];
    let mut deaths = die_everywhere(&config(), &script);
    deaths += die_everywhere(
        &LogConfig {
            preallocate: true,
            flush_messages: 3,
            ..config()
        },
        &script,
    );
    assert!(deaths > 1000, "{deaths}");
}

/// Retention removes old segments, by age and because the log's start moves.
fn retention() -> [Step; 12] {
    use Step::*;
    [
        Lead(0, 7),
        Follow(1, 8),
        Commit,
        MoveStart(6),
        Retain(0),
        Tick,
        Follow(2, 4),
        Commit,
        Retain(2_000_000),
        Lead(3, 3),
        Tick,
        Close,
    ]
}

/// Truncations cut the end of the log, in the active segment and before it.
fn truncation() -> [Step; 10] {
    use Step::*;
    [
        Follow(0, 7),
        Lead(1, 8),
        Flush,
        Truncate(9),
        Follow(2, 5),
        Truncate(4),
        Tick,
        Truncate(2),
        Follow(4, 4),
        Close,
    ]
}

/// The log starts again at another offset.
fn truncation_to_new_start() -> [Step; 12] {
    use Step::*;
    [
        Follow(0, 9),
        TruncateFully(4),
        Lead(1, 6),
        Commit,
        MoveStart(8),
        Retain(0),
        Truncate(3),
        Follow(2, 6),
        TruncateFully(100),
        Follow(3, 4),
        Tick,
        Close,
    ]
}

#[test]
fn retention_survives_death_at_any_call() {
    let deaths = die_everywhere(&config(), &retention());
    assert!(deaths > 800, "{deaths}");
}

#[test]
fn truncation_survives_death_at_any_call() {
    let deaths =
        die_everywhere(&config(), &truncation()) + die_everywhere(&config(), &truncation_to_new_start());
    assert!(deaths > 1500, "{deaths}");
}

/// Checks a log after one call failed on a disk that otherwise works: the dir is offline, nothing is written any more,
/// and acknowledged records are there after a restart. Returns false if no call failed.
fn fail_once(fs: Fs, case: &str) -> bool {
    let config = LogConfig {
        flush_messages: 2,
        ..config()
    };
    let root = testing::root();
    drop(TestLog::open(Arc::clone(&root), config.clone(), CLEAN, Fs::default()).unwrap());
    let opening = Opening {
        recovery_point: Some(0),
        ..CLEAN
    };
    let Ok(test) = TestLog::open(Arc::clone(&root), config.clone(), opening, fs) else {
        return true;
    };
    let mut clock = NOW_MS;
    let mut acknowledged = 0;
    let failed = (0..15).any(|i| {
        let result = take(&test, [Step::Lead(0, 1), Step::Follow(0, 1)][i % 2], &mut clock);
        acknowledged += Offset::from(result.is_ok());
        result.is_err()
    });
    if !failed && test.failures.take().is_empty() {
        return false;
    }
    assert!(test.log.log_dir().is_offline(), "{case}");
    let lengths = || -> Vec<u64> {
        let length = |name: &String| std::fs::metadata(test.path().join(name)).unwrap().len();
        test.files().iter().map(length).collect()
    };
    let before = lengths();
    let error = take(&test, Step::Lead(0, 1), &mut clock).unwrap_err();
    assert_eq!(error.code, ErrorCode::KafkaStorageError, "{case}");
    assert!(test.log.read(0, 1, FetchIsolation::LogEnd, true).is_err());
    assert!(test.log.flush().is_err() && test.log.close().is_err());
    assert_eq!(lengths(), before, "{case}: written to after a failure");
    let recovery_point = test.log.recovery_point();
    drop(test);
    let opening = Opening {
        recovery_point: Some(recovery_point),
        ..UNCLEAN
    };
    let test = TestLog::open(root, config, opening, Fs::default()).unwrap();
    let found = content(&test, 0);
    assert!(
        found.len() as Offset >= acknowledged,
        "{case}: {acknowledged} acknowledged, {found:?}"
    );
    assert!(found.keys().copied().eq(0..found.len() as Offset), "{case}");
    true
}

#[test]
fn a_full_disk_takes_the_dir_offline_and_keeps_what_was_acknowledged() {
    let writes = |call| matches!(call, Call::Write(_) | Call::SetLength | Call::Open);
    let mut calls = 0;
    while fail_once(
        FailingOnce::after(calls, writes, ErrorKind::StorageFull),
        &format!("full at {calls}"),
    ) {
        calls += 1;
    }
    assert!(calls > 50, "{calls}");
}

#[test]
fn a_failed_fsync_takes_the_dir_offline_and_keeps_what_was_acknowledged() {
    let syncs = |call| call == Call::Sync;
    let mut calls = 0;
    while fail_once(
        FailingOnce::after(calls, syncs, ErrorKind::Other),
        &format!("fsync {calls}"),
    ) {
        calls += 1;
    }
    assert!(calls > 30, "{calls}");
}

fn steps() -> impl Strategy<Value = Vec<(Step, bool)>> {
    let step = prop_oneof![
        4 => (0..3, 1..6usize).prop_map(|(epoch, count)| Step::Lead(epoch, count)),
        4 => (0..3, 1..6usize).prop_map(|(epoch, count)| Step::Follow(epoch, count)),
        1 => Just(Step::Commit),
        1 => Just(Step::Roll),
        1 => Just(Step::Flush),
        2 => (0..60i64).prop_map(Step::MoveStart),
        1 => Just(Step::Retain(0)),
        1 => Just(Step::Tick),
        2 => (0..60i64).prop_map(Step::Truncate),
        1 => (0..60i64).prop_map(Step::TruncateFully),
        1 => Just(Step::Close),
    ];
    // For each step: whether the next restart, if any, finds the recovery point in its checkpoint.
    prop::collection::vec((step, any::<bool>()), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Compares a log that is stopped and killed again and again with a map. Closing is a clean restart, flushing a
    /// kill.
    #[test]
    fn any_history_leaves_what_a_map_would_hold(history in steps()) {
        let mut test = TestLog::new(LogConfig { retention_ms: -1, ..config() });
        let (mut model, mut start, mut clock) = (Content::new(), 0, NOW_MS);
        for (i, (step, is_checkpointed)) in history.into_iter().enumerate() {
            let end = test.log.log_end_offset();
            let before = clock;
            // Epochs never fall.
            let step = match step {
                Step::Lead(_, count) => Step::Lead(i as LeaderEpoch, count),
                Step::Follow(_, count) => Step::Follow(i as LeaderEpoch, count),
                step => step,
            };
            let result = take(&test, step, &mut clock);
            match step {
                Step::Lead(..) | Step::Follow(..) => {
                    model.extend((end..).zip(before + 1..=clock));
                }
                Step::MoveStart(to) if result.is_ok() => start = start.max(to),
                Step::Truncate(to) => {
                    model.split_off(&to);
                    if to < end {
                        start = start.min(to);
                    }
                }
                Step::TruncateFully(to) => {
                    model.clear();
                    start = to;
                }
                _ => {}
            }
            prop_assert!(result.is_ok() || matches!(step, Step::MoveStart(_)), "{step:?}: {result:?}");
            let opening = Opening {
                clean: matches!(step, Step::Close),
                recovery_point: is_checkpointed.then(|| test.log.recovery_point()),
                log_start_offset: start,
                ..CLEAN
            };
            if matches!(step, Step::Close | Step::Flush) {
                let end = test.log.log_end_offset();
                test = test.reopen(opening);
                prop_assert_eq!(test.log.log_end_offset(), end);
            }
            prop_assert_eq!(test.log.log_start_offset(), start);
            // A reader may only have asked for the first offset of the batch in which the log starts.
            let expected: Content = model.range(start..).map(|(k, v)| (*k, *v)).collect();
            prop_assert_eq!(content(&test, start), expected);
        }
    }
}
