//! Rolls new segments and flushes old ones.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::MutexGuard;

use super::{UnifiedLog, Writer, roll_jitter};
use crate::common::ids::Offset;
use crate::config::LogConfig;
use crate::log::error::LogError;
use crate::log::segment::{LogSegment, OFFSET_SPAN_MAX, RollParameters, SegmentAppend};

/// After how long a segment is rolled. A compacted log must roll soon enough for `max.compaction.lag.ms`, because the
/// cleaner never cleans the active segment.
fn roll_ms(config: &LogConfig) -> i64 {
    match config.cleanup_policy.compact {
        true => config.segment_ms.min(config.max_compaction_lag_ms),
        false => config.segment_ms,
    }
}

impl UnifiedLog {
    /// The segment for an append: the active one, or a new one if that is full, too old, or too far from the offsets.
    pub(super) fn maybe_roll(
        &self,
        writer: &mut Writer,
        append: &SegmentAppend<'_>,
        now_ms: i64,
    ) -> Result<Arc<LogSegment>, LogError> {
        let active = self.active_segment();
        let config = self.config.load();
        let roll = RollParameters {
            now_ms,
            segment_ms: roll_ms(&config).saturating_sub(writer.roll_jitter_ms),
            segment_bytes: config.segment_bytes.max(0) as u64,
            max_timestamp: append.max_timestamp,
            last_offset: append.last_offset,
            size: (append.head.len() + append.tail.len()) as u64,
        };
        match self.context.dir.check(active.should_roll(&roll))? {
            false => Ok(active),
            true => self.roll_locked(writer, append.last_offset - OFFSET_SPAN_MAX),
        }
    }

    /// The last segment; an open log always has one.
    pub(super) fn active_segment(&self) -> Arc<LogSegment> {
        let view = self.view.lock();
        Arc::clone(view.segments.last().expect("an open log has an active segment"))
    }

    /// Base offset of the active segment: nothing from there on was ever cleaned.
    pub fn active_segment_base_offset(&self) -> Offset {
        self.active_segment().base_offset()
    }

    /// Begins a new segment at the end of the log, if the active one has records.
    pub fn roll(&self) -> Result<(), LogError> {
        let mut writer = self.writer.lock();
        self.ensure_open(&writer)?;
        self.roll_locked(&mut writer, 0).map(drop)
    }

    /// Begins a new segment where the records of the active one end. The old one is flushed in the background, with the
    /// snapshot of the producers that belongs to the new one; only then does the recovery point move (fact 50).
    ///
    /// A follower may be about to append a higher offset, because its leader's log was cleaned. Kafka rolls at the
    /// first offset that it will append. Here the gap is placed within the new segment, so that after a crash offsets
    /// that are missing between two segments are known to be lost. The roll leaves a gap between the segments only if
    /// the indexes cannot span it; `at_least` is the near end of such a gap.
    pub(super) fn roll_locked(
        &self,
        writer: &mut Writer,
        at_least: Offset,
    ) -> Result<Arc<LogSegment>, LogError> {
        let active = self.active_segment();
        let end = self.log_end_offset();
        let base_offset = self.end_of_records(&active, end)?.max(at_least);
        if active.size() == 0 && active.base_offset() == base_offset {
            return Ok(active);
        }
        assert!(
            active.base_offset() < base_offset,
            "segments begin at ever higher offsets"
        );
        let dir = &self.context.dir;
        let config = self.config.load();
        let now_ms = self.context.clock.wall_ms();
        dir.check(active.on_become_inactive())?;
        if base_offset <= self.recovery_point() {
            // All records of the segment are on disk, so no recovery would check the later changes of its indexes.
            dir.check(active.sync(dir.fs()))?;
        }
        writer.producers.state.advance_map_end_offset(base_offset);
        let snapshot = dir.check(writer.producers.take_snapshot())?;
        let created = LogSegment::create(dir.fs(), &writer.path, base_offset, &config, now_ms);
        let segment = Arc::new(dir.check(created)?);
        writer.roll_jitter_ms = roll_jitter::random(&config);
        {
            let mut view = self.view.lock();
            view.segments.insert(Arc::clone(&segment));
            view.end = segment.end_metadata(end);
            // A high watermark at the end of the log has a new position.
            let high_watermark = view.high_watermark;
            view.set_high_watermark(high_watermark);
        }
        tracing::info!(log = %self.partition, base_offset, "rolled new segment");
        let me = self.me.clone();
        self.context.scheduler.schedule(0, move || {
            if let Some(log) = me.upgrade() {
                log.flush_after_roll(base_offset, snapshot.as_deref());
            }
        });
        Ok(segment)
    }

    /// Where the records of the active segment end. That is below the end of the log if the log was truncated to an
    /// offset in a gap.
    fn end_of_records(&self, active: &LogSegment, end: Offset) -> Result<Offset, LogError> {
        match active.read_next_offset() {
            // The records are corrupt. Readers get an error; the roll goes on.
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(end),
            next => self.context.dir.check(next),
        }
    }

    fn flush_after_roll(&self, base_offset: Offset, snapshot: Option<&std::path::Path>) {
        if let Some(path) = snapshot {
            let fs = self.context.dir.fs();
            let synced = fs.open_existing(path).and_then(|file| fs.sync(&file, path));
            match synced {
                // The snapshot was deleted or moved in the meantime: recovery no longer needs it.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                result => drop(self.context.dir.check(result)),
            }
        }
        // The error was logged, and took the dir offline, where it arose.
        drop(self.flush_to(base_offset));
    }

    /// Flushes everything, including the active segment.
    pub fn flush(&self) -> Result<(), LogError> {
        self.flush_to(self.log_end_offset())
    }

    /// Flushes everything below `offset` and moves the recovery point there. Holds no lock while the disk works.
    pub fn flush_to(&self, offset: Offset) -> Result<(), LogError> {
        let dir = &self.context.dir;
        dir.ensure_online()?;
        let (segments, truncations) = {
            let view = self.view.lock();
            if offset <= view.recovery_point {
                return Ok(());
            }
            let mut segments = view.segments.tail_from(view.recovery_point);
            segments.retain(|s| s.base_offset() < offset);
            (segments, view.truncations)
        };
        segments
            .iter()
            .try_for_each(|segment| self.sync_segment(segment))?;
        let Ok(path) = self.open_path() else {
            return Ok(());
        };
        match dir.fs().sync_dir(&path) {
            // The file was renamed in the meantime: deleted, or moved from another dir. Under the lock it keeps its
            // place.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let writer = self.writer.lock();
                if writer.closed {
                    return Ok(());
                }
                dir.check(dir.fs().sync_dir(&writer.path))?;
            }
            result => dir.check(result)?,
        }
        let mut view = self.view.lock();
        if view.truncations == truncations {
            view.recovery_point = view.recovery_point.max(offset);
            view.last_flushed_ms = self.context.clock.wall_ms();
        }
        Ok(())
    }

    fn sync_segment(&self, segment: &Arc<LogSegment>) -> Result<(), LogError> {
        let (dir, clock) = (&self.context.dir, &self.context.clock);
        dir.ensure_online()?;
        let begun_ms = clock.monotonic_ms();
        let synced = segment.sync(dir.fs());
        let took_ms = clock.monotonic_ms().saturating_sub(begun_ms);
        let took = Duration::from_millis(took_ms.max(0) as u64);
        self.context.metrics.flush.update(took);
        match synced {
            // The file was deleted in the meantime, by retention, by a truncation, or with the whole log.
            Err(e) if e.kind() == io::ErrorKind::NotFound && !self.has_segment(segment) => Ok(()),
            result => dir.check(result),
        }
    }

    fn has_segment(&self, segment: &Arc<LogSegment>) -> bool {
        if self.writer.lock().closed {
            return false;
        }
        let view = self.view.lock();
        let current = view.segments.get(segment.base_offset());
        current.is_some_and(|s| Arc::ptr_eq(s, segment))
    }

    /// `flush.messages`: flushes, without the log's lock, when so many records are not on disk yet.
    pub(super) fn flush_if_due(
        &self,
        writer: MutexGuard<'_, Writer>,
        flush_messages: i64,
    ) -> Result<(), LogError> {
        drop(writer);
        if flush_messages == i64::MAX {
            return Ok(());
        }
        let (end, recovery_point) = {
            let view = self.view.lock();
            (view.end.offset, view.recovery_point)
        };
        match end - recovery_point >= flush_messages {
            true => self.flush_to(end),
            false => Ok(()),
        }
    }

    /// `flush.ms`: flushes if the last flush is that old. The log manager calls this periodically.
    pub fn flush_if_old(&self) -> Result<(), LogError> {
        let flush_ms = self.config.load().flush_ms;
        let now_ms = self.context.clock.wall_ms();
        let last = self.view.lock().last_flushed_ms;
        match now_ms.saturating_sub(last) >= flush_ms {
            true => self.flush(),
            false => Ok(()),
        }
    }
}
