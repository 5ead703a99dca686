//! `.timeindex`: timestamps to offsets. Kafka 3.9: `TimeIndex`.
//!
//! ```text
//! entry, 12 bytes: i64 timestamp | i32 offset - base offset
//! ```
//!
//! An entry says that no record before its offset has a larger timestamp. Timestamps increase strictly, offsets
//! never fall (trap 60). One slot is kept free for the entry that is written when the segment is rolled.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mmap::{IndexFile, last_not_beyond};
use crate::common::ids::Offset;
use crate::log::fs::{Fs, corrupt};

/// Bytes of an entry.
const ENTRY_SIZE: usize = 12;

fn decode(base_offset: Offset, entry: &[u8; ENTRY_SIZE]) -> TimestampOffset {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *entry;
    TimestampOffset {
        timestamp: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        offset: base_offset + i64::from(i32::from_be_bytes(rest)),
    }
}

/// A timestamp and the offset of a batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Milliseconds since 1970; -1 for none.
    pub timestamp: i64,
    /// Absolute offset.
    pub offset: Offset,
}

/// The time index of one segment.
pub struct TimeIndex {
    base_offset: Offset,
    file: IndexFile<ENTRY_SIZE>,
    /// `None` until it is read.
    last: Option<TimestampOffset>,
}

impl TimeIndex {
    /// A new, empty index with room for `bytes_max`.
    pub fn create(fs: &Fs, path: PathBuf, base_offset: Offset, bytes_max: usize) -> io::Result<Self> {
        Ok(Self {
            base_offset,
            file: IndexFile::create(fs, path, bytes_max)?,
            last: None,
        })
    }

    /// An index of which `length` bytes exist.
    pub fn open(fs: &Fs, path: PathBuf, length: u64, base_offset: Offset, bytes_max: usize) -> Self {
        Self {
            base_offset,
            file: IndexFile::open(fs, path, length, bytes_max),
            last: None,
        }
    }

    /// Whether the file is made of whole entries.
    pub fn check_length(&self) -> io::Result<()> {
        self.file.check_length()
    }

    /// Whether the content can be an index; the caller rebuilds it if not. Empty is fine.
    pub fn check_sanity(&mut self) -> io::Result<()> {
        self.file.check_length()?;
        let base = self.base_offset;
        let last = self.last()?;
        let first = self.file.as_slice()?.first().map(|e| decode(base, e));
        match first {
            Some(first) if last.timestamp < first.timestamp || last.offset < base => {
                let reason = format!("last entry {last:?} is below the first {first:?} or the base offset");
                Err(corrupt(self.file.path(), reason))
            }
            _ => Ok(()),
        }
    }

    /// The last entry; (-1, base offset) if there is none.
    pub fn last(&mut self) -> io::Result<TimestampOffset> {
        if let Some(last) = self.last {
            return Ok(last);
        }
        let entry = self.file.last()?;
        let last = entry.map_or(self.none(), |e| decode(self.base_offset, &e));
        self.last = Some(last);
        Ok(last)
    }

    fn none(&self) -> TimestampOffset {
        TimestampOffset {
            timestamp: -1,
            offset: self.base_offset,
        }
    }

    /// The largest entry whose timestamp is ≤ `target`; (-1, base offset) if there is none.
    pub fn lookup(&mut self, target: i64) -> io::Result<TimestampOffset> {
        let base = self.base_offset;
        let none = self.none();
        let entries = self.file.as_slice()?;
        let found = last_not_beyond(entries, target, |e| decode(base, e).timestamp);
        Ok(found.map_or(none, |i| decode(base, &entries[i])))
    }

    /// Adds an entry if its timestamp is beyond the last one; an older or equal one is ignored. `is_last` may
    /// take the slot that is kept free.
    pub fn maybe_append(&mut self, timestamp: i64, offset: Offset, is_last: bool) -> io::Result<()> {
        let last = self.last()?;
        if timestamp <= last.timestamp {
            return Ok(());
        }
        if self.is_full() && !(is_last && self.file.entries() < self.file.entries_max()) {
            return Err(corrupt(self.file.path(), "an entry does not fit"));
        }
        if self.file.entries() > 0 && offset < last.offset {
            let reason = format!("offset {offset} is below the last entry's {}", last.offset);
            return Err(corrupt(self.file.path(), reason));
        }
        let Ok(relative) = i32::try_from(offset - self.base_offset) else {
            let reason = format!("offset {offset} does not fit an entry");
            return Err(corrupt(self.file.path(), reason));
        };
        let mut entry = [0; ENTRY_SIZE];
        entry[..8].copy_from_slice(&timestamp.to_be_bytes());
        entry[8..].copy_from_slice(&relative.to_be_bytes());
        self.file.push(entry)?;
        self.last = Some(TimestampOffset { timestamp, offset });
        Ok(())
    }

    /// Drops the entries whose offset is `offset` or beyond.
    pub fn truncate_to(&mut self, offset: Offset) -> io::Result<()> {
        let base = self.base_offset;
        let kept = self
            .file
            .as_slice()?
            .partition_point(|e| decode(base, e).offset < offset);
        self.last = None;
        self.file.truncate(kept)
    }

    /// Drops all entries, readable or not.
    pub fn reset(&mut self) -> io::Result<()> {
        self.last = None;
        self.file.truncate(0)
    }

    /// Only the slot of the final entry is left: the segment must be rolled.
    pub fn is_full(&self) -> bool {
        self.file.entries() + 1 >= self.file.entries_max()
    }

    /// Number of entries.
    pub fn entries(&self) -> usize {
        self.file.entries()
    }

    /// Bytes in use.
    pub fn size(&self) -> u64 {
        self.file.size()
    }

    /// Cuts the file to its entries.
    pub fn trim(&mut self) -> io::Result<()> {
        self.file.trim()
    }

    /// Lets go of map and handle until they are needed.
    pub fn release(&mut self) {
        self.file.release();
    }

    /// The open file, for an fsync that must not hold the segment's lock.
    pub fn handle(&mut self) -> io::Result<(Arc<File>, PathBuf)> {
        self.file.handle()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Follows a rename of the file.
    pub fn set_path(&mut self, path: PathBuf) {
        self.file.set_path(path);
    }
}
