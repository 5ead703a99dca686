//! Batches from which the log cleaner has removed records. Kafka 3.9: `MemoryRecords.filterTo`,
//! `DefaultRecordBatch.writeEmptyHeader`.
//!
//! The batch always keeps its first and last offset, its leader's epoch, its producer and its sequence numbers
//! (fact 57). A producer's last batch therefore stores the producer's last sequence number even without a record.

use super::batch::{
    BatchHeader, COMPRESSION_MASK, DELETE_HORIZON_BIT, LOG_OVERHEAD, NO_TIMESTAMP, RECORD_BATCH_OVERHEAD,
    RecordBatch,
};
use super::conversion::{put_message, put_wrapper, time_flag};
use super::error::RecordError;
use super::record::{Record, RecordReader};
use crate::common::ids::Offset;
use crate::config::TimestampType;

/// The records that stay in a batch of format 2.
#[derive(Clone, Copy, Debug)]
pub struct Survivors<'a> {
    /// Their bytes, compressed with the batch's codec.
    pub records: &'a [u8],
    /// Their number.
    pub count: i32,
    /// Their largest timestamp. A batch with the leader's append time keeps that time.
    pub max_timestamp: i64,
    /// The delete horizon to write into the batch; the records' timestamp deltas count from it.
    pub delete_horizon_ms: Option<i64>,
}

impl BatchHeader {
    /// The header of this batch with fewer records, with a delete horizon (fact 58), or with both.
    pub fn with_survivors(mut self, survivors: &Survivors<'_>) -> Self {
        self.length = length_with(survivors.records);
        self.count = survivors.count;
        if self.timestamp_type() == TimestampType::CreateTime {
            self.max_timestamp = survivors.max_timestamp;
        }
        if let Some(horizon) = survivors.delete_horizon_ms {
            self.base_timestamp = horizon;
            self.attributes |= DELETE_HORIZON_BIT;
        }
        self.seal(survivors.records);
        self
    }

    /// The header of this batch without any record; it is stored alone.
    pub fn emptied(mut self) -> Self {
        self.length = length_with(&[]);
        self.count = 0;
        self.base_timestamp = NO_TIMESTAMP;
        self.attributes &= !(COMPRESSION_MASK | DELETE_HORIZON_BIT);
        self.seal(&[]);
        self
    }
}

fn length_with(records: &[u8]) -> i32 {
    i32::try_from(RECORD_BATCH_OVERHEAD - LOG_OVERHEAD + records.len()).expect("a batch of less than 2 GiB")
}

/// The remaining part of a message of format 0 or 1, which may be a wrapper of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainedMessages {
    /// Number of messages checked.
    pub read: i32,
    /// Number of messages that stay.
    pub retained: i32,
    /// The rewritten wrapper, if only some of its messages stay.
    pub rewritten: Option<Vec<u8>>,
}

/// Calls the filter for every message. An unpacked wrapper must not exceed `limit` bytes.
pub fn retain_messages(
    batch: &RecordBatch<'_>,
    limit: usize,
    mut retain: impl FnMut(&Record<'_>) -> bool,
) -> Result<RetainedMessages, RecordError> {
    let (magic, flag) = (batch.magic(), time_flag(batch, batch.magic()));
    let mut messages = Vec::new();
    let mut offsets: Option<(Offset, Offset)> = None;
    let mut max_timestamp = NO_TIMESTAMP;
    let mut result = RetainedMessages {
        read: 0,
        retained: 0,
        rewritten: None,
    };
    let mut reader = RecordReader::new(batch, limit)?;
    while let Some(record) = reader.next()? {
        result.read += 1;
        if !retain(&record) {
            continue;
        }
        result.retained += 1;
        let first = offsets.map_or(record.offset, |(first, _)| first);
        offsets = Some((first, record.offset));
        max_timestamp = max_timestamp.max(record.timestamp);
        let offset = if magic > 0 {
            record.offset - first
        } else {
            record.offset
        };
        put_message(&mut messages, magic, flag, &Record { offset, ..record });
    }
    if let Some((_, last)) = offsets.filter(|_| result.retained < result.read) {
        let mut wrapper = Vec::new();
        let timestamp = match batch.timestamp_type() {
            TimestampType::LogAppendTime => batch.max_timestamp(),
            TimestampType::CreateTime => max_timestamp,
        };
        put_wrapper(
            &mut wrapper,
            magic,
            flag,
            batch.compression()?,
            (last, timestamp),
            &messages,
        );
        result.rewritten = Some(wrapper);
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::{legacy_message, wrapper_message};
    use crate::record::{BatchBuilder, Compression};

    fn parse(bytes: &[u8]) -> RecordBatch<'_> {
        RecordBatch::parse(bytes).unwrap().unwrap()
    }

    #[test]
    fn an_emptied_batch_keeps_what_tells_of_its_producer() {
        let mut builder = BatchBuilder::new(40)
            .compression(Compression::Zstd, None)
            .producer(5, 3, 17)
            .transactional(true)
            .partition_leader_epoch(9);
        builder.append(100, Some(b"a"), Some(b"1"), &[]);
        builder.append(90, Some(b"b"), Some(b"2"), &[]);
        let bytes = builder.build();
        let before = parse(&bytes).header();
        let bytes = before.emptied().encode();
        let after = parse(&bytes);
        assert!(after.is_valid_crc() && after.records().is_empty());
        assert_eq!((after.count(), after.is_compressed()), (Some(0), false));
        assert_eq!((after.base_offset(), after.last_offset()), (40, 41));
        assert_eq!((after.max_timestamp(), after.base_timestamp()), (100, -1));
        assert_eq!((after.producer_id(), after.last_sequence()), (5, 18));
        assert_eq!(after.partition_leader_epoch(), 9);
        assert!(after.is_transactional());
    }

    #[test]
    fn a_horizon_moves_the_base_timestamp_and_not_the_others() {
        let mut builder = BatchBuilder::new(0);
        builder.append(100, Some(b"a"), None, &[]);
        let bytes = builder.build();
        let header = parse(&bytes).header().with_survivors(&Survivors {
            records: parse(&bytes).records(),
            count: 1,
            max_timestamp: 100,
            delete_horizon_ms: Some(7000),
        });
        assert_eq!(header.delete_horizon_ms(), Some(7000));
        assert_eq!(header.max_timestamp(), 100);
    }

    #[test]
    fn a_wrapper_is_written_anew_with_the_messages_that_stay() {
        for (magic, inner) in [(0, [40, 41, 42]), (1, [0, 1, 2])] {
            let message = |offset, key: &[u8]| legacy_message(offset, magic, 5, Some(key), Some(b"v"));
            let messages = [
                message(inner[0], b"a"),
                message(inner[1], b"b"),
                message(inner[2], b"c"),
            ];
            let wrapper = wrapper_message(42, magic, 5, Compression::Gzip, &messages.concat());
            let retained =
                retain_messages(&parse(&wrapper), 1000, |record| record.key != Some(b"b")).unwrap();
            assert_eq!((retained.read, retained.retained), (3, 2));
            let rewritten = retained.rewritten.unwrap();
            let mut reader = RecordReader::new(&parse(&rewritten), 1000).unwrap();
            let mut found = Vec::new();
            while let Some(record) = reader.next().unwrap() {
                found.push((record.offset, record.key.unwrap().to_vec()));
            }
            assert_eq!(
                found,
                [(40, b"a".to_vec()), (42, b"c".to_vec())],
                "format {magic}"
            );
            let all = retain_messages(&parse(&wrapper), 1000, |_| true).unwrap();
            assert_eq!((all.retained, all.rewritten), (3, None));
        }
    }
}
