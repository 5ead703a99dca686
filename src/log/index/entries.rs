//! A file of fixed-size entries that is read through a memory map: the common part of `.index` and `.timeindex`.
//! Kafka 3.9: `AbstractIndex`.
//!
//! While its segment is active, the file has room for all the entries that it may get, with zeros behind the last one.
//! It is cut to its entries when the segment is rolled or closed, because Kafka treats every byte of an index as part
//! of an entry (fact 47). Unlike Kafka, barnabas never writes through the map: on a full disk, a store to a hole of a
//! sparse file kills the process with SIGBUS, whereas pwrite returns an error that takes the dir offline. The map and
//! the file handle are created when they are first needed, so an idle index costs neither.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use crate::common::ids::Offset;
use crate::log::fs::{Fs, corrupt};

/// Bytes of entries that a rebuild gathers before it writes them.
const REBUILD_BUFFER: usize = 256 * 1024;

/// One entry of an index, `N` bytes in the file. Offsets are stored relative to the segment's base.
pub trait IndexEntry<const N: usize>: Copy + Debug {
    /// Slots at the end that are reserved for the last entry of a segment.
    const SLOTS_KEPT: usize;

    /// Reads an entry; all bytes are valid.
    fn decode(base_offset: Offset, bytes: &[u8; N]) -> Self;

    /// The entry's bytes; `None` if a field does not fit.
    fn encode(&self, base_offset: Offset) -> Option<[u8; N]>;

    /// Its absolute offset.
    fn offset(&self) -> Offset;

    /// Whether the entry may follow `earlier` (fact 60).
    fn may_follow(&self, earlier: &Self) -> bool;
}

/// The entries of one segment, in the order in which they were added.
pub struct Index<E, const N: usize> {
    fs: Fs,
    path: PathBuf,
    base_offset: Offset,
    /// Number of entries, including those in `unwritten`.
    entries: usize,
    /// Number of entries for which the file may have room.
    entries_max: usize,
    /// Length of the file, including the zeros behind the last entry.
    length: u64,
    /// The last entry, once it was read; the inner `None` means that there is no entry.
    last: Option<Option<E>>,
    /// The last entries, while the index is being rebuilt.
    unwritten: Vec<u8>,
    rebuilding: bool,
    /// Open while the segment is being written.
    file: Option<Arc<File>>,
    map: Option<Mmap>,
}

impl<E: IndexEntry<N>, const N: usize> Index<E, N> {
    /// Creates an empty file with room for `bytes_max`, rounded down to whole entries. Overwrites an existing file.
    pub fn create(fs: &Fs, path: PathBuf, base_offset: Offset, bytes_max: usize) -> io::Result<Self> {
        let file = fs.create(&path)?;
        let mut index = Self::open(fs, path, 0, base_offset, bytes_max);
        index.file = Some(Arc::new(file));
        index.preallocate()?;
        // Many logs are created together and hardly any is written at once: the first entry opens the file again.
        index.release();
        Ok(index)
    }

    /// An index with `length` bytes, all of them entries. If the last one is incomplete, [`Self::check_length`] fails.
    pub fn open(fs: &Fs, path: PathBuf, length: u64, base_offset: Offset, bytes_max: usize) -> Self {
        Self {
            fs: fs.clone(),
            path,
            base_offset,
            entries: length as usize / N,
            entries_max: bytes_max / N,
            length,
            last: None,
            unwritten: Vec::new(),
            rebuilding: false,
            file: None,
            map: None,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Follows a rename of the file.
    pub fn set_path(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// Base offset of the segment.
    pub fn base_offset(&self) -> Offset {
        self.base_offset
    }

    /// Number of entries.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Bytes in use.
    pub fn size(&self) -> u64 {
        (self.entries * N) as u64
    }

    /// Whether only the segment's last entry still fits, so that the segment must be rolled.
    pub fn is_full(&self) -> bool {
        self.entries + E::SLOTS_KEPT >= self.entries_max
    }

    /// Whether not even a segment's last entry fits.
    pub(super) fn is_crammed(&self) -> bool {
        self.entries >= self.entries_max
    }

    /// Checks that the file consists of whole entries.
    pub fn check_length(&self) -> io::Result<()> {
        if self.length.is_multiple_of(N as u64) {
            return Ok(());
        }
        let reason = format!("{} bytes are not a multiple of {N}", self.length);
        Err(corrupt(&self.path, reason))
    }

    /// Checks by the first and last entries whether the content can be an index. The caller rebuilds the index if not.
    /// An empty index is valid.
    pub fn check_sanity(&mut self) -> io::Result<()> {
        self.check_length()?;
        let base = self.base_offset;
        let [first, .., last] = self.as_slice()? else {
            return match self.last_entry()? {
                Some(only) if only.offset() < base => Err(self.misplaced(only)),
                _ => Ok(()),
            };
        };
        let (first, last) = (E::decode(base, first), E::decode(base, last));
        match first.offset() >= base && last.may_follow(&first) {
            true => Ok(()),
            false => Err(self.misplaced(last)),
        }
    }

    fn misplaced(&self, entry: E) -> io::Error {
        let reason = format!("the last entry, {entry:?}, is below the first one or the base offset");
        corrupt(&self.path, reason)
    }

    /// The last entry.
    pub fn last_entry(&mut self) -> io::Result<Option<E>> {
        if let Some(last) = self.last {
            return Ok(last);
        }
        let base = self.base_offset;
        let last = self.as_slice()?.last().map(|bytes| E::decode(base, bytes));
        self.last = Some(last);
        Ok(last)
    }

    /// The last entry whose key is at most `target`, by binary search; keys never decrease.
    pub(super) fn last_not_beyond(&mut self, target: i64, key: impl Fn(&E) -> i64) -> io::Result<Option<E>> {
        let base = self.base_offset;
        let entries = self.as_slice()?;
        let beyond = entries.partition_point(|bytes| key(&E::decode(base, bytes)) <= target);
        let found = beyond.checked_sub(1).and_then(|i| entries.get(i));
        Ok(found.map(|bytes| E::decode(base, bytes)))
    }

    /// The first entry whose key is at least `target`, by binary search; keys never decrease.
    pub(super) fn first_reaching(&mut self, target: u64, key: impl Fn(&E) -> u64) -> io::Result<Option<E>> {
        let base = self.base_offset;
        let entries = self.as_slice()?;
        let i = entries.partition_point(|bytes| key(&E::decode(base, bytes)) < target);
        Ok(entries.get(i).map(|bytes| E::decode(base, bytes)))
    }

    /// Adds an entry behind the last one.
    pub(super) fn push(&mut self, entry: E) -> io::Result<()> {
        if let Some(last) = self.last_entry()?
            && !entry.may_follow(&last)
        {
            let reason = format!("{entry:?} cannot follow the last entry, {last:?}");
            return Err(corrupt(&self.path, reason));
        }
        let Some(bytes) = entry.encode(self.base_offset) else {
            let reason = format!(
                "{entry:?} does not fit above the base offset {}",
                self.base_offset
            );
            return Err(corrupt(&self.path, reason));
        };
        match self.rebuilding {
            true => self.unwritten.extend(bytes),
            false => self.write(&bytes, self.size())?,
        }
        self.entries += 1;
        self.last = Some(Some(entry));
        match self.unwritten.len() >= REBUILD_BUFFER {
            true => self.write_unwritten(),
            false => Ok(()),
        }
    }

    fn write(&mut self, bytes: &[u8], position: u64) -> io::Result<()> {
        let end = position + bytes.len() as u64;
        if end > self.length && !self.rebuilding {
            self.preallocate()?;
        }
        let file = self.fs.open_once(&mut self.file, &self.path)?;
        self.fs.write_at(file, &self.path, [bytes, &[]], position)?;
        self.length = self.length.max(end);
        Ok(())
    }

    fn write_unwritten(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.unwritten);
        match bytes.len() {
            0 => Ok(()),
            length => self.write(&bytes, self.size() - length as u64),
        }
    }

    /// The bytes of all entries.
    fn as_slice(&mut self) -> io::Result<&[[u8; N]]> {
        self.write_unwritten()?;
        let used = self.entries * N;
        if used == 0 {
            return Ok(&[]);
        }
        if self.map.as_ref().is_none_or(|map| map.len() < used) {
            let file = self.fs.open_once(&mut self.file, &self.path)?;
            // SAFETY: the log dir is locked, so only this value changes the file. It never changes bytes below
            // `entries`, and it drops the map before it shortens the file. The slice borrows `self`.
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

    /// Drops the entries whose offset is `offset` or beyond, and writes zeros over them.
    pub fn truncate_to(&mut self, offset: Offset) -> io::Result<()> {
        let base = self.base_offset;
        let entries = self.as_slice()?;
        let kept = entries.partition_point(|bytes| E::decode(base, bytes).offset() < offset);
        if kept >= self.entries {
            return Ok(());
        }
        let before = self.length;
        self.cut((kept * N) as u64)?;
        self.set_length(before)
    }

    fn cut(&mut self, size: u64) -> io::Result<()> {
        self.last = None;
        self.unwritten.clear();
        self.set_length(size)?;
        self.entries = size as usize / N;
        Ok(())
    }

    /// Drops all entries, valid or not. New ones follow until [`Self::trim`].
    pub fn begin_rebuild(&mut self) -> io::Result<()> {
        self.cut(0)?;
        self.rebuilding = true;
        Ok(())
    }

    /// Cuts the file to its entries and releases the map and the handle.
    pub fn trim(&mut self) -> io::Result<()> {
        self.write_unwritten()?;
        self.rebuilding = false;
        self.set_length(self.size())?;
        self.release();
        Ok(())
    }

    /// Extends the file to the length of a full index; the new part is a hole that reads as zeros.
    fn preallocate(&mut self) -> io::Result<()> {
        self.set_length((self.entries_max.max(self.entries) * N) as u64)
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        if length == self.length {
            return Ok(());
        }
        // A map must never extend beyond the end of its file.
        self.map = None;
        let file = self.fs.open_once(&mut self.file, &self.path)?;
        self.fs.set_length(file, &self.path, length)?;
        self.length = length;
        Ok(())
    }

    /// Releases the map and the handle until they are needed again.
    pub fn release(&mut self) {
        self.map = None;
        self.file = None;
    }

    /// The open file, for an fsync that must not hold the segment's lock.
    pub fn handle(&mut self) -> io::Result<(Arc<File>, PathBuf)> {
        self.write_unwritten()?;
        let file = self.fs.open_once(&mut self.file, &self.path)?;
        Ok((Arc::clone(file), self.path.clone()))
    }
}
