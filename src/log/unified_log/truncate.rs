//! Truncation of a log: a follower drops the records that its leader does not have.

use std::sync::Arc;

use super::{UnifiedLog, Writer};
use crate::common::ids::Offset;
use crate::log::error::LogError;
use crate::log::producer_replay::replay_producers;
use crate::log::segment::LogSegment;

impl UnifiedLog {
    /// Truncates the log so that `offset` is the next one. Returns true if records were cut. Cuts the epochs even if
    /// there are no records to cut (fact 32).
    pub fn truncate_to(&self, offset: Offset) -> Result<bool, LogError> {
        let mut writer = self.writer.lock();
        self.ensure_open(&writer)?;
        let (end, first) = {
            let view = self.view.lock();
            (
                view.end.offset,
                view.segments.first().map_or(0, |s| s.base_offset()),
            )
        };
        if offset >= end {
            let changed = self.epochs.truncate_from_end(offset);
            drop(writer);
            if changed {
                self.context.dir.check(self.epochs.flush())?;
            }
            return Ok(false);
        }
        tracing::info!(log = %self.partition, offset, end, "truncating log");
        let recovery_point = self.recovery_point();
        let active = self.active_segment().base_offset();
        match offset < first {
            true => self.start_empty_at(&mut writer, offset)?,
            false => self.cut(&mut writer, offset)?,
        }
        drop(writer);
        if offset < recovery_point || offset < active {
            (self.context.on_truncated)(self);
        }
        Ok(true)
    }

    /// Drops everything. The log goes on at `offset`, which becomes its start and its high watermark (fact 56).
    pub fn truncate_fully_and_start_at(&self, offset: Offset) -> Result<(), LogError> {
        let mut writer = self.writer.lock();
        self.ensure_open(&writer)?;
        tracing::info!(log = %self.partition, offset, "truncating log fully");
        self.start_empty_at(&mut writer, offset)?;
        drop(writer);
        (self.context.on_truncated)(self);
        Ok(())
    }

    /// Truncates within the log. Readers see the new end before the bytes are removed.
    fn cut(&self, writer: &mut Writer, offset: Offset) -> Result<(), LogError> {
        let dir = &self.context.dir;
        let (mut removed, active) = {
            let mut view = self.view.lock();
            let mut removed = view.segments.tail_from(offset);
            removed.retain(|s| s.base_offset() > offset);
            for segment in &removed {
                view.segments.remove(segment.base_offset());
            }
            let active = view
                .segments
                .last()
                .expect("offset is not below the first segment");
            let active = Arc::clone(active);
            view.truncations += 1;
            view.recovery_point = view.recovery_point.min(offset);
            (removed, active)
        };
        let start_offset = self.log_start_offset().min(offset);
        // In reverse order, so that a crash in between leaves no hole.
        removed.reverse();
        self.remove_segments(writer, &removed)?;
        if !removed.is_empty() {
            dir.check(dir.fs().sync_dir(&writer.path))?;
        }
        dir.check(active.truncate_to(offset))?;
        // Without this flush a power loss could bring back the removed records, under the epoch of the records that
        // replace them.
        dir.check(active.records().sync())?;
        {
            let mut view = self.view.lock();
            view.end = active.end_metadata(offset);
            view.log_start_offset = start_offset;
            let high_watermark = view.high_watermark.clamp(start_offset, offset);
            view.set_high_watermark(high_watermark);
        }
        if self.epochs.truncate_from_end(offset) {
            dir.check(self.epochs.flush())?;
        }
        let segments = self.view.lock().segments.clone();
        let now_ms = self.context.clock.wall_ms();
        let replayed = replay_producers(
            &mut writer.producers,
            &segments,
            start_offset,
            offset,
            false,
            now_ms,
        );
        dir.check(replayed)?;
        self.publish_first_unstable_offset(writer);
        Ok(())
    }

    /// Empties the log; it starts and continues at `offset`.
    pub(super) fn start_empty_at(&self, writer: &mut Writer, offset: Offset) -> Result<(), LogError> {
        let dir = &self.context.dir;
        let config = self.config.load();
        let removed: Vec<_> = self.view.lock().segments.iter().rev().cloned().collect();
        // The new segment may have the same name as an old one, whose files must be renamed before.
        self.remove_segments(writer, &removed)?;
        let now_ms = self.context.clock.wall_ms();
        let created = LogSegment::create(dir.fs(), &writer.path, offset, &config, now_ms);
        let segment = Arc::new(dir.check(created)?);
        {
            let mut view = self.view.lock();
            view.segments.drain();
            view.end = segment.end_metadata(offset);
            view.segments.insert(segment);
            view.truncations += 1;
            view.recovery_point = view.recovery_point.min(offset);
            view.log_start_offset = offset;
            view.set_high_watermark(offset);
            view.first_unstable_offset = None;
        }
        self.epochs.clear();
        dir.check(self.epochs.flush())?;
        dir.check(writer.producers.truncate_fully_and_start_at(offset))
    }
}
