//! Reading a segment whole after a crash: what of it is valid, and its indexes anew. Kafka 3.9:
//! `LogSegment.recover`.

use std::io;

use super::index::AbortedTxn;
use super::leader_epoch_cache::LeaderEpochCache;
use super::producer_state::{ProducerBatch, ProducerStateManager};
use super::segment::{LogSegment, OFFSET_SPAN_MAX, SegmentState};
use crate::common::ids::Offset;
use crate::record::{BatchHeader, RecordBatch};

/// What a recovery has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// So many bytes from its start on are valid, and the indexes are those of these.
    Valid(u64),
    /// It has valid batches farther from its base offset than its indexes can say: it must be split.
    Overflow,
}

/// Reads the segment to the first batch that is torn, fails its checksum or has impossible offsets; rebuilds the
/// three indexes; brings producers and epochs up to date. Offsets at `end` or beyond are impossible. What is not
/// valid is the caller's to cut, once the segments behind it are gone.
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

/// A batch must be what was written, and its offsets must lie between those before it and the next segment's: they
/// are not under the checksum.
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

/// Epochs larger than the latest one known; the file may lack those of the last moments.
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
    /// Index entries for a batch that lies at `position` already: one per batch that is far enough from the last.
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
        // A segment whose index is full was rolled then; nothing is lost but a few scans now.
        if self.offset_index.is_full() || self.time_index.is_full() {
            return Ok(());
        }
        self.maybe_add_entries(interval, batch.last_offset(), position, size)
    }

    /// What a normally closed segment has: the last time index entry, and files as long as their entries.
    fn finish_recovery(&mut self) -> io::Result<()> {
        let max = self.max_timestamp()?;
        self.time_index.maybe_append(max.timestamp, max.offset, true)?;
        self.offset_index.trim()?;
        self.time_index.trim()
    }
}
