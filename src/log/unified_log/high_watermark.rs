//! The high watermark and the last stable offset of a log: the limits of what consumers may read.

use super::{UnifiedLog, View, Writer};
use crate::common::ids::Offset;
use crate::log::error::LogError;
use crate::log::offset_metadata::LogOffsetMetadata;

impl View {
    /// Sets the high watermark. Its position is known at once if it is the end of the log.
    pub(super) fn set_high_watermark(&mut self, to: Offset) {
        self.high_watermark = to;
        self.high_watermark_metadata = (to == self.end.offset).then_some(self.end);
    }

    /// The last stable offset, which is never beyond the high watermark.
    pub(super) fn last_stable_offset(&self) -> Offset {
        match self.first_unstable_offset {
            Some(offset) => offset.min(self.high_watermark),
            None => self.high_watermark,
        }
    }
}

impl UnifiedLog {
    /// The offset up to which every in-sync replica has the log.
    pub fn high_watermark(&self) -> Offset {
        self.view.lock().high_watermark
    }

    /// The offset below which no transaction is open: the limit for `read_committed` consumers.
    pub fn last_stable_offset(&self) -> Offset {
        self.view.lock().last_stable_offset()
    }

    /// The last stable offset with its position.
    pub fn last_stable_offset_metadata(&self) -> Result<LogOffsetMetadata, LogError> {
        let (last_stable, truncations) = {
            let view = self.view.lock();
            let last_stable = view.last_stable_offset();
            if let Some((metadata, truncations)) = view.last_stable_metadata
                && metadata.offset == last_stable
                && truncations == view.truncations
            {
                return Ok(metadata);
            }
            (
                (last_stable < view.high_watermark).then_some(last_stable),
                view.truncations,
            )
        };
        let Some(last_stable) = last_stable else {
            return self.high_watermark_metadata();
        };
        let metadata = self.locate(last_stable)?;
        self.view.lock().last_stable_metadata = Some((metadata, truncations));
        Ok(metadata)
    }

    /// Raises the high watermark, at most to the end of the log. Returns true if it moved.
    pub fn maybe_increment_high_watermark(&self, to: Offset) -> bool {
        let mut view = self.view.lock();
        let to = to.min(view.end.offset);
        if to <= view.high_watermark {
            return false;
        }
        view.set_high_watermark(to);
        self.after_high_watermark_moved(view);
        true
    }

    /// The rule of a follower: takes the leader's high watermark, limited to this log. Returns the new value.
    pub fn update_high_watermark(&self, to: Offset) -> Offset {
        let mut view = self.view.lock();
        let to = to.clamp(view.log_start_offset, view.end.offset);
        if to != view.high_watermark {
            view.set_high_watermark(to);
            self.after_high_watermark_moved(view);
        }
        to
    }

    /// Releases the last stable offset from transactions that ended below the high watermark. Logs without
    /// transactions, which are nearly all, do not need the log's lock for that.
    fn after_high_watermark_moved(&self, view: parking_lot::MutexGuard<'_, View>) {
        if view.first_unstable_offset.is_none() {
            return;
        }
        drop(view);
        let mut writer = self.writer.lock();
        let high_watermark = self.view.lock().high_watermark;
        writer.producers.state.on_high_watermark_updated(high_watermark);
        self.publish_first_unstable_offset(&writer);
    }

    /// Publishes the first unstable offset to readers.
    pub(super) fn publish_first_unstable_offset(&self, writer: &Writer) {
        let mut view = self.view.lock();
        let start = view.log_start_offset;
        view.first_unstable_offset = writer
            .producers
            .state
            .first_unstable_offset()
            .map(|offset| offset.max(start));
    }

    /// The high watermark with its position, which is looked up once.
    pub fn high_watermark_metadata(&self) -> Result<LogOffsetMetadata, LogError> {
        let high_watermark = {
            let view = self.view.lock();
            if let Some(metadata) = view.high_watermark_metadata {
                return Ok(metadata);
            }
            view.high_watermark
        };
        let metadata = self.locate(high_watermark)?;
        let mut view = self.view.lock();
        if view.high_watermark == high_watermark && view.segments.get(metadata.segment_base_offset).is_some()
        {
            view.high_watermark_metadata = Some(metadata);
        }
        Ok(metadata)
    }

    /// The position of the batch with `offset`, or of the next one after it.
    pub(super) fn locate(&self, offset: Offset) -> Result<LogOffsetMetadata, LogError> {
        let (mut segment, end) = {
            let view = self.view.lock();
            (view.segments.floor(offset).cloned(), view.end)
        };
        while let Some(current) = segment {
            if offset >= end.offset {
                break;
            }
            if let Some((position, _)) = self.context.dir.check_read(current.translate_offset(offset))? {
                return Ok(LogOffsetMetadata {
                    offset,
                    segment_base_offset: current.base_offset(),
                    position,
                });
            }
            segment = self.view.lock().segments.higher(current.base_offset()).cloned();
        }
        Ok(LogOffsetMetadata { offset, ..end })
    }
}
