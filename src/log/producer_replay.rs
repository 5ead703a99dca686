//! The state of the producers of a log, made again by reading the log's batches.

use std::io;

use super::producer_log::ProducerLog;
use super::producer_state::ProducerBatch;
use super::segment::LogSegment;
use super::segments::Segments;
use crate::common::ids::Offset;

/// Makes the producers' state that of the log up to `end`: from the newest snapshot, by reading the log from there
/// on, and taking snapshots at the last two segments' bases and at the end, so that the next time is short. They
/// are not fsynced: a torn one is noticed and an older one does as well.
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
        // A clean stop leaves a snapshot unless there never was anything to note: upgraded logs, empty logs.
        for offset in last_two.iter().rev().copied().chain([end]) {
            producers.state.advance_map_end_offset(offset);
            producers.take_snapshot()?;
        }
        return Ok(());
    }
    producers.truncate_and_reload(log_start_offset, end, now_ms)?;
    if producers.state.map_end_offset() < end {
        for segment in segments.from_floor(producers.state.map_end_offset()) {
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

/// Notes the batches of [`from`, `end`). Reads headers; of control batches the marker too.
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
