//! Dump of an `.index` (offsets to positions), with each entry compared to the `.log`. Kafka 3.9:
//! `DumpLogSegments.dumpIndex`.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::active::is_last_segment;
use super::arguments::Arguments;
use super::batch_scan::BatchScan;
use super::files::{base_offset_of, read, sibling};
use super::report::{Line, Report, Stop};
use crate::log::names::LOG_SUFFIX;

/// Size of an entry: i32 offset minus base offset, i32 position.
const ENTRY_BYTES: usize = 8;

/// All entries of an offset index, valid or not.
pub(super) struct Entries {
    base_offset: i64,
    bytes: Vec<u8>,
}

impl Entries {
    /// Reads the file.
    pub(super) fn read(path: &Path, base_offset: i64) -> Result<Self, Stop> {
        Ok(Self {
            base_offset,
            bytes: read(path)?,
        })
    }

    /// Offset and position of each entry.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, i32)> + '_ {
        self.bytes
            .as_chunks::<ENTRY_BYTES>()
            .0
            .iter()
            .map(|entry| self.decode(entry))
    }

    fn decode(&self, entry: &[u8; ENTRY_BYTES]) -> (i64, i32) {
        let [a, b, c, d, position @ ..] = *entry;
        let relative = i32::from_be_bytes([a, b, c, d]);
        (
            self.base_offset.wrapping_add(relative.into()),
            i32::from_be_bytes(position),
        )
    }

    fn len(&self) -> usize {
        self.bytes.len() / ENTRY_BYTES
    }

    /// Bytes behind the last whole entry.
    fn rest(&self) -> usize {
        self.bytes.len() % ENTRY_BYTES
    }

    /// Number of entries before the zeros at the end of a file in use. The first entry always counts.
    fn used(&self) -> usize {
        let zero = self
            .iter()
            .skip(1)
            .position(|(offset, _)| offset == self.base_offset);
        zero.map_or(self.len(), |index| index + 1)
    }

    /// The position in the log from which to search for `offset`: that of the last entry at or below it.
    pub(super) fn lookup(&self, offset: i64) -> i32 {
        let entries = &self.bytes.as_chunks::<ENTRY_BYTES>().0[..self.used()];
        let beyond = entries.partition_point(|entry| self.decode(entry).0 <= offset);
        match beyond.checked_sub(1) {
            Some(index) => self.decode(&entries[index]).1,
            None => 0,
        }
    }

    /// The checks that a broker makes before it uses an index.
    fn check_sanity(&self) -> Result<(), Stop> {
        if let Some((last, _)) = self.iter().last()
            && last < self.base_offset
        {
            let at = (self.len() - 1) * ENTRY_BYTES;
            let reason = format!(
                "the last offset, {last}, is below the base offset {}",
                self.base_offset
            );
            return Err(Stop::corrupt(at as u64, reason));
        }
        self.check_length()
    }

    fn check_length(&self) -> Result<(), Stop> {
        if self.rest() == 0 {
            return Ok(());
        }
        let at = self.len() * ENTRY_BYTES;
        Err(Stop::corrupt(
            at as u64,
            format!("{} bytes are not a multiple of {ENTRY_BYTES}", self.bytes.len()),
        ))
    }
}

/// `offset: 37 position: 4242`.
struct EntryLine {
    offset: i64,
    position: i32,
}

impl Line for EntryLine {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "offset: {} position: {}", self.offset, self.position)
    }

    fn json(&self) -> Value {
        json!({ "kind": "indexEntry", "offset": self.offset, "position": self.position })
    }
}

/// `F passed sanity check.`, `F is empty.`
pub(super) struct Verdict<'a> {
    pub(super) file: &'a str,
    pub(super) verdict: &'static str,
    pub(super) kind: &'static str,
}

impl<'a> Verdict<'a> {
    /// A broker would use the index.
    pub(super) fn passed(file: &'a str) -> Self {
        Self {
            file,
            verdict: "passed sanity check.",
            kind: "sane",
        }
    }
}

impl Line for Verdict<'_> {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{} {}", self.file, self.verdict)
    }

    fn json(&self) -> Value {
        json!({ "kind": self.kind })
    }
}

/// Dumps an `.index`.
pub(super) fn dump(path: &Path, arguments: &Arguments, report: &mut Report<'_>) -> Result<(), Stop> {
    let base_offset = base_offset_of(path)?;
    // Read the index before the log: otherwise an entry that a running broker adds could point beyond the log that was
    // read.
    let entries = Entries::read(path, base_offset)?;
    let mut log = BatchScan::open(&sibling(path, LOG_SUFFIX))?;
    let file = report.file().to_owned();
    if entries.len() == 0 {
        report.line(&Verdict {
            file: &file,
            verdict: "is empty.",
            kind: "empty",
        })?;
    } else if arguments.index_sanity_check {
        entries.check_sanity()?;
        report.line(&Verdict::passed(&file))?;
        return Ok(());
    } else {
        let is_unused = is_last_segment(path) && entries.iter().all(|entry| entry == (base_offset, 0));
        for (i, (offset, position)) in entries.iter().enumerate().take(entries.used()) {
            let byte = (i * ENTRY_BYTES) as u64;
            match check_entry(&mut log, byte, offset, position, arguments.max_message_size) {
                // The broker has not written a first entry yet. Kafka's tool interprets the zeros, but they are no
                // fault.
                Err(Stop::Input { .. }) if is_unused => return Ok(()),
                found => {
                    let found = found?;
                    if found != offset {
                        report.index_mismatch(offset, found);
                        if !is_unused {
                            let reason = format!(
                                "the entry says offset {offset}, but the batch at byte {position} of the log ends with {found}"
                            );
                            report.problem(Some(byte), &reason)?;
                        }
                    }
                }
            }
            if !arguments.verify_index_only {
                report.line(&EntryLine { offset, position })?;
            }
        }
    }
    match is_last_segment(path) {
        true => Ok(()),
        false => entries.check_length(),
    }
}

/// The last offset of the batch that an entry points to.
fn check_entry(
    log: &mut BatchScan,
    byte: u64,
    offset: i64,
    position: i32,
    max_message_size: i32,
) -> Result<i64, Stop> {
    let at = u64::try_from(position)
        .ok()
        .filter(|&at| log.seek(at, max_message_size as u64));
    let Some(at) = at else {
        let reason = format!(
            "the entry for offset {offset} points to byte {position} of a log of {} bytes",
            log.length()
        );
        return Err(Stop::corrupt(byte, reason));
    };
    let explain = |what: &dyn std::fmt::Display| {
        let reason = format!("the entry for offset {offset} points to byte {at} of the log, where {what}");
        Stop::corrupt(byte, reason)
    };
    match log.next() {
        Ok(Some(batch)) => Ok(batch.header.last_offset()),
        Ok(None) => Err(explain(&format_args!(
            "no batch of at most {max_message_size} bytes is"
        ))),
        Err(Stop::Input { reason, .. }) => Err(explain(&format_args!("no batch is: {reason}"))),
        Err(stop) => Err(stop),
    }
}
