//! `.txnindex`: the aborted transactions that end in a segment. Kafka 3.9: `TransactionIndex`, `AbortedTxn`.
//!
//! ```text
//! entry, 34 bytes: i16 version = 0 | i64 producer id | i64 first offset | i64 offset of the abort marker |
//!                  i64 last stable offset after the marker
//! ```
//!
//! Entries are in the order of their markers. The file is created with the first entry; for Kafka's loader, too, a
//! missing file means no aborted transactions.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::ids::{Offset, ProducerId};
use crate::log::fs::{Fs, corrupt};

/// Bytes of an entry.
const ENTRY_SIZE: usize = 34;
/// The only version.
const VERSION: i16 = 0;
/// Entries read at a time.
const CHUNK_ENTRIES: usize = 512;

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    /// The transaction's producer.
    pub producer_id: ProducerId,
    /// Its first record.
    pub first_offset: Offset,
    /// Its abort marker.
    pub last_offset: Offset,
    /// The last stable offset once the marker was appended.
    pub last_stable_offset: Offset,
}

impl AbortedTxn {
    /// Bytes of an entry.
    pub const SIZE: usize = ENTRY_SIZE;
    /// The version of an entry's layout.
    pub const VERSION: i16 = VERSION;

    fn encode(&self) -> [u8; ENTRY_SIZE] {
        let mut entry = [0; ENTRY_SIZE];
        entry[..2].copy_from_slice(&VERSION.to_be_bytes());
        entry[2..10].copy_from_slice(&self.producer_id.to_be_bytes());
        entry[10..18].copy_from_slice(&self.first_offset.to_be_bytes());
        entry[18..26].copy_from_slice(&self.last_offset.to_be_bytes());
        entry[26..].copy_from_slice(&self.last_stable_offset.to_be_bytes());
        entry
    }

    /// Reads an entry; `None` for an unknown version.
    pub fn decode(entry: &[u8; ENTRY_SIZE]) -> Option<Self> {
        let (version, rest) = entry.split_at(2);
        let (fields, _) = rest.as_chunks::<8>();
        let [producer_id, first_offset, last_offset, last_stable_offset] = fields else {
            return None;
        };
        (version == VERSION.to_be_bytes()).then(|| Self {
            producer_id: i64::from_be_bytes(*producer_id),
            first_offset: i64::from_be_bytes(*first_offset),
            last_offset: i64::from_be_bytes(*last_offset),
            last_stable_offset: i64::from_be_bytes(*last_stable_offset),
        })
    }
}

/// The transaction index of one segment.
pub struct TransactionIndex {
    fs: Fs,
    path: PathBuf,
    base_offset: Offset,
    /// Length of the file; 0 also if there is no file.
    length: u64,
    file: Option<Arc<File>>,
}

impl TransactionIndex {
    /// An index of `length` bytes; 0 if there is no file.
    pub fn open(fs: &Fs, path: PathBuf, length: u64, base_offset: Offset) -> Self {
        Self {
            fs: fs.clone(),
            path,
            base_offset,
            length,
            file: None,
        }
    }

    /// Adds the next aborted transaction. Its marker must be beyond the existing ones.
    pub fn append(&mut self, transaction: &AbortedTxn) -> io::Result<()> {
        let file = self.fs.open_once(&mut self.file, &self.path)?;
        let entry = transaction.encode();
        self.fs.write_at(file, &self.path, [&entry, &[]], self.length)?;
        self.length += ENTRY_SIZE as u64;
        Ok(())
    }

    /// Passes every entry with its position to `visit` until that returns false.
    fn scan(&mut self, mut visit: impl FnMut(u64, AbortedTxn) -> bool) -> io::Result<()> {
        if self.length == 0 {
            return Ok(());
        }
        let length = self.length;
        let file = self.fs.open_once(&mut self.file, &self.path)?;
        let mut buffer = vec![0; CHUNK_ENTRIES * ENTRY_SIZE];
        let mut position = 0;
        while position < length {
            let wanted = buffer.len().min((length - position) as usize);
            let read = self
                .fs
                .read_at(file, &self.path, &mut buffer[..wanted], position)?;
            let (entries, rest) = buffer[..read].as_chunks::<ENTRY_SIZE>();
            if read < wanted || !rest.is_empty() {
                return Err(corrupt(
                    &self.path,
                    format!("{length} bytes are not whole entries"),
                ));
            }
            for entry in entries {
                let Some(transaction) = AbortedTxn::decode(entry) else {
                    return Err(corrupt(&self.path, format!("unknown version at byte {position}")));
                };
                if !visit(position, transaction) {
                    return Ok(());
                }
                position += ENTRY_SIZE as u64;
            }
        }
        Ok(())
    }

    /// Checks whether the content can be an index. The caller recovers the segment if not.
    pub fn check_sanity(&mut self) -> io::Result<()> {
        let base_offset = self.base_offset;
        let mut misplaced = None;
        self.scan(|position, transaction| {
            if transaction.last_offset < base_offset {
                misplaced = Some(position);
            }
            misplaced.is_none()
        })?;
        match misplaced {
            Some(position) => Err(corrupt(
                &self.path,
                format!("the entry at byte {position} ends below the base offset {base_offset}"),
            )),
            None => Ok(()),
        }
    }

    /// All entries.
    #[cfg(test)]
    pub fn all(&mut self) -> io::Result<Vec<AbortedTxn>> {
        let mut all = Vec::new();
        self.scan(|_, transaction| {
            all.push(transaction);
            true
        })?;
        Ok(all)
    }

    /// Adds the transactions that matter to a reader of [`fetch_offset`, `upper_bound`) to `found`. Returns true if no
    /// later segment can hold another one.
    pub fn collect(
        &mut self,
        fetch_offset: Offset,
        upper_bound: Offset,
        found: &mut Vec<AbortedTxn>,
    ) -> io::Result<bool> {
        let mut complete = false;
        self.scan(|_, transaction| {
            if transaction.last_offset >= fetch_offset && transaction.first_offset < upper_bound {
                found.push(transaction);
            }
            complete = transaction.last_stable_offset >= upper_bound;
            !complete
        })?;
        Ok(complete)
    }

    /// Drops the transactions whose marker is at `offset` or beyond.
    pub fn truncate_to(&mut self, offset: Offset) -> io::Result<()> {
        let mut cut = None;
        self.scan(|position, transaction| {
            if transaction.last_offset >= offset {
                cut = Some(position);
            }
            cut.is_none()
        })?;
        match cut {
            Some(position) => self.set_length(position),
            None => Ok(()),
        }
    }

    /// Drops all entries, valid or not.
    pub fn reset(&mut self) -> io::Result<()> {
        self.set_length(0)
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        if length == self.length {
            return Ok(());
        }
        let file = self.fs.open_once(&mut self.file, &self.path)?;
        self.fs.set_length(file, &self.path, length)?;
        self.length = length;
        Ok(())
    }

    /// Whether it has no entry.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The open file, for an fsync that must not hold the segment's lock; `None` if there is no file.
    pub fn handle(&mut self) -> io::Result<Option<(Arc<File>, PathBuf)>> {
        if self.length == 0 && self.file.is_none() {
            return Ok(None);
        }
        let file = self.fs.open_once(&mut self.file, &self.path)?;
        Ok(Some((Arc::clone(file), self.path.clone())))
    }

    /// Releases the handle until it is needed.
    pub fn release(&mut self) {
        self.file = None;
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Follows a rename of the file.
    pub fn set_path(&mut self, path: PathBuf) {
        self.path = path;
    }
}
