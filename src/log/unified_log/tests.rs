//! Tests of a log through its public methods.

use bytes::Bytes;

use super::*;
use crate::common::error::ErrorCode;
use crate::log::testing::{CLEAN, NOW_MS, Opening, TestLog, UNCLEAN, batch, leader_batch};
use crate::record::{BatchBuilder, ControlRecordType, EndTransactionMarker};

fn small_segments() -> LogConfig {
    LogConfig {
        segment_bytes: 1000,
        index_interval_bytes: 100,
        ..LogConfig::default()
    }
}

#[test]
fn a_published_record_comes_out_byte_for_byte() {
    // The hex dump of a one-record segment that a Kafka user published.
    const EXPECTED: &str = "00000000000000000000004600000000021b0d893f0000000000000000017e1fecc2a00000017e1fecc2a0\
        ffffffffffffffffffffffffffff0000000128000000011c204669727374206d65737361676500";
    let test = TestLog::new(LogConfig::default());
    let mut builder = BatchBuilder::new(0);
    builder.append(1_641_213_117_088, None, Some(b" First message"), &[]);
    test.append(builder.build(), 0);
    let written = std::fs::read(test.path().join("00000000000000000000.log")).unwrap();
    let hex: String = written.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, EXPECTED);
    test.commit();
    let read = test
        .log
        .read(0, 1000, FetchIsolation::HighWatermark, true)
        .unwrap();
    assert_eq!(read.records.unwrap().read().unwrap(), written);
}

#[test]
fn what_is_appended_is_read_up_to_the_bound() {
    let test = TestLog::new(small_segments());
    test.fill(50, 100);
    assert!(test.log.number_of_segments() > 5);
    let all: Vec<Offset> = (0..50).collect();
    assert_eq!(test.read_all(0, FetchIsolation::LogEnd), all);
    assert!(test.read_all(0, FetchIsolation::HighWatermark).is_empty());
    for high_watermark in 1..=50 {
        assert!(test.log.maybe_increment_high_watermark(high_watermark));
        let expected = &all[..high_watermark as usize];
        assert_eq!(test.read_all(0, FetchIsolation::HighWatermark), expected);
    }
    for offset in 0..50 {
        assert_eq!(
            test.read_all(offset, FetchIsolation::LogEnd),
            &all[offset as usize..]
        );
    }
    assert!(!test.log.maybe_increment_high_watermark(50));
    for offset in [-1, 51] {
        let error = test
            .log
            .read(offset, 1, FetchIsolation::LogEnd, true)
            .unwrap_err();
        assert!(matches!(error, LogError::OffsetOutOfRange { .. }), "{error}");
    }
}

#[test]
fn a_read_respects_the_size_but_for_the_first_batch() {
    let test = TestLog::new(LogConfig::default());
    let info = test.append(batch(3, NOW_MS, 100), 0);
    test.append(batch(3, NOW_MS, 100), 0);
    let read = |max, min_one| test.log.read(1, max, FetchIsolation::LogEnd, min_one).unwrap();
    let one = read(10, true);
    assert_eq!(one.records.unwrap().length, info.size);
    assert_eq!((one.fetch_offset.offset, one.fetch_offset.position), (1, 0));
    assert!(!one.first_entry_incomplete);
    assert!(read(10, false).first_entry_incomplete);
    assert_eq!(read(info.size + 7, true).records.unwrap().length, info.size + 7);
    assert!(read(0, false).records.is_none());
}

#[test]
fn a_follower_takes_batches_as_they_are() {
    let test = TestLog::new(LogConfig::default());
    let sent = [
        leader_batch(5, 3, 1),
        leader_batch(8, 2, 1),
        leader_batch(20, 1, 2),
    ]
    .concat();
    let info = test.log.append_as_follower(Bytes::from(sent.clone()), 2).unwrap();
    assert_eq!(
        (info.first_offset, info.last_offset, info.size),
        (5, 20, sent.len())
    );
    let file = test.path().join("00000000000000000000.log");
    assert_eq!(std::fs::read(file).unwrap(), sent);
    assert_eq!(test.log.end_offset_for_epoch(1), (1, 20));
    assert_eq!(test.log.end_offset_for_epoch(2), (2, 21));
    assert_eq!(test.read_all(10, FetchIsolation::LogEnd), [20]);

    // Fact 74: a batch with an epoch above that of the fetch.
    let sent = [leader_batch(21, 1, 2), leader_batch(22, 1, 3)].concat();
    let info = test.log.append_as_follower(Bytes::from(sent), 2).unwrap();
    assert_eq!((info.last_offset, test.log.log_end_offset()), (21, 22));
    let nothing = test.log.append_as_follower(leader_batch(22, 1, 3), 2).unwrap();
    assert_eq!((nothing.size, test.log.log_end_offset()), (0, 22));

    // The log leaves out an incomplete batch at the end, and refuses a corrupt one and an old one.
    let mut cut = [leader_batch(22, 1, 2), leader_batch(23, 1, 2)].concat();
    cut.pop();
    test.log.append_as_follower(Bytes::from(cut), 2).unwrap();
    assert_eq!(test.log.log_end_offset(), 23);
    let mut corrupt = leader_batch(23, 1, 2).to_vec();
    *corrupt.last_mut().unwrap() ^= 1;
    let error = test.log.append_as_follower(Bytes::from(corrupt), 2).unwrap_err();
    assert_eq!(error.code, ErrorCode::CorruptMessage);
    let error = test.log.append_as_follower(leader_batch(7, 1, 2), 2).unwrap_err();
    assert_eq!(error.code, ErrorCode::UnknownServerError);
    assert_eq!(test.log.log_end_offset(), 23);
}

#[test]
fn an_empty_follower_begins_with_the_batch_its_start_lies_in() {
    let test = TestLog::new(LogConfig::default());
    test.log.truncate_fully_and_start_at(7).unwrap();
    test.log.append_as_follower(leader_batch(5, 5, 0), 0).unwrap();
    assert_eq!(test.log.log_end_offset(), 10);
    assert_eq!(test.read_all(5, FetchIsolation::LogEnd), [5]);
    assert!(test.files().contains(&"00000000000000000005.log".to_owned()));
}

#[test]
fn offsets_far_apart_go_to_different_segments() {
    let test = TestLog::new(LogConfig::default());
    let far = i64::from(i32::MAX);
    for offset in [0, far, far + 1, 3 * far] {
        test.log
            .append_as_follower(leader_batch(offset, 1, 0), 0)
            .unwrap();
    }
    // One request may hold batches that do not fit into one segment: the follower fetches the rest again.
    let both = [leader_batch(4 * far, 1, 0), leader_batch(6 * far, 1, 0)].concat();
    let info = test.log.append_as_follower(Bytes::from(both), 0).unwrap();
    assert_eq!(info.last_offset, 4 * far);
    test.log
        .append_as_follower(leader_batch(6 * far, 1, 0), 0)
        .unwrap();
    let expected = [0, far, far + 1, 3 * far, 4 * far, 6 * far];
    assert_eq!(test.read_all(0, FetchIsolation::LogEnd), expected);
    test.scheduler.run_due();
    let recovery_point = Some(test.log.recovery_point());
    let test = test.reopen(Opening {
        recovery_point,
        ..UNCLEAN
    });
    assert_eq!(test.read_all(0, FetchIsolation::LogEnd), expected);
}

#[test]
fn truncation_drops_records_epochs_and_the_high_watermark() {
    for target in 0..=20 {
        let test = TestLog::new(small_segments());
        for offset in 0..20 {
            test.append(batch(1, NOW_MS + offset, 200), (offset / 5) as i32);
        }
        test.commit();
        assert_eq!(test.log.truncate_to(target).unwrap(), target < 20);
        assert_eq!(test.log.log_end_offset(), target);
        assert_eq!(test.log.high_watermark(), target);
        let kept: Vec<Offset> = (0..target).collect();
        assert_eq!(test.read_all(0, FetchIsolation::HighWatermark), kept);
        let epoch = (target > 0).then(|| ((target - 1) / 5) as i32);
        assert_eq!(test.log.latest_epoch(), epoch, "target {target}");
        let max = test.log.offset_of_max_timestamp().unwrap();
        assert_eq!(
            max.map(|(_, offset, _)| offset),
            (target > 0).then_some(target - 1)
        );
        test.append(batch(1, NOW_MS, 10), 9);
        assert_eq!(test.log.log_end_offset(), target + 1);
        test.clock.advance(test.config.file_delete_delay_ms);
        test.scheduler.run_due();
        let files = test.files();
        assert!(!files.iter().any(|f| f.ends_with(".deleted")), "{files:?}");
        let test = test.reopen(UNCLEAN);
        assert_eq!(test.log.log_end_offset(), target + 1);
        assert_eq!(test.log.latest_epoch(), Some(9));
    }
}

#[test]
fn a_truncation_that_cuts_nothing_still_cuts_epochs() {
    let test = TestLog::new(LogConfig::default());
    test.fill(3, 10);
    test.log.assign_epoch_start_offset(4, 3).unwrap();
    assert!(!test.log.truncate_to(3).unwrap());
    assert_eq!(test.log.latest_epoch(), Some(0));
    test.log.assign_epoch_start_offset(5, 3).unwrap();
    let on_disk = std::fs::read_to_string(test.path().join("leader-epoch-checkpoint")).unwrap();
    assert_eq!(on_disk, "0\n2\n0 0\n5 3\n");
    // An epoch without records does not survive a restart, as in Kafka; the controller will send a newer one.
    assert_eq!(test.reopen(CLEAN).log.latest_epoch(), Some(0));
}

/// A leader that was killed before it appended, followed after its restart, and was killed again.
#[test]
fn an_epoch_without_records_does_not_come_back_behind_older_ones() {
    let test = TestLog::new(LogConfig::default());
    test.fill(3, 10);
    test.log.assign_epoch_start_offset(1, 3).unwrap();
    let test = test.reopen(UNCLEAN);
    assert_eq!(test.log.latest_epoch(), Some(0));
    // The next leader has more records of epoch 0. The second kill comes before any background job runs.
    test.log.append_as_follower(leader_batch(3, 2, 0), 2).unwrap();
    let test = test.reopen(UNCLEAN);
    assert_eq!(test.log.log_end_offset(), 5);
    assert_eq!(test.log.end_offset_for_epoch(0), (0, 5));
}

#[test]
fn full_truncation_starts_anew_anywhere() {
    for start in [0, 3, 100] {
        let test = TestLog::new(small_segments());
        test.fill(10, 200);
        test.commit();
        test.log.truncate_fully_and_start_at(start).unwrap();
        let offsets = (
            test.log.log_start_offset(),
            test.log.high_watermark(),
            test.log.log_end_offset(),
        );
        assert_eq!(offsets, (start, start, start));
        assert_eq!(test.log.latest_epoch(), None);
        test.fill(10, 200);
        let expected: Vec<Offset> = (start..start + 10).collect();
        assert_eq!(test.read_all(start, FetchIsolation::LogEnd), expected);
    }
}

#[test]
fn segments_roll_by_size_time_and_full_index() {
    let by_size = TestLog::new(small_segments());
    by_size.fill(20, 200);
    for segment in by_size.log.view.lock().segments.iter() {
        assert!(segment.size() <= 1000);
    }
    let by_time = TestLog::new(LogConfig {
        segment_ms: 1000,
        ..LogConfig::default()
    });
    for (elapsed, segments) in [(0, 1), (1000, 1), (1001, 2), (1500, 2), (2002, 3)] {
        by_time.append(batch(1, NOW_MS + elapsed, 10), 0);
        assert_eq!(by_time.log.number_of_segments(), segments, "after {elapsed} ms");
    }
    let by_index = TestLog::new(LogConfig {
        segment_index_bytes: 5 * 12,
        index_interval_bytes: 0,
        ..LogConfig::default()
    });
    by_index.fill(12, 10);
    // The first append of a segment adds no entry, and a time index keeps its last slot free.
    assert_eq!(by_index.log.number_of_segments(), 3);
}

#[test]
fn rolling_moves_the_recovery_point_once_the_old_segment_is_on_disk() {
    let test = TestLog::new(small_segments());
    test.fill(4, 200);
    assert_eq!(test.log.recovery_point(), 0);
    let base = test.log.log_end_offset_metadata().segment_base_offset;
    assert_eq!((base, test.log.number_of_segments()), (3, 2));
    test.scheduler.run_due();
    assert_eq!(test.log.recovery_point(), 3);
    let files = test.files();
    for expected in ["00000000000000000003.snapshot", "00000000000000000003.index"] {
        assert!(files.contains(&expected.to_owned()), "{files:?}");
    }
    test.log.flush().unwrap();
    assert_eq!(test.log.recovery_point(), 4);
}

#[test]
fn flush_settings_are_honoured() {
    let by_count = TestLog::new(LogConfig {
        flush_messages: 3,
        ..LogConfig::default()
    });
    for (appended, recovery_point) in [(1, 0), (2, 0), (3, 3), (4, 3), (5, 3), (6, 6)] {
        by_count.fill(1, 10);
        assert_eq!(by_count.log.recovery_point(), recovery_point, "after {appended}");
    }
    let by_time = TestLog::new(LogConfig {
        flush_ms: 500,
        ..LogConfig::default()
    });
    by_time.fill(1, 10);
    by_time.clock.advance(499);
    by_time.log.flush_if_old().unwrap();
    assert_eq!(by_time.log.recovery_point(), 0);
    by_time.clock.advance(1);
    by_time.log.flush_if_old().unwrap();
    assert_eq!(by_time.log.recovery_point(), 1);
}

#[test]
fn a_log_is_read_and_flushed_while_its_directory_is_renamed() {
    let test = TestLog::new(small_segments());
    test.fill(10, 200);
    test.commit();
    let (test, there, elsewhere) = (&test, test.path(), test.root.path().join("t-0.moved"));
    std::thread::scope(|scope| {
        let renaming = scope.spawn(move || {
            for _ in 0..300 {
                test.log.rename_dir(&elsewhere, false).unwrap();
                test.log.rename_dir(&there, false).unwrap();
            }
        });
        let reading = scope.spawn(move || {
            while !renaming.is_finished() {
                // A reader opens the files again.
                test.log.release_idle();
                let read = test.read_all(0, FetchIsolation::HighWatermark);
                assert!(read.into_iter().eq(0..10));
            }
        });
        while !reading.is_finished() {
            test.fill(1, 200);
            test.log.flush().unwrap();
        }
    });
    assert!(test.failures.take().is_empty());
}

#[test]
fn retention_deletes_a_prefix_below_the_high_watermark() {
    let config = LogConfig {
        retention_ms: 1000,
        ..small_segments()
    };
    let test = TestLog::new(config);
    test.fill(10, 200);
    test.clock.advance(100_000);
    assert_eq!(test.log.delete_old_segments().unwrap(), 0, "nothing is committed");
    test.log.maybe_increment_high_watermark(7);
    assert_eq!(test.log.delete_old_segments().unwrap(), 2);
    assert_eq!(test.log.log_start_offset(), 6);
    test.commit();
    // The log rolls a new active segment rather than having none.
    assert_eq!(test.log.delete_old_segments().unwrap(), 2);
    assert_eq!((test.log.log_start_offset(), test.log.log_end_offset()), (10, 10));
    assert_eq!((test.log.number_of_segments(), test.log.size()), (1, 0));
    assert_eq!(
        test.log.delete_old_segments().unwrap(),
        0,
        "an empty segment stays"
    );
    test.append(batch(1, NOW_MS, 10), 0);
    assert_eq!(test.read_all(10, FetchIsolation::LogEnd), [10]);
}

#[test]
fn retention_by_size_keeps_at_least_the_limit() {
    let test = TestLog::new(LogConfig {
        retention_bytes: 2000,
        retention_ms: -1,
        ..small_segments()
    });
    test.fill(30, 200);
    test.commit();
    let before = test.log.size();
    test.log.delete_old_segments().unwrap();
    let after = test.log.size();
    assert!(before > 4000 && (2000..3000).contains(&after), "{before} {after}");
}

#[test]
fn deleted_records_do_not_take_the_active_segment_with_them() {
    let test = TestLog::new(LogConfig {
        retention_ms: -1,
        ..small_segments()
    });
    test.fill(10, 200);
    test.commit();
    assert!(test.log.maybe_increment_log_start_offset(10).unwrap());
    assert_eq!(test.log.delete_old_segments().unwrap(), 3);
    assert_eq!(
        (test.log.first_segment_base_offset(), test.log.log_start_offset()),
        (9, 10)
    );
}

#[test]
fn compaction_may_ask_for_a_roll_before_segment_ms() {
    let mut config = LogConfig {
        segment_ms: 10_000,
        max_compaction_lag_ms: 500,
        ..LogConfig::default()
    };
    for (compact, segments) in [(false, 1), (true, 2)] {
        config.cleanup_policy.compact = compact;
        let test = TestLog::new(config.clone());
        test.append(batch(1, NOW_MS, 10), 0);
        test.append(batch(1, NOW_MS + 501, 10), 0);
        assert_eq!(test.log.number_of_segments(), segments);
    }
}

#[test]
fn a_compacted_log_loses_only_what_lies_below_its_start() {
    let mut config = LogConfig {
        retention_ms: 1,
        retention_bytes: 1,
        ..small_segments()
    };
    config.cleanup_policy.delete = false;
    config.cleanup_policy.compact = true;
    let test = TestLog::new(config);
    test.fill(10, 200);
    test.commit();
    test.clock.advance(100_000);
    assert_eq!(test.log.delete_old_segments().unwrap(), 0);
    assert!(test.log.maybe_increment_log_start_offset(7).unwrap());
    assert!(!test.log.maybe_increment_log_start_offset(7).unwrap());
    assert_eq!(test.log.delete_old_segments().unwrap(), 2);
    assert_eq!(test.log.log_start_offset_to_checkpoint(), Some(7));
    assert!(test.log.read(6, 100, FetchIsolation::LogEnd, true).is_err());
    assert_eq!(
        test.log
            .maybe_increment_log_start_offset(11)
            .unwrap_err()
            .to_string(),
        "offset 11 is outside [7, 10]"
    );
    let opening = Opening {
        log_start_offset: 7,
        ..CLEAN
    };
    test.log.close().unwrap();
    let test = test.reopen(opening);
    assert_eq!(test.log.log_start_offset(), 7);
    assert_eq!(test.read_all(7, FetchIsolation::LogEnd), [7, 8, 9]);
}

#[test]
fn timestamps_are_found() {
    let test = TestLog::new(small_segments());
    for i in 0..30 {
        let mut builder = BatchBuilder::new(0);
        for j in 0..3 {
            builder.append(1000 + i * 30 + j * 10, None, Some(&[0; 60]), &[]);
        }
        test.append(builder.build(), 2);
    }
    for (timestamp, offset) in [(0, 0), (1000, 0), (1001, 1), (1010, 1), (1455, 46), (1890, 89)] {
        let found = test.log.offset_by_timestamp(timestamp).unwrap();
        assert_eq!(found, Some((1000 + offset * 10, offset, 2)), "{timestamp}");
    }
    assert_eq!(test.log.offset_by_timestamp(1891).unwrap(), None);
    let max = Some((1890, 89, 2));
    assert_eq!(test.log.offset_of_max_timestamp().unwrap(), max);
    test.append(batch(1, 5, 10), 2);
    assert_eq!(test.log.offset_of_max_timestamp().unwrap(), max);
    test.log.close().unwrap();
    let test = test.reopen(CLEAN);
    assert_eq!(test.log.offset_of_max_timestamp().unwrap(), max);
    assert_eq!(test.log.offset_by_timestamp(1455).unwrap(), Some((1460, 46, 2)));
    let before = |timestamp, max| test.log.legacy_offsets_before(timestamp, max).unwrap();
    let bases = before(-1, 100);
    assert_eq!((bases[0], bases.last()), (91, Some(&0)));
    assert_eq!(before(-2, 100), [0]);
    assert_eq!(before(-1, 1), [91]);
    assert_eq!(before(i64::MAX, 100), bases);
    assert!(before(0, 100).is_empty());

    // A time that cannot be read is an error and does not count as 0.
    std::fs::remove_file(test.path().join("00000000000000000000.log")).unwrap();
    test.log.legacy_offsets_before(0, 100).unwrap_err();
    assert_eq!(before(-1, 100), bases);
    assert!(test.failures.take().is_empty(), "nothing is wrong with the dir");
}

fn transactional(sequence: i32) -> Bytes {
    let mut builder = BatchBuilder::new(0).producer(7, 0, sequence).transactional(true);
    builder.append(NOW_MS, None, Some(b"v"), &[]);
    builder.build()
}

fn end(test: &TestLog, control_type: ControlRecordType) {
    let marker = EndTransactionMarker {
        control_type,
        coordinator_epoch: 0,
    };
    let records = BatchBuilder::end_transaction_marker(marker, 7, 0, NOW_MS);
    test.log
        .append_as_leader(records, 0, AppendOrigin::Coordinator)
        .unwrap();
}

#[test]
fn open_and_unreplicated_transactions_hold_the_last_stable_offset() {
    let test = TestLog::new(LogConfig::default());
    test.fill(1, 10);
    test.append(transactional(0), 0);
    test.fill(1, 10);
    test.commit();
    assert_eq!((test.log.high_watermark(), test.log.last_stable_offset()), (3, 1));
    assert_eq!(test.read_all(0, FetchIsolation::TxnCommitted), [0]);
    end(&test, ControlRecordType::Abort);
    assert_eq!(test.log.last_stable_offset(), 1, "the marker is not replicated");
    test.commit();
    assert_eq!(test.log.last_stable_offset(), 4);
    let read = test
        .log
        .read(0, 1000, FetchIsolation::TxnCommitted, true)
        .unwrap();
    assert_eq!(read.aborted_transactions, Some(vec![(7, 1)]));
    test.append(transactional(1), 0);
    end(&test, ControlRecordType::Commit);
    test.commit();
    let read = test
        .log
        .read(4, 1000, FetchIsolation::TxnCommitted, true)
        .unwrap();
    assert_eq!(read.aborted_transactions, Some(vec![]));
    for opening in [UNCLEAN, CLEAN] {
        test.log.flush().unwrap();
        let copy = std::sync::Arc::new(tempfile::tempdir().unwrap());
        crate::log::testing::copy_dir(test.root.path(), copy.path());
        if opening.clean {
            continue;
        }
        let again = TestLog::open(copy, test.config.clone(), opening, Default::default()).unwrap();
        again.commit();
        assert_eq!(again.log.last_stable_offset(), 6);
        let read = again
            .log
            .read(0, 1000, FetchIsolation::TxnCommitted, true)
            .unwrap();
        assert_eq!(read.aborted_transactions, Some(vec![(7, 1)]));
    }
}

#[test]
fn the_last_stable_offset_is_found_where_its_record_lies() {
    let test = TestLog::new(LogConfig::default());
    let located = || {
        let found = test.log.last_stable_offset_metadata().unwrap();
        let read = test.log.read(found.offset, 1000, FetchIsolation::LogEnd, true);
        assert_eq!(found, read.unwrap().fetch_offset);
        found.offset
    };
    test.fill(3, 10);
    test.append(transactional(0), 0);
    test.fill(1, 10);
    assert_eq!(located(), 0, "nothing is replicated");
    test.commit();
    assert_eq!((located(), located()), (3, 3));
    // After a truncation the same offset may have another position.
    test.log.truncate_to(1).unwrap();
    assert_eq!(located(), 1);
    test.append(batch(1, NOW_MS, 500), 0);
    test.fill(1, 10);
    test.append(transactional(0), 0);
    test.append(transactional(1), 0);
    test.commit();
    assert_eq!((located(), located()), (3, 3));
}

#[test]
fn a_truncated_transaction_is_open_again() {
    let test = TestLog::new(LogConfig::default());
    test.append(transactional(0), 0);
    end(&test, ControlRecordType::Abort);
    test.commit();
    assert_eq!(test.log.last_stable_offset(), 2);
    test.log.truncate_to(1).unwrap();
    assert_eq!(test.log.last_stable_offset(), 0);
    end(&test, ControlRecordType::Commit);
    test.commit();
    let read = test
        .log
        .read(0, 1000, FetchIsolation::TxnCommitted, true)
        .unwrap();
    assert_eq!(read.aborted_transactions, Some(vec![]));
}

#[test]
fn an_idempotent_producer_is_recognised_after_a_restart() {
    let batch = |sequence| {
        let mut builder = BatchBuilder::new(0).producer(7, 0, sequence);
        builder.append(NOW_MS, None, Some(b"v"), &[]);
        builder.build()
    };
    let test = TestLog::new(LogConfig::default());
    for sequence in 0..3 {
        test.append(batch(sequence), 0);
    }
    let duplicate = test.append(batch(1), 0);
    assert_eq!(
        (duplicate.first_offset, duplicate.duplicate, duplicate.size),
        (1, true, 0)
    );
    let gap = test
        .log
        .append_as_leader(batch(9), 0, AppendOrigin::Client)
        .unwrap_err();
    assert_eq!(gap.code, ErrorCode::OutOfOrderSequenceNumber);
    test.log.close().unwrap();
    assert!(test.files().contains(&"00000000000000000003.snapshot".to_owned()));
    for opening in [CLEAN, UNCLEAN] {
        let copy = std::sync::Arc::new(tempfile::tempdir().unwrap());
        crate::log::testing::copy_dir(test.root.path(), copy.path());
        let again = TestLog::open(copy, test.config.clone(), opening, Default::default()).unwrap();
        assert!(again.append(batch(2), 0).duplicate);
        assert_eq!(again.append(batch(3), 0).first_offset, 3);
    }
}

#[test]
fn a_closed_log_is_trimmed_and_takes_no_more() {
    let test = TestLog::new(LogConfig::default());
    test.fill(3, 3000);
    let length = |suffix: &str| {
        let path = test.path().join(format!("00000000000000000000{suffix}"));
        std::fs::metadata(path).unwrap().len()
    };
    assert_eq!((length(".index"), length(".timeindex")), (10_485_760, 10_485_756));
    test.log.close().unwrap();
    assert_eq!((length(".index"), length(".timeindex")), (8, 12));
    let error = test
        .log
        .append_as_leader(batch(1, NOW_MS, 1), 0, AppendOrigin::Client)
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::KafkaStorageError);
    assert!(test.failures.take().is_empty(), "closing is no failure");
    let test = test.reopen(CLEAN);
    test.fill(3, 3000);
    assert_eq!(test.read_all(0, FetchIsolation::LogEnd), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_failed_write_takes_the_dir_offline_and_moves_nothing() {
    let mut calls = 0;
    loop {
        let root = std::sync::Arc::new(tempfile::tempdir().unwrap());
        drop(TestLog::open(root.clone(), small_segments(), CLEAN, Default::default()).unwrap());
        let fs = crate::log::testing::Dying::after(calls, 30);
        calls += 1;
        assert!(calls < 10_000, "some write fails every time");
        let Ok(test) = TestLog::open(root, small_segments(), UNCLEAN, fs) else {
            continue;
        };
        let mut acknowledged = 0;
        let failed = (0..9).any(|i| {
            let records = batch(1, NOW_MS + i, 200);
            let result = test.log.append_as_leader(records, 0, AppendOrigin::Client);
            acknowledged += i64::from(result.is_ok());
            test.scheduler.run_due();
            result.is_err()
        });
        assert!(test.log.log_end_offset() <= acknowledged + 1);
        if !failed {
            break;
        }
        assert_eq!(test.failures.take().len(), 1);
        assert!(test.log.read(0, 1, FetchIsolation::LogEnd, true).is_err());
        let test = test.reopen(UNCLEAN);
        let read = test.read_all(0, FetchIsolation::LogEnd);
        assert!(
            read.len() as i64 >= acknowledged,
            "lost with {calls} calls: {read:?}"
        );
        assert!(read.iter().copied().eq(0..read.len() as i64));
    }
    assert!(calls > 50);
}
