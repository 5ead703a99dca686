use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::config::{CleanupPolicy, CompressionType};
use crate::record::testing::{legacy_message, wrapper_message};
use crate::record::{ControlRecordType, EndTransactionMarker};

const NOW: i64 = 1_700_000_000_000;

static PARTITION: LazyLock<TopicPartition> = LazyLock::new(|| TopicPartition::new("t", 0));

fn context(config: &LogConfig) -> AppendContext<'_> {
    AppendContext {
        partition: &PARTITION,
        config,
        next_offset: 1000,
        leader_epoch: 7,
        now_ms: NOW,
        origin: AppendOrigin::Client,
    }
}

fn three_records(codec: Compression) -> BatchBuilder {
    let mut builder = BatchBuilder::new(0)
        .compression(codec, None)
        .producer(5, 1, 30)
        .transactional(true);
    builder.append(NOW - 5, Some(b"a"), Some(b"1"), &[("h", Some(b"x"))]);
    builder.append(NOW, Some(b"b"), None, &[]);
    builder.append(NOW - 2, Some(b"c"), Some(b"3"), &[]);
    builder
}

/// The batch as the log stores it.
fn written(validated: &ValidatedRecords) -> Vec<u8> {
    [&validated.header.encode(), &validated.records[..]].concat()
}

/// Offset, timestamp and key of each record.
fn read(batch: &[u8]) -> Vec<(Offset, i64, Option<Vec<u8>>)> {
    let batch = RecordBatch::parse(batch).unwrap().unwrap();
    assert!(batch.is_valid_crc());
    let mut reader = RecordReader::new(&batch, 1 << 20).unwrap();
    let mut records = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        records.push((record.offset, record.timestamp, record.key.map(<[u8]>::to_vec)));
    }
    records
}

fn code(records: impl Into<Bytes>, context: &AppendContext<'_>) -> ErrorCode {
    validate_append(&records.into(), context).unwrap_err().code
}

#[test]
fn a_good_batch_keeps_its_payload_and_gets_its_place() {
    let config = LogConfig::default();
    for codec in Compression::ALL {
        let sent = three_records(codec).build();
        let validated = validate_append(&sent, &context(&config)).unwrap();
        assert!(!validated.is_rebuilt);
        assert_eq!(
            validated.records.as_ptr_range().end,
            sent.as_ptr_range().end,
            "the very same memory"
        );
        assert_eq!(
            validated.header.crc(),
            RecordBatch::parse(&sent).unwrap().unwrap().crc()
        );
        assert_eq!(
            (validated.header.base_offset(), validated.header.last_offset()),
            (1000, 1002)
        );
        assert_eq!(validated.header.partition_leader_epoch(), 7);
        assert_eq!(
            (validated.header.max_timestamp(), validated.log_append_time),
            (NOW, NO_TIMESTAMP)
        );
        let timestamps: Vec<_> = read(&written(&validated))
            .into_iter()
            .map(|record| (record.0, record.1))
            .collect();
        assert_eq!(timestamps, [(1000, NOW - 5), (1001, NOW), (1002, NOW - 2)]);
    }
}

#[test]
fn log_append_time_is_stamped_on_the_header_alone() {
    let config = LogConfig {
        message_timestamp_type: TimestampType::LogAppendTime,
        ..LogConfig::default()
    };
    for codec in Compression::ALL {
        let sent = three_records(codec).build();
        let validated = validate_append(
            &sent,
            &AppendContext {
                now_ms: NOW + 9,
                ..context(&config)
            },
        )
        .unwrap();
        assert!(!validated.is_rebuilt);
        assert_eq!(
            (validated.header.max_timestamp(), validated.log_append_time),
            (NOW + 9, NOW + 9)
        );
        assert!(
            read(&written(&validated))
                .iter()
                .all(|record| record.1 == NOW + 9)
        );
    }
}

#[test]
fn a_wrong_largest_timestamp_is_put_right() {
    let config = LogConfig::default();
    for codec in Compression::ALL {
        let (mut header, records) = three_records(codec).build_parts();
        header.set_max_timestamp(TimestampType::CreateTime, NOW + 1000, &records);
        let sent = Bytes::from([&header.encode(), &records[..]].concat());
        let validated = validate_append(&sent, &context(&config)).unwrap();
        assert!(!validated.is_rebuilt);
        assert_eq!(validated.header.max_timestamp(), NOW);
        assert_eq!(read(&written(&validated)).len(), 3);
    }
}

#[test]
fn another_codec_rebuilds_the_batch_under_the_same_producer() {
    let types = [
        (CompressionType::Uncompressed, Compression::None),
        (CompressionType::Gzip, Compression::Gzip),
        (CompressionType::Snappy, Compression::Snappy),
        (CompressionType::Lz4, Compression::Lz4),
        (CompressionType::Zstd, Compression::Zstd),
    ];
    for (compression_type, target) in types {
        let config = LogConfig {
            compression_type,
            ..LogConfig::default()
        };
        for codec in Compression::ALL {
            let sent = three_records(codec).build();
            let validated = validate_append(&sent, &context(&config)).unwrap();
            assert_eq!(validated.is_rebuilt, codec != target);
            let header = &validated.header;
            assert_eq!(header.compression(), Ok(target));
            assert_eq!(
                (
                    header.producer_id(),
                    header.producer_epoch(),
                    header.base_sequence()
                ),
                (5, 1, 30)
            );
            assert!(header.is_transactional());
            assert_eq!(header.partition_leader_epoch(), 7);
            let mut moved = three_records(codec).build().to_vec();
            moved[..8].copy_from_slice(&1000i64.to_be_bytes());
            assert_eq!(read(&written(&validated)), read(&moved));
        }
    }
}

#[test]
fn records_that_miscount_their_offsets_are_rebuilt() {
    let config = LogConfig::default();
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new(0).compression(codec, None);
        for offset in [0, 2, 5] {
            builder.append_with_offset(offset, NOW, Some(b"k"), None, Default::default());
        }
        let (mut header, records) = builder.build_parts();
        header.last_offset_delta = 2;
        header.seal(&records);
        let sent = Bytes::from([&header.encode(), &records[..]].concat());
        let validated = validate_append(&sent, &context(&config)).unwrap();
        assert!(validated.is_rebuilt);
        assert!(
            read(&written(&validated))
                .iter()
                .map(|record| record.0)
                .eq(1000..1003)
        );
    }
}

#[test]
fn old_formats_become_one_batch() {
    let config = LogConfig::default();
    let message = |magic, offset, timestamp| legacy_message(offset, magic, timestamp, Some(b"k"), Some(b"v"));
    let plain = [message(1, 0, NOW), message(1, 9, NOW + 1)].concat();
    let wrapped = wrapper_message(
        0,
        1,
        NOW + 1,
        Compression::Gzip,
        &[message(1, 0, NOW), message(1, 1, NOW + 1)].concat(),
    );
    let oldest = [message(0, 0, 0), message(0, 1, 0)].concat();
    for (sent, codec, timestamps) in [
        (plain, Compression::None, [NOW, NOW + 1]),
        (wrapped, Compression::Gzip, [NOW, NOW + 1]),
        (oldest, Compression::None, [-1, -1]),
    ] {
        let validated = validate_append(&sent.into(), &context(&config)).unwrap();
        assert!(validated.is_rebuilt);
        assert_eq!(
            (validated.header.magic(), validated.header.compression()),
            (2, Ok(codec))
        );
        assert_eq!(validated.header.max_timestamp(), timestamps[1]);
        let found: Vec<_> = read(&written(&validated))
            .into_iter()
            .map(|record| (record.0, record.1))
            .collect();
        assert_eq!(found, [(1000, timestamps[0]), (1001, timestamps[1])]);
    }
    let two_wrappers =
        [0, 1].map(|offset| wrapper_message(offset, 1, NOW, Compression::Gzip, &message(1, 0, NOW)));
    assert_eq!(
        code(two_wrappers.concat(), &context(&config)),
        ErrorCode::InvalidRecord
    );
    let mixed = [message(0, 0, 0), message(1, 1, NOW)].concat();
    assert_eq!(code(mixed, &context(&config)), ErrorCode::InvalidRecord);
}

#[test]
fn an_incomplete_batch_after_the_first_is_trimmed() {
    let config = LogConfig::default();
    let batch = three_records(Compression::None).build();
    for tail in [1, 12, 30, batch.len() - 1] {
        let sent = Bytes::from([&batch, &batch[..tail]].concat());
        let validated = validate_append(&sent, &context(&config)).unwrap();
        assert_eq!(written(&validated).len(), batch.len(), "tail of {tail}");
    }
    assert_eq!(
        code(batch.slice(..batch.len() - 1), &context(&config)),
        ErrorCode::InvalidRecord
    );
    assert_eq!(
        code([&batch[..], &batch].concat(), &context(&config)),
        ErrorCode::InvalidRecord
    );
    assert_eq!(
        code([&batch[..], &[0; 60]].concat(), &context(&config)),
        ErrorCode::CorruptMessage
    );
}

/// A change to a good batch and the expected error code.
type BadHeader = (&'static str, fn(&mut BatchHeader), ErrorCode);

#[test]
fn bad_headers_are_refused_with_kafkas_code() {
    let cases: [BadHeader; 9] = [
        (
            "base offset",
            |header| header.base_offset = 5,
            ErrorCode::InvalidRecord,
        ),
        ("count", |header| header.count = 2, ErrorCode::InvalidRecord),
        (
            "offset delta",
            |header| header.last_offset_delta = 3,
            ErrorCode::InvalidRecord,
        ),
        (
            "both",
            |header| (header.count, header.last_offset_delta) = (4, 3),
            ErrorCode::InvalidRecord,
        ),
        (
            "negative",
            |header| (header.count, header.last_offset_delta) = (-1, -2),
            ErrorCode::InvalidRecord,
        ),
        (
            "none",
            |header| (header.count, header.last_offset_delta) = (0, -1),
            ErrorCode::InvalidRecord,
        ),
        (
            "control",
            |header| header.attributes |= 0x20,
            ErrorCode::InvalidRecord,
        ),
        (
            "sequence",
            |header| header.base_sequence = -1,
            ErrorCode::InvalidRecord,
        ),
        (
            "codec",
            |header| header.attributes |= 7,
            ErrorCode::UnsupportedCompressionType,
        ),
    ];
    let config = LogConfig::default();
    for (name, spoil, expected) in cases {
        let (mut header, records) = three_records(Compression::None).build_parts();
        spoil(&mut header);
        header.seal(&records);
        let sent = [&header.encode(), &records[..]].concat();
        assert_eq!(code(sent, &context(&config)), expected, "{name}");
    }
    let mut sent = three_records(Compression::None).build().to_vec();
    *sent.last_mut().unwrap() ^= 1;
    assert_eq!(code(sent, &context(&config)), ErrorCode::CorruptMessage);
}

#[test]
fn too_large_is_measured_before_and_after_rebuilding() {
    let mut builder = BatchBuilder::new(0).compression(Compression::Gzip, None);
    builder.append(NOW, None, Some(&[0; 100_000]), &[]);
    let sent = builder.build();
    let mut config = LogConfig {
        max_message_bytes: sent.len() as i32,
        ..LogConfig::default()
    };
    assert!(validate_append(&sent, &context(&config)).is_ok());
    config.max_message_bytes -= 1;
    assert_eq!(code(sent.clone(), &context(&config)), ErrorCode::MessageTooLarge);
    config.compression_type = CompressionType::Uncompressed;
    config.max_message_bytes = 99_999;
    assert_eq!(code(sent.clone(), &context(&config)), ErrorCode::MessageTooLarge);
    config.max_message_bytes = 100_100;
    assert!(validate_append(&sent, &context(&config)).is_ok());
}

#[test]
fn a_bomb_is_walked_but_not_rebuilt() {
    let mut builder = BatchBuilder::new(0).compression(Compression::Zstd, None);
    for _ in 0..9 {
        builder.append(NOW, None, Some(&vec![0; 8 << 20]), &[]);
    }
    let bomb = builder.build();
    assert!(bomb.len() < 20_000);
    let config = LogConfig::default();
    assert!(
        validate_append(&bomb, &context(&config)).is_ok(),
        "Kafka takes it as well"
    );
    let config = LogConfig {
        compression_type: CompressionType::Lz4,
        ..config
    };
    assert_eq!(code(bomb, &context(&config)), ErrorCode::MessageTooLarge);
}

#[test]
fn records_without_keys_are_named() {
    let config = LogConfig {
        cleanup_policy: CleanupPolicy {
            delete: false,
            compact: true,
        },
        ..LogConfig::default()
    };
    assert!(validate_append(&three_records(Compression::None).build(), &context(&config)).is_ok());
    for codec in Compression::ALL {
        let mut builder = three_records(codec);
        builder.append(NOW, None, Some(b"v"), &[]);
        let error = validate_append(&builder.build(), &context(&config)).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRecord);
        assert_eq!(
            error
                .record_errors
                .iter()
                .map(|error| error.0)
                .collect::<Vec<_>>(),
            [3]
        );
    }
    let mut builder = BatchBuilder::new(0);
    for _ in 0..MAX_RECORD_ERRORS + 1 {
        builder.append(NOW, None, None, &[]);
    }
    let error = validate_append(&builder.build(), &context(&config)).unwrap_err();
    assert_eq!(error.record_errors.len(), MAX_RECORD_ERRORS);
}

#[test]
fn timestamps_out_of_range_are_named() {
    let config = LogConfig {
        message_timestamp_before_max_ms: 100,
        message_timestamp_after_max_ms: 10,
        ..LogConfig::default()
    };
    for (timestamp, is_good) in [
        (NOW - 100, true),
        (NOW - 101, false),
        (NOW + 10, true),
        (NOW + 11, false),
        (NO_TIMESTAMP, true),
        (-2, false),
        (i64::MIN, false),
        (i64::MAX, false),
    ] {
        let mut builder = BatchBuilder::new(0);
        builder.append(timestamp, None, None, &[]);
        let sent = builder.build();
        match validate_append(&sent, &context(&config)) {
            Ok(_) => assert!(is_good, "{timestamp}"),
            Err(error) => {
                assert!(!is_good, "{timestamp}");
                assert_eq!(error.code, ErrorCode::InvalidTimestamp);
                assert_eq!(error.record_errors.len(), 1);
            }
        }
        let config = LogConfig {
            message_timestamp_type: TimestampType::LogAppendTime,
            ..config.clone()
        };
        assert!(
            validate_append(&sent, &context(&config)).is_ok(),
            "the leader's clock knows no range"
        );
    }
}

#[test]
fn a_producer_does_not_choose_log_append_time() {
    let sent = three_records(Compression::None)
        .log_append_time(Some(NOW))
        .build();
    let config = LogConfig {
        message_timestamp_type: TimestampType::LogAppendTime,
        ..LogConfig::default()
    };
    assert_eq!(code(sent.clone(), &context(&config)), ErrorCode::InvalidTimestamp);
    // As in Kafka, a topic with CreateTime takes the timestamp and clears the flag.
    let config = LogConfig::default();
    let validated = validate_append(&sent, &context(&config)).unwrap();
    assert_eq!(validated.header.timestamp_type(), TimestampType::CreateTime);
    assert_eq!(validated.header.max_timestamp(), NOW);
    assert!(
        RecordBatch::parse(&written(&validated))
            .unwrap()
            .unwrap()
            .is_valid_crc()
    );
}

#[test]
fn coordinators_write_markers_that_stay_uncompressed() {
    let marker = EndTransactionMarker {
        control_type: ControlRecordType::Commit,
        coordinator_epoch: 3,
    };
    let sent = BatchBuilder::end_transaction_marker(marker, 5, 1, NOW);
    let config = LogConfig {
        compression_type: CompressionType::Zstd,
        ..LogConfig::default()
    };
    let context = AppendContext {
        origin: AppendOrigin::Coordinator,
        ..context(&config)
    };
    let validated = validate_append(&sent, &context).unwrap();
    assert!(!validated.is_rebuilt && validated.header.is_control_batch());
    let read = EndTransactionMarker::read(&validated.header, &validated.records).unwrap();
    assert_eq!(read, Some((marker, NOW)));
}

proptest! {
    /// Any records of a client with a right checksum are either refused or become one valid batch with the right
    /// offsets.
    #[test]
    fn what_is_accepted_is_sound(
        codec in 0i16..5,
        target in 0usize..6,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let compression_type = [
            CompressionType::Producer, CompressionType::Uncompressed, CompressionType::Gzip,
            CompressionType::Snappy, CompressionType::Lz4, CompressionType::Zstd,
        ][target];
        let mut bytes = three_records(Compression::from_id(codec).unwrap()).build().to_vec();
        for (index, value) in flips {
            let index = 21 + index.index(bytes.len() - 21);
            bytes[index] = value;
        }
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        let config = LogConfig { compression_type, ..LogConfig::default() };
        if let Ok(validated) = validate_append(&bytes.into(), &context(&config)) {
            let records = read(&written(&validated));
            prop_assert!(records.iter().map(|record| record.0).eq(1000..1000 + records.len() as i64));
            prop_assert_eq!(validated.header.last_offset(), 999 + records.len() as i64);
            prop_assert_eq!(validated.header.count(), Some(records.len() as i32));
            prop_assert_eq!(validated.header.max_timestamp(), records.iter().map(|r| r.1).max().unwrap().max(-1));
        }
    }
}
