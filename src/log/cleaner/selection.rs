//! Computes which part of a log may be cleaned, and how urgently. Kafka 3.9: `LogCleanerManager.cleanableOffsets`,
//! `maxCompactionDelay`, `LogToClean`.

use std::io;
use std::sync::Arc;

use crate::common::ids::Offset;
use crate::log::segment::LogSegment;
use crate::log::unified_log::{CleaningView, UnifiedLog};

/// A log with the part of it that may be cleaned.
#[derive(Clone)]
pub struct LogToClean {
    /// The log.
    pub log: Arc<UnifiedLog>,
    /// All its segments at the time of the selection.
    pub segments: Vec<Arc<LogSegment>>,
    /// Everything from here on was never cleaned.
    pub first_dirty_offset: Offset,
    /// Nothing from here on may be cleaned. The base offset of a segment, or the first dirty offset.
    pub first_uncleanable_offset: Offset,
    /// The checkpoint was not usable, so the first dirty offset has to be written to it.
    pub resets_checkpoint: bool,
    /// By how much the log exceeds `max.compaction.lag.ms`; 0 if it does not.
    pub compaction_delay_ms: i64,
    /// Bytes in front of the first dirty segment.
    pub clean_bytes: u64,
    /// Bytes between the two offsets.
    pub cleanable_bytes: u64,
    /// How often the log had been truncated.
    pub truncations: u64,
}

impl LogToClean {
    /// The state of a log whose checkpoint entry is `checkpointed`.
    pub fn new(log: &Arc<UnifiedLog>, checkpointed: Option<Offset>, now_ms: i64) -> io::Result<Self> {
        let view = log.cleaning_view();
        let (first_dirty_offset, resets_checkpoint) = first_dirty_offset(log, &view, checkpointed);
        let config = log.config();
        let inactive = &view.segments[..view.segments.len().saturating_sub(1)];
        let active = view
            .segments
            .last()
            .map_or(first_dirty_offset, |s| s.base_offset());
        let dirty = match first_dirty_offset < active {
            true => &inactive[floor(inactive, first_dirty_offset)..],
            false => &[],
        };
        let first_uncleanable_offset = first_uncleanable_offset(
            &view,
            dirty,
            first_dirty_offset,
            config.min_compaction_lag_ms,
            now_ms,
        )?;
        let compaction_delay_ms = compaction_delay(dirty, config.max_compaction_lag_ms, now_ms)?;
        let size = |segments: &[Arc<LogSegment>]| segments.iter().map(|s| s.size()).sum();
        // A segment that was cleaned in part, because the map was full, counts on both sides.
        let clean = view
            .segments
            .partition_point(|s| s.base_offset() < first_dirty_offset);
        let start = floor(&view.segments, first_dirty_offset);
        let end = view
            .segments
            .partition_point(|s| s.base_offset() < first_uncleanable_offset);
        Ok(Self {
            log: Arc::clone(log),
            first_dirty_offset,
            first_uncleanable_offset,
            resets_checkpoint,
            compaction_delay_ms,
            clean_bytes: size(&view.segments[..clean]),
            cleanable_bytes: size(&view.segments[start.min(end)..end]),
            truncations: view.truncations,
            segments: view.segments,
        })
    }

    /// The segments that the offset map is built from.
    pub fn dirty_segments(&self) -> &[Arc<LogSegment>] {
        let end = self
            .segments
            .partition_point(|s| s.base_offset() < self.first_uncleanable_offset);
        let start = floor(&self.segments, self.first_dirty_offset).min(end);
        &self.segments[start..end]
    }

    /// The dirty share of the clean and cleanable bytes.
    pub fn cleanable_ratio(&self) -> f64 {
        match self.clean_bytes + self.cleanable_bytes {
            0 => 0.0,
            total => self.cleanable_bytes as f64 / total as f64,
        }
    }

    /// Whether the log needs cleaning at all.
    pub fn is_due(&self) -> bool {
        self.cleanable_bytes > 0
            && (self.compaction_delay_ms > 0
                || self.cleanable_ratio() > self.log.config().min_cleanable_dirty_ratio)
    }
}

/// Index of the segment that holds `offset`; 0 if `offset` is before the first.
fn floor(segments: &[Arc<LogSegment>], offset: Offset) -> usize {
    segments
        .partition_point(|s| s.base_offset() <= offset)
        .saturating_sub(1)
}

/// The end of the last clean, unless the log has changed in a way that makes it invalid.
fn first_dirty_offset(log: &UnifiedLog, view: &CleaningView, checkpointed: Option<Offset>) -> (Offset, bool) {
    let (start, end) = (view.log_start_offset, view.log_end_offset);
    match checkpointed {
        None => (start, false),
        Some(offset) if (start..=end).contains(&offset) => (offset, false),
        Some(offset) => {
            // In a log with both policies, retention regularly passes the cleaner.
            if offset > end || !log.config().cleanup_policy.delete {
                tracing::warn!(
                    log = %log.topic_partition(), checkpointed = offset, start, end,
                    "the cleaner's checkpoint lies outside the log, cleaning it from its start"
                );
            }
            (start, true)
        }
    }
}

/// The cleaner must not touch the active segment, anything beyond the last stable offset (and so beyond the high
/// watermark), or a segment with a record younger than `min.compaction.lag.ms` (fact 57).
fn first_uncleanable_offset(
    view: &CleaningView,
    dirty: &[Arc<LogSegment>],
    first_dirty_offset: Offset,
    min_compaction_lag_ms: i64,
    now_ms: i64,
) -> io::Result<Offset> {
    let active = view
        .segments
        .last()
        .map_or(first_dirty_offset, |s| s.base_offset());
    let mut bound = active.min(view.last_stable_offset);
    if min_compaction_lag_ms > 0 {
        let newest_max = now_ms.saturating_sub(min_compaction_lag_ms);
        for segment in dirty {
            if segment.largest_timestamp()? > newest_max {
                bound = bound.min(segment.base_offset());
                break;
            }
        }
    }
    // A segment is cleaned whole or not at all.
    let segment = view.segments.get(floor(&view.segments, bound));
    let whole = segment.map_or(bound, |s| s.base_offset().min(bound));
    Ok(whole.max(first_dirty_offset))
}

/// How much longer than `max.compaction.lag.ms` the oldest dirty record has waited.
fn compaction_delay(dirty: &[Arc<LogSegment>], max_compaction_lag_ms: i64, now_ms: i64) -> io::Result<i64> {
    if max_compaction_lag_ms == i64::MAX {
        return Ok(0);
    }
    let clean_until = now_ms.saturating_sub(max_compaction_lag_ms.max(0));
    let mut delay = 0;
    for segment in dirty {
        let first = segment.first_timestamp()?;
        if first > 0 {
            delay = delay.max(clean_until.saturating_sub(first));
        }
    }
    Ok(delay)
}
