//! Maintenance of a log: moves its start, deletes old segments, closes, renames and deletes the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{UnifiedLog, Writer};
use crate::common::ids::Offset;
use crate::log::error::LogError;
use crate::log::names::DELETED_SUFFIX;
use crate::log::segment::LogSegment;

impl UnifiedLog {
    /// Moves the start of the log forward, at most to the high watermark (DeleteRecords, retention, a leader's start).
    /// Returns true if it moved. The start is checkpointed later, as in Kafka.
    pub fn maybe_increment_log_start_offset(&self, to: Offset) -> Result<bool, LogError> {
        let mut writer = self.writer.lock();
        self.ensure_open(&writer)?;
        let (changed, epochs_changed) = self.increment_log_start(&mut writer, to)?;
        drop(writer);
        if epochs_changed {
            self.context.dir.check(self.epochs.flush())?;
        }
        Ok(changed)
    }

    /// Returns whether the start moved, and whether the epochs must be flushed because of that.
    fn increment_log_start(&self, writer: &mut Writer, to: Offset) -> Result<(bool, bool), LogError> {
        {
            let mut view = self.view.lock();
            if to > view.high_watermark {
                return Err(LogError::OffsetOutOfRange {
                    offset: to,
                    start: view.log_start_offset,
                    end: view.high_watermark,
                });
            }
            if to <= view.log_start_offset {
                return Ok((false, false));
            }
            view.log_start_offset = to;
        }
        writer.producers.state.on_log_start_offset_incremented(to);
        self.publish_first_unstable_offset(writer);
        Ok((true, self.epochs.truncate_from_start(to)))
    }

    /// Applies the log start offset, `retention.bytes` and `retention.ms`, in Kafka's order. Returns how many segments
    /// it removed. Only the oldest segments that are wholly below the high watermark can be removed. A log that is only
    /// compacted loses only segments below its start. The rule for the log start never removes the active segment,
    /// because only the other two rules roll a new one.
    pub fn delete_old_segments(&self) -> Result<usize, LogError> {
        let config = self.config();
        let start = self.log_start_offset();
        let mut deleted = self.delete_prefix("log start offset", |_, next| {
            next.is_some_and(|next| next <= start)
        })?;
        if !config.cleanup_policy.delete {
            return Ok(deleted);
        }
        let limit = u64::try_from(config.retention_bytes).ok();
        if let Some(mut excess) = limit.and_then(|limit| self.size().checked_sub(limit)) {
            deleted += self.delete_prefix("retention.bytes", |segment, _| {
                let left = excess.checked_sub(segment.size());
                excess = left.unwrap_or(excess);
                left.is_some()
            })?;
        }
        if config.retention_ms >= 0 {
            let oldest = self.context.clock.wall_ms().saturating_sub(config.retention_ms);
            let dir = &self.context.dir;
            deleted += self.delete_prefix("retention.ms", |segment, _| {
                let newest = dir.check(segment.largest_timestamp());
                newest.is_ok_and(|newest| newest < oldest)
            })?;
        }
        Ok(deleted)
    }

    /// Deletes segments from the start while `goes` returns true for a segment and the base offset of the next one.
    fn delete_prefix(
        &self,
        reason: &'static str,
        mut goes: impl FnMut(&Arc<LogSegment>, Option<Offset>) -> bool,
    ) -> Result<usize, LogError> {
        let mut writer = self.writer.lock();
        self.ensure_open(&writer)?;
        let (segments, end, high_watermark) = {
            let view = self.view.lock();
            let segments: Vec<_> = view.segments.iter().cloned().collect();
            (segments, view.end.offset, view.high_watermark)
        };
        let mut count = 0;
        for (i, segment) in segments.iter().enumerate() {
            let next = segments.get(i + 1).map(|s| s.base_offset());
            let is_empty_active = next.is_none() && segment.size() == 0;
            if next.unwrap_or(end) > high_watermark || is_empty_active || !goes(segment, next) {
                break;
            }
            count += 1;
        }
        if count == 0 {
            return Ok(0);
        }
        if count == segments.len() {
            // A log always needs an active segment.
            self.roll_locked(&mut writer, 0)?;
        }
        let gone = &segments[..count];
        let first_kept = {
            let mut view = self.view.lock();
            for segment in gone {
                view.segments.remove(segment.base_offset());
            }
            view.segments.first().map_or(end, |s| s.base_offset())
        };
        tracing::info!(log = %self.partition, segments = count, start = first_kept, reason, "deleting old segments");
        let (_, epochs_changed) = self.increment_log_start(&mut writer, first_kept)?;
        self.remove_segments(&mut writer, gone)?;
        drop(writer);
        if epochs_changed {
            self.context.dir.check(self.epochs.flush())?;
        }
        Ok(count)
    }

    /// Renames the files of segments that are no longer in the list, and removes them after `file.delete.delay.ms`,
    /// because readers may still use them.
    pub(super) fn remove_segments(
        &self,
        writer: &mut Writer,
        segments: &[Arc<LogSegment>],
    ) -> Result<(), LogError> {
        self.remove_segments_but(writer, segments, |_| false)
    }

    /// Does [`Self::remove_segments`], but keeps the snapshots of the base offsets in `keeps`, at which another segment
    /// begins.
    pub(super) fn remove_segments_but(
        &self,
        writer: &mut Writer,
        segments: &[Arc<LogSegment>],
        keeps: impl Fn(Offset) -> bool,
    ) -> Result<(), LogError> {
        let dir = &self.context.dir;
        let mut snapshots: Vec<PathBuf> = Vec::new();
        for segment in segments {
            dir.check(segment.change_suffix(dir.fs(), "", DELETED_SUFFIX))?;
            if !keeps(segment.base_offset()) {
                snapshots.extend(dir.check(writer.producers.mark_deleted(segment.base_offset()))?);
            }
        }
        let delay_ms = self.config.load().file_delete_delay_ms;
        let (dir, segments) = (Arc::clone(dir), segments.to_vec());
        self.context.scheduler.schedule(delay_ms, move || {
            let fs = dir.fs();
            let removed = segments.iter().try_for_each(|segment| segment.delete(fs));
            let removed = removed.and_then(|()| {
                snapshots
                    .iter()
                    .try_for_each(|path| fs.remove_if_exists(path).map(drop))
            });
            if !dir.is_offline() {
                drop(dir.check(removed));
            }
        });
        Ok(())
    }

    /// Drops producers that have been idle for `producer.id.expiration.ms`.
    pub fn remove_expired_producers(&self) {
        let now_ms = self.context.clock.wall_ms();
        self.writer.lock().producers.remove_expired(now_ms);
    }

    /// Releases the files and maps of all segments except the active one; the next read opens them again.
    pub fn release_idle(&self) {
        let segments: Vec<_> = self.view.lock().segments.iter().cloned().collect();
        if let Some((_, inactive)) = segments.split_last() {
            inactive.iter().for_each(|segment| segment.release());
        }
    }

    /// Closes the log: flushes everything, takes a snapshot of the producers at the end of the log, and cuts the
    /// indexes to their content (facts 47 and 48). No append is possible afterwards.
    pub fn close(&self) -> Result<(), LogError> {
        self.flush()?;
        let mut writer = self.writer.lock();
        self.ensure_open(&writer)?;
        let dir = &self.context.dir;
        dir.check(writer.producers.take_snapshot_and_sync())?;
        let active = self.active_segment();
        dir.check(active.on_become_inactive())?;
        // The indexes were cut after the flush.
        dir.check(active.sync(dir.fs()))?;
        dir.check(dir.fs().sync_dir(&writer.path))?;
        writer.closed = true;
        for segment in self.view.lock().segments.iter() {
            segment.release();
        }
        Ok(())
    }

    /// Renames the partition's directory. With `close`, no append is possible afterwards: the log is being deleted.
    /// Readers that hold a range of a file may go on.
    pub fn rename_dir(&self, to: &Path, close: bool) -> Result<(), LogError> {
        let mut writer = self.writer.lock();
        self.ensure_open(&writer)?;
        let dir = &self.context.dir;
        writer.closed = close;
        self.unregister_metrics(&writer.path);
        let segments: Vec<_> = self.view.lock().segments.iter().cloned().collect();
        let mut names: Vec<_> = segments.iter().map(|segment| segment.hold_names()).collect();
        dir.check(self.epochs.move_dir(to, || dir.fs().rename(&writer.path, to)))?;
        names.iter_mut().for_each(|names| names.set_dir(to));
        drop(names);
        writer.path = to.to_owned();
        dir.check(dir.fs().sync_dir(dir.path()))?;
        if !close {
            self.register_metrics(to);
        }
        writer.producers.set_dir(to);
        if close {
            segments.iter().for_each(|segment| segment.release());
        }
        Ok(())
    }

    /// Stops all writes and releases every file without writing: the log dir has failed.
    pub fn abandon(&self) {
        let mut writer = self.writer.lock();
        writer.closed = true;
        self.unregister_metrics(&writer.path);
        drop(writer);
        for segment in self.view.lock().segments.iter() {
            segment.release();
        }
    }

    /// Start offset for `log-start-offset-checkpoint`; `None` unless it is above the first segment's.
    pub fn log_start_offset_to_checkpoint(&self) -> Option<Offset> {
        let view = self.view.lock();
        let first = view.segments.first()?.base_offset();
        (view.log_start_offset > first).then_some(view.log_start_offset)
    }
}
