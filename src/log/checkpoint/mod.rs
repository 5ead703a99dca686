//! The checkpoint files, which record progress and identity of logs and log dirs. Each is written under a temporary
//! name, fsynced and renamed, so that a crash leaves the old or the new content, never a mixture (fact 49).
//!
//! Offset and leader-epoch checkpoints share a frame, Kafka's `CheckpointFile`:
//!
//! ```text
//! 0            the version
//! 2            the number of entries
//! a line       per entry, fields apart by blanks
//! a line
//! ```

pub mod clean_shutdown;
pub mod leader_epoch;
pub mod meta_properties;
pub mod offset;
pub mod partition_metadata;

pub use meta_properties::MetaProperties;
pub use offset::OffsetCheckpoint;

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use super::fs::{Fs, corrupt};

/// The only version of the frame.
const VERSION: &str = "0";
/// More entries than any broker has. A higher count is treated as corrupt, and no memory is reserved for it.
const ENTRIES_MAX: usize = 10_000_000;

/// Reads the frame. A missing file has no entries, and neither has an empty one, which Kafka creates first. `N` is the
/// number of fields of a line.
fn read_entries<const N: usize, T>(
    fs: &Fs,
    path: &Path,
    parse: impl Fn([&str; N]) -> Option<T>,
) -> io::Result<Vec<T>> {
    let Some(text) = fs.read_text(path)? else {
        return Ok(Vec::new());
    };
    let mut lines = text.lines();
    match lines.next().map(str::trim) {
        None => return Ok(Vec::new()),
        Some(VERSION) => {}
        version => {
            return Err(corrupt(
                path,
                format!("version {version:?} in line 1, expected 0"),
            ));
        }
    }
    let expected = lines.next().and_then(|count| count.trim().parse::<usize>().ok());
    let Some(expected) = expected.filter(|&count| count <= ENTRIES_MAX) else {
        return Err(corrupt(path, "no number of entries in line 2"));
    };
    let mut entries = Vec::new();
    for (i, line) in lines.enumerate() {
        let mut words = line.split_whitespace();
        let fields: [&str; N] = std::array::from_fn(|_| words.next().unwrap_or_default());
        let entry = if words.next().is_none() {
            parse(fields)
        } else {
            None
        };
        match entry {
            Some(entry) => entries.push(entry),
            None => return Err(corrupt(path, format!("malformed line {}: {line:?}", i + 3))),
        }
    }
    if entries.len() != expected {
        let reason = format!("{} entries, {expected} expected", entries.len());
        return Err(corrupt(path, reason));
    }
    Ok(entries)
}

/// Writes the frame.
fn write_entries<T>(
    fs: &Fs,
    path: &Path,
    entries: impl ExactSizeIterator<Item = T>,
    format: impl Fn(&mut String, T) -> std::fmt::Result,
) -> io::Result<()> {
    let mut text = String::with_capacity(16 + entries.len() * 32);
    let write = || {
        writeln!(text, "{VERSION}\n{}", entries.len())?;
        for entry in entries {
            format(&mut text, entry)?;
            text.write_char('\n')?;
        }
        Ok(())
    };
    write().map_err(|_: std::fmt::Error| io::Error::other("formatting failed"))?;
    fs.replace(path, text.as_bytes())
}
