//! A file of fixed-size entries that is read through a memory map. Kafka 3.9: `AbstractIndex`.
//!
//! While its segment is active the file has room for all the entries it may get and is zero behind the last one;
//! it is cut to what is used when the segment is rolled or closed, because Kafka takes every byte of an index it
//! opens for an entry (trap 47). Unlike Kafka we never write through the map: on a full disk a store to a hole
//! of a sparse file kills the process with SIGBUS, whereas pwrite returns an error that takes the dir offline.
//! The map and the file handle are made when they are first needed, so an idle index costs neither.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use crate::log::fs::{Fs, corrupt};

/// Entries of `N` bytes each, one behind the other.
pub(super) struct IndexFile<const N: usize> {
    fs: Fs,
    path: PathBuf,
    /// Entries in use, from the start of the file.
    entries: usize,
    /// Entries the file may get.
    entries_max: usize,
    /// Bytes of the file, the zeros behind the last entry included.
    length: u64,
    /// Open while the segment is being written.
    file: Option<Arc<File>>,
    map: Option<Mmap>,
}

impl<const N: usize> IndexFile<N> {
    /// Creates an empty file with room for `bytes_max`, rounded down to whole entries. What was there is lost.
    pub(super) fn create(fs: &Fs, path: PathBuf, bytes_max: usize) -> io::Result<Self> {
        let file = fs.create(&path)?;
        let mut index = Self {
            fs: fs.clone(),
            path,
            entries: 0,
            entries_max: bytes_max / N,
            length: 0,
            file: Some(Arc::new(file)),
            map: None,
        };
        index.preallocate()?;
        // Many logs are made and hardly any is written at once: the first entry opens the file again.
        index.release();
        Ok(index)
    }

    /// Takes over a file: everything in it is entries. An incomplete last entry fails [`Self::check_length`].
    pub(super) fn open(fs: &Fs, path: PathBuf, length: u64, bytes_max: usize) -> Self {
        Self {
            fs: fs.clone(),
            path,
            entries: length as usize / N,
            entries_max: bytes_max / N,
            length,
            file: None,
            map: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Follows a rename of the file.
    pub(super) fn set_path(&mut self, path: PathBuf) {
        self.path = path;
    }

    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    pub(super) fn entries_max(&self) -> usize {
        self.entries_max
    }

    /// Bytes in use.
    pub(super) fn size(&self) -> u64 {
        (self.entries * N) as u64
    }

    /// An index is made of whole entries.
    pub(super) fn check_length(&self) -> io::Result<()> {
        if self.length.is_multiple_of(N as u64) {
            return Ok(());
        }
        let reason = format!("{} bytes are not a multiple of {N}", self.length);
        Err(corrupt(&self.path, reason))
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        if length == self.length {
            return Ok(());
        }
        // A map may never reach beyond the end of its file.
        self.map = None;
        let file = self.fs.open_once(&mut self.file, &self.path)?;
        self.fs.set_length(file, &self.path, length)?;
        self.length = length;
        Ok(())
    }

    /// Gives the file the length of a full one; the new part is a hole that reads as zeros.
    fn preallocate(&mut self) -> io::Result<()> {
        self.set_length((self.entries_max.max(self.entries) * N) as u64)
    }

    /// Adds an entry behind the last one.
    pub(super) fn push(&mut self, entry: [u8; N]) -> io::Result<()> {
        let position = self.size();
        if position + N as u64 > self.length {
            self.preallocate()?;
        }
        let file = self.fs.open_once(&mut self.file, &self.path)?;
        self.fs.write_at(file, &self.path, [&entry, &[]], position)?;
        self.entries += 1;
        Ok(())
    }

    /// The bytes of all entries.
    pub(super) fn as_slice(&mut self) -> io::Result<&[[u8; N]]> {
        let used = self.entries * N;
        if used == 0 {
            return Ok(&[]);
        }
        if self.map.as_ref().is_none_or(|map| map.len() < used) {
            let file = self.fs.open_once(&mut self.file, &self.path)?;
            // SAFETY: the log dir is locked, so only this value changes the file. It changes bytes below
            // `entries` never, and it drops the map before it shortens the file. The slice borrows `self`.
            let map = unsafe { Mmap::map(&**file) };
            let map =
                map.map_err(|e| io::Error::new(e.kind(), format!("map {}: {e}", self.path.display())))?;
            if map.len() < used {
                return Err(corrupt(&self.path, "shorter than it was"));
            }
            self.map = Some(map);
        }
        let map = self.map.as_ref().expect("mapped above");
        Ok(map[..used].as_chunks::<N>().0)
    }

    /// The last entry.
    pub(super) fn last(&mut self) -> io::Result<Option<[u8; N]>> {
        Ok(self.as_slice()?.last().copied())
    }

    /// Drops all entries from the `entries`-th on and zeroes the room behind.
    pub(super) fn truncate(&mut self, entries: usize) -> io::Result<()> {
        if entries >= self.entries {
            return Ok(());
        }
        let before = self.length;
        self.set_length((entries * N) as u64)?;
        self.entries = entries;
        self.set_length(before)
    }

    /// Cuts the file to its entries and lets go of the map and the handle.
    pub(super) fn trim(&mut self) -> io::Result<()> {
        self.set_length(self.size())?;
        self.release();
        Ok(())
    }

    /// Lets go of the map and the handle until they are needed again.
    pub(super) fn release(&mut self) {
        self.map = None;
        self.file = None;
    }

    /// The open file, for an fsync that must not hold the segment's lock.
    pub(super) fn handle(&mut self) -> io::Result<(Arc<File>, PathBuf)> {
        let file = self.fs.open_once(&mut self.file, &self.path)?;
        Ok((Arc::clone(file), self.path.clone()))
    }
}

/// The last of `entries` whose key is not beyond `target`, by binary search.
pub(super) fn last_not_beyond<const N: usize>(
    entries: &[[u8; N]],
    target: i64,
    key: impl Fn(&[u8; N]) -> i64,
) -> Option<usize> {
    entries
        .partition_point(|entry| key(entry) <= target)
        .checked_sub(1)
}
