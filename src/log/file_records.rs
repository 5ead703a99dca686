//! The bytes of a `.log` file: batches one behind the other, each append written with one call, and read as ranges of
//! the file. Kafka 3.9: `FileRecords`, `FileLogInputStream`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::fs::{Fs, corrupt};
use crate::common::file_range::FileRange;
use crate::record::batch::RECORD_BATCH_OVERHEAD;
use crate::record::{BatchHeader, RecordBatch};

/// Bytes read at a time for headers only: one page holds many small batches.
const HEADER_CHUNK: usize = 4096;
/// Bytes read at a time for whole batches.
const BATCH_CHUNK: usize = 512 * 1024;

/// A `.log` file. It opens its handle when it is needed and can release it.
pub struct FileRecords {
    fs: Fs,
    handle: Mutex<Handle>,
    /// Bytes of complete appends. Readers never read beyond, whatever the file's length.
    size: AtomicU64,
}

struct Handle {
    path: Arc<Path>,
    file: Option<Arc<File>>,
}

/// The lock on a file's name: no reader opens the file by its name while this lives.
pub(super) struct HeldName<'a>(MutexGuard<'a, Handle>);

impl HeldName<'_> {
    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    /// Follows a rename of the file.
    pub(super) fn set_path(&mut self, path: &Path) {
        self.0.path = path.into();
    }
}

impl FileRecords {
    /// Creates an empty file. `preallocate` reserves so many bytes (`preallocate=true`), which [`Self::trim`] cuts
    /// again.
    pub fn create(fs: &Fs, path: &Path, preallocate: Option<u64>) -> io::Result<Self> {
        let file = fs.create(path)?;
        if let Some(length) = preallocate {
            fs.set_length(&file, path, length)?;
        }
        let records = Self::open(fs, path, 0);
        records.handle.lock().file = Some(Arc::new(file));
        Ok(records)
    }

    /// A file of which the first `size` bytes are records.
    pub fn open(fs: &Fs, path: &Path, size: u64) -> Self {
        Self {
            fs: fs.clone(),
            handle: Mutex::new(Handle {
                path: path.into(),
                file: None,
            }),
            size: AtomicU64::new(size),
        }
    }

    /// Bytes of records.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// The path of the file.
    pub fn path(&self) -> Arc<Path> {
        Arc::clone(&self.handle.lock().path)
    }

    /// Keeps readers from opening the file while its directory is renamed.
    pub(super) fn hold_name(&self) -> HeldName<'_> {
        HeldName(self.handle.lock())
    }

    /// Renames the file. No reader opens it by its old name afterwards. A missing file counts as renamed.
    pub fn rename(&self, to: impl FnOnce(&Path) -> PathBuf) -> io::Result<()> {
        let mut handle = self.handle.lock();
        let renamed = to(&handle.path);
        self.fs.rename_if_exists(&handle.path, &renamed)?;
        handle.path = renamed.into();
        Ok(())
    }

    /// The open file and its path.
    fn file(&self) -> io::Result<(Arc<File>, Arc<Path>)> {
        let mut handle = self.handle.lock();
        let path = Arc::clone(&handle.path);
        if let Some(file) = &handle.file {
            return Ok((Arc::clone(file), path));
        }
        let file = Arc::new(self.fs.open_existing(&path)?);
        handle.file = Some(Arc::clone(&file));
        Ok((file, path))
    }

    /// Releases the handle until it is needed again.
    pub fn release(&self) {
        self.handle.lock().file = None;
    }

    /// Writes `head` and `tail` behind the last record. The size grows only if everything was written. The caller makes
    /// sure that there is only one appender.
    pub fn append(&self, head: &[u8], tail: &[u8]) -> io::Result<()> {
        let (file, path) = self.file()?;
        let position = self.size();
        self.fs.write_at(&file, &path, [head, tail], position)?;
        let size = position + (head.len() + tail.len()) as u64;
        self.size.store(size, Ordering::Release);
        Ok(())
    }

    /// Reads bytes of records into `buffer` from `position` on; fewer only at the end of the file.
    pub fn read_into(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let (file, path) = self.file()?;
        self.fs.read_at(&file, &path, buffer, position)
    }

    /// A range of the file.
    pub fn slice(&self, position: u64, length: usize) -> io::Result<FileRange> {
        Ok(FileRange {
            file: self.file()?.0,
            position,
            length,
        })
    }

    /// Truncates the records and the file to `size`.
    pub fn truncate(&self, size: u64) -> io::Result<()> {
        let (file, path) = self.file()?;
        self.size.store(size, Ordering::Release);
        self.fs.set_length(&file, &path, size)
    }

    /// Cuts the preallocated bytes that are not used.
    pub fn trim(&self) -> io::Result<()> {
        let path = self.path();
        match self.fs.length(&path)? {
            Some(length) if length > self.size() => self.truncate(self.size()),
            _ => Ok(()),
        }
    }

    /// fsync.
    pub fn sync(&self) -> io::Result<()> {
        let (file, path) = self.file()?;
        self.fs.sync(&file, &path)
    }

    /// A walk over the headers of the batches that lie in [`position`, `end`).
    pub fn headers(&self, position: u64, end: u64) -> io::Result<Headers> {
        let (file, path) = self.file()?;
        Ok(Headers {
            fs: self.fs.clone(),
            file,
            path,
            position,
            end,
            chunk: [0; HEADER_CHUNK],
            chunk_position: 0,
            chunk_length: 0,
        })
    }

    /// A walk over the whole batches that lie in [`position`, `end`).
    pub fn batches(&self, position: u64, end: u64) -> io::Result<Batches> {
        let (file, path) = self.file()?;
        Ok(Batches {
            fs: self.fs.clone(),
            file,
            path,
            position,
            end,
            buffer: Vec::new(),
            start: 0,
            filled: 0,
        })
    }
}

/// Walks from header to header. An incomplete last batch ends the walk.
pub struct Headers {
    fs: Fs,
    file: Arc<File>,
    path: Arc<Path>,
    position: u64,
    end: u64,
    chunk: [u8; HEADER_CHUNK],
    chunk_position: u64,
    chunk_length: usize,
}

impl Headers {
    /// Byte in the file behind the last batch returned.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next header, without consuming it.
    pub fn peek(&mut self) -> io::Result<Option<BatchHeader>> {
        let position = self.position;
        let next = self.next_header();
        self.position = position;
        Ok(next?.map(|(_, header)| header))
    }

    /// The position and the header of the next batch.
    pub fn next_header(&mut self) -> io::Result<Option<(u64, BatchHeader)>> {
        let position = self.position;
        let left = self.end.saturating_sub(position);
        let wanted = left.min(RECORD_BATCH_OVERHEAD as u64) as usize;
        let mut within = position.wrapping_sub(self.chunk_position) as usize;
        if position < self.chunk_position || within + wanted > self.chunk_length {
            let length = left.min(HEADER_CHUNK as u64) as usize;
            let chunk = &mut self.chunk[..length];
            self.chunk_length = self.fs.read_at(&self.file, &self.path, chunk, position)?;
            self.chunk_position = position;
            within = 0;
        }
        let available = &self.chunk[within..self.chunk_length];
        match BatchHeader::parse(available) {
            Ok(Some(header)) if header.size_in_bytes() as u64 <= left => {
                self.position += header.size_in_bytes() as u64;
                Ok(Some((position, header)))
            }
            Ok(_) => Ok(None),
            Err(e) => Err(corrupt(&self.path, format!("byte {position}: {}", e.reason))),
        }
    }
}

/// Walks from batch to batch with their records. An incomplete last batch ends the walk.
pub struct Batches {
    fs: Fs,
    file: Arc<File>,
    path: Arc<Path>,
    /// Byte in the file of the next batch.
    position: u64,
    end: u64,
    /// Reused for every chunk; grows to the largest batch.
    buffer: Vec<u8>,
    /// Where the next batch starts in `buffer`.
    start: usize,
    /// Bytes of `buffer` that were read.
    filled: usize,
}

impl Batches {
    /// Byte in the file behind the last batch returned.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next batch. The caller has to check its checksum and its offsets.
    pub fn next_batch(&mut self) -> io::Result<Option<RecordBatch<'_>>> {
        let left = self.end.saturating_sub(self.position);
        self.fill(left.min(RECORD_BATCH_OVERHEAD as u64) as usize)?;
        let header = match BatchHeader::parse(&self.buffer[self.start..self.filled]) {
            Ok(Some(header)) if header.size_in_bytes() as u64 <= left => header,
            Ok(_) => return Ok(None),
            Err(e) => {
                let reason = format!("byte {}: {}", self.position, e.reason);
                return Err(corrupt(&self.path, reason));
            }
        };
        let size = header.size_in_bytes();
        if !self.fill(size)? {
            return Ok(None);
        }
        let start = self.start;
        self.start += size;
        self.position += size as u64;
        RecordBatch::parse(&self.buffer[start..self.start]).map_err(|e| corrupt(&self.path, e))
    }

    /// Makes `wanted` bytes from the next batch on available; false if the file has fewer.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        let available = self.filled - self.start;
        if available >= wanted {
            return Ok(true);
        }
        self.buffer.copy_within(self.start..self.filled, 0);
        self.start = 0;
        self.filled = available;
        let left = self.end.saturating_sub(self.position) as usize;
        let target = wanted.max(BATCH_CHUNK).min(left);
        if self.buffer.len() < target {
            self.buffer.resize(target, 0);
        }
        let from = self.position + available as u64;
        let chunk = &mut self.buffer[available..target];
        self.filled += self.fs.read_at(&self.file, &self.path, chunk, from)?;
        Ok(self.filled >= wanted)
    }
}
