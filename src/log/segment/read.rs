//! Search and read of records in a segment. Kafka 3.9: `LogSegment.read`, `translateOffset`, `readNextOffset`.

use std::io;

use super::LogSegment;
use crate::common::ids::Offset;
use crate::log::fetch_data::FetchDataInfo;
use crate::log::file_records::Headers;
use crate::log::fs::corrupt;
use crate::log::index::{AbortedTxn, OffsetPosition};
use crate::log::offset_metadata::LogOffsetMetadata;
use crate::record::BatchHeader;

impl LogSegment {
    /// The first batch that ends at `offset` or beyond, and its position.
    pub fn translate_offset(&self, offset: Offset) -> io::Result<Option<(u64, BatchHeader)>> {
        let end = self.size();
        let start = self.state.lock().offset_index.lookup(offset)?;
        let mut headers = self.headers_from(start, end)?;
        while let Some((position, header)) = headers.next_header()? {
            if header.last_offset() >= offset {
                return Ok(Some((position, header)));
            }
        }
        Ok(None)
    }

    /// The position of a batch at or before the one with `offset`.
    pub fn position_of(&self, offset: Offset) -> io::Result<u64> {
        Ok(self.state.lock().offset_index.lookup(offset)?.position)
    }

    /// A walk over the headers from an index entry to byte `end`. If the entry does not lead to a batch that it can
    /// mean, the walk begins at the start of the file: after a clean stop the indexes are not checked, and a flipped
    /// bit must not make a reader miss records, or read from the middle of a batch.
    pub fn headers_from(&self, entry: OffsetPosition, end: u64) -> io::Result<Headers> {
        if entry.position > 0 {
            let mut headers = self.records.headers(entry.position, end)?;
            match headers.peek() {
                Ok(Some(first)) if self.can_mean(entry, &first) => return Ok(headers),
                Err(e) if e.kind() != io::ErrorKind::InvalidData => return Err(e),
                _ => {}
            }
            let path = self.records.path();
            tracing::warn!(path = %path.display(), ?entry, "the index entry leads nowhere, reading from the start");
        }
        self.records.headers(0, end)
    }

    fn can_mean(&self, entry: OffsetPosition, first: &BatchHeader) -> bool {
        self.base_offset <= first.base_offset()
            && first.base_offset() <= first.last_offset()
            && first.last_offset() <= entry.offset
    }

    /// Up to `size_max` bytes from the batch with `offset` on, ending before byte `position_max`. The last batch may be
    /// incomplete, as in Kafka. `None` if the segment ends before `offset`.
    pub fn read(
        &self,
        offset: Offset,
        size_max: usize,
        position_max: u64,
        min_one_message: bool,
    ) -> io::Result<Option<FetchDataInfo>> {
        let Some((position, header)) = self.translate_offset(offset)? else {
            return Ok(None);
        };
        let start = LogOffsetMetadata {
            offset,
            segment_base_offset: self.base_offset,
            position,
        };
        let first = header.size_in_bytes();
        let allowed = match min_one_message {
            true => size_max.max(first),
            false => size_max,
        };
        let length = position_max.saturating_sub(position).min(allowed as u64) as usize;
        let records = match length {
            0 => None,
            _ => Some(self.records.slice(position, length)?),
        };
        Ok(Some(FetchDataInfo {
            fetch_offset: start,
            records,
            first_entry_incomplete: allowed < first,
            aborted_transactions: None,
        }))
    }

    /// The entry before `timestamp` in the time index and where a search for it begins.
    pub fn search_start(&self, timestamp: i64, starting_offset: Offset) -> io::Result<OffsetPosition> {
        let mut state = self.state.lock();
        let entry = state.time_index.lookup(timestamp)?;
        state.offset_index.lookup(entry.offset.max(starting_offset))
    }

    /// The offset after the last record, by a scan from the last index entry on; the base offset if the segment is
    /// empty. An error of kind `InvalidData` if the file does not end with a whole batch, which a clean stop
    /// guarantees.
    pub fn read_next_offset(&self) -> io::Result<Offset> {
        let end = self.size();
        let last = {
            let mut state = self.state.lock();
            let offset = state.offset_index.last_offset()?;
            state.offset_index.lookup(offset)?
        };
        let mut next = self.base_offset;
        let mut headers = self.headers_from(last, end)?;
        while let Some((position, header)) = headers.next_header()? {
            if header.base_offset() < next || header.last_offset() < header.base_offset() {
                let reason = format!("byte {position}: offset {} after {next}", header.base_offset());
                return Err(corrupt(&self.records.path(), reason));
            }
            next = header.next_offset();
        }
        match headers.position() == end {
            true => Ok(next),
            false => {
                let reason = format!("byte {}: not a whole batch", headers.position());
                Err(corrupt(&self.records.path(), reason))
            }
        }
    }

    /// An offset beyond a read of `size` bytes from `start` on; `None` if only the next segment can answer.
    pub fn upper_bound_offset(&self, start: OffsetPosition, size: u64) -> io::Result<Option<Offset>> {
        let bound = self.state.lock().offset_index.upper_bound(start, size)?;
        Ok(bound.map(|entry| entry.offset))
    }

    /// Adds the aborted transactions of a read. Returns true if no later segment can have more.
    pub fn collect_aborted(
        &self,
        fetch_offset: Offset,
        upper_bound: Offset,
        found: &mut Vec<AbortedTxn>,
    ) -> io::Result<bool> {
        self.state
            .lock()
            .txn_index
            .collect(fetch_offset, upper_bound, found)
    }
}
