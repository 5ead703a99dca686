//! One segment of a log: its records, their indexes, and values cached from them. Kafka 3.9: `LogSegment`.
//!
//! Lock order: the log's lock, then a segment's. A segment's lock guards only its indexes. Lookups and additions of
//! index entries hold it; it is never held while records are copied.

use std::io;

use parking_lot::{Mutex, MutexGuard};

use super::file_records::FileRecords;
use super::fs::corrupt;
use super::index::{AbortedTxn, OffsetIndex, TimeIndex, TimestampOffset, TransactionIndex};
use super::offset_metadata::LogOffsetMetadata;
use crate::common::ids::Offset;

mod files;
mod read;

/// Largest distance of an offset from its segment's base: index entries hold it in 31 bits (fact 52).
pub const OFFSET_SPAN_MAX: i64 = i32::MAX as i64;

/// One segment.
pub struct LogSegment {
    base_offset: Offset,
    records: FileRecords,
    index_interval_bytes: u64,
    /// Wall clock when this value was made: the age of a segment whose records have no timestamps counts from here.
    created_ms: i64,
    state: Mutex<SegmentState>,
}

/// The state under the segment's lock.
pub(super) struct SegmentState {
    pub(super) offset_index: OffsetIndex,
    pub(super) time_index: TimeIndex,
    pub(super) txn_index: TransactionIndex,
    bytes_since_last_index_entry: u64,
    /// Timestamp of the first batch, once read: `segment.ms` counts from it.
    first_timestamp: Option<i64>,
    /// Largest timestamp so far, and the last offset of the first batch that has it; `None` until it is read from the
    /// time index.
    max_timestamp: Option<TimestampOffset>,
}

impl SegmentState {
    /// Largest timestamp so far.
    pub(super) fn max_timestamp(&mut self) -> io::Result<TimestampOffset> {
        match self.max_timestamp {
            Some(max) => Ok(max),
            None => {
                let max = self.time_index.last()?;
                self.max_timestamp = Some(max);
                Ok(max)
            }
        }
    }

    /// Stores the timestamp if it is larger than the current one.
    pub(super) fn note_timestamp(&mut self, timestamp: i64, offset: Offset) -> io::Result<()> {
        if timestamp > self.max_timestamp()?.timestamp {
            self.max_timestamp = Some(TimestampOffset { timestamp, offset });
        }
        Ok(())
    }

    /// Stores the timestamp of the first batch.
    pub(super) fn note_first_timestamp(&mut self, timestamp: i64) {
        self.first_timestamp = Some(timestamp);
    }

    /// Adds index entries for the append that goes to `position`, if the last entries are far enough away.
    pub(super) fn maybe_add_entries(
        &mut self,
        interval: u64,
        last_offset: Offset,
        position: u64,
        size: u64,
    ) -> io::Result<()> {
        if self.bytes_since_last_index_entry > interval {
            self.offset_index.append(last_offset, position)?;
            let max = self.max_timestamp()?;
            self.time_index.maybe_append(max.timestamp, max.offset, false)?;
            self.bytes_since_last_index_entry = 0;
        }
        self.bytes_since_last_index_entry += size;
        Ok(())
    }

    /// Empties the indexes, before a scan fills them again.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        self.offset_index.begin_rebuild()?;
        self.time_index.begin_rebuild()?;
        self.txn_index.reset()?;
        self.bytes_since_last_index_entry = 0;
        self.max_timestamp = None;
        self.first_timestamp = None;
        Ok(())
    }
}

/// The data of one append.
#[derive(Clone, Copy, Debug)]
pub struct SegmentAppend<'a> {
    /// First bytes: a patched header, or everything.
    pub head: &'a [u8],
    /// The rest.
    pub tail: &'a [u8],
    /// Last offset in it.
    pub last_offset: Offset,
    /// Largest timestamp in it.
    pub max_timestamp: i64,
    /// Last offset of the first batch with that timestamp.
    pub offset_of_max_timestamp: Offset,
}

/// The properties of an append that decide whether it needs a new segment.
#[derive(Clone, Copy, Debug)]
pub struct RollParameters {
    /// Wall clock.
    pub now_ms: i64,
    /// `segment.ms` minus this segment's jitter.
    pub segment_ms: i64,
    /// `segment.bytes`.
    pub segment_bytes: u64,
    /// Largest timestamp in the append.
    pub max_timestamp: i64,
    /// Last offset in the append.
    pub last_offset: Offset,
    /// Bytes to append.
    pub size: u64,
}

impl LogSegment {
    /// The offset in its files' names: no record in it has a smaller one.
    pub fn base_offset(&self) -> Offset {
        self.base_offset
    }

    /// Its records.
    pub fn records(&self) -> &FileRecords {
        &self.records
    }

    /// Bytes of its records.
    pub fn size(&self) -> u64 {
        self.records.size()
    }

    /// Minimum number of bytes between two index entries.
    pub(super) fn index_interval_bytes(&self) -> u64 {
        self.index_interval_bytes
    }

    pub(super) fn state(&self) -> MutexGuard<'_, SegmentState> {
        self.state.lock()
    }

    /// The position behind its last record, as metadata of `offset`.
    pub fn end_metadata(&self, offset: Offset) -> LogOffsetMetadata {
        LogOffsetMetadata {
            offset,
            segment_base_offset: self.base_offset,
            position: self.size(),
        }
    }

    /// Appends records. The caller holds the log's lock and has made sure that they fit.
    pub fn append(&self, append: &SegmentAppend<'_>) -> io::Result<()> {
        let position = self.size();
        if !(0..=OFFSET_SPAN_MAX).contains(&(append.last_offset - self.base_offset)) {
            let reason = format!("offset {} does not fit this segment", append.last_offset);
            return Err(corrupt(&self.records.path(), reason));
        }
        self.records.append(append.head, append.tail)?;
        let mut state = self.state.lock();
        if position == 0 {
            state.first_timestamp = Some(append.max_timestamp);
        }
        state.note_timestamp(append.max_timestamp, append.offset_of_max_timestamp)?;
        state.maybe_add_entries(
            self.index_interval_bytes,
            append.last_offset,
            position,
            (append.head.len() + append.tail.len()) as u64,
        )
    }

    /// Whether an append must go to a new segment.
    pub fn should_roll(&self, roll: &RollParameters) -> io::Result<bool> {
        let size = self.size();
        if size + roll.size > roll.segment_bytes || roll.last_offset - self.base_offset > OFFSET_SPAN_MAX {
            return Ok(true);
        }
        {
            let state = self.state.lock();
            if state.offset_index.is_full() || state.time_index.is_full() {
                return Ok(true);
            }
        }
        Ok(size > 0 && self.time_waited_for_roll(roll.now_ms, roll.max_timestamp)? > roll.segment_ms)
    }

    /// How long the segment has been open: by the timestamps of the records if they have one, else by the clock.
    fn time_waited_for_roll(&self, now_ms: i64, message_timestamp: i64) -> io::Result<i64> {
        match self.first_timestamp()? {
            first if first >= 0 => Ok(message_timestamp.saturating_sub(first)),
            _ => Ok(now_ms - self.created_ms),
        }
    }

    /// Timestamp of the first batch; -1 if there is none.
    pub fn first_timestamp(&self) -> io::Result<i64> {
        if let Some(first) = self.state.lock().first_timestamp {
            return Ok(first);
        }
        let Some((_, header)) = self.records.headers(0, self.size())?.next_header()? else {
            return Ok(-1);
        };
        self.state.lock().first_timestamp = Some(header.max_timestamp());
        Ok(header.max_timestamp())
    }

    /// Largest timestamp of its records and the last offset of the batch that has it; -1 if no record has a timestamp.
    pub fn max_timestamp(&self) -> io::Result<TimestampOffset> {
        self.state.lock().max_timestamp()
    }

    /// The timestamp for retention by time: the largest of its records, else the time of the file's last change.
    pub fn largest_timestamp(&self) -> io::Result<i64> {
        match self.max_timestamp()?.timestamp {
            timestamp if timestamp >= 0 => Ok(timestamp),
            _ => self.last_modified(),
        }
    }

    /// Milliseconds since 1970 when the file was last changed.
    pub fn last_modified(&self) -> io::Result<i64> {
        let modified = std::fs::metadata(self.records.path())?.modified()?;
        let since = modified.duration_since(std::time::UNIX_EPOCH);
        Ok(since.map_or(0, |d| d.as_millis() as i64))
    }

    /// Adds an aborted transaction to the transaction index.
    pub fn append_aborted(&self, transaction: &AbortedTxn) -> io::Result<()> {
        self.state.lock().txn_index.append(transaction)
    }

    /// Drops the records from `offset` on. Returns the number of bytes cut. The segment becomes the active one.
    pub fn truncate_to(&self, offset: Offset) -> io::Result<u64> {
        let before = self.size();
        let cut = self.translate_offset(offset)?.map(|(position, _)| position);
        let mut state = self.state.lock();
        state.offset_index.truncate_to(offset)?;
        state.time_index.truncate_to(offset)?;
        state.txn_index.truncate_to(offset)?;
        state.max_timestamp = None;
        state.bytes_since_last_index_entry = 0;
        drop(state);
        let after = cut.unwrap_or(before);
        if after < before {
            self.records.truncate(after)?;
        }
        if after == 0 {
            self.state.lock().first_timestamp = None;
        }
        self.find_max_timestamp()?;
        Ok(before - after)
    }

    /// Finds the largest timestamp after a truncation, because the time index may have lost its last entries.
    fn find_max_timestamp(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let last = state.time_index.last()?;
        let start = state.offset_index.lookup(last.offset)?;
        state.max_timestamp = Some(last);
        let mut headers = self.headers_from(start, self.size())?;
        while let Some((_, header)) = headers.next_header()? {
            state.note_timestamp(header.max_timestamp(), header.last_offset())?;
        }
        Ok(())
    }

    /// Cuts the records at a byte, for recovery; the caller handles the indexes.
    pub(super) fn truncate_records(&self, size: u64) -> io::Result<()> {
        self.records.truncate(size)
    }
}
