//! Splits a segment whose offsets are further apart than its indexes can store (fact 52). Kafka 3.9:
//! `LocalLog.splitOverflowedSegment`.
//!
//! Cleaners of old Kafka versions made such segments (KAFKA-6264). The split writes the new segments as `.cleaned`
//! files, makes them durable, and renames them to `.swap` from the last to the first. As long as the first is still
//! `.cleaned`, the loader removes all of them; from then on it completes the swap. The loader's crash rules then put
//! the new segments in place and rebuild their indexes.

use std::io;
use std::path::Path;

use super::file_records::FileRecords;
use super::fs::Fs;
use super::names::{CLEANED_SUFFIX, LOG_SUFFIX, SWAP_SUFFIX, segment_file};
use super::segment::{LogSegment, OFFSET_SPAN_MAX};
use crate::common::ids::Offset;

/// Rewrites the segment as several that replace it when the log is loaded again. The first keeps its base offset.
/// Invalid bytes, and everything behind them, stay at the end of the last one, so that recovery sees that the log ends
/// there.
pub(super) fn split_overflowed(fs: &Fs, dir: &Path, segment: &LogSegment) -> io::Result<()> {
    let cleaned = format!("{LOG_SUFFIX}{CLEANED_SUFFIX}");
    let create = |base_offset| FileRecords::create(fs, &segment_file(dir, base_offset, &cleaned), None);
    let mut bases: Vec<Offset> = vec![segment.base_offset()];
    let mut part = create(segment.base_offset())?;
    let mut batches = segment.records().batches(0, segment.size())?;
    let mut copied = 0;
    // Recovery of the new segments meets an error again and handles it.
    while let Ok(Some(batch)) = batches.next_batch() {
        let base_offset = bases.last().copied().unwrap_or_default();
        if batch.last_offset() - base_offset > OFFSET_SPAN_MAX {
            if batch.base_offset() <= base_offset || batch.last_offset() < batch.base_offset() {
                break;
            }
            part.sync()?;
            bases.push(batch.base_offset());
            part = create(batch.base_offset())?;
        }
        part.append(batch.bytes(), &[])?;
        copied += batch.size_in_bytes() as u64;
    }
    let rest = segment
        .records()
        .slice(copied, (segment.size() - copied) as usize)?;
    part.append(&rest.read()?, &[])?;
    part.sync()?;
    let swap = format!("{LOG_SUFFIX}{SWAP_SUFFIX}");
    for &base_offset in bases.iter().rev() {
        let file = |suffix: &str| segment_file(dir, base_offset, suffix);
        fs.rename(&file(&cleaned), &file(&swap))?;
    }
    tracing::info!(dir = %dir.display(), ?bases, "split a segment whose offsets lie too far apart");
    fs.sync_dir(dir)
}
