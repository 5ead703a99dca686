//! Search of offsets by timestamp. Kafka 3.9: `UnifiedLog.fetchOffsetByTimestamp`, `legacyFetchOffsetsBefore`,
//! `FileRecords.searchForTimestamp`.

use std::io;
use std::sync::Arc;

use super::UnifiedLog;
use crate::common::ids::{LeaderEpoch, NO_LEADER_EPOCH, Offset};
use crate::log::error::LogError;
use crate::log::segment::LogSegment;
use crate::record::RecordBatch;
use crate::record::record::RecordReader;

/// Largest size to which one record may be unpacked during the search.
const UNPACKED_BYTES_MAX: usize = 1 << 30;

/// Timestamp and offset of a record, and the epoch of the leader that appended it.
pub type TimestampedOffset = (i64, Offset, LeaderEpoch);

impl UnifiedLog {
    /// First record with timestamp ≥ `timestamp`: (timestamp, offset, leader epoch).
    pub fn offset_by_timestamp(&self, timestamp: i64) -> Result<Option<TimestampedOffset>, LogError> {
        self.context.dir.ensure_online()?;
        let (segments, start) = self.segments_and_start();
        let check = |result| self.context.dir.check_read(result);
        for segment in &segments {
            // The first segment that may have such a record. If it has none, the search ends there, as in Kafka.
            if check(segment.largest_timestamp())? >= timestamp {
                let found = first_record_since(segment, timestamp, start);
                return self.context.dir.check_read(found);
            }
        }
        Ok(None)
    }

    /// Record with the largest timestamp: (timestamp, offset, leader epoch).
    pub fn offset_of_max_timestamp(&self) -> Result<Option<TimestampedOffset>, LogError> {
        self.context.dir.ensure_online()?;
        let (segments, start) = self.segments_and_start();
        let mut latest: Option<(i64, &Arc<LogSegment>)> = None;
        for segment in &segments {
            let max = self.context.dir.check_read(segment.max_timestamp())?.timestamp;
            if latest.is_none_or(|(so_far, _)| max > so_far) {
                latest = Some((max, segment));
            }
        }
        match latest {
            Some((timestamp, segment)) if timestamp >= 0 => self
                .context
                .dir
                .check_read(first_record_since(segment, timestamp, start)),
            _ => Ok(None),
        }
    }

    /// Base offsets of segments that were last changed before `timestamp`, newest first, for ListOffsets v0. -1 also
    /// returns the end of the log, -2 only its start.
    pub fn legacy_offsets_before(&self, timestamp: i64, max_offsets: usize) -> Result<Vec<Offset>, LogError> {
        const LATEST: i64 = -1;
        const EARLIEST: i64 = -2;
        self.context.dir.ensure_online()?;
        let (segments, start) = self.segments_and_start();
        let end = self.log_end_offset();
        let mut offsets: Vec<(Offset, i64)> = Vec::with_capacity(segments.len() + 1);
        for segment in &segments {
            let modified = match timestamp {
                LATEST | EARLIEST => 0,
                _ => match self.context.dir.check_read(segment.last_modified()) {
                    Ok(modified) => modified,
                    // The segment was removed in the meantime.
                    Err(_) if self.view.lock().segments.get(segment.base_offset()).is_none() => continue,
                    Err(error) => return Err(error),
                },
            };
            offsets.push((segment.base_offset().max(start), modified));
        }
        if segments.last().is_some_and(|s| s.size() > 0) {
            offsets.push((end, self.context.clock.wall_ms()));
        }
        match timestamp {
            LATEST => {}
            EARLIEST => offsets.truncate(1),
            _ => {
                let kept = offsets.iter().rposition(|(_, modified)| *modified <= timestamp);
                offsets.truncate(kept.map_or(0, |i| i + 1));
            }
        }
        let newest_first = offsets.iter().rev().take(max_offsets);
        Ok(newest_first.map(|(offset, _)| *offset).collect())
    }

    fn segments_and_start(&self) -> (Vec<Arc<LogSegment>>, Offset) {
        let view = self.view.lock();
        (view.segments.iter().cloned().collect(), view.log_start_offset)
    }
}

/// The first record of a segment at or beyond `start` with a timestamp ≥ `timestamp`. Skips whole batches by their
/// headers.
fn first_record_since(
    segment: &LogSegment,
    timestamp: i64,
    start: Offset,
) -> io::Result<Option<TimestampedOffset>> {
    let from = segment.search_start(timestamp, start)?;
    let end = segment.size();
    let mut headers = segment.headers_from(from, end)?;
    while let Some((position, header)) = headers.next_header()? {
        if header.max_timestamp() < timestamp || header.last_offset() < start {
            continue;
        }
        let batch_end = position + header.size_in_bytes() as u64;
        let mut batches = segment.records().batches(position, batch_end)?;
        if let Some(batch) = batches.next_batch()?
            && let Some(found) = first_record_in(&batch, timestamp, start)
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The first such record within a batch. A batch that cannot be unpacked counts as having none: that is the producer's
/// fault, not the disk's.
fn first_record_in(batch: &RecordBatch<'_>, timestamp: i64, start: Offset) -> Option<TimestampedOffset> {
    let epoch = match batch.partition_leader_epoch() {
        epoch if epoch >= 0 => epoch,
        _ => NO_LEADER_EPOCH,
    };
    let mut records = RecordReader::new(batch, UNPACKED_BYTES_MAX).ok()?;
    while let Some(record) = records.next().ok()? {
        if record.timestamp >= timestamp && record.offset >= start {
            return Some((record.timestamp, record.offset, epoch));
        }
    }
    None
}
