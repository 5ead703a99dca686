//! A segment read a buffer at a time. Kafka 3.9: `FileRecords.readInto`, `Cleaner.growBuffers`.

use std::io;

use crate::log::fs::corrupt;
use crate::log::segment::LogSegment;
use crate::record::BatchHeader;

/// Reads a segment that nobody writes any more.
pub struct SegmentSource<'a> {
    segment: &'a LogSegment,
    position: u64,
    end: u64,
}

impl<'a> SegmentSource<'a> {
    /// Reads from byte `position` on.
    pub fn new(segment: &'a LogSegment, position: u64) -> Self {
        Self {
            segment,
            position,
            end: segment.size(),
        }
    }

    /// Byte of the next batch.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next bytes: a whole batch at least, the last one may be cut; nothing at the end. The buffer grows if a
    /// batch does not fit; no further than to the end of the segment, so that a length that is not true costs
    /// little.
    pub fn fill<'b>(&self, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        let left = self.end - self.position;
        let mut filled = self.read(buffer, left)?;
        if left == 0 {
            return Ok(&[]);
        }
        let needed = match BatchHeader::parse(&buffer[..filled]) {
            Ok(Some(header)) => header.size_in_bytes() as u64,
            Ok(None) => return Err(self.corrupt("the segment ends within a batch's header")),
            Err(error) => return Err(self.corrupt(&error.reason)),
        };
        if needed > left {
            return Err(self.corrupt(&format!("a batch of {needed} bytes where {left} are left")));
        }
        if needed > filled as u64 {
            tracing::info!(from = buffer.len(), to = needed, "growing a cleaner's buffer");
            buffer.resize(needed as usize, 0);
            filled = self.read(buffer, left)?;
        }
        match filled as u64 >= needed {
            true => Ok(&buffer[..filled]),
            false => Err(self.corrupt("the file is shorter than it was")),
        }
    }

    fn read(&self, buffer: &mut [u8], left: u64) -> io::Result<usize> {
        let wanted = left.min(buffer.len() as u64) as usize;
        self.segment
            .records()
            .read_into(&mut buffer[..wanted], self.position)
    }

    /// So many bytes, whole batches, are done with.
    pub fn consume(&mut self, bytes: usize) {
        self.position += bytes as u64;
    }

    /// An error about the content at the present position.
    pub fn corrupt(&self, reason: &str) -> io::Error {
        corrupt(
            &self.segment.records().path(),
            format!("byte {}: {reason}", self.position),
        )
    }
}
