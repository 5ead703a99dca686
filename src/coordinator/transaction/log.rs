//! Encodes and decodes the keys and values of `__transaction_state`. Kafka 3.9: `TransactionLog`, `TransactionLogKey`,
//! `TransactionLogValue`.
//!
//! ```text
//! key   0  version:i16 transactional_id:string
//! value 0  version:i16 producer_id:i64 producer_epoch:i16 timeout_ms:i32 state:i8
//!          partitions: null or array of { topic:string partitions:array of i32 }
//!          last_update_ms:i64 start_ms:i64
//!       1  the same in the flexible layout
//! ```
//! Version 1 is for clusters whose feature `transaction.version` is above 0. With ZooKeeper it is always 0, so these
//! values are read but not written. A record without value is a tombstone.

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};

use super::metadata::{ProducerIdAndEpoch, TransactionValue};
use super::state::TransactionState;
use crate::common::ids::{TopicName, TopicPartition};
use crate::coordinator::fields::{LogFormatError, Reader, put_string};

const KEY_VERSION: i16 = 0;
const VALUE_VERSION: i16 = 0;
const HIGHEST_VALUE_VERSION: i16 = 1;
const FIRST_FLEXIBLE_VERSION: i16 = 1;

/// A decoded record key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// A transactional id.
    TransactionalId(&'a str),
    /// A key of a later version. The loader skips it.
    Unknown(i16),
}

/// The key of a transactional id.
pub fn key(transactional_id: &str) -> Result<Bytes, LogFormatError> {
    let mut out = BytesMut::with_capacity(4 + transactional_id.len());
    out.put_i16(KEY_VERSION);
    put_string(&mut out, transactional_id)?;
    Ok(out.freeze())
}

/// The value of a transactional id.
pub fn value(value: &TransactionValue) -> Result<Bytes, LogFormatError> {
    let mut out = BytesMut::with_capacity(64 + 32 * value.partitions.len());
    out.put_i16(VALUE_VERSION);
    out.put_i64(value.producer.id);
    out.put_i16(value.producer.epoch);
    out.put_i32(value.timeout_ms);
    out.put_i8(value.state.id());
    if value.state == TransactionState::Empty {
        out.put_i32(-1);
    } else {
        let topics = value.partitions_by_topic();
        out.put_i32(topics.len() as i32);
        for (topic, partitions) in topics {
            put_string(&mut out, topic)?;
            out.put_i32(partitions.len() as i32);
            partitions
                .into_iter()
                .for_each(|partition| out.put_i32(partition));
        }
    }
    out.put_i64(value.last_update_ms);
    out.put_i64(value.start_ms);
    Ok(out.freeze())
}

/// Reads a record's key.
pub fn read_key(bytes: &[u8]) -> Result<Key<'_>, LogFormatError> {
    let mut reader = Reader::new(bytes);
    match reader.i16()? {
        KEY_VERSION => Ok(Key::TransactionalId(reader.string()?)),
        version => Ok(Key::Unknown(version)),
    }
}

/// Reads a record's value, versions 0 and 1.
pub fn read_value(bytes: &[u8]) -> Result<TransactionValue, LogFormatError> {
    let (mut reader, _) = Reader::of_value(bytes, HIGHEST_VALUE_VERSION, FIRST_FLEXIBLE_VERSION)?;
    let producer = ProducerIdAndEpoch {
        id: reader.i64()?,
        epoch: reader.i16()?,
    };
    let timeout_ms = reader.i32()?;
    let state = reader.i8()?;
    let state = TransactionState::from_id(state).ok_or(LogFormatError::UnknownState(state))?;
    let mut partitions = BTreeSet::new();
    // The counts may be wrong, so nothing is preallocated for them.
    for _ in 0..reader.nullable_array_length()?.unwrap_or(0) {
        let topic = TopicName::from(reader.string()?);
        for _ in 0..reader.array_length()? {
            partitions.insert(TopicPartition::new(topic.clone(), reader.i32()?));
        }
        reader.tagged_fields()?;
    }
    Ok(TransactionValue {
        producer,
        timeout_ms,
        state,
        partitions,
        last_update_ms: reader.i64()?,
        start_ms: reader.i64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{RecordBatches, RecordReader};

    const CAPTURED: &[u8] = include_bytes!("testdata/transaction-state-0.log");

    #[test]
    fn a_captured_log_is_read_and_written_alike() {
        let mut states = Vec::new();
        for batch in RecordBatches::new(CAPTURED).map(Result::unwrap) {
            let mut records = RecordReader::new(&batch, 1 << 20).unwrap();
            while let Some(record) = records.next().unwrap() {
                let Key::TransactionalId(id) = read_key(record.key.unwrap()).unwrap() else {
                    panic!("an unknown key");
                };
                assert_eq!(key(id).unwrap(), record.key.unwrap());
                let read = read_value(record.value.unwrap()).unwrap();
                assert_eq!(read_value(&value(&read).unwrap()).unwrap(), read);
                // Kafka writes the topics in the order of a hash map, so values with several topics are compared only
                // by length.
                assert_eq!(value(&read).unwrap().len(), record.value.unwrap().len());
                if read.partitions.len() < 2 {
                    assert_eq!(value(&read).unwrap(), record.value.unwrap());
                }
                states.push(read.state);
            }
        }
        use TransactionState::*;
        for state in [
            Empty,
            Ongoing,
            PrepareCommit,
            PrepareAbort,
            CompleteCommit,
            CompleteAbort,
        ] {
            assert!(states.contains(&state), "{state:?} is not in {states:?}");
        }
    }

    #[test]
    fn version_1_is_read() {
        let mut bytes = vec![0, 1];
        bytes.extend(7_i64.to_be_bytes());
        bytes.extend(3_i16.to_be_bytes());
        bytes.extend(60_000_i32.to_be_bytes());
        bytes.push(1);
        // One topic of one partition, no tagged fields; the times; one tagged field at the end.
        bytes.extend([2, 2, b't', 2, 0, 0, 0, 5, 0]);
        bytes.extend(11_i64.to_be_bytes());
        bytes.extend(10_i64.to_be_bytes());
        bytes.extend([1, 0, 1, 9]);
        let read = read_value(&bytes).unwrap();
        assert_eq!(read.producer, ProducerIdAndEpoch { id: 7, epoch: 3 });
        assert_eq!(read.state, TransactionState::Ongoing);
        assert_eq!(read.partitions, BTreeSet::from([TopicPartition::new("t", 5)]));
        assert_eq!((read.last_update_ms, read.start_ms), (11, 10));
    }

    #[test]
    fn what_is_cut_off_or_unknown_is_refused() {
        let batch = RecordBatches::new(CAPTURED).next().unwrap().unwrap();
        let mut records = RecordReader::new(&batch, 1 << 20).unwrap();
        let bytes = records.next().unwrap().unwrap().value.unwrap().to_vec();
        for length in 0..bytes.len() {
            assert!(read_value(&bytes[..length]).is_err(), "{length}");
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            read_value(&bytes)
        };
        assert_eq!(with(1, 2), Err(LogFormatError::UnknownVersion(2)));
        assert_eq!(with(16, 8), Err(LogFormatError::UnknownState(8)));
        assert!(with(17, 0x7f).is_err(), "a count of two thousand million");
        assert_eq!(read_key(&[0, 1, 0]), Ok(Key::Unknown(1)));
        assert!(read_key(&[0, 0, 0, 9, b'x']).is_err());
    }
}
