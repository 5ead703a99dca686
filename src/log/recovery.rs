//! Recovery of one segment after a crash: reads it, finds its valid part, and rebuilds its indexes. Kafka 3.9:
//! `LogSegment.recover`.

use std::io;

use super::index::AbortedTxn;
use super::leader_epoch_cache::LeaderEpochCache;
use super::producer_state::{ProducerBatch, ProducerStateManager};
use super::segment::{LogSegment, OFFSET_SPAN_MAX, SegmentState};
use crate::common::ids::Offset;
use crate::record::{BatchHeader, RecordBatch};

/// The result of a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// So many bytes from the start are valid, and the indexes match them.
    Valid(u64),
    /// A valid batch is further from the base offset than the indexes can store, so the segment must be split.
    Overflow,
}

/// Reads the segment up to the first batch that is torn, fails its checksum or has impossible offsets; offsets at `end`
/// or beyond are impossible. Rebuilds the three indexes and updates producers and epochs. The caller cuts the invalid
/// part, after it has removed the segments behind it.
pub fn recover_segment(
    segment: &LogSegment,
    end: Offset,
    producers: &mut ProducerStateManager,
    epochs: &LeaderEpochCache,
) -> io::Result<Recovered> {
    let size = segment.size();
    let mut state = segment.state();
    state.reset()?;
    let mut batches = segment.records().batches(0, size)?;
    let mut valid = 0;
    let mut next_offset = segment.base_offset();
    let mut epochs_changed = false;
    loop {
        let batch = match batches.next_batch() {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                log_invalid(segment, valid, &e);
                break;
            }
            Err(e) => return Err(e),
        };
        if let Err(reason) = check(&batch, next_offset, end) {
            log_invalid(segment, valid, &reason);
            break;
        }
        if batch.last_offset() - segment.base_offset() > OFFSET_SPAN_MAX {
            return Ok(Recovered::Overflow);
        }
        let Ok(producer_batch) = ProducerBatch::read(&batch, batch.records()) else {
            log_invalid(segment, valid, &"an unreadable transaction marker");
            break;
        };
        state.add_recovered(segment.index_interval_bytes(), &batch, valid)?;
        epochs_changed |= note_epoch(&batch, epochs);
        note_producer(&mut state, producers, &producer_batch)?;
        next_offset = batch.next_offset();
        valid += batch.size_in_bytes() as u64;
    }
    state.finish_recovery()?;
    drop(state);
    if epochs_changed {
        epochs.flush()?;
    }
    Ok(Recovered::Valid(valid))
}

fn log_invalid(segment: &LogSegment, position: u64, reason: &dyn std::fmt::Display) {
    let path = segment.records().path();
    tracing::warn!(path = %path.display(), position, %reason, "found an invalid batch");
}

/// Checks a batch: its checksum must be right, and its offsets must be between those of the batch before it and the
/// start of the next segment, because the checksum does not cover the offsets.
fn check(batch: &RecordBatch<'_>, next_offset: Offset, end: Offset) -> Result<(), String> {
    batch.ensure_valid_crc().map_err(|e| e.reason)?;
    let (first, last) = (batch.base_offset(), batch.last_offset());
    if first < next_offset || last < first || last >= end {
        return Err(format!(
            "offsets {first} to {last}, expected in [{next_offset}, {end})"
        ));
    }
    Ok(())
}

/// Adds an epoch that is above the latest known one; the file may lack the epochs of the last moments before the crash.
fn note_epoch(batch: &RecordBatch<'_>, epochs: &LeaderEpochCache) -> bool {
    let epoch = batch.partition_leader_epoch();
    let is_later = epochs.latest().is_none_or(|latest| epoch > latest.epoch);
    is_later && epochs.assign_in_memory(epoch, batch.base_offset())
}

fn note_producer(
    state: &mut SegmentState,
    producers: &mut ProducerStateManager,
    batch: &ProducerBatch,
) -> io::Result<()> {
    match producers.update(batch) {
        Some(completed) if completed.is_aborted => state.txn_index.append(&AbortedTxn {
            producer_id: completed.producer_id,
            first_offset: completed.first_offset,
            last_offset: completed.last_offset,
            last_stable_offset: completed.last_stable_offset,
        }),
        _ => Ok(()),
    }
}

impl SegmentState {
    /// Adds an index entry for a batch that is already at `position`, if it is far enough from the last entry.
    pub(super) fn add_recovered(
        &mut self,
        interval: u64,
        batch: &BatchHeader,
        position: u64,
    ) -> io::Result<()> {
        if position == 0 {
            self.note_first_timestamp(batch.max_timestamp());
        }
        self.note_timestamp(batch.max_timestamp(), batch.last_offset())?;
        let size = batch.size_in_bytes() as u64;
        // The original segment was rolled when its index was full, so the rest only costs some scans.
        if self.offset_index.is_full() || self.time_index.is_full() {
            return Ok(());
        }
        self.maybe_add_entries(interval, batch.last_offset(), position, size)
    }

    /// Brings the segment to the state of a normally closed one: adds the last time index entry and cuts the files to
    /// their entries.
    fn finish_recovery(&mut self) -> io::Result<()> {
        let max = self.max_timestamp()?;
        self.time_index.maybe_append(max.timestamp, max.offset, true)?;
        self.offset_index.trim()?;
        self.time_index.trim()
    }
}
