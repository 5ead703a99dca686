use proptest::prelude::*;

use super::*;
use crate::record::control::ControlRecordType;
use crate::record::{RecordBatch, RecordReader};

/// A one-record segment that a Kafka user published as a hex dump (issue 3).
const PUBLISHED: &str = "00000000000000000000004600000000021b0d893f0000000000000000017e1fecc2a00000017e1fecc2a0\
    ffffffffffffffffffffffffffff0000000128000000011c204669727374206d65737361676500";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_published_segment_comes_out_byte_for_byte() {
    let mut builder = BatchBuilder::new(0).partition_leader_epoch(0);
    builder.append(1_641_213_117_088, None, Some(b" First message"), &[]);
    let batch = builder.build();
    assert_eq!(batch.len(), 82);
    assert_eq!(hex(&batch), PUBLISHED);
}

#[test]
fn a_marker_is_the_captured_one() {
    let log = include_bytes!("../testdata/orders-1.log");
    let mut markers = 0;
    for captured in crate::record::RecordBatches::new(log).map(Result::unwrap) {
        let Some((marker, timestamp)) = EndTransactionMarker::read(&captured, captured.records()).unwrap()
        else {
            continue;
        };
        let (id, epoch) = (captured.producer_id(), captured.producer_epoch());
        let built = BatchBuilder::end_transaction_marker(marker, id, epoch, timestamp);
        let built = RecordBatch::parse(&built).unwrap().unwrap();
        let mut header = built.header();
        header.set_base_offset(captured.base_offset());
        header.set_partition_leader_epoch(captured.partition_leader_epoch());
        assert_eq!([&header.encode(), built.records()].concat(), captured.bytes());
        markers += 1;
    }
    assert!(markers >= 2);
}

#[test]
fn flags_and_times_are_in_the_header() {
    let mut builder = BatchBuilder::new(7)
        .producer(9, 2, 40)
        .transactional(true)
        .log_append_time(Some(500))
        .compression(Compression::Zstd, None)
        .partition_leader_epoch(3);
    builder.append(100, None, None, &[]);
    builder.append(90, Some(b"k"), Some(b"v"), &[("h", None)]);
    assert_eq!(builder.count(), 2);
    let bytes = builder.build();
    let batch = RecordBatch::parse(&bytes).unwrap().unwrap();
    assert!(batch.is_valid_crc() && batch.is_transactional() && !batch.is_control_batch());
    assert_eq!(
        (batch.base_offset(), batch.last_offset(), batch.count()),
        (7, 8, Some(2))
    );
    assert_eq!((batch.producer_id(), batch.producer_epoch()), (9, 2));
    assert_eq!((batch.base_sequence(), batch.last_sequence()), (40, 41));
    assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (100, 500));
    assert_eq!(batch.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(batch.partition_leader_epoch(), 3);
    let mut records = RecordReader::new(&batch, 1000).unwrap();
    assert_eq!(
        records.next().unwrap().unwrap().timestamp,
        500,
        "every record has the append time"
    );
}

#[test]
fn abort_and_commit_differ() {
    let marker = |control_type| EndTransactionMarker {
        control_type,
        coordinator_epoch: 5,
    };
    let abort = BatchBuilder::end_transaction_marker(marker(ControlRecordType::Abort), 1, 0, 10);
    let commit = BatchBuilder::end_transaction_marker(marker(ControlRecordType::Commit), 1, 0, 10);
    for (bytes, expected) in [
        (abort, ControlRecordType::Abort),
        (commit, ControlRecordType::Commit),
    ] {
        let batch = RecordBatch::parse(&bytes).unwrap().unwrap();
        assert!(batch.is_transactional() && batch.is_control_batch());
        let (read, timestamp) = EndTransactionMarker::read(&batch, batch.records())
            .unwrap()
            .unwrap();
        assert_eq!((read, timestamp), (marker(expected), 10));
    }
}

type OwnedRecord = (
    i64,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Vec<(String, Option<Vec<u8>>)>,
);

fn records() -> impl Strategy<Value = Vec<OwnedRecord>> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
    let headers = proptest::collection::vec((".{0,8}", bytes()), 0..4);
    proptest::collection::vec((any::<i64>(), bytes(), bytes(), headers), 1..20)
}

proptest! {
    #[test]
    fn what_is_built_is_read(records in records(), codec in 0i16..5, base_offset in 0i64..1 << 50) {
        let codec = Compression::from_id(codec).unwrap();
        let mut builder = BatchBuilder::new(base_offset).compression(codec, None);
        for (timestamp, key, value, headers) in &records {
            let headers: Vec<_> = headers.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
            builder.append(*timestamp, key.as_deref(), value.as_deref(), &headers);
        }
        let uncompressed_size = builder.uncompressed_size();
        let bytes = builder.build();
        prop_assert!(codec != Compression::None || bytes.len() == uncompressed_size);
        let batch = RecordBatch::parse(&bytes).unwrap().unwrap();
        prop_assert!(batch.is_valid_crc());
        prop_assert_eq!(batch.size_in_bytes(), bytes.len());
        prop_assert_eq!(batch.max_timestamp(), records.iter().map(|r| r.0).max().unwrap().max(-1));
        let mut reader = RecordReader::new(&batch, 1 << 20).unwrap();
        for (index, (timestamp, key, value, headers)) in records.iter().enumerate() {
            let record = reader.next().unwrap().unwrap();
            prop_assert_eq!(record.offset, base_offset + index as i64);
            prop_assert_eq!(record.timestamp, *timestamp);
            prop_assert_eq!(record.key, key.as_deref());
            prop_assert_eq!(record.value, value.as_deref());
            prop_assert_eq!(record.headers.len(), headers.len());
            let expected = headers.iter().map(|(k, v)| (k.as_bytes(), v.as_deref()));
            prop_assert!(record.headers.iter().eq(expected));
        }
        prop_assert_eq!(reader.next(), Ok(None));
    }
}
