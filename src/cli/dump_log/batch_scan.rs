//! The walk over the batches of an unchecked `.log`. Kafka 3.9: `FileLogInputStream`.
//!
//! [`crate::log::file_records`] rejects the batches that a broker must reject. This walk accepts a batch of an unknown
//! format, because the tool can still print it and find the next batch behind it: the walk reads the header as that of
//! the nearest known format. It opens the file only for reading, reads its length once, and never goes beyond that
//! length.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::report::Stop;
use crate::record::batch::{
    HEADER_SIZE_UP_TO_MAGIC, LEGACY_RECORD_OVERHEAD_V0, LEGACY_RECORD_OVERHEAD_V1, LOG_OVERHEAD, MAGIC_AT,
    RECORD_BATCH_OVERHEAD,
};
use crate::record::{BatchHeader, RecordError, RecordReader};

/// Bytes read at a time; more only for a batch that is larger.
const CHUNK_BYTES: u64 = 256 * 1024;
/// Largest unpacked size of one record, or of the records of a wrapper of format 0 or 1.
const UNPACKED_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// First byte that the checksum of format 2 covers.
const CHECKED_FROM_V2: usize = HEADER_SIZE_UP_TO_MAGIC + size_of::<u32>();

/// A batch, or bytes with the length of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct FoundBatch {
    /// Its first byte in the file.
    pub(super) position: u64,
    /// Its size in bytes.
    pub(super) size: u64,
    /// The number in its magic byte, known or not.
    pub(super) magic: i8,
    /// Its header. If the format is unknown, or the batch too short for a header, the fields have no meaning.
    pub(super) header: BatchHeader,
}

impl FoundBatch {
    fn header_bytes(&self) -> usize {
        match self.magic {
            2.. => RECORD_BATCH_OVERHEAD,
            1 | i8::MIN..=-1 => LOG_OVERHEAD + LEGACY_RECORD_OVERHEAD_V1 - 2 * size_of::<i32>(),
            0 => LOG_OVERHEAD + LEGACY_RECORD_OVERHEAD_V0 - 2 * size_of::<i32>(),
        }
    }

    /// Whether the checksum of `bytes`, which are the whole batch, is right.
    pub(super) fn is_valid(&self, bytes: &[u8]) -> bool {
        if self.magic >= 2 {
            return bytes.len() >= RECORD_BATCH_OVERHEAD
                && crc32c::crc32c(&bytes[CHECKED_FROM_V2..]) == self.header.crc();
        }
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[MAGIC_AT..]);
        crc.sum() == self.header.crc()
    }

    /// The records in `bytes`, which are the whole batch.
    pub(super) fn records<'a>(&self, bytes: &'a [u8]) -> Result<RecordReader<'a>, RecordError> {
        let payload = bytes.get(self.header_bytes()..);
        let payload = payload.ok_or_else(|| RecordError::Invalid("it is shorter than its header".into()))?;
        RecordReader::from_parts(self.header, payload, UNPACKED_BYTES_MAX)
    }
}

/// Walks from batch to batch.
pub(super) struct BatchScan {
    file: File,
    /// Length of the file when it was opened.
    length: u64,
    /// Where the next batch starts.
    position: u64,
    /// Where the walk ends.
    end: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl BatchScan {
    /// Opens a `.log`. The walk goes from its start to its end.
    pub(super) fn open(path: &Path) -> Result<Self, Stop> {
        let open = || {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let (file, length) =
            open().map_err(|error: io::Error| Stop::unreadable(format!("{}: {error}", path.display())))?;
        Ok(Self {
            file,
            length,
            position: 0,
            end: length,
            window: Vec::new(),
            window_at: 0,
        })
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Where the next batch starts.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Where the walk ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Starts again at `position`, for at most `limit` bytes. Returns false if the file ends before `position`.
    pub(super) fn seek(&mut self, position: u64, limit: u64) -> bool {
        self.position = position;
        self.end = position.saturating_add(limit).min(self.length);
        position <= self.length
    }

    /// The next batch. An incomplete batch ends the walk; an impossible length is an error.
    pub(super) fn next(&mut self) -> Result<Option<FoundBatch>, Stop> {
        let position = self.position;
        let left = self.end.saturating_sub(position);
        if left <= HEADER_SIZE_UP_TO_MAGIC as u64 {
            return Ok(None);
        }
        let available = left.min(RECORD_BATCH_OVERHEAD as u64) as usize;
        let mut header = [0; RECORD_BATCH_OVERHEAD];
        header[..available].copy_from_slice(self.view(position, available)?);

        let [.., a, b, c, d] = header[..LOG_OVERHEAD] else {
            unreachable!("the overhead is twelve bytes")
        };
        let length = i32::from_be_bytes([a, b, c, d]);
        if length < LEGACY_RECORD_OVERHEAD_V0 as i32 {
            return Err(Stop::corrupt(
                position,
                format!("length {length} is less than any message's"),
            ));
        }
        let size = LOG_OVERHEAD as u64 + length as u64;
        if size > left {
            return Ok(None);
        }
        let magic = header[MAGIC_AT] as i8;
        let (nearest, length_min) = match magic {
            2.. => (2, RECORD_BATCH_OVERHEAD - LOG_OVERHEAD),
            1 | i8::MIN..=-1 => (1, LEGACY_RECORD_OVERHEAD_V1),
            0 => (0, LEGACY_RECORD_OVERHEAD_V0),
        };
        header[MAGIC_AT] = nearest;
        header[LOG_OVERHEAD - size_of::<i32>()..LOG_OVERHEAD]
            .copy_from_slice(&length.max(length_min as i32).to_be_bytes());
        match BatchHeader::parse(&header) {
            Ok(Some(header)) => {
                self.position += size;
                Ok(Some(FoundBatch {
                    position,
                    size,
                    magic,
                    header,
                }))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(Stop::corrupt(position, error.reason)),
        }
    }

    /// All bytes of a batch.
    pub(super) fn bytes(&mut self, batch: &FoundBatch) -> Result<&[u8], Stop> {
        self.view(batch.position, batch.size as usize)
    }

    /// Whether the file has only zeros from `position` to its end.
    pub(super) fn is_zero_from(&mut self, mut position: u64) -> Result<bool, Stop> {
        while position < self.length {
            let length = (self.length - position).min(CHUNK_BYTES) as usize;
            if self.view(position, length)?.iter().any(|&byte| byte != 0) {
                return Ok(false);
            }
            position += length as u64;
        }
        Ok(true)
    }

    /// `length` bytes that lie within the file.
    fn view(&mut self, position: u64, length: usize) -> Result<&[u8], Stop> {
        let window_end = self.window_at + self.window.len() as u64;
        if position < self.window_at || position + length as u64 > window_end {
            let wanted = (self.length - position).min(CHUNK_BYTES).max(length as u64);
            self.window.resize(wanted as usize, 0);
            self.window_at = position;
            // The file may have been truncated since it was opened.
            let read = self.file.read_exact_at(&mut self.window, position);
            if let Err(error) = read {
                self.window.clear();
                return Err(Stop::corrupt(position, error));
            }
        }
        let start = (position - self.window_at) as usize;
        Ok(&self.window[start..start + length])
    }
}
