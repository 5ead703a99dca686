//! What the log cleaner asks of a log and does to it: one consistent look, and the swap of cleaned segments for
//! those they were made of. Kafka 3.9: `UnifiedLog.replaceSegments`, `lastRecordsOfActiveProducers`.
//!
//! The cleaner reads old segments and writes new ones without any lock. A log that is cut meanwhile need not wait
//! for it: the swap looks under the log's lock whether everything still is as it was, and is not done if not.

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
    /// One consistent look at what may be cleaned.
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

    /// Whether work that began with a view of so many truncations is in vain: the log was cut since, or its dir
    /// went offline.
    pub(in crate::log) fn is_outdated(&self, truncations: u64) -> bool {
        self.context.dir.is_offline() || self.view.lock().truncations != truncations
    }

    /// The partition's directory, and an error if nothing may be written to it any more.
    pub(in crate::log) fn open_path(&self) -> Result<PathBuf, LogError> {
        let writer = self.writer.lock();
        self.ensure_open(&writer)?;
        Ok(writer.path.clone())
    }

    /// The dir, for its file calls and its errors.
    pub(in crate::log) fn dir(&self) -> &Arc<LogDir> {
        &self.context.dir
    }

    /// What each producer wrote last.
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

    /// The aborted transactions with records in [`from`, `to`), of which every marker must have been written.
    pub(in crate::log) fn aborted_between(&self, from: Offset, to: Offset) -> io::Result<Vec<AbortedTxn>> {
        let segments = self.view.lock().segments.from_floor(from);
        let mut found = Vec::new();
        for segment in segments {
            if segment.collect_aborted(from, to, &mut found)? {
                break;
            }
        }
        Ok(found)
    }

    /// Puts cleaned segments, ascending, in the place of those they were made of. They are on disk under names with
    /// `.cleaned`. A crash at any point leaves either all the old ones or all the new ones to the loader (fact 51):
    ///
    /// 1. the new files are renamed to `.swap`, last segment first: with one `.cleaned` left, none of them counts;
    /// 2. the old files are renamed to `.deleted`: a `.swap` without `.cleaned` stands for its range of offsets;
    /// 3. the new files get their names.
    ///
    /// An error in steps 2 and 3 takes the dir offline, as nobody knows what a reader would find.
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
            // Deleted in the meantime.
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.open_path().is_err() => {}
            result => dir.check(result)?,
        }
        Ok(Replacement::Done)
    }
}
