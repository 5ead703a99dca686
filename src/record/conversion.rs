//! Down-conversion for consumers older than format 2: Fetch version 0 and 1 read format 0, 2 and 3 read format 1.
//! Kafka 3.9: `RecordsUtil.downConvert`, `MemoryRecordsBuilder` for formats 0 and 1.
//!
//! The conversion loses what the old formats cannot store: headers, producer ids, transactions. It drops control
//! batches, so the offsets have gaps. It keeps records of aborted transactions, because old consumers read everything.
//! The [validator](super::validator) does the opposite conversion, from formats 0 and 1 to 2.

use std::time::Duration;

use super::batch::{BatchHeader, LOG_OVERHEAD, NO_TIMESTAMP, RecordBatch};
use super::batches::RecordBatches;
use super::compression::{Compression, UnknownCompression};
use super::error::{InvalidRecords, RecordError};
use super::record::{Record, RecordReader};
use crate::common::error::ErrorCode;
use crate::common::ids::Offset;
use crate::config::TimestampType;

const CRC_BYTES: usize = size_of::<u32>();
const TIMESTAMP_TYPE_BIT: u8 = 0x08;

/// Statistics of records that were unpacked or re-encoded. Kafka 3.9: `RecordValidationStats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conversion {
    /// Number of re-encoded records.
    pub records: u64,
    /// Approximate unpacked size.
    pub temporary_bytes: u64,
    /// Duration of the conversion.
    pub time: Duration,
}

impl std::ops::AddAssign for Conversion {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.temporary_bytes += other.temporary_bytes;
        self.time += other.time;
    }
}

/// The complete batches in `records` as messages of format `to_magic`, 0 or 1. Batches of that format or an older one
/// stay unchanged.
///
/// Leaves out uncompressed records before `first_offset`, because some versions of librdkafka depend on that. The
/// result may be empty although `records` is not, if it consists of control batches. No batch may unpack to more than
/// `limit` bytes.
///
/// A batch that cannot be converted ends the conversion. It is an error only if no batch precedes it:
/// UNSUPPORTED_COMPRESSION_TYPE for zstd, which the old formats do not have.
pub fn down_convert(
    records: &[u8],
    to_magic: i8,
    first_offset: Offset,
    limit: usize,
) -> Result<(Vec<u8>, Conversion), InvalidRecords> {
    assert!(
        (0..=1).contains(&to_magic),
        "format {to_magic} needs no down-conversion"
    );
    let mut out = Vec::with_capacity(records.len());
    let mut conversion = Conversion::default();
    for batch in RecordBatches::new(records) {
        let converted = match &batch {
            Ok(batch) => convert_batch(&mut out, batch, to_magic, first_offset, limit).inspect(|_| {
                conversion.temporary_bytes += batch.size_in_bytes() as u64;
            }),
            Err(error) => Err(error.clone().into()),
        };
        match converted {
            Ok(of_batch) => conversion += of_batch,
            Err(_) if !out.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok((out, conversion))
}

/// Appends one batch; appends nothing if it returns an error.
fn convert_batch(
    out: &mut Vec<u8>,
    batch: &RecordBatch<'_>,
    to_magic: i8,
    first_offset: Offset,
    limit: usize,
) -> Result<Conversion, InvalidRecords> {
    let mut conversion = Conversion::default();
    if batch.is_control_batch() {
        return Ok(conversion);
    }
    let compression = batch.compression().map_err(unsupported)?;
    if compression == Compression::Zstd {
        return Err(unsupported(UnknownCompression(compression.id())));
    }
    if batch.magic() <= to_magic {
        out.extend_from_slice(batch.bytes());
        return Ok(conversion);
    }
    let is_compressed = compression != Compression::None;
    let time_flag = time_flag(batch, to_magic);
    let mut messages = Vec::new();
    let mut offsets: Option<(Offset, Offset)> = None;
    let mut max_timestamp = NO_TIMESTAMP;
    let mut reader = RecordReader::new(batch, limit)?;
    while let Some(record) = reader.next()? {
        if !is_compressed && record.offset < first_offset {
            continue;
        }
        let first = offsets.map_or(record.offset, |(first, _)| first);
        offsets = Some((first, record.offset));
        max_timestamp = max_timestamp.max(record.timestamp);
        // In a wrapper of format 1 the offsets of the messages count from 0.
        let offset = if is_compressed && to_magic > 0 {
            record.offset - first
        } else {
            record.offset
        };
        put_message(&mut messages, to_magic, time_flag, &Record { offset, ..record });
        conversion.records += 1;
        if messages.len() > limit {
            return Err(RecordError::TooLarge(limit).into());
        }
    }
    conversion.temporary_bytes = messages.len() as u64;
    match offsets {
        Some((_, last)) if is_compressed => {
            let timestamp = if time_flag == 0 {
                max_timestamp
            } else {
                batch.max_timestamp()
            };
            put_wrapper(
                out,
                to_magic,
                time_flag,
                compression,
                (last, timestamp),
                &messages,
            );
        }
        _ => out.append(&mut messages),
    }
    Ok(conversion)
}

fn unsupported(codec: UnknownCompression) -> InvalidRecords {
    let message = format!("compression type {} is unknown to old consumers", codec.0);
    InvalidRecords::new(ErrorCode::UnsupportedCompressionType, message)
}

/// The attribute of a message of format `magic` for the batch's timestamp type.
pub(super) fn time_flag(batch: &BatchHeader, magic: i8) -> u8 {
    match batch.timestamp_type() {
        TimestampType::LogAppendTime if magic > 0 => TIMESTAMP_TYPE_BIT,
        _ => 0,
    }
}

/// Writes a wrapper that holds the compressed `messages`, with the offset of the last one and the largest timestamp.
pub(super) fn put_wrapper(
    out: &mut Vec<u8>,
    magic: i8,
    time_flag: u8,
    compression: Compression,
    (offset, timestamp): (Offset, i64),
    messages: &[u8],
) {
    let value = compression.compress(None, magic, messages);
    let wrapper = Record {
        offset,
        timestamp,
        key: None,
        value: Some(&value),
        headers: Default::default(),
    };
    put_message(out, magic, time_flag | compression.id() as u8, &wrapper);
}

/// Writes a message of format 0 or 1, in the layout of [`super::batch`].
pub(super) fn put_message(out: &mut Vec<u8>, magic: i8, attributes: u8, record: &Record<'_>) {
    let start = out.len();
    out.extend(record.offset.to_be_bytes());
    out.extend([0; LOG_OVERHEAD - size_of::<Offset>() + CRC_BYTES]);
    let covered = out.len();
    out.extend([magic as u8, attributes]);
    if magic > 0 {
        out.extend(record.timestamp.to_be_bytes());
    }
    for field in [record.key, record.value] {
        out.extend(field.map_or(-1, |bytes| bytes.len() as i32).to_be_bytes());
        out.extend_from_slice(field.unwrap_or_default());
    }
    let mut crc = flate2::Crc::new();
    crc.update(&out[covered..]);
    let length = (out.len() - start - LOG_OVERHEAD) as i32;
    out[start + size_of::<Offset>()..start + LOG_OVERHEAD].copy_from_slice(&length.to_be_bytes());
    out[start + LOG_OVERHEAD..covered].copy_from_slice(&crc.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::testing::{legacy_message, wrapper_message};
    use crate::record::{BatchBuilder, ControlRecordType, EndTransactionMarker};

    const LIMIT: usize = 1 << 20;

    fn three_records(base_offset: Offset, codec: Compression) -> BatchBuilder {
        let mut builder = BatchBuilder::new(base_offset)
            .compression(codec, None)
            .producer(5, 1, 0);
        builder.append(100, Some(b"a"), Some(b"1"), &[("h", Some(b"x"))]);
        builder.append(300, None, Some(b"2"), &[]);
        builder.append(200, Some(b"c"), None, &[]);
        builder
    }

    /// The messages that [`three_records`] become.
    fn three_messages(offsets: [Offset; 3], magic: i8) -> [Vec<u8>; 3] {
        [
            legacy_message(offsets[0], magic, 100, Some(b"a"), Some(b"1")),
            legacy_message(offsets[1], magic, 300, None, Some(b"2")),
            legacy_message(offsets[2], magic, 200, Some(b"c"), None),
        ]
    }

    fn messages_of(
        records: &[u8],
        to_magic: i8,
        first: Offset,
        limit: usize,
    ) -> Result<Vec<u8>, InvalidRecords> {
        down_convert(records, to_magic, first, limit).map(|(messages, _)| messages)
    }

    #[test]
    fn uncompressed_records_become_single_messages() {
        let batch = three_records(40, Compression::None).build();
        for magic in 0..2 {
            let messages = three_messages([40, 41, 42], magic);
            assert_eq!(messages_of(&batch, magic, 0, LIMIT).unwrap(), messages.concat());
            assert_eq!(
                messages_of(&batch, magic, 41, LIMIT).unwrap(),
                messages[1..].concat()
            );
            assert_eq!(messages_of(&batch, magic, 43, LIMIT).unwrap(), b"");
        }
    }

    #[test]
    fn compressed_records_become_a_wrapper_message() {
        for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
            let batch = three_records(40, codec).build();
            for (magic, inner) in [(0, [40, 41, 42]), (1, [0, 1, 2])] {
                let expected = wrapper_message(42, magic, 300, codec, &three_messages(inner, magic).concat());
                assert_eq!(
                    messages_of(&batch, magic, 41, LIMIT).unwrap(),
                    expected,
                    "{codec:?} to {magic}"
                );
            }
        }
    }

    #[test]
    fn append_time_stays_append_time() {
        for codec in [Compression::None, Compression::Gzip] {
            let batch = three_records(0, codec).log_append_time(Some(999)).build();
            let converted = messages_of(&batch, 1, 0, LIMIT).unwrap();
            let message = RecordBatch::parse(&converted).unwrap().unwrap();
            assert!(message.is_valid_crc());
            assert_eq!(
                (message.timestamp_type(), message.max_timestamp()),
                (TimestampType::LogAppendTime, 999)
            );
        }
    }

    #[test]
    fn markers_vanish_and_old_messages_stay() {
        let marker = EndTransactionMarker {
            control_type: ControlRecordType::Abort,
            coordinator_epoch: 0,
        };
        let marker = BatchBuilder::end_transaction_marker(marker, 5, 1, 100);
        assert_eq!(messages_of(&marker, 0, 0, LIMIT).unwrap(), b"");
        let old = [
            legacy_message(1, 0, 0, None, None),
            legacy_message(2, 1, 50, None, None),
        ]
        .concat();
        let log = [&old[..], &marker, &three_records(4, Compression::None).build()].concat();
        let expected = [&old[..], &three_messages([4, 5, 6], 1).concat()].concat();
        assert_eq!(messages_of(&log, 1, 0, LIMIT).unwrap(), expected);
        let older = messages_of(&log, 0, 0, LIMIT).unwrap();
        assert!(RecordBatches::new(&older).all(|message| message.unwrap().magic() == 0));
    }

    #[test]
    fn zstd_and_bombs_end_the_conversion() {
        let good = three_records(0, Compression::Gzip).build();
        let zstd = three_records(3, Compression::Zstd).build();
        let mut bomb = BatchBuilder::new(3).compression(Compression::Gzip, None);
        bomb.append(0, None, Some(&vec![0; LIMIT]), &[]);
        for (bad, code) in [
            (zstd, ErrorCode::UnsupportedCompressionType),
            (bomb.build(), ErrorCode::MessageTooLarge),
        ] {
            assert_eq!(messages_of(&bad, 1, 0, LIMIT).unwrap_err().code, code);
            let expected = messages_of(&good, 1, 0, LIMIT).unwrap();
            assert_eq!(
                messages_of(&[&good[..], &bad].concat(), 1, 0, LIMIT).unwrap(),
                expected
            );
        }
    }

    proptest! {
        #[test]
        fn corrupted_batches_never_panic(
            flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            magic in 0i8..2,
        ) {
            let mut bytes = include_bytes!("testdata/orders-0.log").to_vec();
            for (index, value) in flips {
                let index = index.index(bytes.len());
                bytes[index] = value;
            }
            let _ = messages_of(&bytes, magic, 0, LIMIT);
        }
    }
}
