//! One segment of a log: records, their indexes, and what is remembered of them. Kafka 3.9: `LogSegment`.
//!
//! Lock order: the log's lock, then a segment's. A segment's own lock guards its indexes only and is held for
//! lookups and for adding entries, never while records are copied.

use std::io;
use std::path::Path;

use parking_lot::{Mutex, MutexGuard};

use super::file_records::{FileRecords, FileSlice};
use super::fs::{Fs, corrupt};
use super::index::{AbortedTxn, OffsetIndex, OffsetPosition, TimeIndex, TimestampOffset, TransactionIndex};
use super::names::{
    CLEANED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, segment_file, with_suffix,
};
use super::offset_metadata::LogOffsetMetadata;
use crate::common::ids::Offset;
use crate::config::LogConfig;
use crate::record::BatchHeader;
use crate::record::batch::LEGACY_RECORD_OVERHEAD_V0;

/// Largest distance of an offset from its segment's base: index entries hold it in 31 bits (trap 52).
pub const OFFSET_SPAN_MAX: i64 = i32::MAX as i64;

/// One segment.
pub struct LogSegment {
    base_offset: Offset,
    records: FileRecords,
    index_interval_bytes: u64,
    /// Wall clock when this value was made: the age of a segment whose records have no timestamps.
    created_ms: i64,
    state: Mutex<SegmentState>,
}

/// What the segment's lock guards.
pub(super) struct SegmentState {
    pub(super) offset_index: OffsetIndex,
    pub(super) time_index: TimeIndex,
    pub(super) txn_index: TransactionIndex,
    bytes_since_last_index_entry: u64,
    /// Timestamp of the first batch once known: `segment.ms` counts from it.
    first_timestamp: Option<i64>,
    /// Largest timestamp so far and the last offset of the first batch that has it; `None` until it is read
    /// from the time index.
    max_timestamp: Option<TimestampOffset>,
}

impl SegmentState {
    /// Largest timestamp so far.
    pub(super) fn max_timestamp(&mut self) -> io::Result<TimestampOffset> {
        match self.max_timestamp {
            Some(max) => Ok(max),
            None => {
                let max = self.time_index.last()?;
                self.max_timestamp = Some(max);
                Ok(max)
            }
        }
    }

    /// Keeps the larger timestamp.
    pub(super) fn note_timestamp(&mut self, timestamp: i64, offset: Offset) -> io::Result<()> {
        if timestamp > self.max_timestamp()?.timestamp {
            self.max_timestamp = Some(TimestampOffset { timestamp, offset });
        }
        Ok(())
    }

    /// Remembers the timestamp of the first batch.
    pub(super) fn note_first_timestamp(&mut self, timestamp: i64) {
        self.first_timestamp = Some(timestamp);
    }

    /// Adds index entries for what is about to lie at `position`, if the last ones are far enough away.
    pub(super) fn maybe_add_entries(
        &mut self,
        interval: u64,
        last_offset: Offset,
        position: u64,
        size: u64,
    ) -> io::Result<()> {
        if self.bytes_since_last_index_entry > interval {
            self.offset_index.append(last_offset, position)?;
            let max = self.max_timestamp()?;
            self.time_index.maybe_append(max.timestamp, max.offset, false)?;
            self.bytes_since_last_index_entry = 0;
        }
        self.bytes_since_last_index_entry += size;
        Ok(())
    }

    /// Empties the indexes, for a scan that fills them anew.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        self.offset_index.reset()?;
        self.time_index.reset()?;
        self.txn_index.reset()?;
        self.bytes_since_last_index_entry = 0;
        self.max_timestamp = None;
        self.first_timestamp = None;
        Ok(())
    }
}

/// What an append adds to a segment.
#[derive(Clone, Copy, Debug)]
pub struct SegmentAppend<'a> {
    /// First bytes: a patched header, or everything.
    pub head: &'a [u8],
    /// The rest.
    pub tail: &'a [u8],
    /// Last offset in it.
    pub last_offset: Offset,
    /// Largest timestamp in it.
    pub max_timestamp: i64,
    /// Last offset of the first batch with that timestamp.
    pub offset_of_max_timestamp: Offset,
}

/// What a read found in one segment.
#[derive(Clone, Debug)]
pub struct SegmentRead {
    /// Where it begins.
    pub start: LogOffsetMetadata,
    /// What was found; `None` if there is nothing below the bound.
    pub records: Option<FileSlice>,
    /// The first batch does not fit into what was asked for.
    pub first_entry_incomplete: bool,
}

/// An append that may need a new segment first.
#[derive(Clone, Copy, Debug)]
pub struct RollParameters {
    /// Wall clock.
    pub now_ms: i64,
    /// `segment.ms` less this segment's jitter.
    pub segment_ms: i64,
    /// `segment.bytes`.
    pub segment_bytes: u64,
    /// Largest timestamp in the append.
    pub max_timestamp: i64,
    /// Last offset in the append.
    pub last_offset: Offset,
    /// Bytes to append.
    pub size: u64,
}

impl LogSegment {
    /// Creates the files of a new, empty segment. Leftovers of that name are overwritten.
    pub fn create(
        fs: &Fs,
        dir: &Path,
        base_offset: Offset,
        config: &LogConfig,
        now_ms: i64,
    ) -> io::Result<Self> {
        let preallocate = config.preallocate.then_some(config.segment_bytes.max(0) as u64);
        Self::create_named(fs, dir, base_offset, config, now_ms, preallocate, "")
    }

    /// Creates the files of a segment that the cleaner is going to fill: `.cleaned` behind their names.
    pub fn create_cleaned(
        fs: &Fs,
        dir: &Path,
        base_offset: Offset,
        config: &LogConfig,
        now_ms: i64,
    ) -> io::Result<Self> {
        Self::create_named(fs, dir, base_offset, config, now_ms, None, CLEANED_SUFFIX)
    }

    fn create_named(
        fs: &Fs,
        dir: &Path,
        base_offset: Offset,
        config: &LogConfig,
        now_ms: i64,
        preallocate: Option<u64>,
        behind: &str,
    ) -> io::Result<Self> {
        let path = |suffix| with_suffix(&segment_file(dir, base_offset, suffix), behind);
        let index_bytes = config.segment_index_bytes.max(0) as usize;
        let records = FileRecords::create(fs, &path(LOG_SUFFIX), preallocate)?;
        let offset_index = OffsetIndex::create(fs, path(INDEX_SUFFIX), base_offset, index_bytes)?;
        let time_index = TimeIndex::create(fs, path(TIME_INDEX_SUFFIX), base_offset, index_bytes)?;
        fs.remove_if_exists(&path(TXN_INDEX_SUFFIX))?;
        let txn_index = TransactionIndex::open(fs, path(TXN_INDEX_SUFFIX), 0, base_offset);
        Ok(Self {
            base_offset,
            records,
            index_interval_bytes: config.index_interval_bytes.max(0) as u64,
            created_ms: now_ms,
            state: Mutex::new(SegmentState {
                offset_index,
                time_index,
                txn_index,
                bytes_since_last_index_entry: 0,
                first_timestamp: None,
                max_timestamp: None,
            }),
        })
    }

    /// Takes over a segment whose `.log` has `size` bytes. Opens no file.
    pub fn open(
        fs: &Fs,
        dir: &Path,
        base_offset: Offset,
        size: u64,
        config: &LogConfig,
        now_ms: i64,
    ) -> io::Result<Self> {
        let path = |suffix| segment_file(dir, base_offset, suffix);
        let length = |suffix| Ok::<_, io::Error>(fs.length(&path(suffix))?.unwrap_or(0));
        let index_bytes = config.segment_index_bytes.max(0) as usize;
        Ok(Self {
            base_offset,
            records: FileRecords::open(fs, &path(LOG_SUFFIX), size),
            index_interval_bytes: config.index_interval_bytes.max(0) as u64,
            created_ms: now_ms,
            state: Mutex::new(SegmentState {
                offset_index: OffsetIndex::open(
                    fs,
                    path(INDEX_SUFFIX),
                    length(INDEX_SUFFIX)?,
                    base_offset,
                    index_bytes,
                ),
                time_index: TimeIndex::open(
                    fs,
                    path(TIME_INDEX_SUFFIX),
                    length(TIME_INDEX_SUFFIX)?,
                    base_offset,
                    index_bytes,
                ),
                txn_index: TransactionIndex::open(
                    fs,
                    path(TXN_INDEX_SUFFIX),
                    length(TXN_INDEX_SUFFIX)?,
                    base_offset,
                ),
                bytes_since_last_index_entry: 0,
                first_timestamp: None,
                max_timestamp: None,
            }),
        })
    }

    /// The offset in its files' names: no record in it has a smaller one.
    pub fn base_offset(&self) -> Offset {
        self.base_offset
    }

    /// Its records.
    pub fn records(&self) -> &FileRecords {
        &self.records
    }

    /// Bytes of its records.
    pub fn size(&self) -> u64 {
        self.records.size()
    }

    /// How many bytes lie between two index entries.
    pub(super) fn index_interval_bytes(&self) -> u64 {
        self.index_interval_bytes
    }

    pub(super) fn state(&self) -> MutexGuard<'_, SegmentState> {
        self.state.lock()
    }

    /// The place behind its last record, as metadata of `offset`.
    pub fn end_metadata(&self, offset: Offset) -> LogOffsetMetadata {
        LogOffsetMetadata {
            offset,
            segment_base_offset: self.base_offset,
            position: self.size(),
        }
    }

    /// Adds records. The caller holds the log's lock and has made sure that they fit.
    pub fn append(&self, append: &SegmentAppend<'_>) -> io::Result<()> {
        let position = self.size();
        if !(0..=OFFSET_SPAN_MAX).contains(&(append.last_offset - self.base_offset)) {
            let reason = format!("offset {} does not fit this segment", append.last_offset);
            return Err(corrupt(&self.records.path(), reason));
        }
        self.records.append(append.head, append.tail)?;
        let mut state = self.state.lock();
        if position == 0 {
            state.first_timestamp = Some(append.max_timestamp);
        }
        state.note_timestamp(append.max_timestamp, append.offset_of_max_timestamp)?;
        state.maybe_add_entries(
            self.index_interval_bytes,
            append.last_offset,
            position,
            (append.head.len() + append.tail.len()) as u64,
        )
    }

    /// The first batch that ends at `offset` or beyond, and the byte it starts at.
    pub fn translate_offset(&self, offset: Offset) -> io::Result<Option<(u64, BatchHeader)>> {
        let end = self.size();
        let start = self.state.lock().offset_index.lookup(offset)?;
        let mut headers = self.records.headers(start.position, end)?;
        while let Some((position, header)) = headers.next_header()? {
            if header.last_offset() >= offset {
                return Ok(Some((position, header)));
            }
        }
        Ok(None)
    }

    /// A byte where a batch begins, at or before the one with `offset`.
    pub fn position_of(&self, offset: Offset) -> io::Result<u64> {
        Ok(self.state.lock().offset_index.lookup(offset)?.position)
    }

    /// Up to `size_max` bytes from the batch with `offset` on, ending before byte `position_max`. The last batch
    /// may be cut, as Kafka cuts it. `None` if the segment ends before `offset`.
    pub fn read(
        &self,
        offset: Offset,
        size_max: usize,
        position_max: u64,
        min_one_message: bool,
    ) -> io::Result<Option<SegmentRead>> {
        let Some((position, header)) = self.translate_offset(offset)? else {
            return Ok(None);
        };
        let start = LogOffsetMetadata {
            offset,
            segment_base_offset: self.base_offset,
            position,
        };
        let first = header.size_in_bytes();
        let allowed = match min_one_message {
            true => size_max.max(first),
            false => size_max,
        };
        let length = position_max.saturating_sub(position).min(allowed as u64) as usize;
        let records = match length {
            0 => None,
            _ => Some(self.records.slice(position, length)?),
        };
        Ok(Some(SegmentRead {
            start,
            records,
            first_entry_incomplete: allowed < first,
        }))
    }

    /// Whether an append must go to a new segment.
    pub fn should_roll(&self, roll: &RollParameters) -> io::Result<bool> {
        let size = self.size();
        if size + roll.size > roll.segment_bytes || roll.last_offset - self.base_offset > OFFSET_SPAN_MAX {
            return Ok(true);
        }
        {
            let state = self.state.lock();
            if state.offset_index.is_full() || state.time_index.is_full() {
                return Ok(true);
            }
        }
        Ok(size > 0 && self.time_waited_for_roll(roll.now_ms, roll.max_timestamp)? > roll.segment_ms)
    }

    /// How long the segment has been open: by the records' time if they have one, else by the clock.
    fn time_waited_for_roll(&self, now_ms: i64, message_timestamp: i64) -> io::Result<i64> {
        match self.first_timestamp()? {
            first if first >= 0 => Ok(message_timestamp.saturating_sub(first)),
            _ => Ok(now_ms - self.created_ms),
        }
    }

    /// Largest timestamp of the first batch; -1 if there is none.
    pub fn first_timestamp(&self) -> io::Result<i64> {
        if let Some(first) = self.state.lock().first_timestamp {
            return Ok(first);
        }
        let Some((_, header)) = self.records.headers(0, self.size())?.next_header()? else {
            return Ok(-1);
        };
        self.state.lock().first_timestamp = Some(header.max_timestamp());
        Ok(header.max_timestamp())
    }

    /// Largest timestamp of its records and the last offset of the batch that has it; -1 if none has one.
    pub fn max_timestamp(&self) -> io::Result<TimestampOffset> {
        self.state.lock().max_timestamp()
    }

    /// What retention by time goes by: the largest timestamp, else the time of the last change of the file.
    pub fn largest_timestamp(&self) -> io::Result<i64> {
        match self.max_timestamp()?.timestamp {
            timestamp if timestamp >= 0 => Ok(timestamp),
            _ => self.last_modified(),
        }
    }

    /// Milliseconds since 1970 when the file was last changed.
    pub fn last_modified(&self) -> io::Result<i64> {
        let modified = std::fs::metadata(self.records.path())?.modified()?;
        let since = modified.duration_since(std::time::UNIX_EPOCH);
        Ok(since.map_or(0, |d| d.as_millis() as i64))
    }

    /// The entry before `timestamp` in the time index and where a search for it begins.
    pub fn search_start(&self, timestamp: i64, starting_offset: Offset) -> io::Result<OffsetPosition> {
        let mut state = self.state.lock();
        let entry = state.time_index.lookup(timestamp)?;
        state.offset_index.lookup(entry.offset.max(starting_offset))
    }

    /// The offset after the last record, by a scan from the last index entry on; the base offset if empty.
    pub fn read_next_offset(&self) -> io::Result<Offset> {
        let end = self.size();
        let last = {
            let mut state = self.state.lock();
            let offset = state.offset_index.last_offset()?;
            state.offset_index.lookup(offset)?
        };
        let mut next = self.base_offset;
        let mut headers = self.records.headers(last.position.min(end), end)?;
        while let Some((_, header)) = headers.next_header()? {
            next = header.next_offset();
        }
        Ok(next)
    }

    /// An offset beyond a read of `size` bytes from `start` on; `None` if only the next segment tells.
    pub fn upper_bound_offset(&self, start: OffsetPosition, size: u64) -> io::Result<Option<Offset>> {
        let bound = self.state.lock().offset_index.upper_bound(start, size)?;
        Ok(bound.map(|entry| entry.offset))
    }

    /// Adds the aborted transactions of a read; true if no later segment can have more.
    pub fn collect_aborted(
        &self,
        fetch_offset: Offset,
        upper_bound: Offset,
        found: &mut Vec<AbortedTxn>,
    ) -> io::Result<bool> {
        self.state
            .lock()
            .txn_index
            .collect(fetch_offset, upper_bound, found)
    }

    /// Records an aborted transaction.
    pub fn append_aborted(&self, transaction: &AbortedTxn) -> io::Result<()> {
        self.state.lock().txn_index.append(transaction)
    }

    /// Drops the records from `offset` on; returns the bytes cut. The segment is the active one afterwards.
    pub fn truncate_to(&self, offset: Offset) -> io::Result<u64> {
        let before = self.size();
        let cut = self.translate_offset(offset)?.map(|(position, _)| position);
        let mut state = self.state.lock();
        state.offset_index.truncate_to(offset)?;
        state.time_index.truncate_to(offset)?;
        state.txn_index.truncate_to(offset)?;
        state.max_timestamp = None;
        state.bytes_since_last_index_entry = 0;
        drop(state);
        let after = cut.unwrap_or(before);
        if after < before {
            self.records.truncate(after)?;
        }
        if after == 0 {
            self.state.lock().first_timestamp = None;
        }
        self.find_max_timestamp()?;
        Ok(before - after)
    }

    /// The largest timestamp of what a truncation has left: the time index may have lost its last entries.
    fn find_max_timestamp(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let last = state.time_index.last()?;
        let start = state.offset_index.lookup(last.offset)?;
        state.max_timestamp = Some(last);
        let mut headers = self.records.headers(start.position, self.size())?;
        while let Some((_, header)) = headers.next_header()? {
            state.note_timestamp(header.max_timestamp(), header.last_offset())?;
        }
        Ok(())
    }

    /// Cuts the records at a byte, for recovery; the indexes are the caller's business.
    pub(super) fn truncate_records(&self, size: u64) -> io::Result<()> {
        self.records.truncate(size)
    }

    /// The segment will not be written any more: adds the last time index entry and cuts the files to what is
    /// used.
    pub fn on_become_inactive(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let max = state.max_timestamp()?;
        state.time_index.maybe_append(max.timestamp, max.offset, true)?;
        state.time_index.trim()?;
        state.offset_index.trim()?;
        drop(state);
        self.records.trim()
    }

    /// Lets go of files and maps until they are needed.
    pub fn release(&self) {
        self.records.release();
        self.release_indexes();
    }

    /// Lets go of the indexes' files and maps until they are needed.
    pub fn release_indexes(&self) {
        let mut state = self.state.lock();
        state.offset_index.release();
        state.time_index.release();
        state.txn_index.release();
    }

    /// fsync of all files. No lock is held while the disk works.
    pub fn sync(&self, fs: &Fs) -> io::Result<()> {
        self.records.sync()?;
        let handles = {
            let mut state = self.state.lock();
            let offset_and_time = [state.offset_index.handle()?, state.time_index.handle()?];
            offset_and_time.into_iter().chain(state.txn_index.handle()?)
        };
        for (file, path) in handles {
            fs.sync(&file, &path)?;
        }
        Ok(())
    }

    /// Whether the indexes can be what they are taken for, as far as that costs next to nothing.
    pub fn check_sanity(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.offset_index.check_length()?;
        state.time_index.check_length()?;
        let entries = state.offset_index.entries().max(state.time_index.entries());
        if entries as u64 > self.size() / LEGACY_RECORD_OVERHEAD_V0 as u64 + 1 {
            // The zeros of an index that was not cut when its segment was closed.
            let reason = format!("{entries} entries for {} bytes of records", self.size());
            return Err(corrupt(state.offset_index.path(), reason));
        }
        state.txn_index.check_sanity()
    }

    /// Whether the indexes can be what they are taken for; looks at their first and last entries.
    pub fn check_sanity_thoroughly(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.offset_index.check_sanity()?;
        state.time_index.check_sanity()?;
        state.txn_index.check_sanity()
    }

    /// Renames the files from `<name><from>` to `<name><to>`, the records first; one that is not there is left
    /// out.
    pub fn change_suffix(&self, fs: &Fs, from: &str, to: &str) -> io::Result<()> {
        let renamed = |path: &Path| {
            let name = path.to_string_lossy();
            with_suffix(Path::new(name.strip_suffix(from).unwrap_or(&name)), to)
        };
        let rename = |path: &Path| fs.rename_if_exists(path, &renamed(path)).map(|()| renamed(path));
        self.records.rename(renamed)?;
        let mut state = self.state.lock();
        let renamed = rename(state.offset_index.path())?;
        state.offset_index.set_path(renamed);
        let renamed = rename(state.time_index.path())?;
        state.time_index.set_path(renamed);
        let renamed = rename(state.txn_index.path())?;
        state.txn_index.set_path(renamed);
        Ok(())
    }

    /// Removes the files, wherever they were renamed to.
    pub fn delete(&self, fs: &Fs) -> io::Result<()> {
        fs.remove_if_exists(&self.records.path())?;
        let state = self.state.lock();
        for path in [
            state.offset_index.path(),
            state.time_index.path(),
            state.txn_index.path(),
        ] {
            fs.remove_if_exists(path)?;
        }
        Ok(())
    }

    /// Follows a rename of the partition's directory.
    pub fn set_dir(&self, dir: &Path) {
        let moved = |path: &Path| match path.file_name() {
            Some(name) => dir.join(name),
            None => dir.to_owned(),
        };
        self.records.set_path(&moved(&self.records.path()));
        let mut state = self.state.lock();
        let path = moved(state.offset_index.path());
        state.offset_index.set_path(path);
        let path = moved(state.time_index.path());
        state.time_index.set_path(path);
        let path = moved(state.txn_index.path());
        state.txn_index.set_path(path);
    }
}
