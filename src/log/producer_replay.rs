//! The state of the producers of a log, made again by reading the log's batches.

use std::io;

use super::producer_log::ProducerLog;
use super::producer_state::ProducerBatch;
use super::segment::LogSegment;
use super::segments::Segments;
use crate::common::ids::Offset;

/// Brings the producers' state to that of the log at `end`: starts from the newest snapshot and reads the log from
/// there on. Takes snapshots at the base offsets of the last two segments and at the end, so that the next start is
/// short. The snapshots are not fsynced: the loader notices a torn one and uses an older one.
pub(super) fn replay_producers(
    producers: &mut ProducerLog,
    segments: &Segments,
    log_start_offset: Offset,
    end: Offset,
    had_clean_shutdown: bool,
    now_ms: i64,
) -> io::Result<()> {
    let last_two: Vec<_> = segments.iter().rev().take(2).map(|s| s.base_offset()).collect();
    if had_clean_shutdown && producers.has_no_snapshot() {
        // A clean stop always leaves a snapshot, except for upgraded logs and empty logs, which had no producers to
        // record.
        for offset in last_two.iter().rev().copied().chain([end]) {
            producers.state.advance_map_end_offset(offset);
            producers.take_snapshot()?;
        }
        return Ok(());
    }
    producers.truncate_and_reload(log_start_offset, end, now_ms)?;
    if producers.state.map_end_offset() < end {
        for segment in segments.tail_from(producers.state.map_end_offset()) {
            if segment.base_offset() >= end {
                break;
            }
            let from = producers.state.map_end_offset().max(segment.base_offset());
            producers.state.advance_map_end_offset(from);
            if last_two.contains(&segment.base_offset()) {
                producers.take_snapshot()?;
            }
            replay_segment(producers, &segment, from.max(log_start_offset), end)?;
        }
    }
    producers.state.advance_map_end_offset(end);
    producers.take_snapshot().map(drop)
}

/// Records the producers of the batches in [`from`, `end`). Reads only headers, and the marker of control batches.
fn replay_segment(
    producers: &mut ProducerLog,
    segment: &LogSegment,
    from: Offset,
    end: Offset,
) -> io::Result<()> {
    let Some((position, _)) = segment.translate_offset(from)? else {
        return Ok(());
    };
    let mut headers = segment.records().headers(position, segment.size())?;
    while let Some((position, header)) = headers.next_header()? {
        if header.base_offset() >= end {
            break;
        }
        if !header.has_producer_id() {
            continue;
        }
        let batch = match header.is_control_batch() {
            false => ProducerBatch::read(&header, &[]),
            true => {
                let batch_end = position + header.size_in_bytes() as u64;
                let mut batches = segment.records().batches(position, batch_end)?;
                match batches.next_batch()? {
                    Some(batch) => ProducerBatch::read(&batch, batch.records()),
                    None => continue,
                }
            }
        };
        match batch {
            Ok(batch) => drop(producers.state.update(&batch)),
            Err(error) => {
                let path = segment.records().path();
                tracing::warn!(path = %path.display(), position, %error, "skipping an unreadable marker");
            }
        }
    }
    Ok(())
}
