//! Opening of a partition's directory. After a clean stop the loader looks at names and sizes only; after a crash it
//! reads the data that may not be on disk. Kafka 3.9: `LogLoader`, `LogSegment.recover`.
//!
//! The order of the steps matters (fact 51); each is a function below, in that order:
//!
//! 1. The loader removes leftovers of deletion, cleaning and swapping, or puts them in place
//!    ([`tidy_files`](leftovers::tidy_files)).
//! 2. The loader opens the segments in the order of their names and rebuilds indexes that are missing or impossible. It
//!    splits a segment whose offsets do not fit its indexes, and then starts again from step 1
//!    ([`split`](super::split)).
//! 3. After an unclean stop the loader reads and checks everything from the recovery point on. The log ends at the
//!    first batch that is not whole, and all later segments are removed ([`recovery`](super::recovery)).
//! 4. The loader empties a log that ends before its checkpointed start.
//! 5. The loader makes the epochs and the producers agree with the log.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use super::checkpoint::partition_metadata;
use super::fs::Fs;
use super::leader_epoch_cache::LeaderEpochCache;
use super::names::{
    INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, parse_segment_file, segment_file,
};
use super::producer_log::ProducerLog;
use super::producer_replay::replay_producers;
use super::recovery::{Recovered, recover_segment};
use super::segment::{LogSegment, OFFSET_SPAN_MAX};
use super::segments::Segments;
use super::split::split_overflowed;
use super::unified_log::LoadedLog;
use crate::common::ids::Offset;
use crate::config::LogConfig;

mod leftovers;

use leftovers::tidy_files;

/// The loader's input.
pub struct LoadParameters<'a> {
    /// The partition's directory. Created if it does not exist.
    pub dir: &'a Path,
    /// The file calls to use.
    pub fs: &'a Fs,
    /// The topic's configuration.
    pub config: &'a LogConfig,
    /// Whether the log dir was closed in order.
    pub had_clean_shutdown: bool,
    /// From `recovery-point-offset-checkpoint`; 0 for a log that is newer than that file; `None` if the file cannot be
    /// read.
    pub recovery_point: Option<Offset>,
    /// From `cleaner-offset-checkpoint`, if that file has an entry: an earlier clean has compacted the log up to here.
    pub cleaned_to: Option<Offset>,
    /// From `log-start-offset-checkpoint`, else 0.
    pub log_start_offset: Offset,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: &'a Arc<AtomicI64>,
    /// Wall clock.
    pub now_ms: i64,
    /// How many segments the recovery still has to read. The loader keeps the number up to date.
    pub unflushed_segments: &'a AtomicUsize,
}

struct Loader<'a> {
    parameters: &'a LoadParameters<'a>,
    segments: Segments,
    epochs: LeaderEpochCache,
    /// Recovery has flushed everything below this offset.
    flushed_to: Offset,
}

/// Why loading stopped.
enum Interruption {
    /// Loading failed.
    Failed(io::Error),
    /// A segment has to be split first.
    Overflow(Arc<LogSegment>),
}

impl From<io::Error> for Interruption {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Opens the log in a directory and repairs the damage of a crash.
pub(super) fn load(parameters: &LoadParameters<'_>) -> io::Result<LoadedLog> {
    let (fs, dir) = (parameters.fs, parameters.dir);
    fs.create_dir_all(dir)?;
    loop {
        match load_once(parameters) {
            Ok(log) => return Ok(log),
            Err(Interruption::Failed(error)) => return Err(error),
            Err(Interruption::Overflow(segment)) => split_overflowed(fs, dir, &segment)?,
        }
    }
}

fn load_once(parameters: &LoadParameters<'_>) -> Result<LoadedLog, Interruption> {
    let (fs, dir) = (parameters.fs, parameters.dir);
    let names = tidy_files(fs, dir)?;
    let mut loader = Loader {
        parameters,
        segments: Segments::default(),
        epochs: LeaderEpochCache::load(fs, dir)?,
        flushed_to: 0,
    };
    loader.open_segments(&names)?;
    loader.check_indexes(&names)?;
    if !parameters.had_clean_shutdown {
        loader.recover_unflushed()?;
    }
    let end_if_any = loader.drop_all_if_before_start()?;
    Ok(loader.finish(end_if_any)?)
}

impl Loader<'_> {
    /// Step 2: opens the segments.
    fn open_segments(&mut self, names: &[String]) -> io::Result<()> {
        let LoadParameters {
            dir,
            fs,
            config,
            now_ms,
            ..
        } = *self.parameters;
        let is_log = |offset: Offset| names.binary_search(&format!("{offset:020}{LOG_SUFFIX}")).is_ok();
        for name in names {
            let path = dir.join(name);
            match parse_segment_file(name) {
                Some((offset, INDEX_SUFFIX | TIME_INDEX_SUFFIX | TXN_INDEX_SUFFIX)) if !is_log(offset) => {
                    tracing::warn!(path = %path.display(), "removing an index without a log");
                    fs.remove_if_exists(&path)?;
                }
                Some((base_offset, LOG_SUFFIX)) => {
                    let size = fs.length(&path)?.unwrap_or(0);
                    let segment = LogSegment::open(fs, dir, base_offset, size, config, now_ms)?;
                    self.segments.insert(Arc::new(segment));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Rebuilds indexes that are missing or cannot be right, unless step 3 rebuilds them anyway. Like Kafka this checks
    /// only lengths and the transaction index: reading every index would make a clean start slow.
    fn check_indexes(&self, names: &[String]) -> Result<(), Interruption> {
        let unflushed_from = match self.parameters.had_clean_shutdown {
            true => None,
            false => self.segments.floor(self.parameters.recovery_point.unwrap_or(0)),
        };
        let unflushed_from = unflushed_from.map(|s| s.base_offset());
        for segment in self.segments.iter() {
            let base_offset = segment.base_offset();
            if !self.parameters.had_clean_shutdown && unflushed_from.is_none_or(|from| base_offset >= from) {
                break;
            }
            let is_there = |suffix: &&str| names.binary_search(&format!("{base_offset:020}{suffix}")).is_ok();
            let missing = [INDEX_SUFFIX, TIME_INDEX_SUFFIX]
                .into_iter()
                .find(|s| !is_there(s));
            // A Kafka broker that rolled the first unflushed segment may not have flushed the indexes that it cut off
            // here.
            let next = self.segments.higher(base_offset).map(|s| s.base_offset());
            let sanity = match next.is_some() && next == unflushed_from {
                true => segment
                    .check_sanity_thoroughly()
                    .and_then(|()| segment.read_next_offset().map(drop)),
                false => segment.check_sanity(),
            };
            let problem = match (sanity, missing) {
                (Ok(()), None) => continue,
                (Ok(()), Some(suffix)) => format!("there is no {suffix}"),
                (Err(e), _) if e.kind() == io::ErrorKind::InvalidData => e.to_string(),
                (Err(e), _) => return Err(e.into()),
            };
            let dir = self.parameters.dir.display();
            tracing::warn!(%dir, base_offset, %problem, "rebuilding the indexes of a segment");
            self.recover_and_cut(segment)?;
            // The flush is needed here: no later recovery reads this segment again.
            segment.sync(self.parameters.fs)?;
        }
        Ok(())
    }

    /// Reads a whole segment and rebuilds its indexes. Returns how many of its bytes are valid.
    fn recover(&self, segment: &Arc<LogSegment>) -> Result<u64, Interruption> {
        let LoadParameters {
            dir,
            fs,
            config,
            log_start_offset,
            producer_id_expiration_ms,
            now_ms,
            ..
        } = *self.parameters;
        let mut producers = ProducerLog::open(fs, dir, log_start_offset, producer_id_expiration_ms)?;
        replay_producers(
            &mut producers,
            &self.segments,
            log_start_offset,
            segment.base_offset(),
            false,
            now_ms,
        )?;
        let base_offset = segment.base_offset();
        let next = self.segments.higher(base_offset);
        let next_base = next.map_or(Offset::MAX, |s| s.base_offset());
        // Only the cleaner leaves offsets so far apart. In a log without compaction such an offset cannot be right.
        let end = match config.cleanup_policy.compact {
            true => next_base,
            false => next_base.min(base_offset.saturating_add(OFFSET_SPAN_MAX + 1)),
        };
        let valid = match recover_segment(segment, end, &mut producers.state, &self.epochs)? {
            Recovered::Valid(valid) => valid,
            Recovered::Overflow => return Err(Interruption::Overflow(Arc::clone(segment))),
        };
        // The next segment's recovery starts from here instead of reading this one again.
        producers.take_snapshot()?;
        Ok(valid)
    }

    /// Does [`Self::recover`] and cuts the invalid end off.
    fn recover_and_cut(&self, segment: &Arc<LogSegment>) -> Result<(), Interruption> {
        let valid = self.recover(segment)?;
        self.cut(segment, valid).map_err(Interruption::Failed)
    }

    /// Cuts a segment behind its last valid byte and flushes that. Without the flush the removed bytes could come back
    /// after a loss of power, behind data that was written later.
    fn cut(&self, segment: &LogSegment, valid: u64) -> io::Result<()> {
        if valid < segment.size() {
            segment.truncate_records(valid)?;
            segment.records().sync()?;
        }
        Ok(())
    }

    /// Step 3: recovers the unflushed segments.
    fn recover_unflushed(&mut self) -> Result<(), Interruption> {
        let recovery_point = self.parameters.recovery_point.unwrap_or(0);
        let unflushed = self.segments.tail_from(recovery_point);
        let left = self.parameters.unflushed_segments;
        left.store(unflushed.len(), Ordering::Relaxed);
        for (i, segment) in unflushed.iter().enumerate() {
            let valid = self.recover(segment)?;
            left.fetch_sub(1, Ordering::Relaxed);
            let later = &unflushed[i + 1..];
            if valid == segment.size() {
                let Some(next) = later.first() else { break };
                if segment.read_next_offset()? == next.base_offset() {
                    continue;
                }
                if self.may_be_gap_before(next.base_offset()) {
                    self.flushed_to = next.base_offset();
                    continue;
                }
            }
            left.store(0, Ordering::Relaxed);
            tracing::warn!(
                dir = %self.parameters.dir.display(),
                base_offset = segment.base_offset(),
                byte = valid,
                later = later.len(),
                "the log ends in this segment, cutting its end and deleting all later segments"
            );
            // The loop removes the last segment first and cuts this one at the end. A crash in between then leaves a
            // log that still ends here, not a log with a hole.
            for segment in later.iter().rev() {
                self.segments.remove(segment.base_offset());
                self.delete_segment(segment)?;
            }
            if !later.is_empty() {
                self.parameters.fs.sync_dir(self.parameters.dir)?;
            }
            self.cut(segment, valid)?;
            break;
        }
        // Even if loading fails later, a missing range that was accepted as a gap must not count as a hole at the next
        // start.
        let before_gap = |segment: &&Arc<LogSegment>| segment.base_offset() < self.flushed_to;
        for segment in unflushed.iter().filter(before_gap) {
            segment.sync(self.parameters.fs)?;
        }
        if self.flushed_to > 0 {
            self.parameters.fs.sync_dir(self.parameters.dir)?;
        }
        Ok(())
    }

    /// Whether the offsets that are missing between a recovered segment and the next one, which begins at `next`, may
    /// have been removed rather than lost. A loss of power may have taken the end of one file, down to the start of a
    /// batch, and left the file that was written after it. Kafka accepts such a log; a replica with this hole could be
    /// elected leader.
    ///
    /// A gap between segments comes from the cleaner: rolling leaves no gap ([`UnifiedLog`](super::UnifiedLog),
    /// "roll"). If the flushed offset is unknown, the gap may be of any age. Kafka's followers roll at the first offset
    /// that they receive, which leaves a gap where their leader's cleaner has removed records. If Kafka crashed shortly
    /// after such a roll, this loader cuts the log at the gap and the follower fetches the rest again.
    fn may_be_gap_before(&self, next: Offset) -> bool {
        let LoadParameters {
            config,
            recovery_point,
            cleaned_to,
            ..
        } = *self.parameters;
        let was_cleaned = cleaned_to.is_some_and(|cleaned_to| next <= cleaned_to);
        config.cleanup_policy.compact || was_cleaned || recovery_point.is_none()
    }

    fn delete_segment(&self, segment: &LogSegment) -> io::Result<()> {
        segment.delete(self.parameters.fs)?;
        let snapshot = segment_file(
            self.parameters.dir,
            segment.base_offset(),
            super::names::SNAPSHOT_SUFFIX,
        );
        self.parameters.fs.remove_if_exists(&snapshot).map(drop)
    }

    /// Step 4. Returns the end of the log; `None` if the log is empty now.
    fn drop_all_if_before_start(&mut self) -> Result<Option<Offset>, Interruption> {
        let Some(last) = self.segments.last() else {
            return Ok(None);
        };
        let end = match last.read_next_offset() {
            // The clean-shutdown marker was wrong.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(%error, "recovering the last segment");
                self.recover_and_cut(last)?;
                last.read_next_offset()?
            }
            end => end?,
        };
        let start = self.parameters.log_start_offset;
        if end >= start {
            return Ok(Some(end));
        }
        tracing::warn!(
            dir = %self.parameters.dir.display(),
            end,
            start,
            "deleting all segments, as the log ends before its checkpointed start"
        );
        for segment in self.segments.drain().iter().rev() {
            self.delete_segment(segment)?;
        }
        self.epochs.clear();
        self.epochs.flush()?;
        Ok(None)
    }

    /// Step 5: sets epochs and producers.
    fn finish(mut self, end_if_any: Option<Offset>) -> io::Result<LoadedLog> {
        let LoadParameters {
            dir,
            fs,
            config,
            had_clean_shutdown,
            recovery_point,
            log_start_offset,
            producer_id_expiration_ms,
            now_ms,
            cleaned_to: _,
            unflushed_segments: _,
        } = *self.parameters;
        if self.segments.is_empty() {
            let segment = LogSegment::create(fs, dir, log_start_offset, config, now_ms)?;
            self.segments.insert(Arc::new(segment));
        }
        let end = end_if_any.unwrap_or(log_start_offset);
        // After a crash, recovery cannot prove that more is on disk than before: it may have read from the page cache.
        let recovery_point = match (had_clean_shutdown, end_if_any) {
            (true, Some(end)) => end,
            _ => recovery_point.unwrap_or(0).max(self.flushed_to).min(end),
        };
        let first = self.segments.first().map_or(0, |s| s.base_offset());
        let start = log_start_offset.max(first);
        let epochs_changed = self.epochs.truncate_from_end(end) | self.epochs.truncate_from_start(start);
        let mut producers = ProducerLog::open(fs, dir, start, producer_id_expiration_ms)?;
        let bases: BTreeSet<Offset> = self.segments.iter().map(|s| s.base_offset()).collect();
        producers.remove_stray(&bases)?;
        replay_producers(
            &mut producers,
            &self.segments,
            start,
            end,
            had_clean_shutdown,
            now_ms,
        )?;
        let active = self.segments.last().expect("made above if there was none");
        active.release_indexes();
        let end = active.end_metadata(end);
        let topic_id = partition_metadata::read(fs, &dir.join(partition_metadata::FILE_NAME))?;
        Ok(LoadedLog {
            path: PathBuf::from(dir),
            segments: self.segments,
            epochs: self.epochs,
            epochs_changed,
            producers,
            topic_id,
            log_start_offset: start,
            recovery_point,
            end,
        })
    }
}

#[cfg(test)]
mod tests;
