//! One record, and a reader of a batch's records in any format and codec.
//! Kafka 3.9: `DefaultRecord`, `DefaultRecordBatch.streamingIterator`, `AbstractLegacyRecordBatch.DeepRecordsIterator`.
//!
//! A record of format 2; lengths and counts are zigzag varints, -1 stands for null:
//!
//! ```text
//! length · i8 attributes (unused) · timestamp delta (64 bit) · offset delta · key length, key
//!        · value length, value · number of headers · per header: key length, key, value length, value
//! ```
//!
//! **Bounds.** The reader allocates nothing from a length or a count on the wire. It unpacks compressed records through
//! a buffer of fixed size. Only a record that does not fit into it is gathered, as its bytes really arrive and up to
//! the caller's limit. The value of a wrapper of format 0 or 1 must be unpacked as a whole, because its offsets count
//! from the end; the same limit applies.

use std::io::{BufRead, Read};

use super::batch::{BatchHeader, NO_TIMESTAMP, RecordBatch};
use super::compression::{Compression, Decompressor};
use super::error::RecordError;
use super::varint::{read_varint, read_varlong};
use crate::common::ids::Offset;
use crate::config::TimestampType;

/// Unpacking stops after this many bytes, whatever the caller's limit for one record; Java could not hold more either.
const MAX_UNPACKED_BYTES: usize = i32::MAX as usize;

/// One record. Key, value and headers are borrowed from the batch or from its unpacked bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset, counted from the batch's base offset.
    pub offset: Offset,
    /// Milliseconds; the append time if the batch has one; [`NO_TIMESTAMP`] if there is no timestamp.
    pub timestamp: i64,
    /// `None` means null.
    pub key: Option<&'a [u8]>,
    /// `None` means null: a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Empty in formats 0 and 1.
    pub headers: Headers<'a>,
}

/// The headers of a record, checked but not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    pub(super) count: i32,
    pub(super) bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Number of headers.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Key and value of each header. Keys should be UTF-8, but neither Kafka nor barnabas checks that.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.bytes;
        (0..self.count).map_while(move |_| Some((read_nullable(&mut rest)??, read_nullable(&mut rest)?)))
    }
}

/// Reads a nullable byte string from the front; the outer `None` means that the bytes end too soon.
fn read_nullable<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match usize::try_from(read_varint(bytes)?) {
        Err(_) => Some(None),
        Ok(length) => bytes.split_off(..length).map(Some),
    }
}

impl<'a> Record<'a> {
    /// Approximate size of the record without framing.
    pub fn size(&self) -> usize {
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + self.headers.bytes.len()
    }

    /// Reads the bytes after a record's length.
    fn parse(body: &'a [u8], batch: &BatchHeader) -> Result<Self, RecordError> {
        Self::parse_body(body, batch).ok_or_else(|| RecordError::invalid("a record does not fill its length"))
    }

    fn parse_body(mut rest: &'a [u8], batch: &BatchHeader) -> Option<Self> {
        rest.split_off_first()?;
        let timestamp_delta = read_varlong(&mut rest)?;
        let offset_delta = read_varint(&mut rest)?;
        let key = read_nullable(&mut rest)?;
        let value = read_nullable(&mut rest)?;
        let count = read_varint(&mut rest)?;
        let headers = Headers { count, bytes: rest };
        for _ in 0..count {
            read_nullable(&mut rest)??;
            read_nullable(&mut rest)?;
        }
        if count < 0 || !rest.is_empty() {
            return None;
        }
        let timestamp = match batch.timestamp_type() {
            TimestampType::CreateTime => batch.base_timestamp.wrapping_add(timestamp_delta),
            TimestampType::LogAppendTime => batch.max_timestamp,
        };
        let offset = batch.base_offset.wrapping_add(i64::from(offset_delta));
        Some(Self {
            offset,
            timestamp,
            key,
            value,
            headers,
        })
    }

    /// Reads the bytes after the timestamp of a message of format 0 or 1.
    fn parse_legacy(mut rest: &'a [u8], offset: Offset, timestamp: i64) -> Result<Self, RecordError> {
        let mut field = || {
            let (length, after) = rest.split_first_chunk()?;
            rest = after;
            match usize::try_from(i32::from_be_bytes(*length)) {
                Err(_) => Some(None),
                Ok(length) => rest.split_off(..length).map(Some),
            }
        };
        let fields = field().zip(field());
        match fields {
            Some((key, value)) if rest.is_empty() => Ok(Self {
                offset,
                timestamp,
                key,
                value,
                headers: Headers::default(),
            }),
            _ => Err(RecordError::invalid("a message does not fill its length")),
        }
    }
}

/// Reads the records of one batch in order. After an error it returns no more records.
pub struct RecordReader<'a> {
    batch: BatchHeader,
    limit: usize,
    remaining: i32,
    source: Source<'a>,
}

enum Source<'a> {
    /// Format 2, uncompressed.
    Plain(&'a [u8]),
    /// Format 2, compressed. `lent` bytes of the decompressor's buffer belong to the last returned record.
    Packed {
        decompressor: Decompressor<'a>,
        lent: usize,
        gathered: Vec<u8>,
    },
    /// One message of format 0 or 1.
    Message(&'a [u8]),
    /// The unpacked messages of a wrapper, and the number to add to their offsets.
    Wrapped {
        messages: Vec<u8>,
        position: usize,
        base_offset: Offset,
    },
}

impl<'a> RecordReader<'a> {
    /// A reader of the records of `batch`. Neither one record nor the messages of a wrapper together may unpack to more
    /// than `limit` bytes.
    pub fn new(batch: &RecordBatch<'a>, limit: usize) -> Result<Self, RecordError> {
        Self::from_parts(batch.header(), batch.records(), limit)
    }

    /// The same for a header and a payload that are not adjacent in memory.
    pub fn from_parts(batch: BatchHeader, payload: &'a [u8], limit: usize) -> Result<Self, RecordError> {
        let compression = batch.compression()?;
        let source = match (batch.magic, batch.is_compressed()) {
            (2, false) => Source::Plain(payload),
            (2, true) => Source::Packed {
                decompressor: compression
                    .reader(batch.magic, payload, MAX_UNPACKED_BYTES)
                    .map_err(|error| RecordError::invalid(error.to_string()))?,
                lent: 0,
                gathered: Vec::new(),
            },
            (_, false) => Source::Message(payload),
            (_, true) => unwrap_messages(&batch, payload, limit)?,
        };
        if batch.count < 0 {
            return Err(RecordError::invalid(format!(
                "a batch of {} records",
                batch.count
            )));
        }
        Ok(Self {
            batch,
            limit,
            remaining: batch.count,
            source,
        })
    }

    /// The next record's own checksum: each message of formats 0 and 1 has one.
    pub fn next_message_crc(&self) -> Option<u32> {
        match &self.source {
            Source::Plain(_) | Source::Packed { .. } => None,
            Source::Message(_) => Some(self.batch.crc()),
            Source::Wrapped {
                messages, position, ..
            } => {
                let message = BatchHeader::parse(messages.get(*position..)?).ok()??;
                Some(message.crc())
            }
        }
    }

    /// The next record; `None` after the last one, if the batch holds exactly the promised number of records.
    #[expect(
        clippy::should_implement_trait,
        reason = "a record borrows from the reader, which no Iterator can say"
    )]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, RecordError> {
        let remaining = self.remaining;
        self.remaining = remaining.saturating_sub(1).max(0);
        match &mut self.source {
            Source::Plain(rest) => {
                if remaining == 0 {
                    return end_of(rest.is_empty());
                }
                let body = read_nullable(rest).flatten().ok_or_else(premature_end)?;
                Record::parse(body, &self.batch).map(Some)
            }
            Source::Packed {
                decompressor,
                lent,
                gathered,
            } => {
                decompressor.consume(std::mem::take(lent));
                if remaining == 0 {
                    return end_of(decompressor.fill_buf().map_err(unpack_error)?.is_empty());
                }
                let length = read_length(decompressor)?;
                if length > self.limit {
                    return Err(RecordError::TooLarge(self.limit));
                }
                if length <= decompressor.buffer().len() {
                    *lent = length;
                    return Record::parse(&decompressor.buffer()[..length], &self.batch).map(Some);
                }
                gathered.clear();
                decompressor
                    .take(length as u64)
                    .read_to_end(gathered)
                    .map_err(unpack_error)?;
                if gathered.len() < length {
                    return Err(premature_end());
                }
                Record::parse(gathered, &self.batch).map(Some)
            }
            Source::Message(rest) => {
                if remaining == 0 {
                    return Ok(None);
                }
                Record::parse_legacy(rest, self.batch.base_offset, self.batch.max_timestamp).map(Some)
            }
            Source::Wrapped {
                messages,
                position,
                base_offset,
            } => {
                let Some(message) = parse_message(&messages[*position..])? else {
                    return Ok(None);
                };
                *position += message.size_in_bytes();
                wrapped_record(&self.batch, message, *base_offset).map(Some)
            }
        }
    }
}

fn end_of<'a>(is_empty: bool) -> Result<Option<Record<'a>>, RecordError> {
    if is_empty {
        Ok(None)
    } else {
        Err(RecordError::invalid("more bytes than the batch's records need"))
    }
}

fn premature_end() -> RecordError {
    RecordError::invalid("fewer records than the batch promises")
}

fn unpack_error(error: std::io::Error) -> RecordError {
    RecordError::invalid(format!("the records do not unpack: {error}"))
}

/// Reads a record's length byte by byte, because the end of the buffer may divide it.
fn read_length(decompressor: &mut Decompressor<'_>) -> Result<usize, RecordError> {
    let mut bytes = [0; 5];
    for end in 1..=bytes.len() {
        let &byte = decompressor
            .fill_buf()
            .map_err(unpack_error)?
            .first()
            .ok_or_else(premature_end)?;
        decompressor.consume(1);
        bytes[end - 1] = byte;
        if byte < 0x80 {
            let length = read_varint(&mut &bytes[..end]).and_then(|length| usize::try_from(length).ok());
            return length.ok_or_else(premature_end);
        }
    }
    Err(RecordError::invalid("a record's length is too long"))
}

fn parse_message(bytes: &[u8]) -> Result<Option<RecordBatch<'_>>, RecordError> {
    RecordBatch::parse(bytes).map_err(|error| RecordError::invalid(error.reason))
}

/// Unpacks a wrapper. In format 1 the offsets of the inner messages count from 0, or from any other number, and the
/// wrapper has the offset of the last one. Offset 0 of the wrapper, which some producers send, means that nothing is
/// added.
fn unwrap_messages<'a>(
    wrapper: &BatchHeader,
    payload: &[u8],
    limit: usize,
) -> Result<Source<'a>, RecordError> {
    let value = Record::parse_legacy(payload, wrapper.base_offset, NO_TIMESTAMP)?.value;
    let value = value.ok_or_else(|| RecordError::invalid("a wrapper message without a value"))?;
    let compression = wrapper.compression()?;
    if compression == Compression::Zstd {
        return Err(RecordError::invalid("zstd came with format 2"));
    }
    let messages = compression.decompress(wrapper.magic, value, limit)?;
    let mut position = 0;
    let mut last_offset = None;
    while let Some(message) = parse_message(&messages[position..])? {
        position += message.size_in_bytes();
        last_offset = Some(message.base_offset());
    }
    let last_offset =
        last_offset.ok_or_else(|| RecordError::invalid("a wrapper message with no messages in it"))?;
    let base_offset = match (wrapper.magic, wrapper.base_offset) {
        (0, _) | (_, 0) => 0,
        (_, offset) if offset < last_offset => {
            return Err(RecordError::invalid(
                "a wrapper message with an offset less than its last message's",
            ));
        }
        (_, offset) => offset.wrapping_sub(last_offset),
    };
    Ok(Source::Wrapped {
        messages,
        position: 0,
        base_offset,
    })
}

fn wrapped_record<'a>(
    wrapper: &BatchHeader,
    message: RecordBatch<'a>,
    base_offset: Offset,
) -> Result<Record<'a>, RecordError> {
    if message.magic() != wrapper.magic {
        return Err(RecordError::invalid(
            "a message of another format than its wrapper's",
        ));
    }
    if message.is_compressed() {
        return Err(RecordError::invalid(
            "a compressed message inside a wrapper message",
        ));
    }
    message
        .ensure_valid_crc()
        .map_err(|error| RecordError::Corrupt(error.reason))?;
    let timestamp = match wrapper.timestamp_type() {
        TimestampType::CreateTime => message.max_timestamp(),
        TimestampType::LogAppendTime => wrapper.max_timestamp,
    };
    Record::parse_legacy(
        message.records(),
        base_offset.wrapping_add(message.base_offset()),
        timestamp,
    )
}

#[cfg(test)]
mod tests;
