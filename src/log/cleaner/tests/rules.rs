//! Tests of the cleaning rules: batches, codecs, producers, transactions, tombstones.

use super::*;
use crate::log::testing::UNCLEAN;
use crate::record::testing::{legacy_message, wrapper_message};

#[test]
fn batches_keep_what_is_not_a_record_in_every_codec() {
    for codec in Compression::ALL {
        let mut cleaning = Cleaning::new(compacted());
        let mut builder = BatchBuilder::new(0).compression(codec, None).producer(7, 1, 40);
        for (i, key) in [b"a", b"b", b"a", b"c"].into_iter().enumerate() {
            builder.append(
                NOW_MS - 10 * i as i64,
                Some(key),
                Some(&[b'v'; 50]),
                &[("h", Some(b"1"))],
            );
        }
        cleaning.test.append(builder.build(), 3);
        cleaning.put(b"c", Some(b"later"));
        let before = cleaning.contents();
        assert!(cleaning.roll_and_clean().cleaned);
        assert_eq!(cleaning.offsets(), [1, 2, 4], "{codec:?}");
        assert!(cleaning.contents().iter().all(|record| before.contains(record)));
        let bytes = cleaning.bytes();
        let batch = RecordBatches::new(&bytes).next().unwrap().unwrap();
        assert_eq!(batch.compression().unwrap(), codec);
        assert_eq!(
            (batch.base_offset(), batch.last_offset(), batch.count()),
            (0, 3, Some(2))
        );
        assert_eq!(
            (batch.producer_id(), batch.producer_epoch(), batch.last_sequence()),
            (7, 1, 43)
        );
        assert_eq!(batch.partition_leader_epoch(), 3);
        assert_eq!(batch.max_timestamp(), NOW_MS - 10, "of the records that stay");
        assert_eq!(batch.delete_horizon_ms(), None);
    }
}

#[test]
fn tombstones_go_when_their_batchs_horizon_has_passed() {
    for codec in [Compression::None, Compression::Lz4] {
        let mut cleaning = Cleaning::new(compacted());
        cleaning.put(b"a", Some(b"1"));
        let mut builder = BatchBuilder::new(0).compression(codec, None);
        builder.append(NOW_MS + 5, Some(b"b"), Some(b"2"), &[]);
        builder.append(NOW_MS + 7, Some(b"a"), None, &[("why", None)]);
        cleaning.test.append(builder.build(), 0);
        let tombstone = (2, b"a".to_vec(), None, NOW_MS + 7);
        cleaning.roll_and_clean();
        assert_eq!(cleaning.offsets(), [1, 2]);
        assert!(
            cleaning.contents().contains(&tombstone),
            "the horizon moves no timestamp"
        );
        let horizon = |cleaning: &Cleaning| {
            let bytes = cleaning.bytes();
            let batch = RecordBatches::new(&bytes).next().unwrap().unwrap();
            batch.delete_horizon_ms()
        };
        assert_eq!(horizon(&cleaning), Some(NOW_MS + 1000));
        cleaning.test.clock.advance(999);
        cleaning.put(b"x", Some(b"1"));
        cleaning.roll_and_clean();
        assert_eq!(cleaning.offsets(), [1, 2, 3]);
        assert_eq!(horizon(&cleaning), Some(NOW_MS + 1000), "set once");
        cleaning.test.clock.advance(1);
        cleaning.put(b"x", Some(b"2"));
        cleaning.roll_and_clean();
        assert_eq!(cleaning.offsets(), [1, 4]);
        assert_eq!(horizon(&cleaning), Some(NOW_MS + 1000));
    }
}

#[test]
fn a_clock_that_jumps_deletes_no_tombstone_early() {
    let mut cleaning = Cleaning::new(compacted());
    cleaning.put(b"a", None);
    cleaning.test.clock.advance(50_000_000);
    cleaning.roll_and_clean();
    cleaning.test.clock.advance(-50_000_000);
    for _ in 0..3 {
        cleaning.put(b"x", Some(b"1"));
        assert!(cleaning.roll_and_clean().cleaned);
        assert_eq!(cleaning.contents()[0].1, b"a");
        cleaning.test.clock.advance(1_000_000);
    }
}

#[test]
fn an_active_producers_last_batch_stays_without_a_record() {
    let mut cleaning = Cleaning::new(compacted());
    let batch = |sequence| {
        let mut builder = BatchBuilder::new(0).producer(7, 0, sequence);
        builder.append(NOW_MS, Some(b"k"), Some(b"v"), &[]);
        builder.build()
    };
    for sequence in 0..3 {
        cleaning.test.append(batch(sequence), 0);
    }
    cleaning.put(b"k", Some(b"of another producer"));
    cleaning.roll_and_clean();
    assert_eq!(cleaning.offsets(), [3]);
    let bytes = cleaning.bytes();
    let batches: Vec<_> = RecordBatches::new(&bytes).map(Result::unwrap).collect();
    let facts: Vec<_> = batches.iter().map(|b| (b.base_offset(), b.count())).collect();
    assert_eq!(facts, [(2, Some(0)), (3, Some(1))]);
    // A broker that rebuilds its state from the log still knows the producer.
    let root = cleaning.test.root.clone();
    for name in cleaning
        .test
        .files()
        .iter()
        .filter(|name| name.ends_with(".snapshot"))
    {
        std::fs::remove_file(root.path().join("t-0").join(name)).unwrap();
    }
    let cleaning = cleaning.reopen(UNCLEAN);
    assert!(cleaning.test.append(batch(2), 0).duplicate);
    assert_eq!(cleaning.test.append(batch(3), 0).first_offset, 4);
}

fn transactional(cleaning: &Cleaning, producer_id: ProducerId, sequence: i32, key: &[u8], value: &[u8]) {
    let mut builder = BatchBuilder::new(0)
        .producer(producer_id, 0, sequence)
        .transactional(true);
    builder.append(cleaning.now(), Some(key), Some(value), &[]);
    cleaning.test.append(builder.build(), 0);
}

#[test]
fn aborted_data_goes_at_once_and_markers_when_nothing_needs_them() {
    let mut cleaning = Cleaning::new(compacted());
    cleaning.put(b"a", Some(b"before"));
    transactional(&cleaning, 7, 0, b"a", b"aborted");
    cleaning.end_transaction(7, ControlRecordType::Abort);
    transactional(&cleaning, 7, 1, b"b", b"committed");
    cleaning.end_transaction(7, ControlRecordType::Commit);
    let mut builder = BatchBuilder::new(0).producer(7, 0, 2);
    builder.append(NOW_MS, Some(b"z"), Some(b"z"), &[]);
    cleaning.test.append(builder.build(), 0);
    cleaning.roll_and_clean();
    let values = |cleaning: &Cleaning| -> Vec<Offset> { cleaning.committed().iter().map(|r| r.0).collect() };
    assert_eq!(cleaning.offsets(), [0, 3, 5]);
    assert_eq!(values(&cleaning), [0, 3, 5]);
    let markers = |cleaning: &Cleaning| {
        let bytes = cleaning.bytes();
        let batches = RecordBatches::new(&bytes).map(Result::unwrap);
        let markers = batches.filter(|b| b.is_control_batch());
        let facts = markers.map(|b| (b.base_offset(), b.delete_horizon_ms().is_some()));
        facts.collect::<Vec<_>>()
    };
    assert_eq!(markers(&cleaning), [(2, false), (4, false)]);
    cleaning.put(b"x", Some(b"1"));
    cleaning.roll_and_clean();
    assert_eq!(
        markers(&cleaning),
        [(2, true), (4, false)],
        "the data of the aborted one is gone"
    );
    cleaning.test.clock.advance(1000);
    cleaning.put(b"b", Some(b"newer"));
    cleaning.roll_and_clean();
    assert_eq!(markers(&cleaning), [(4, false)]);
    cleaning.put(b"x", Some(b"2"));
    cleaning.roll_and_clean();
    assert_eq!(markers(&cleaning), [(4, true)]);
    assert!(
        cleaning
            .test
            .files()
            .iter()
            .all(|name| !name.ends_with(".txnindex"))
    );
}

#[test]
fn nothing_beyond_an_open_transaction_or_the_high_watermark_is_cleaned() {
    let mut cleaning = Cleaning::new(compacted());
    cleaning.put(b"a", Some(b"1"));
    cleaning.put(b"a", Some(b"2"));
    cleaning.test.log.roll().unwrap();
    assert!(!cleaning.clean().cleaned, "nothing is replicated");
    cleaning.test.commit();
    transactional(&cleaning, 7, 0, b"a", b"3");
    cleaning.test.log.roll().unwrap();
    cleaning.put(b"a", Some(b"4"));
    assert!(cleaning.roll_and_clean().cleaned);
    assert_eq!(cleaning.offsets(), [1, 2, 3]);
    cleaning.end_transaction(7, ControlRecordType::Commit);
    assert!(cleaning.roll_and_clean().cleaned);
    assert_eq!(cleaning.offsets(), [3]);
}

#[test]
fn old_formats_are_cleaned_in_their_format() {
    for magic in [0, 1] {
        let mut cleaning = Cleaning::new(compacted());
        let message = |offset, key: &[u8], value| legacy_message(offset, magic, 5, Some(key), value);
        let inner = |relative: i64, offset: i64| if magic == 0 { offset } else { relative };
        let wrapped = [
            message(inner(0, 2), b"a", Some(b"2")),
            message(inner(1, 3), b"b", Some(b"3")),
        ];
        let records = [
            message(0, b"a", Some(b"0")),
            message(1, b"c", Some(b"1")),
            wrapper_message(3, magic, 5, Compression::Gzip, &wrapped.concat()),
            message(4, b"a", Some(b"4")),
            message(5, b"d", None),
        ];
        let log = cleaning.test.log.clone();
        log.append_as_follower(Bytes::from(records.concat()), 0).unwrap();
        assert!(cleaning.roll_and_clean().cleaned);
        assert_eq!(
            cleaning.offsets(),
            [1, 3, 4, 5],
            "format {magic}: there is no clean segment to tell the age of the tombstone"
        );
    }
}

#[test]
fn a_full_map_ends_a_clean_in_the_middle_and_the_next_goes_on() {
    let mut config = CONFIG;
    // Room for ten keys.
    config.dedupe_buffer_bytes = 12 * 24;
    let mut cleaning = Cleaning::of(TestLog::new(compacted()), &config);
    for round in 0..3u8 {
        for key in 0..15u8 {
            cleaning.put(&[key], Some(&[round]));
        }
    }
    let mut rounds = 0;
    cleaning.test.commit();
    cleaning.test.log.roll().unwrap();
    while cleaning.clean().cleaned {
        rounds += 1;
        assert!(rounds < 20, "no progress");
    }
    assert!(rounds > 2);
    assert_eq!(
        cleaning.manager.checkpointed(cleaning.test.log.topic_partition()),
        Some(45)
    );
    let last: Vec<Offset> = (30..45).collect();
    assert!(last.iter().all(|offset| cleaning.offsets().contains(offset)));
    assert_eq!(cleaning.offsets(), last);
}

#[test]
fn segments_are_joined_and_a_long_run_is_copied_as_it_is() {
    let config = LogConfig {
        segment_bytes: 64 << 10,
        ..compacted()
    };
    let mut cleaning = Cleaning::new(config);
    // Half of these are overwritten below; the others stay side by side.
    for i in 0..400u32 {
        let mut builder = BatchBuilder::new(0);
        builder.append(NOW_MS, Some(&i.to_be_bytes()), Some(&[1; 500]), &[]);
        cleaning.test.append(builder.build(), 0);
    }
    let before = cleaning.bytes();
    cleaning.roll_and_clean();
    assert_eq!(cleaning.bytes(), before, "nothing to remove");
    for i in (0..400u32).filter(|i| i % 10 != 0) {
        cleaning.put(&i.to_be_bytes(), Some(b"new"));
    }
    let segments = cleaning.test.log.number_of_segments();
    cleaning.roll_and_clean();
    // The segments are small now, and the next clean joins them.
    cleaning.put(b"another", Some(b"key"));
    cleaning.roll_and_clean();
    assert!(cleaning.test.log.number_of_segments() < segments);
    assert_eq!(cleaning.offsets()[..3], [0, 10, 20]);
    for offset in [0, 5, 390, 399, 400, 700] {
        let found = cleaning.test.read_all(offset, FetchIsolation::LogEnd);
        let expected = cleaning.offsets().into_iter().find(|o| *o >= offset);
        assert_eq!(found.first().copied(), expected, "from {offset}");
    }
    cleaning.test.log.check_indexes_thoroughly().unwrap();
    let found = cleaning.test.log.offset_by_timestamp(NOW_MS).unwrap();
    assert_eq!(found, Some((NOW_MS, 0, 0)));
}
