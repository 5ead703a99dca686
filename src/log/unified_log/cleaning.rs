//! The log's interface for the cleaner: a consistent view, and the swap of cleaned segments for the originals.
//! Kafka 3.9: `UnifiedLog.replaceSegments`, `lastRecordsOfActiveProducers`.
//!
//! The cleaner reads old segments and writes new ones without a lock, so a truncation does not wait for it. Instead the
//! swap checks under the log's lock whether the log is unchanged, and is cancelled if not.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::UnifiedLog;
use super::results::{CleaningView, LastRecord, Replacement};
use crate::common::ids::{Offset, ProducerId};
use crate::log::dir::LogDir;
use crate::log::error::LogError;
use crate::log::index::AbortedTxn;
use crate::log::names::{CLEANED_SUFFIX, SWAP_SUFFIX};
use crate::log::segment::LogSegment;

impl UnifiedLog {
    /// A consistent view of the part that may be cleaned.
    pub(in crate::log) fn cleaning_view(&self) -> CleaningView {
        let view = self.view.lock();
        CleaningView {
            segments: view.segments.iter().cloned().collect(),
            log_start_offset: view.log_start_offset,
            log_end_offset: view.end.offset,
            last_stable_offset: view.last_stable_offset(),
            truncations: view.truncations,
        }
    }

    /// Whether work that began with a view of so many truncations is useless: the log was truncated since, or its dir
    /// went offline.
    pub(in crate::log) fn is_outdated(&self, truncations: u64) -> bool {
        self.context.dir.is_offline() || self.view.lock().truncations != truncations
    }

    /// The partition's directory, or an error if it may not be written any more.
    pub(in crate::log) fn open_path(&self) -> Result<PathBuf, LogError> {
        let writer = self.writer.lock();
        self.ensure_open(&writer)?;
        Ok(writer.path.clone())
    }

    /// The dir, for its file calls and its errors.
    pub(in crate::log) fn dir(&self) -> &Arc<LogDir> {
        &self.context.dir
    }

    /// The last write of each producer.
    pub(in crate::log) fn last_records_of_active_producers(&self) -> HashMap<ProducerId, LastRecord> {
        let writer = self.writer.lock();
        let active = writer.producers.state.active_producers();
        let last_record =
            |(producer_id, entry): (ProducerId, &crate::log::producer_state::ProducerStateEntry)| {
                let last = LastRecord {
                    last_data_offset: entry.last_batch().map(|batch| batch.last_offset),
                    producer_epoch: entry.producer_epoch(),
                };
                (producer_id, last)
            };
        active.map(last_record).collect()
    }

    /// The aborted transactions with records in [`from`, `to`), all of whose markers must have been written.
    pub(in crate::log) fn aborted_between(&self, from: Offset, to: Offset) -> io::Result<Vec<AbortedTxn>> {
        let segments = self.view.lock().segments.tail_from(from);
        let mut found = Vec::new();
        for segment in segments {
            if segment.collect_aborted(from, to, &mut found)? {
                break;
            }
        }
        Ok(found)
    }

    /// Replaces segments by cleaned ones, in ascending order, which are on disk under names with `.cleaned`. After a
    /// crash at any point the loader finds either all old segments or all new ones (fact 51):
    ///
    /// 1. The new files are renamed to `.swap`, the last segment first: while one `.cleaned` file is left, none of them
    ///    counts.
    /// 2. The old files are renamed to `.deleted`: a `.swap` file without `.cleaned` files replaces its range of
    ///    offsets.
    /// 3. The new files get their final names.
    ///
    /// An error in steps 2 and 3 takes the dir offline, because it is unknown which files a reader would find.
    pub(in crate::log) fn replace_segments(
        &self,
        new: Vec<LogSegment>,
        old: &[Arc<LogSegment>],
        truncations: u64,
    ) -> Result<Replacement, LogError> {
        let mut writer = self.writer.lock();
        self.ensure_open(&writer)?;
        let is_current = {
            let view = self.view.lock();
            let is_there = |segment: &Arc<LogSegment>| {
                let current = view.segments.get(segment.base_offset());
                current.is_some_and(|s| Arc::ptr_eq(s, segment))
            };
            view.truncations == truncations && old.iter().all(is_there)
        };
        if !is_current {
            return Ok(Replacement::Outdated(new));
        }
        let dir = &self.context.dir;
        for segment in new.iter().rev() {
            if let Err(error) = segment.change_suffix(dir.fs(), CLEANED_SUFFIX, SWAP_SUFFIX) {
                return Ok(Replacement::Failed(new, error));
            }
        }
        let new: Vec<_> = new.into_iter().map(Arc::new).collect();
        {
            let mut view = self.view.lock();
            for segment in old {
                view.segments.remove(segment.base_offset());
            }
            for segment in &new {
                view.segments.insert(Arc::clone(segment));
            }
        }
        let begins_there = |base_offset| new.iter().any(|s| s.base_offset() == base_offset);
        self.remove_segments_but(&mut writer, old, begins_there)?;
        for segment in &new {
            dir.check(segment.change_suffix(dir.fs(), SWAP_SUFFIX, ""))?;
            segment.release();
        }
        let path = writer.path.clone();
        drop(writer);
        match dir.fs().sync_dir(&path) {
            // The log was deleted in the meantime.
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.open_path().is_err() => {}
            result => dir.check(result)?,
        }
        Ok(Replacement::Done)
    }
}
