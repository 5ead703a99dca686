//! Dump of a `.log`: its batches and, if requested, their records. Kafka 3.9: `DumpLogSegments.dumpLog`,
//! `printBatchLevel`.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::active::is_last_segment;
use super::arguments::Arguments;
use super::batch_scan::{BatchScan, FoundBatch};
use super::files::base_offset_of;
use super::java::increment_sequence;
use super::java::optional_long;
use super::record_line::{RecordLine, timestamp_type_name};
use super::report::{Line, Report, Stop};
use crate::record::BatchHeader;
use crate::record::batch::{CURRENT_MAGIC, MAGIC_AT, NO_SEQUENCE};

/// `Log starting offset: 0`.
struct LogStart(i64);

impl Line for LogStart {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "Log starting offset: {}", self.0)
    }

    fn json(&self) -> Value {
        json!({ "kind": "log", "startingOffset": self.0 })
    }
}

/// `Found 7 invalid bytes at the end of 00000000000000000000.log`.
struct InvalidTail<'a> {
    bytes: u64,
    position: u64,
    name: &'a str,
}

impl Line for InvalidTail<'_> {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(
            out,
            "Found {} invalid bytes at the end of {}",
            self.bytes, self.name
        )
    }

    fn json(&self) -> Value {
        json!({ "kind": "invalidTail", "position": self.position, "bytes": self.bytes })
    }
}

/// One batch, or one message of format 0 or 1.
struct BatchLine {
    batch: FoundBatch,
    is_valid: bool,
}

impl Line for BatchLine {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let FoundBatch { header, .. } = &self.batch;
        if self.batch.magic >= 2 {
            write!(
                out,
                "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} \
                 producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {}",
                header.base_offset(),
                header.last_offset(),
                header.count().unwrap_or_default(),
                header.base_sequence(),
                last_sequence(header),
                header.producer_id(),
                header.producer_epoch(),
                header.partition_leader_epoch(),
                header.is_transactional(),
                header.is_control_batch(),
                optional_long(header.delete_horizon_ms()),
            )?;
        } else {
            write!(out, "offset: {}", header.last_offset())?;
        }
        // Kafka's tool stops the line here if the codec has no name or the format is impossible.
        let (Ok(compression), 0..) = (header.compression(), self.batch.magic) else {
            return Ok(());
        };
        write!(
            out,
            " position: {} {}: {} size: {} magic: {} compresscodec: {} crc: {} isvalid: {}",
            self.batch.position,
            timestamp_type_name(header),
            header.max_timestamp(),
            self.batch.size,
            self.batch.magic,
            compression.name(),
            header.crc(),
            self.is_valid,
        )
    }

    fn json(&self) -> Value {
        let FoundBatch { header, .. } = &self.batch;
        let mut object = json!({
            "kind": "batch",
            "baseOffset": header.base_offset(),
            "lastOffset": header.last_offset(),
            "count": header.count(),
            "position": self.batch.position,
            "size": self.batch.size,
            "magic": self.batch.magic,
            "compression": header.compression().ok().map(|compression| compression.name()),
            "timestampType": timestamp_type_name(header),
            "maxTimestamp": header.max_timestamp(),
            "crc": header.crc(),
            "isValid": self.is_valid,
        });
        if self.batch.magic >= 2 {
            let more = json!({
                "baseTimestamp": header.base_timestamp(),
                "baseSequence": header.base_sequence(),
                "lastSequence": last_sequence(header),
                "producerId": header.producer_id(),
                "producerEpoch": header.producer_epoch(),
                "partitionLeaderEpoch": header.partition_leader_epoch(),
                "isTransactional": header.is_transactional(),
                "isControl": header.is_control_batch(),
                "deleteHorizonMs": header.delete_horizon_ms(),
            });
            if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
                object.extend(more);
            }
        }
        object
    }
}

fn last_sequence(header: &BatchHeader) -> i32 {
    match header.base_sequence() {
        NO_SEQUENCE => NO_SEQUENCE,
        base => increment_sequence(base, header.last_offset_delta()),
    }
}

/// Dumps a `.log`.
pub(super) fn dump(path: &Path, arguments: &Arguments, report: &mut Report<'_>) -> Result<(), Stop> {
    report.line(&LogStart(base_offset_of(path)?))?;
    let mut scan = BatchScan::open(path)?;
    scan.seek(0, arguments.max_bytes as u64);
    // The offset of the previous record. Kafka's tool uses -1 for "none yet", and so treats a record with offset -1 as
    // none.
    let mut last_offset = -1;
    loop {
        let batch = match scan.next() {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(stop) => return end_at_preallocated_zeros(path, &mut scan, stop, report),
        };
        dump_batch(&mut scan, batch, &mut last_offset, arguments, report)?;
    }
    // Kafka's tool does not report invalid bytes at the end if it reads only a part of the file.
    let bytes = scan.end().saturating_sub(scan.position());
    if bytes == 0 || arguments.max_bytes != i32::MAX {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let position = scan.position();
    report.line(&InvalidTail {
        bytes,
        position,
        name: &name,
    })?;
    if is_last_segment(path) {
        return Ok(());
    }
    Err(Stop::corrupt(
        position,
        format!("{bytes} bytes that are no batch, and a later segment exists"),
    ))
}

/// Handles the zeros at the end of a running broker's preallocated file, on which Kafka's tool fails.
fn end_at_preallocated_zeros(
    path: &Path,
    scan: &mut BatchScan,
    stop: Stop,
    report: &mut Report<'_>,
) -> Result<(), Stop> {
    let position = scan.position();
    if !is_last_segment(path) || !scan.is_zero_from(position)? {
        return Err(stop);
    }
    let bytes = scan.length() - position;
    report.remark(format_args!(
        "{}: byte {position}: {bytes} zeros that no batch has been written to yet",
        path.display()
    ))?;
    Ok(())
}

fn dump_batch(
    scan: &mut BatchScan,
    batch: FoundBatch,
    last_offset: &mut i64,
    arguments: &Arguments,
    report: &mut Report<'_>,
) -> Result<(), Stop> {
    let position = batch.position;
    let bytes = scan.bytes(&batch)?;
    let is_valid = batch.is_valid(bytes);
    report.line(&BatchLine { batch, is_valid })?;
    let unknown_magic = || {
        Stop::corrupt(
            position + MAGIC_AT as u64,
            format!("unknown magic {}", batch.magic),
        )
    };
    match batch.magic {
        ..0 => return Err(unknown_magic()),
        0..=CURRENT_MAGIC => {}
        _ => report.stop(unknown_magic())?,
    }
    if let Err(error) = batch.header.compression() {
        return Err(Stop::corrupt(position, error));
    }
    if !is_valid {
        let reason = format!("the checksum is not {} as stored", batch.header.crc());
        report.problem(Some(position), &reason)?;
    }
    if arguments.is_deep() {
        dump_records(&batch, bytes, is_valid, last_offset, arguments, report)?;
    }
    Ok(())
}

/// How many records Kafka's tool prints before it meets the error, and the error, if there is one.
fn readable_records(batch: &FoundBatch, bytes: &[u8]) -> (usize, Option<String>) {
    let is_batch = batch.magic >= 2;
    if is_batch && batch.header.count() == Some(0) {
        return (0, None);
    }
    let mut reader = match batch.records(bytes) {
        Ok(reader) => reader,
        Err(error) => return (0, Some(error.to_string())),
    };
    let mut readable = 0;
    loop {
        match reader.next() {
            Ok(Some(_)) => readable += 1,
            Ok(None) => return (readable, None),
            // Kafka's tool unpacks all compressed records before it prints the first.
            Err(error) if batch.header.is_compressed() => return (0, Some(error.to_string())),
            Err(error) => {
                // Kafka's tool notices bytes behind the last record when it reads that record.
                let promised = batch.header.count().and_then(|count| usize::try_from(count).ok());
                let shown = if promised == Some(readable) {
                    readable.saturating_sub(1)
                } else {
                    readable
                };
                return (shown, Some(format!("record {shown} of the batch: {error}")));
            }
        }
    }
}

fn dump_records(
    batch: &FoundBatch,
    bytes: &[u8],
    is_valid: bool,
    last_offset: &mut i64,
    arguments: &Arguments,
    report: &mut Report<'_>,
) -> Result<(), Stop> {
    let invalid = |error: &dyn std::fmt::Display| Stop::corrupt(batch.position, error);
    let (readable, error) = readable_records(batch, bytes);
    if readable > 0 {
        let decoder = arguments.decoder();
        let mut reader = batch.records(bytes).map_err(|error| invalid(&error))?;
        for _ in 0..readable {
            // The reader rejects a message in a wrapper if its checksum is wrong.
            let message_crc = reader
                .next_message_crc()
                .map(|crc| (crc, is_valid || batch.header.is_compressed()));
            let Some(record) = reader.next().map_err(|error| invalid(&error))? else {
                break;
            };
            if *last_offset != -1 && record.offset != last_offset.wrapping_add(1) {
                report.not_consecutive(*last_offset, record.offset);
            }
            *last_offset = record.offset;
            let mut line = RecordLine::new(batch, &record, message_crc, arguments.skip_record_metadata);
            let read = line.read_content(&decoder, arguments.prints_data());
            report.line(&line)?;
            read.map_err(|error| invalid(&format!("record at offset {}: {error}", record.offset)))?;
        }
    }
    match error {
        Some(error) => Err(invalid(&error)),
        None => Ok(()),
    }
}
