//! One batch: its 61-byte header as a value, and a view of the whole batch in memory. Kafka 3.9: `DefaultRecordBatch`,
//! `AbstractLegacyRecordBatch`, `RecordVersion`.
//!
//! Message format 2 (`magic` 2); every number is big-endian:
//!
//! ```text
//!  0 ┌──────────────────────────────────────┐
//!    │ base offset                      i64 │  of the first record; the broker writes it
//!  8 ├──────────────────────────────────────┤
//!    │ length                           i32 │  bytes after this field
//! 12 ├──────────────────────────────────────┤
//!    │ partition leader epoch           i32 │  the broker writes it; a producer sends -1
//! 16 ├──────────────────────────────────────┤
//!    │ magic                             i8 │  2
//! 17 ├──────────────────────────────────────┤
//!    │ crc                              u32 │  CRC-32C of everything from byte 21 on
//! 21 ├──────────────────────────────────────┤
//!    │ attributes                       i16 │  0–2 codec, 3 timestamp type, 4 transactional,
//!    │                                      │  5 control, 6 base timestamp is a delete horizon
//! 23 ├──────────────────────────────────────┤
//!    │ last offset delta                i32 │  kept when the cleaner removes records
//! 27 ├──────────────────────────────────────┤
//!    │ base timestamp                   i64 │  what the records' timestamp deltas count from
//! 35 ├──────────────────────────────────────┤
//!    │ max timestamp                    i64 │  with LogAppendTime: the timestamp of every record
//! 43 ├──────────────────────────────────────┤
//!    │ producer id                      i64 │  -1: not idempotent
//! 51 ├──────────────────────────────────────┤
//!    │ producer epoch                   i16 │
//! 53 ├──────────────────────────────────────┤
//!    │ base sequence                    i32 │  of the first record; wraps from 2³¹-1 to 0
//! 57 ├──────────────────────────────────────┤
//!    │ number of records                i32 │
//! 61 ├──────────────────────────────────────┤
//!    │ the records, compressed as a whole   │
//!    └──────────────────────────────────────┘
//! ```
//!
//! The CRC does not cover base offset, length and partition leader epoch, so a leader writes them without computing the
//! payload's checksum again (fact 59).
//!
//! Formats 0 and 1 have no batches: each message stands alone behind the same twelve bytes, or a *wrapper* message
//! holds compressed messages as its value. A wrapper has the offset of the **last** message in it.
//!
//! ```text
//!  0 i64 offset · 8 i32 length · 12 u32 crc (CRC-32 of byte 16 on) · 16 i8 magic · 17 i8 attributes
//!  · format 1 only: 18 i64 timestamp · i32 key length, key · i32 value length, value (length -1: null)
//! ```

use std::ops::Deref;

use super::compression::{Compression, UnknownCompression};
use super::error::BatchError;
use super::sequence::increment_sequence;
use crate::common::ids::{LeaderEpoch, NO_LEADER_EPOCH, Offset, ProducerId};
use crate::config::TimestampType;

const OFFSET_AT: usize = 0;
const LENGTH_AT: usize = OFFSET_AT + size_of::<i64>();
/// Bytes of offset and length in front of every batch and message, which `length` does not count.
pub const LOG_OVERHEAD: usize = LENGTH_AT + size_of::<i32>();
const LEADER_EPOCH_AT: usize = LOG_OVERHEAD;
/// Position of the format's number, in every format.
pub const MAGIC_AT: usize = LEADER_EPOCH_AT + size_of::<i32>();
/// Number of bytes that are needed to know the format.
pub const HEADER_SIZE_UP_TO_MAGIC: usize = MAGIC_AT + 1;
const CRC_AT: usize = HEADER_SIZE_UP_TO_MAGIC;
const ATTRIBUTES_AT: usize = CRC_AT + size_of::<u32>();
const LAST_OFFSET_DELTA_AT: usize = ATTRIBUTES_AT + size_of::<i16>();
const BASE_TIMESTAMP_AT: usize = LAST_OFFSET_DELTA_AT + size_of::<i32>();
const MAX_TIMESTAMP_AT: usize = BASE_TIMESTAMP_AT + size_of::<i64>();
const PRODUCER_ID_AT: usize = MAX_TIMESTAMP_AT + size_of::<i64>();
const PRODUCER_EPOCH_AT: usize = PRODUCER_ID_AT + size_of::<i64>();
const BASE_SEQUENCE_AT: usize = PRODUCER_EPOCH_AT + size_of::<i16>();
const COUNT_AT: usize = BASE_SEQUENCE_AT + size_of::<i32>();
/// Size of a format 2 header; the records begin here.
pub const RECORD_BATCH_OVERHEAD: usize = COUNT_AT + size_of::<i32>();

const LEGACY_CRC_AT: usize = LOG_OVERHEAD;
const LEGACY_ATTRIBUTES_AT: usize = HEADER_SIZE_UP_TO_MAGIC;
const LEGACY_TIMESTAMP_AT: usize = LEGACY_ATTRIBUTES_AT + 1;
/// Smallest message of format 0, without [`LOG_OVERHEAD`]: null key, null value.
pub const LEGACY_RECORD_OVERHEAD_V0: usize = LEGACY_TIMESTAMP_AT - LOG_OVERHEAD + 2 * size_of::<i32>();
/// Smallest message of format 1, without [`LOG_OVERHEAD`].
pub const LEGACY_RECORD_OVERHEAD_V1: usize = LEGACY_RECORD_OVERHEAD_V0 + size_of::<i64>();

const _: () = assert!(RECORD_BATCH_OVERHEAD == 61 && MAGIC_AT == LEGACY_CRC_AT + 4);
const _: () = assert!(LEGACY_RECORD_OVERHEAD_V0 == 14 && LEGACY_RECORD_OVERHEAD_V1 == 22);

/// The format this broker writes.
pub const CURRENT_MAGIC: i8 = 2;
/// The value of a missing timestamp.
pub const NO_TIMESTAMP: i64 = -1;
/// The producer id of a batch that is not idempotent.
pub const NO_PRODUCER_ID: ProducerId = -1;
/// The producer epoch for [`NO_PRODUCER_ID`].
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// The sequence number of batches without one, such as transaction markers.
pub const NO_SEQUENCE: i32 = -1;

pub(super) const COMPRESSION_MASK: i16 = 0x07;
const TIMESTAMP_TYPE_BIT: i16 = 0x08;
const TRANSACTIONAL_BIT: i16 = 0x10;
const CONTROL_BIT: i16 = 0x20;
pub(super) const DELETE_HORIZON_BIT: i16 = 0x40;

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

/// The decoded header in front of the records. A message of format 0 or 1 has one too, as a batch of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub(super) base_offset: Offset,
    pub(super) length: i32,
    pub(super) partition_leader_epoch: LeaderEpoch,
    pub(super) magic: i8,
    pub(super) crc: u32,
    pub(super) attributes: i16,
    pub(super) last_offset_delta: i32,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    pub(super) producer_id: ProducerId,
    pub(super) producer_epoch: i16,
    pub(super) base_sequence: i32,
    pub(super) count: i32,
}

impl BatchHeader {
    /// Decodes a header. `None` if `bytes` end before the header does. More bytes than the header are allowed, and
    /// [`RECORD_BATCH_OVERHEAD`] bytes (or all bytes of a shorter file) always suffice.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, BatchError> {
        if bytes.len() < LOG_OVERHEAD {
            return Ok(None);
        }
        let length = i32::from_be_bytes(array(bytes, LENGTH_AT));
        if length < LEGACY_RECORD_OVERHEAD_V0 as i32 {
            return Err(BatchError::new(format!(
                "Record size {length} is less than the minimum record overhead ({LEGACY_RECORD_OVERHEAD_V0})"
            )));
        }
        if bytes.len() < HEADER_SIZE_UP_TO_MAGIC {
            return Ok(None);
        }
        let (magic, minimum, needed) = match bytes[MAGIC_AT] as i8 {
            0 => (0, LEGACY_RECORD_OVERHEAD_V0, LEGACY_TIMESTAMP_AT),
            1 => (
                1,
                LEGACY_RECORD_OVERHEAD_V1,
                LEGACY_TIMESTAMP_AT + size_of::<i64>(),
            ),
            2 => (2, RECORD_BATCH_OVERHEAD - LOG_OVERHEAD, RECORD_BATCH_OVERHEAD),
            magic => return Err(BatchError::new(format!("Invalid magic found in record: {magic}"))),
        };
        if length < minimum as i32 {
            return Err(BatchError::new(format!(
                "length {length} is too small for magic {magic}"
            )));
        }
        if bytes.len() < needed {
            return Ok(None);
        }
        Ok(Some(if magic == 2 {
            Self::parse_v2(bytes, length)
        } else {
            Self::parse_legacy(bytes, length, magic)
        }))
    }

    fn parse_v2(bytes: &[u8], length: i32) -> Self {
        Self {
            base_offset: i64::from_be_bytes(array(bytes, OFFSET_AT)),
            length,
            partition_leader_epoch: i32::from_be_bytes(array(bytes, LEADER_EPOCH_AT)),
            magic: 2,
            crc: u32::from_be_bytes(array(bytes, CRC_AT)),
            attributes: i16::from_be_bytes(array(bytes, ATTRIBUTES_AT)),
            last_offset_delta: i32::from_be_bytes(array(bytes, LAST_OFFSET_DELTA_AT)),
            base_timestamp: i64::from_be_bytes(array(bytes, BASE_TIMESTAMP_AT)),
            max_timestamp: i64::from_be_bytes(array(bytes, MAX_TIMESTAMP_AT)),
            producer_id: i64::from_be_bytes(array(bytes, PRODUCER_ID_AT)),
            producer_epoch: i16::from_be_bytes(array(bytes, PRODUCER_EPOCH_AT)),
            base_sequence: i32::from_be_bytes(array(bytes, BASE_SEQUENCE_AT)),
            count: i32::from_be_bytes(array(bytes, COUNT_AT)),
        }
    }

    fn parse_legacy(bytes: &[u8], length: i32, magic: i8) -> Self {
        let (known_bits, timestamp) = match magic {
            0 => (COMPRESSION_MASK, NO_TIMESTAMP),
            _ => (
                COMPRESSION_MASK | TIMESTAMP_TYPE_BIT,
                i64::from_be_bytes(array(bytes, LEGACY_TIMESTAMP_AT)),
            ),
        };
        Self {
            base_offset: i64::from_be_bytes(array(bytes, OFFSET_AT)),
            length,
            partition_leader_epoch: NO_LEADER_EPOCH,
            magic,
            crc: u32::from_be_bytes(array(bytes, LEGACY_CRC_AT)),
            attributes: i16::from(bytes[LEGACY_ATTRIBUTES_AT]) & known_bits,
            last_offset_delta: 0,
            base_timestamp: timestamp,
            max_timestamp: timestamp,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            count: 1,
        }
    }

    /// The header's bytes. Only for format 2: the broker never rewrites headers of older messages.
    pub fn encode(&self) -> [u8; RECORD_BATCH_OVERHEAD] {
        assert_eq!(self.magic, CURRENT_MAGIC, "only format 2 has such a header");
        let mut bytes = [0; RECORD_BATCH_OVERHEAD];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(OFFSET_AT, &self.base_offset.to_be_bytes());
        put(LENGTH_AT, &self.length.to_be_bytes());
        put(LEADER_EPOCH_AT, &self.partition_leader_epoch.to_be_bytes());
        put(MAGIC_AT, &self.magic.to_be_bytes());
        put(CRC_AT, &self.crc.to_be_bytes());
        put(ATTRIBUTES_AT, &self.attributes.to_be_bytes());
        put(LAST_OFFSET_DELTA_AT, &self.last_offset_delta.to_be_bytes());
        put(BASE_TIMESTAMP_AT, &self.base_timestamp.to_be_bytes());
        put(MAX_TIMESTAMP_AT, &self.max_timestamp.to_be_bytes());
        put(PRODUCER_ID_AT, &self.producer_id.to_be_bytes());
        put(PRODUCER_EPOCH_AT, &self.producer_epoch.to_be_bytes());
        put(BASE_SEQUENCE_AT, &self.base_sequence.to_be_bytes());
        put(COUNT_AT, &self.count.to_be_bytes());
        bytes
    }

    /// Offset of the first record. For a wrapper of format 0 or 1 it is the offset of the last one, because the header
    /// stores no other.
    pub fn base_offset(&self) -> Offset {
        self.base_offset
    }

    /// Offset of the last record that the batch was written with; the cleaner may have removed that record.
    pub fn last_offset(&self) -> Offset {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset after the batch.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().saturating_add(1)
    }

    /// Bytes of the whole batch, [`LOG_OVERHEAD`] included.
    pub fn size_in_bytes(&self) -> usize {
        LOG_OVERHEAD + self.length as usize
    }

    /// Epoch of the leader that appended the batch; [`NO_LEADER_EPOCH`] in formats 0 and 1.
    pub fn partition_leader_epoch(&self) -> LeaderEpoch {
        self.partition_leader_epoch
    }

    /// 0, 1 or 2.
    pub fn magic(&self) -> i8 {
        self.magic
    }

    /// The stored checksum: CRC-32C in format 2, CRC-32 in older formats.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// The stored flags, without the bits that the format does not define.
    pub fn attributes(&self) -> i16 {
        self.attributes
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Result<Compression, UnknownCompression> {
        Compression::from_id(self.attributes & COMPRESSION_MASK)
    }

    /// Whether the records are compressed at all.
    pub fn is_compressed(&self) -> bool {
        self.attributes & COMPRESSION_MASK != 0
    }

    /// Whether the producer or the leader set the timestamps. Format 0 has no timestamps and returns CreateTime.
    pub fn timestamp_type(&self) -> TimestampType {
        match self.attributes & TIMESTAMP_TYPE_BIT {
            0 => TimestampType::CreateTime,
            _ => TimestampType::LogAppendTime,
        }
    }

    /// Whether the batch is part of a transaction; also set on transaction markers.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Whether the batch holds a control record (a transaction marker), which consumers do not see.
    pub fn is_control_batch(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// From when on the cleaner may remove the batch's tombstones and markers (fact 58).
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON_BIT != 0).then_some(self.base_timestamp)
    }

    /// [`Self::last_offset`] minus [`Self::base_offset`].
    pub fn last_offset_delta(&self) -> i32 {
        self.last_offset_delta
    }

    /// The base of the timestamp deltas; the delete horizon if there is one.
    pub fn base_timestamp(&self) -> i64 {
        self.base_timestamp
    }

    /// The largest timestamp among the records, or the append time of all of them; -1 for none.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// The idempotent producer's id, or [`NO_PRODUCER_ID`].
    pub fn producer_id(&self) -> ProducerId {
        self.producer_id
    }

    /// Whether an idempotent producer wrote it.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// The producer's epoch.
    pub fn producer_epoch(&self) -> i16 {
        self.producer_epoch
    }

    /// Sequence number of the first record, or [`NO_SEQUENCE`].
    pub fn base_sequence(&self) -> i32 {
        self.base_sequence
    }

    /// Sequence number of the last record, or [`NO_SEQUENCE`].
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence {
            NO_SEQUENCE => NO_SEQUENCE,
            base => increment_sequence(base, self.last_offset_delta),
        }
    }

    /// Number of records; unknown for a wrapper of format 0 or 1. After a clean it may be lower than the offsets
    /// suggest, and even 0.
    pub fn count(&self) -> Option<i32> {
        (self.magic >= 2 || !self.is_compressed()).then_some(self.count)
    }

    /// Sets the batch's offset in the log. The CRC does not cover it.
    pub fn set_base_offset(&mut self, offset: Offset) {
        self.base_offset = offset;
    }

    /// Sets the epoch of the leader that appends the batch. The CRC does not cover it.
    pub fn set_partition_leader_epoch(&mut self, epoch: LeaderEpoch) {
        self.partition_leader_epoch = epoch;
    }

    /// Sets timestamp type and largest timestamp. Unless nothing changed, computes a new CRC, for which it needs
    /// `records`, the bytes after the header.
    pub fn set_max_timestamp(&mut self, timestamp_type: TimestampType, max_timestamp: i64, records: &[u8]) {
        if self.timestamp_type() == timestamp_type && self.max_timestamp == max_timestamp {
            return;
        }
        match timestamp_type {
            TimestampType::CreateTime => self.attributes &= !TIMESTAMP_TYPE_BIT,
            TimestampType::LogAppendTime => self.attributes |= TIMESTAMP_TYPE_BIT,
        }
        self.max_timestamp = max_timestamp;
        self.seal(records);
    }

    /// Checks the checksum of a format 2 batch that is not in memory as a whole: `pieces` are all its bytes, in order.
    /// Returns true if it is right.
    pub fn is_valid_crc_of<E>(
        &self,
        mut next_piece: impl FnMut(&mut dyn FnMut(&[u8])) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let (mut crc, mut uncovered) = (0, ATTRIBUTES_AT);
        while next_piece(&mut |piece| {
            let covered = &piece[uncovered.min(piece.len())..];
            uncovered -= piece.len() - covered.len();
            crc = crc32c::crc32c_append(crc, covered);
        })? {}
        Ok(crc == self.crc)
    }

    /// Computes the CRC of the fields as they are now, followed by `records`.
    pub(super) fn seal(&mut self, records: &[u8]) {
        self.crc = crc32c::crc32c_append(crc32c::crc32c(&self.encode()[ATTRIBUTES_AT..]), records);
    }
}

/// The attributes of a format 2 batch.
pub(super) fn attributes_of(
    compression: Compression,
    timestamp_type: TimestampType,
    is_transactional: bool,
    is_control: bool,
) -> i16 {
    let flag = |set: bool, bit: i16| if set { bit } else { 0 };
    compression.id()
        | flag(timestamp_type == TimestampType::LogAppendTime, TIMESTAMP_TYPE_BIT)
        | flag(is_transactional, TRANSACTIONAL_BIT)
        | flag(is_control, CONTROL_BIT)
}

/// One batch of message format 2 (or one message of an older format) in memory. Derefs to its header.
#[derive(Clone, Copy, Debug)]
pub struct RecordBatch<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> RecordBatch<'a> {
    /// The batch at the start of `bytes`; `None` if they end before the batch does.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Self>, BatchError> {
        let Some(header) = BatchHeader::parse(bytes)? else {
            return Ok(None);
        };
        Ok(bytes
            .get(..header.size_in_bytes())
            .map(|bytes| Self { header, bytes }))
    }

    /// `BatchHeader::parse`, for callers that read only the headers of a file.
    pub fn parse_header(bytes: &[u8]) -> Result<Option<BatchHeader>, BatchError> {
        BatchHeader::parse(bytes)
    }

    /// A copy of the header.
    pub fn header(&self) -> BatchHeader {
        self.header
    }

    /// The whole batch, header included.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes after the header: the records of a format 2 batch, compressed if the batch is. For an older message,
    /// the part that starts with the key's length.
    pub fn records(&self) -> &'a [u8] {
        let start = match self.header.magic {
            0 => LEGACY_TIMESTAMP_AT,
            1 => LEGACY_TIMESTAMP_AT + size_of::<i64>(),
            _ => RECORD_BATCH_OVERHEAD,
        };
        &self.bytes[start..]
    }

    /// Whether the stored checksum is right.
    pub fn is_valid_crc(&self) -> bool {
        if self.header.magic >= 2 {
            return crc32c::crc32c(&self.bytes[ATTRIBUTES_AT..]) == self.header.crc;
        }
        let mut crc = flate2::Crc::new();
        crc.update(&self.bytes[MAGIC_AT..]);
        crc.sum() == self.header.crc
    }

    /// [`Self::is_valid_crc`] as an error.
    pub fn ensure_valid_crc(&self) -> Result<(), BatchError> {
        if self.is_valid_crc() {
            return Ok(());
        }
        Err(BatchError::new(format!(
            "the checksum is not {:08x} as stored",
            self.header.crc
        )))
    }
}

impl Deref for RecordBatch<'_> {
    type Target = BatchHeader;

    fn deref(&self) -> &BatchHeader {
        &self.header
    }
}

#[cfg(test)]
mod tests;
