//! Reads of a log.

use std::sync::Arc;

use super::UnifiedLog;
use super::results::FetchIsolation;
use crate::common::ids::{Offset, ProducerId};
use crate::log::error::LogError;
use crate::log::fetch_data::FetchDataInfo;
use crate::log::index::OffsetPosition;
use crate::log::offset_metadata::LogOffsetMetadata;
use crate::log::segment::LogSegment;

impl UnifiedLog {
    /// Reads up to `max_bytes` from the batch with `offset` on; at least one whole batch if `min_one_message`. Between
    /// the limit of `isolation` and the end of the log the result is empty; beyond the end it is an error.
    pub fn read(
        &self,
        offset: Offset,
        max_bytes: usize,
        isolation: FetchIsolation,
        min_one_message: bool,
    ) -> Result<FetchDataInfo, LogError> {
        let committed_only = isolation == FetchIsolation::TxnCommitted;
        self.context.dir.ensure_online()?;
        let (start, end, segment) = {
            let view = self.view.lock();
            let segment = view.segments.floor(offset).cloned();
            (view.log_start_offset, view.end, segment)
        };
        if offset > end.offset || offset < start {
            return Err(LogError::OffsetOutOfRange {
                offset,
                start,
                end: end.offset,
            });
        }
        let bound = match isolation {
            FetchIsolation::LogEnd => end,
            FetchIsolation::HighWatermark => self.high_watermark_metadata()?,
            FetchIsolation::TxnCommitted => self.last_stable_offset_metadata()?,
        };
        if offset >= bound.offset {
            let at = match offset == bound.offset {
                true => bound,
                false => self.locate(offset)?,
            };
            return Ok(FetchDataInfo::empty(at, committed_only));
        }
        let mut segment = segment;
        while let Some(current) = segment {
            if current.base_offset() > bound.segment_base_offset {
                break;
            }
            let position_max = match current.base_offset() == bound.segment_base_offset {
                true => bound.position,
                false => current.size(),
            };
            let read = current.read(offset, max_bytes, position_max, min_one_message);
            if let Some(mut data) = self.context.dir.check_read(read)? {
                if committed_only {
                    data.aborted_transactions = Some(self.aborted_transactions(offset, &current, &data)?);
                }
                return Ok(data);
            }
            // The cleaner may have removed the end of this segment; the next segment then has the next record.
            segment = self.view.lock().segments.higher(current.base_offset()).cloned();
        }
        Ok(FetchDataInfo::empty(
            LogOffsetMetadata { offset, ..bound },
            committed_only,
        ))
    }

    /// The aborted transactions with records in the range that was read.
    fn aborted_transactions(
        &self,
        offset: Offset,
        segment: &Arc<LogSegment>,
        read: &FetchDataInfo,
    ) -> Result<Vec<(ProducerId, Offset)>, LogError> {
        let size = read.records.as_ref().map_or(0, |slice| slice.length as u64);
        let start = OffsetPosition {
            offset,
            position: read.fetch_offset.position,
        };
        let check = |result| self.context.dir.check_read(result);
        let upper_bound = match self
            .context
            .dir
            .check_read(segment.upper_bound_offset(start, size))?
        {
            Some(offset) => offset,
            None => {
                let view = self.view.lock();
                let next = view.segments.higher(segment.base_offset());
                next.map_or(view.end.offset, |s| s.base_offset())
            }
        };
        let mut found = Vec::new();
        let mut current = Some(Arc::clone(segment));
        while let Some(segment) = current {
            if check(segment.collect_aborted(offset, upper_bound, &mut found))? {
                break;
            }
            current = self.view.lock().segments.higher(segment.base_offset()).cloned();
        }
        Ok(found.iter().map(|t| (t.producer_id, t.first_offset)).collect())
    }
}
