//! The files of a segment: creates, opens, trims, fsyncs, renames and removes them together. Kafka 3.9: the rest of
//! `LogSegment`.

use std::io;
use std::path::Path;

use parking_lot::{Mutex, MutexGuard};

use super::{LogSegment, SegmentState};
use crate::common::ids::Offset;
use crate::config::LogConfig;
use crate::log::file_records::{FileRecords, HeldName};
use crate::log::fs::{Fs, corrupt};
use crate::log::index::{OffsetIndex, TimeIndex, TransactionIndex};
use crate::log::names::{
    CLEANED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, segment_file, with_suffix,
};
use crate::record::batch::LEGACY_RECORD_OVERHEAD_V0;

impl LogSegment {
    /// Creates the files of a new, empty segment. Overwrites leftovers of that name.
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

    /// Creates the files of a segment that the cleaner will fill, with `.cleaned` behind their names.
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

    /// Opens a segment whose `.log` has `size` bytes, without opening a file yet.
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

    /// Closes the segment for writing: adds the last time index entry and cuts the files to their content.
    pub fn on_become_inactive(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let max = state.max_timestamp()?;
        state.time_index.maybe_append(max.timestamp, max.offset, true)?;
        state.time_index.trim()?;
        state.offset_index.trim()?;
        drop(state);
        self.records.trim()
    }

    /// Releases files and maps until they are needed.
    pub fn release(&self) {
        self.records.release();
        self.release_indexes();
    }

    /// Releases the indexes' files and maps until they are needed.
    pub fn release_indexes(&self) {
        let mut state = self.state.lock();
        state.offset_index.release();
        state.time_index.release();
        state.txn_index.release();
    }

    /// Fsyncs all files. Holds no lock while the disk works.
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

    /// Cheap checks of whether the indexes can be valid.
    pub fn check_sanity(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.offset_index.check_length()?;
        state.time_index.check_length()?;
        let entries = state.offset_index.entries().max(state.time_index.entries());
        if entries as u64 > self.size() / LEGACY_RECORD_OVERHEAD_V0 as u64 + 1 {
            // The index ends in zeros: it was not cut when its segment was closed.
            let reason = format!("{entries} entries for {} bytes of records", self.size());
            return Err(corrupt(state.offset_index.path(), reason));
        }
        state.txn_index.check_sanity()
    }

    /// Checks by their first and last entries whether the indexes can be valid.
    pub fn check_sanity_thoroughly(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.offset_index.check_sanity()?;
        state.time_index.check_sanity()?;
        state.txn_index.check_sanity()
    }

    /// Renames the files from `<name><from>` to `<name><to>`, the records first. Skips missing files.
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

    /// Removes the files, under their current names.
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

    /// Keeps readers from opening a file of the segment while the partition's directory is renamed.
    pub fn hold_names(&self) -> HeldNames<'_> {
        HeldNames {
            state: self.state.lock(),
            records: self.records.hold_name(),
        }
    }
}

/// The locks on the names of a segment's files. A file can be released at any time, and readers and flushes, which do
/// not hold the log's lock, open it again when they need it. If they used the old name after a rename, the file would
/// be missing and the dir would be taken offline.
pub struct HeldNames<'a> {
    state: MutexGuard<'a, SegmentState>,
    records: HeldName<'a>,
}

impl HeldNames<'_> {
    /// Follows a rename of the partition's directory.
    pub fn set_dir(&mut self, dir: &Path) {
        let moved = |path: &Path| match path.file_name() {
            Some(name) => dir.join(name),
            None => dir.to_owned(),
        };
        let path = moved(self.records.path());
        self.records.set_path(&path);
        let state = &mut *self.state;
        let path = moved(state.offset_index.path());
        state.offset_index.set_path(path);
        let path = moved(state.time_index.path());
        state.time_index.set_path(path);
        let path = moved(state.txn_index.path());
        state.txn_index.set_path(path);
    }
}
