//! Transaction markers: the control records that end a transaction.
//! Kafka 3.9: `ControlRecordType`, `EndTransactionMarker`.
//!
//! ```text
//! key:   i16 version 0 · i16 type (0 abort, 1 commit)
//! value: i16 version 0 · i32 coordinator epoch
//! ```
//! A later version may add fields, but never changes these.

use super::batch::BatchHeader;
use super::error::RecordError;
use super::record::{Record, RecordReader};

/// Largest unpacked size of a control batch; a marker needs ten bytes.
const MAX_CONTROL_RECORD_BYTES: usize = 4096;
const VERSION: i16 = 0;
const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in Kafka")]
pub enum ControlRecordType {
    Abort,
    Commit,
}

/// The content of a control batch's only record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// Abort or commit.
    pub control_type: ControlRecordType,
    /// Leader epoch of the `__transaction_state` partition whose coordinator decided (fact 65).
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// The marker in a control batch with this header and payload, and its timestamp; `None` if the cleaner has emptied
    /// the batch, or if it is not a control batch.
    pub fn read(batch: &BatchHeader, payload: &[u8]) -> Result<Option<(Self, i64)>, RecordError> {
        if !batch.is_control_batch() {
            return Ok(None);
        }
        let mut records = RecordReader::from_parts(*batch, payload, MAX_CONTROL_RECORD_BYTES)?;
        records
            .next()?
            .map(|record| Ok((Self::from_record(&record)?, record.timestamp)))
            .transpose()
    }

    /// Reads a control record.
    pub fn from_record(record: &Record<'_>) -> Result<Self, RecordError> {
        let malformed = || RecordError::invalid("not the record of a transaction marker");
        let mut key = record.key.ok_or_else(malformed)?;
        let mut value = record.value.ok_or_else(malformed)?;
        let key_version = take(&mut key).map(i16::from_be_bytes).ok_or_else(malformed)?;
        let control_type = match take(&mut key).map(i16::from_be_bytes) {
            Some(ABORT) => ControlRecordType::Abort,
            Some(COMMIT) => ControlRecordType::Commit,
            _ => return Err(malformed()),
        };
        let value_version = take(&mut value).map(i16::from_be_bytes).ok_or_else(malformed)?;
        let coordinator_epoch = take(&mut value).map(i32::from_be_bytes).ok_or_else(malformed)?;
        if key_version < VERSION || value_version < VERSION {
            return Err(malformed());
        }
        Ok(Self {
            control_type,
            coordinator_epoch,
        })
    }

    /// The control record's key.
    pub fn key(&self) -> [u8; 4] {
        let control_type = match self.control_type {
            ControlRecordType::Abort => ABORT,
            ControlRecordType::Commit => COMMIT,
        };
        (u32::from(VERSION as u16) << 16 | u32::from(control_type as u16)).to_be_bytes()
    }

    /// The control record's value.
    pub fn value(&self) -> [u8; 6] {
        let mut value = [0; 6];
        value[..2].copy_from_slice(&VERSION.to_be_bytes());
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        value
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (field, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordBatches;

    #[test]
    fn captured_markers_are_read_and_written_alike() {
        let log = include_bytes!("testdata/orders-1.log");
        let mut found = Vec::new();
        for batch in RecordBatches::new(log).map(Result::unwrap) {
            let marker = EndTransactionMarker::read(&batch, batch.records()).unwrap();
            assert_eq!(marker.is_some(), batch.is_control_batch());
            let Some((marker, timestamp)) = marker else {
                continue;
            };
            assert_eq!(timestamp, batch.max_timestamp());
            let mut records = RecordReader::new(&batch, 100).unwrap();
            let record = records.next().unwrap().unwrap();
            assert_eq!(record.key, Some(&marker.key()[..]));
            assert_eq!(record.value, Some(&marker.value()[..]));
            found.push(marker.control_type);
        }
        assert!(found.contains(&ControlRecordType::Abort) && found.contains(&ControlRecordType::Commit));
    }

    #[test]
    fn anything_else_is_refused() {
        let cases: [(&[u8], &[u8]); 5] = [
            (b"\0\0\0\x02", b"\0\0\0\0\0\0"),
            (b"\0\0\0", b"\0\0\0\0\0\0"),
            (b"\0\0\0\x01", b"\0\0\0\0\0"),
            (b"\xff\xff\0\x01", b"\0\0\0\0\0\0"),
            (b"\0\0\0\x01", b"\xff\xff\0\0\0\0"),
        ];
        for (key, value) in cases {
            let record = Record {
                offset: 0,
                timestamp: 0,
                key: Some(key),
                value: Some(value),
                headers: Default::default(),
            };
            assert!(
                EndTransactionMarker::from_record(&record).is_err(),
                "{key:?} {value:?}"
            );
        }
    }
}
