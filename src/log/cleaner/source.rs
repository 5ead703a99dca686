//! Reader of a segment, one buffer at a time. Kafka 3.9: `FileRecords.readInto`, `Cleaner.growBuffers`.

use std::io;

use crate::log::fs::corrupt;
use crate::log::segment::LogSegment;
use crate::record::BatchHeader;

/// Reads a segment that has no writer any more.
pub struct SegmentSource<'a> {
    segment: &'a LogSegment,
    position: u64,
    end: u64,
    trusted_bytes: usize,
}

impl<'a> SegmentSource<'a> {
    /// Reads from byte `position` on. For a batch of more than `trusted_bytes` the source checks the checksum piece by
    /// piece before it takes memory for the batch.
    pub fn new(segment: &'a LogSegment, position: u64, trusted_bytes: usize) -> Self {
        Self {
            segment,
            position,
            end: segment.size(),
            trusted_bytes,
        }
    }

    /// The next bytes: at least one whole batch, with the last one possibly cut; empty at the end. The buffer grows if
    /// a batch does not fit; a wrong length makes it grow at most to the trusted size.
    pub fn fill<'b>(&self, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        let left = self.end - self.position;
        let mut filled = self.read(buffer, left)?;
        if left == 0 {
            return Ok(&[]);
        }
        let header = match BatchHeader::parse(&buffer[..filled]) {
            Ok(Some(header)) => header,
            Ok(None) => return Err(self.corrupt("the segment ends within a batch's header")),
            Err(error) => return Err(self.corrupt(&error.reason)),
        };
        let needed = header.size_in_bytes() as u64;
        if needed > left {
            return Err(self.corrupt(&format!("a batch of {needed} bytes where {left} are left")));
        }
        if needed > filled as u64 {
            self.check_large(&header, buffer)?;
            tracing::info!(from = buffer.len(), to = needed, "growing a cleaner's buffer");
            buffer.resize(needed as usize, 0);
            filled = self.read(buffer, left)?;
        }
        match filled as u64 >= needed {
            true => Ok(&buffer[..filled]),
            false => Err(self.corrupt("the file is shorter than it was")),
        }
    }

    /// Checks the checksum of a large batch that begins at the current position.
    fn check_large(&self, header: &BatchHeader, buffer: &mut [u8]) -> io::Result<()> {
        let size = header.size_in_bytes();
        // Messages of formats 0 and 1 come from brokers that limited them by the same setting.
        if size <= self.trusted_bytes || header.magic() < 2 {
            return Ok(());
        }
        let mut done = 0;
        let is_valid = header.is_valid_crc_of(|sum| {
            let wanted = buffer.len().min(size - done);
            let read = self
                .segment
                .records()
                .read_into(&mut buffer[..wanted], self.position + done as u64)?;
            sum(&buffer[..read]);
            done += read;
            Ok::<bool, io::Error>(read > 0 && done < size)
        })?;
        match is_valid {
            true => Ok(()),
            false => Err(self.corrupt(&format!("a batch of {size} bytes fails its checksum"))),
        }
    }

    fn read(&self, buffer: &mut [u8], left: u64) -> io::Result<usize> {
        let wanted = left.min(buffer.len() as u64) as usize;
        self.segment
            .records()
            .read_into(&mut buffer[..wanted], self.position)
    }

    /// Marks so many bytes, which are whole batches, as processed.
    pub fn consume(&mut self, bytes: usize) {
        self.position += bytes as u64;
    }

    /// An error about the content at the current position.
    pub fn corrupt(&self, reason: &str) -> io::Error {
        corrupt(
            &self.segment.records().path(),
            format!("byte {}: {reason}", self.position),
        )
    }
}
