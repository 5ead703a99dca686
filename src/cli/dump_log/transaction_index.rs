//! Dump of a `.txnindex`: the aborted transactions of a segment. Kafka 3.9: `DumpLogSegments.dumpTxnIndex`.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::active::is_last_segment;
use super::files::{base_offset_of, read};
use super::report::{Line, Report, Stop};
use crate::log::index::AbortedTxn;

/// One entry.
struct Entry {
    /// The first byte, which Kafka's tool treats as the whole version. It refuses higher versions, but not negative
    /// ones.
    version: i8,
    is_known: bool,
    transaction: AbortedTxn,
}

impl Entry {
    fn read(bytes: &[u8; AbortedTxn::SIZE]) -> Option<Self> {
        let version = bytes[0] as i8;
        if version > 0 {
            return None;
        }
        let mut known = *bytes;
        known[..2].copy_from_slice(&AbortedTxn::VERSION.to_be_bytes());
        Some(Self {
            version,
            is_known: known == *bytes,
            transaction: AbortedTxn::decode(&known)?,
        })
    }
}

impl Line for Entry {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(
            out,
            "version: {} producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
            self.version,
            self.transaction.producer_id,
            self.transaction.first_offset,
            self.transaction.last_offset,
            self.transaction.last_stable_offset,
        )
    }

    fn json(&self) -> Value {
        json!({
            "kind": "abortedTransaction",
            "version": self.version,
            "producerId": self.transaction.producer_id,
            "firstOffset": self.transaction.first_offset,
            "lastOffset": self.transaction.last_offset,
            "lastStableOffset": self.transaction.last_stable_offset,
        })
    }
}

/// Dumps a `.txnindex`.
pub(super) fn dump(path: &Path, report: &mut Report<'_>) -> Result<(), Stop> {
    let base_offset = base_offset_of(path)?;
    let bytes = read(path)?;
    let (chunks, rest) = bytes.as_chunks();
    let at = |i: usize| (i * AbortedTxn::SIZE) as u64;
    // Kafka's tool prints no entry unless it can read all.
    let mut entries = Vec::with_capacity(chunks.len());
    for (i, chunk) in chunks.iter().enumerate() {
        entries
            .push(Entry::read(chunk).ok_or_else(|| Stop::corrupt(at(i), "an entry of an unknown version"))?);
    }
    let mut before = None;
    for (i, entry) in entries.iter().enumerate() {
        report.line(entry)?;
        let transaction = &entry.transaction;
        let before = before.replace(transaction.last_offset);
        if !entry.is_known {
            report.problem(Some(at(i)), "an entry of an unknown version")?;
        } else if transaction.last_offset < base_offset {
            let reason = format!(
                "last offset {} is below the base offset {base_offset}",
                transaction.last_offset
            );
            report.problem(Some(at(i)), &reason)?;
        } else if let Some(before) = before.filter(|&before| before >= transaction.last_offset) {
            let reason = format!(
                "last offset {} is not beyond {before} before it",
                transaction.last_offset
            );
            report.problem(Some(at(i)), &reason)?;
        }
    }
    if rest.is_empty() || is_last_segment(path) {
        return Ok(());
    }
    Err(Stop::corrupt(
        at(chunks.len()),
        format!("{} bytes are no whole entry", rest.len()),
    ))
}
