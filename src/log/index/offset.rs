//! `.index`: offsets to file positions. Kafka 3.9: `OffsetIndex`.
//!
//! ```text
//! entry, 8 bytes: i32 offset - base offset | i32 position in the .log of the append that ended with the offset
//! ```
//!
//! Offsets and positions increase strictly (trap 60). The index is sparse: one entry about every
//! `index.interval.bytes`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mmap::{IndexFile, last_not_beyond};
use crate::common::ids::Offset;
use crate::log::fs::{Fs, corrupt};

/// Bytes of an entry.
const ENTRY_SIZE: usize = 8;

fn decode(base_offset: Offset, entry: &[u8; ENTRY_SIZE]) -> OffsetPosition {
    let [a, b, c, d, rest @ ..] = *entry;
    OffsetPosition {
        offset: base_offset + i64::from(i32::from_be_bytes([a, b, c, d])),
        position: u32::from_be_bytes(rest).into(),
    }
}

/// An offset and the byte of the `.log` where the batches that end with it start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetPosition {
    /// Absolute offset.
    pub offset: Offset,
    /// Byte in the `.log`.
    pub position: u64,
}

/// The offset index of one segment.
pub struct OffsetIndex {
    base_offset: Offset,
    file: IndexFile<ENTRY_SIZE>,
    /// Offset of the last entry; `None` until it is read.
    last_offset: Option<Offset>,
}

impl OffsetIndex {
    /// A new, empty index with room for `bytes_max`.
    pub fn create(fs: &Fs, path: PathBuf, base_offset: Offset, bytes_max: usize) -> io::Result<Self> {
        Ok(Self {
            base_offset,
            file: IndexFile::create(fs, path, bytes_max)?,
            last_offset: Some(base_offset),
        })
    }

    /// An index of which `length` bytes exist.
    pub fn open(fs: &Fs, path: PathBuf, length: u64, base_offset: Offset, bytes_max: usize) -> Self {
        Self {
            base_offset,
            file: IndexFile::open(fs, path, length, bytes_max),
            last_offset: None,
        }
    }

    /// Whether the file is made of whole entries.
    pub fn check_length(&self) -> io::Result<()> {
        self.file.check_length()
    }

    /// Whether the content can be an index; the caller rebuilds it if not. Empty is fine.
    pub fn check_sanity(&mut self) -> io::Result<()> {
        self.file.check_length()?;
        let last = self.last_offset()?;
        if self.file.entries() > 0 && last < self.base_offset {
            let reason = format!("last offset {last} is below the base offset {}", self.base_offset);
            return Err(corrupt(self.file.path(), reason));
        }
        Ok(())
    }

    /// Offset of the last entry, the base offset if there is none.
    pub fn last_offset(&mut self) -> io::Result<Offset> {
        if let Some(offset) = self.last_offset {
            return Ok(offset);
        }
        let last = self.file.last()?;
        let offset = last.map_or(self.base_offset, |e| decode(self.base_offset, &e).offset);
        self.last_offset = Some(offset);
        Ok(offset)
    }

    /// The largest entry whose offset is ≤ `target`; the start of the segment if there is none.
    pub fn lookup(&mut self, target: Offset) -> io::Result<OffsetPosition> {
        let base = self.base_offset;
        let entries = self.file.as_slice()?;
        let found = last_not_beyond(entries, target, |e| decode(base, e).offset);
        Ok(found.map_or(
            OffsetPosition {
                offset: base,
                position: 0,
            },
            |i| decode(base, &entries[i]),
        ))
    }

    /// An offset that lies behind the `size` bytes from the entry at `start` on; `None` if the index ends before.
    pub fn upper_bound(&mut self, start: OffsetPosition, size: u64) -> io::Result<Option<OffsetPosition>> {
        let base = self.base_offset;
        let entries = self.file.as_slice()?;
        let end = start.position.saturating_add(size);
        let i = entries.partition_point(|e| decode(base, e).position < end);
        Ok(entries.get(i).map(|e| decode(base, e)))
    }

    /// Adds an entry. Its offset must be beyond the last one and within 2^31 of the base offset.
    pub fn append(&mut self, offset: Offset, position: u64) -> io::Result<()> {
        let last = self.last_offset()?;
        if self.file.entries() > 0 && offset <= last {
            let reason = format!("offset {offset} is not beyond the last entry's {last}");
            return Err(corrupt(self.file.path(), reason));
        }
        let (Ok(relative), Ok(position)) =
            (i32::try_from(offset - self.base_offset), i32::try_from(position))
        else {
            let reason = format!("offset {offset} or position {position} does not fit an entry");
            return Err(corrupt(self.file.path(), reason));
        };
        let mut entry = [0; ENTRY_SIZE];
        entry[..4].copy_from_slice(&relative.to_be_bytes());
        entry[4..].copy_from_slice(&position.to_be_bytes());
        self.file.push(entry)?;
        self.last_offset = Some(offset);
        Ok(())
    }

    /// Drops the entries from `offset` on.
    pub fn truncate_to(&mut self, offset: Offset) -> io::Result<()> {
        let base = self.base_offset;
        let kept = self
            .file
            .as_slice()?
            .partition_point(|e| decode(base, e).offset < offset);
        self.last_offset = None;
        self.file.truncate(kept)
    }

    /// Drops all entries, readable or not.
    pub fn reset(&mut self) -> io::Result<()> {
        self.last_offset = None;
        self.file.truncate(0)
    }

    /// No more entries fit: the segment must be rolled.
    pub fn is_full(&self) -> bool {
        self.file.entries() >= self.file.entries_max()
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
