use super::*;
use crate::record::RecordBatches;
use crate::record::testing::legacy_message;

const ORDERS_0: &[u8] = include_bytes!("../testdata/orders-0.log");
const ORDERS_1: &[u8] = include_bytes!("../testdata/orders-1.log");

#[test]
fn a_captured_log_is_read_to_its_end() {
    for log in [ORDERS_0, ORDERS_1] {
        let mut walk = RecordBatches::new(log);
        let mut next_offset = 0;
        for batch in walk.by_ref() {
            let batch = batch.unwrap();
            assert!(batch.is_valid_crc());
            assert_eq!(batch.base_offset(), next_offset);
            assert_eq!(batch.count(), Some(batch.last_offset_delta() + 1));
            assert_eq!(batch.encode()[..], batch.bytes()[..RECORD_BATCH_OVERHEAD]);
            next_offset = batch.next_offset();
        }
        assert_eq!(walk.valid_bytes(), log.len());
    }
}

#[test]
fn the_captured_transactions_have_their_flags() {
    let flags: Vec<_> = RecordBatches::new(ORDERS_1)
        .map(Result::unwrap)
        .map(|batch| {
            (
                batch.is_transactional(),
                batch.is_control_batch(),
                batch.last_sequence() == NO_SEQUENCE,
            )
        })
        .collect();
    assert!(flags.contains(&(true, false, false)));
    assert!(flags.contains(&(true, true, true)), "a marker has no sequence");
}

#[test]
fn every_flipped_bit_under_the_crc_is_noticed() {
    let first = RecordBatch::parse(ORDERS_0).unwrap().unwrap().bytes();
    for bit in MAGIC_AT * 8 + 8..first.len() * 8 {
        let mut bytes = first.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(
            !RecordBatch::parse(&bytes).unwrap().unwrap().is_valid_crc(),
            "bit {bit}"
        );
    }
}

#[test]
fn offset_and_leader_epoch_are_patched_without_summing_again() {
    let batch = RecordBatch::parse(ORDERS_0).unwrap().unwrap();
    let mut header = batch.header();
    header.set_base_offset(1 << 40);
    header.set_partition_leader_epoch(77);
    let patched = [&header.encode(), batch.records()].concat();
    let patched = RecordBatch::parse(&patched).unwrap().unwrap();
    assert!(patched.is_valid_crc());
    assert_eq!(patched.crc(), batch.crc());
    assert_eq!(
        patched.last_offset(),
        (1 << 40) + i64::from(batch.last_offset_delta())
    );
    assert_eq!(patched.partition_leader_epoch(), 77);
}

#[test]
fn a_new_timestamp_gets_a_new_checksum() {
    let batch = RecordBatch::parse(ORDERS_0).unwrap().unwrap();
    let mut header = batch.header();
    header.set_max_timestamp(TimestampType::LogAppendTime, 12345, batch.records());
    assert_ne!(header.crc(), batch.crc());
    let patched = [&header.encode(), batch.records()].concat();
    let patched = RecordBatch::parse(&patched).unwrap().unwrap();
    assert!(patched.is_valid_crc());
    assert_eq!(patched.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(patched.max_timestamp(), 12345);
    assert_eq!(patched.base_timestamp(), batch.base_timestamp());
}

#[test]
fn messages_of_old_formats_are_batches_of_one() {
    let log = [
        legacy_message(5, 0, NO_TIMESTAMP, None, Some(b"x")),
        legacy_message(6, 1, 1234, Some(b"key"), Some(b"value")),
    ]
    .concat();
    let mut walk = RecordBatches::new(&log);
    let old = walk.next().unwrap().unwrap();
    assert_eq!(
        (old.magic(), old.base_offset(), old.last_offset(), old.count()),
        (0, 5, 5, Some(1))
    );
    assert_eq!(
        (old.max_timestamp(), old.partition_leader_epoch()),
        (NO_TIMESTAMP, NO_LEADER_EPOCH)
    );
    assert!(old.is_valid_crc());
    let new = walk.next().unwrap().unwrap();
    assert_eq!(
        (new.magic(), new.base_offset(), new.max_timestamp()),
        (1, 6, 1234)
    );
    assert_eq!(new.records(), b"\0\0\0\x03key\0\0\0\x05value");
    assert!(new.is_valid_crc());
    assert!(walk.next().is_none());
    assert_eq!(walk.valid_bytes(), log.len());
}

#[test]
fn headers_are_refused_or_awaited() {
    let header = RecordBatch::parse(ORDERS_0).unwrap().unwrap().header();
    let bytes = header.encode();
    for cut in 0..bytes.len() {
        assert_eq!(BatchHeader::parse(&bytes[..cut]), Ok(None), "{cut} bytes");
    }
    assert_eq!(BatchHeader::parse(&bytes), Ok(Some(header)));
    for length in [-1, 0, 13, 48] {
        let mut bytes = bytes;
        bytes[LENGTH_AT..LOG_OVERHEAD].copy_from_slice(&i32::to_be_bytes(length));
        assert!(BatchHeader::parse(&bytes).is_err(), "length {length}");
    }
    let mut bytes = bytes;
    bytes[MAGIC_AT] = 3;
    assert!(BatchHeader::parse(&bytes).is_err());
}
