//! The segments that a clean writes, whose names have `.cleaned`. Kafka 3.9: the second half of
//! `Cleaner.cleanSegments`, `UnifiedLog.createNewCleanedSegment`, `LocalLog.splitOverflowedSegment`.
//!
//! Usually a clean writes one segment for each group. Where offsets are further apart than a segment can hold, as old
//! brokers could leave them, the output begins another segment. It removes segments that it does not hand over.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::common::ids::Offset;
use crate::config::LogConfig;
use crate::log::dir::LogDir;
use crate::log::index::AbortedTxn;
use crate::log::segment::{LogSegment, OFFSET_SPAN_MAX};
use crate::record::BatchHeader;

/// The segments of one group.
pub struct Output {
    dir: Arc<LogDir>,
    path: PathBuf,
    config: Arc<LogConfig>,
    now_ms: i64,
    /// Base offset of the first segment.
    base_offset: Offset,
    /// The last one is being written.
    segments: Vec<LogSegment>,
    /// Bytes that are not yet written to the last segment, and the headers of their batches.
    pending: Vec<u8>,
    headers: Vec<BatchHeader>,
    pending_max: usize,
    bytes_written: u64,
}

impl Output {
    /// An output without segments; the name of the first segment will be `base_offset`. It gathers up to `pending_max`
    /// bytes before it writes.
    pub fn new(
        dir: Arc<LogDir>,
        path: PathBuf,
        config: Arc<LogConfig>,
        base_offset: Offset,
        now_ms: i64,
        pending_max: usize,
    ) -> Self {
        Self {
            dir,
            path,
            config,
            now_ms,
            base_offset,
            segments: Vec::new(),
            pending: Vec::new(),
            headers: Vec::new(),
            pending_max,
            bytes_written: 0,
        }
    }

    /// Number of bytes of records given to the output.
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Adds batches that lie one after the other in `bytes`.
    pub fn write(&mut self, mut bytes: &[u8], mut headers: &[BatchHeader]) -> io::Result<()> {
        while let Some(first) = headers.first() {
            let base_offset = self.segment_for(first)?;
            let fits = |header: &&BatchHeader| header.last_offset() - base_offset <= OFFSET_SPAN_MAX;
            let count = headers.iter().take_while(fits).count().max(1);
            let (now, later) = headers.split_at(count);
            let length = now.iter().map(|header| header.size_in_bytes()).sum();
            let (run, rest) = bytes.split_at(length);
            self.put(run, &[], now)?;
            (bytes, headers) = (rest, later);
        }
        Ok(())
    }

    /// Adds a batch that the cleaner has rebuilt.
    pub fn write_batch(&mut self, header: &BatchHeader, records: &[u8]) -> io::Result<()> {
        self.segment_for(header)?;
        self.put(&header.encode(), records, std::slice::from_ref(header))
    }

    /// Adds an aborted transaction, whose marker was the last added batch, to the transaction index.
    pub fn note_aborted(&mut self, transaction: &AbortedTxn) -> io::Result<()> {
        match self.segments.last() {
            Some(segment) => segment.append_aborted(transaction),
            None => Ok(()),
        }
    }

    fn put(&mut self, head: &[u8], tail: &[u8], headers: &[BatchHeader]) -> io::Result<()> {
        let length = head.len() + tail.len();
        self.bytes_written += length as u64;
        self.headers.extend_from_slice(headers);
        if tail.is_empty() && length >= self.pending_max {
            // A long run of batches that all stay goes to the file without another copy.
            return self.flush_with(head);
        }
        self.pending.extend_from_slice(head);
        if length >= self.pending_max {
            return self.flush_with(tail);
        }
        self.pending.extend_from_slice(tail);
        match self.pending.len() >= self.pending_max {
            true => self.flush_with(&[]),
            false => Ok(()),
        }
    }

    /// Writes the pending bytes, and `tail` behind them.
    fn flush_with(&mut self, tail: &[u8]) -> io::Result<()> {
        let Some(segment) = self.segments.last() else {
            return Ok(());
        };
        let mut position = segment.size();
        segment.records().append(&self.pending, tail)?;
        let mut state = segment.state();
        for header in self.headers.drain(..) {
            state.add_recovered(segment.index_interval_bytes(), &header, position)?;
            position += header.size_in_bytes() as u64;
        }
        self.pending.clear();
        Ok(())
    }

    /// Makes sure that the batch fits into the last segment. Returns that segment's base offset.
    fn segment_for(&mut self, header: &BatchHeader) -> io::Result<Offset> {
        if let Some(last) = self.segments.last()
            && header.last_offset() - last.base_offset() <= OFFSET_SPAN_MAX
        {
            return Ok(last.base_offset());
        }
        let is_first = self.segments.is_empty();
        self.finish_last()?;
        let fits_first = header.last_offset() - self.base_offset <= OFFSET_SPAN_MAX;
        if is_first && !fits_first {
            // The first new segment must have the old name; otherwise the old segment of that name would stay.
            self.begin(self.base_offset)?;
            self.finish_last()?;
        }
        let base_offset = match is_first && fits_first {
            true => self.base_offset,
            false => first_offset_at_least(header),
        };
        self.begin(base_offset)?;
        Ok(base_offset)
    }

    fn begin(&mut self, base_offset: Offset) -> io::Result<()> {
        let fs = self.dir.fs();
        let segment = LogSegment::create_cleaned(fs, &self.path, base_offset, &self.config, self.now_ms)?;
        self.segments.push(segment);
        Ok(())
    }

    fn finish_last(&mut self) -> io::Result<()> {
        self.flush_with(&[])?;
        match self.segments.last() {
            Some(segment) => segment.on_become_inactive(),
            None => Ok(()),
        }
    }

    /// Returns the finished segments, ascending and on disk, with `modified_ms` as the last change of their files. If
    /// no record has survived there is one empty segment.
    pub fn finish(mut self, modified_ms: i64) -> io::Result<Vec<LogSegment>> {
        if self.segments.is_empty() {
            self.begin(self.base_offset)?;
        }
        self.finish_last()?;
        for segment in &self.segments {
            segment.sync(self.dir.fs())?;
            self.dir
                .fs()
                .set_modified(&segment.records().path(), modified_ms)?;
        }
        Ok(std::mem::take(&mut self.segments))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        remove_unused(&self.dir, &self.segments);
    }
}

/// Removes the files of unused segments, the last segment first: the loader relies on that order to recognise an
/// incomplete swap (fact 51).
pub fn remove_unused(dir: &LogDir, segments: &[LogSegment]) {
    for segment in segments.iter().rev() {
        // If the removal fails now, the loader repeats it.
        if let Err(error) = segment.delete(dir.fs()) {
            tracing::warn!(dir = %dir.path().display(), %error, "cannot remove the files of an unfinished clean");
        }
    }
}

/// A lower bound of the batch's first offset. Wrappers of formats 0 and 1 only store their last offset.
fn first_offset_at_least(header: &BatchHeader) -> Offset {
    match header.magic() {
        0 | 1 => (header.last_offset() - OFFSET_SPAN_MAX).max(0),
        _ => header.base_offset(),
    }
}
