//! Reads the records that a broker has written to a partition, from its files.

use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use kafka_protocol::records::{RecordBatchDecoder, TimestampType};

/// One record of an uncompressed log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// The record's offset.
    pub offset: i64,
    /// The offset of the first record of its batch.
    pub base_offset: i64,
    /// The producer id of its batch; -1 if none.
    pub producer_id: i64,
    /// The producer epoch of its batch; -1 if none.
    pub producer_epoch: i16,
    /// Whether the record is part of a transaction.
    pub is_transactional: bool,
    /// Whether the record is a control record (a marker).
    pub is_control: bool,
    /// Whether its timestamp is the time when the broker appended it.
    pub has_append_time: bool,
    /// The record's key.
    pub key: Option<Bytes>,
    /// The record's value; a tombstone has none.
    pub value: Option<Bytes>,
}

/// All records in a partition's directory, in the order of their offsets.
pub fn stored_records(partition_dir: &Path) -> Result<Vec<StoredRecord>> {
    let listed: Result<Vec<_>, _> = std::fs::read_dir(partition_dir)?.collect();
    let paths = listed?.into_iter().map(|entry| entry.path());
    let mut segments: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    segments.sort();
    let mut records = Vec::new();
    for segment in segments {
        let mut bytes = Bytes::from(std::fs::read(&segment)?);
        // Kafka may have allocated space in the file that it has not written yet.
        while bytes.len() > 12 && bytes[8..12] != [0; 4] {
            let set = RecordBatchDecoder::decode(&mut bytes);
            let set = set.with_context(|| segment.display().to_string())?;
            let base_offset = set.records.first().map_or(-1, |record| record.offset);
            records.extend(set.records.into_iter().map(|record| StoredRecord {
                base_offset,
                offset: record.offset,
                producer_id: record.producer_id,
                producer_epoch: record.producer_epoch,
                is_transactional: record.transactional,
                is_control: record.control,
                has_append_time: record.timestamp_type == TimestampType::LogAppend,
                key: record.key,
                value: record.value,
            }));
        }
    }
    Ok(records)
}
