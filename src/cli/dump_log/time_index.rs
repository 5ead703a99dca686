//! Dump of a `.timeindex` (timestamps to offsets), with each entry compared to `.index` and `.log`. Kafka 3.9:
//! `DumpLogSegments.dumpTimeIndex`.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::active::is_last_segment;
use super::arguments::Arguments;
use super::batch_scan::{BatchScan, FoundBatch};
use super::files::{base_offset_of, read, sibling};
use super::index::{Entries, Verdict};
use super::report::{Line, Report, Stop};
use crate::log::names::{INDEX_SUFFIX, LOG_SUFFIX};
use crate::record::batch::NO_TIMESTAMP;

/// Size of an entry: i64 timestamp, i32 offset minus base offset.
const ENTRY_BYTES: usize = 12;

/// `timestamp: 1795354704886 offset: 23`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    timestamp: i64,
    offset: i64,
}

impl Line for Entry {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "timestamp: {} offset: {}", self.timestamp, self.offset)
    }

    fn json(&self) -> Value {
        json!({ "kind": "timeIndexEntry", "timestamp": self.timestamp, "offset": self.offset })
    }
}

struct TimeEntries {
    base_offset: i64,
    bytes: Vec<u8>,
}

impl TimeEntries {
    fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.bytes.as_chunks::<ENTRY_BYTES>().0.iter().map(|entry| {
            let [a, b, c, d, e, f, g, h, relative @ ..] = *entry;
            Entry {
                timestamp: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
                offset: self.base_offset.wrapping_add(i32::from_be_bytes(relative).into()),
            }
        })
    }

    fn len(&self) -> usize {
        self.bytes.len() / ENTRY_BYTES
    }

    /// Whether the file has only zeros: the broker has not written a first entry yet.
    fn is_unused(&self) -> bool {
        self.bytes.iter().all(|&byte| byte == 0)
    }

    /// Whether zeros follow the last entry: the broker has not rolled or closed the segment yet.
    fn has_room(&self) -> bool {
        let last = self.iter().last();
        self.len() > 1 && last.is_some_and(|last| (last.timestamp, last.offset) == (0, self.base_offset))
    }

    /// The checks that a broker makes before it uses a time index.
    fn check_sanity(&self) -> Result<(), Stop> {
        if let (Some(first), Some(last)) = (self.iter().next(), self.iter().last()) {
            let at = ((self.len() - 1) * ENTRY_BYTES) as u64;
            if last.timestamp < first.timestamp {
                let reason = format!(
                    "the last timestamp, {}, is less than the first, {}",
                    last.timestamp, first.timestamp
                );
                return Err(Stop::corrupt(at, reason));
            }
            if last.offset < self.base_offset {
                let reason = format!(
                    "the last offset, {}, is below the base offset {}",
                    last.offset, self.base_offset
                );
                return Err(Stop::corrupt(at, reason));
            }
        }
        self.check_length()
    }

    fn check_length(&self) -> Result<(), Stop> {
        if self.bytes.len().is_multiple_of(ENTRY_BYTES) {
            return Ok(());
        }
        let at = self.len() * ENTRY_BYTES;
        Err(Stop::corrupt(
            at as u64,
            format!("{} bytes are not a multiple of {ENTRY_BYTES}", self.bytes.len()),
        ))
    }
}

/// Dumps a `.timeindex`.
pub(super) fn dump(path: &Path, arguments: &Arguments, report: &mut Report<'_>) -> Result<(), Stop> {
    let base_offset = base_offset_of(path)?;
    let entries = TimeEntries {
        base_offset,
        bytes: read(path)?,
    };
    let offsets = Entries::read(&sibling(path, INDEX_SUFFIX), base_offset)?;
    let mut log = BatchScan::open(&sibling(path, LOG_SUFFIX))?;
    if arguments.index_sanity_check {
        if let Err(stop) = entries.check_sanity() {
            if !is_last_segment(path) || !entries.has_room() {
                return Err(stop);
            }
            let remark = format!(
                "{}: the broker that writes it has not trimmed it yet",
                report.file()
            );
            return Ok(report.remark(remark)?);
        }
        let file = report.file().to_owned();
        report.line(&Verdict::passed(&file))?;
        return Ok(());
    }
    let is_last = is_last_segment(path);
    let is_unused = is_last && entries.is_unused();
    let mut previous = NO_TIMESTAMP;
    for (i, entry) in entries.iter().enumerate() {
        // The zeros behind the last entry of a file in use.
        if i > 0 && entry.offset == base_offset {
            break;
        }
        let byte = (i * ENTRY_BYTES) as u64;
        if let Some(reason) = check_entry(&mut log, &offsets, byte, entry, previous, report)?
            && !is_unused
        {
            report.problem(Some(byte), &reason)?;
        }
        if !arguments.verify_index_only {
            report.line(&entry)?;
        }
        previous = entry.timestamp;
    }
    match is_last {
        true => Ok(()),
        false => entries.check_length(),
    }
}

/// Compares an entry with the log. Returns the problem, if there is one.
fn check_entry(
    log: &mut BatchScan,
    offsets: &Entries,
    byte: u64,
    entry: Entry,
    previous: i64,
    report: &mut Report<'_>,
) -> Result<Option<String>, Stop> {
    let position = offsets.lookup(entry.offset);
    let found = u64::try_from(position)
        .ok()
        .filter(|&at| log.seek(at, i32::MAX as u64));
    if found.is_none() {
        let reason = format!(
            "the offset index leads from offset {} to byte {position} of a log of {} bytes",
            entry.offset,
            log.length()
        );
        return Err(Stop::corrupt(byte, reason));
    }
    let in_log = |stop| match stop {
        Stop::Input { byte: at, reason } => {
            let at = at.unwrap_or_default();
            Stop::corrupt(
                byte,
                format!(
                    "looking for offset {} in the log, at its byte {at}: {reason}",
                    entry.offset
                ),
            )
        }
        stop => stop,
    };
    let batch = loop {
        match log.next().map_err(in_log)? {
            Some(batch) if batch.header.last_offset() < entry.offset => {}
            found => break found,
        }
    };
    match batch {
        None => {
            report.offset_not_found(entry.offset, -1);
            Ok(Some(format!(
                "the entry says offset {}, which is behind the log's last batch",
                entry.offset
            )))
        }
        Some(batch) if batch.header.last_offset() != entry.offset => {
            let found = batch.header.last_offset();
            report.offset_not_found(entry.offset, found);
            Ok(Some(format!(
                "the entry says offset {}, but no batch ends with it; one ends with {found}",
                entry.offset
            )))
        }
        Some(batch) => {
            let timestamp = max_timestamp(log, &batch).map_err(in_log)?;
            Ok(check_timestamp(entry, timestamp, previous, report))
        }
    }
}

/// Holds an entry's timestamp against that of its batch and that of the entry before. Returns what is wrong with it.
fn check_timestamp(entry: Entry, in_batch: i64, previous: i64, report: &mut Report<'_>) -> Option<String> {
    let mut wrong = None;
    if in_batch != entry.timestamp {
        report.timestamp_mismatch(entry.timestamp, in_batch);
        wrong = Some(format!(
            "the entry says timestamp {}, but the batch that ends with offset {} has {in_batch}",
            entry.timestamp, entry.offset
        ));
    }
    if previous >= entry.timestamp {
        report.timestamp_out_of_order(entry.timestamp, previous);
        wrong.get_or_insert_with(|| {
            format!("timestamp {} is not beyond {previous} before it", entry.timestamp)
        });
    }
    wrong
}

/// The largest timestamp among the records themselves.
fn max_timestamp(log: &mut BatchScan, batch: &FoundBatch) -> Result<i64, Stop> {
    let position = batch.position;
    let invalid = |error| Stop::corrupt(position, error);
    let bytes = log.bytes(batch)?;
    let mut max = NO_TIMESTAMP;
    if batch.header.count() == Some(0) {
        return Ok(max);
    }
    let mut records = batch.records(bytes).map_err(invalid)?;
    while let Some(record) = records.next().map_err(invalid)? {
        max = max.max(record.timestamp);
    }
    Ok(max)
}
