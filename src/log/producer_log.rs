//! The producers of a log with their `.snapshot` files: writes, loads and removes the snapshots. Kafka 3.9: the file
//! half of `ProducerStateManager`.
//!
//! A snapshot at offset N holds the producers' state before N. Each of the last segments has one at its base offset, so
//! that a truncation or a recovery replays at most one segment. A clean stop leaves one at the end of the log
//! (fact 48).

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::fs::Fs;
use super::names::{DELETED_SUFFIX, SNAPSHOT_SUFFIX, parse_segment_file, segment_file, with_suffix};
use super::producer_state::ProducerStateManager;
use crate::common::ids::Offset;

/// Producer state and its files.
pub struct ProducerLog {
    fs: Fs,
    dir: PathBuf,
    /// `producer.id.expiration.ms`, which can change at run time.
    expiration_ms: Arc<AtomicI64>,
    /// The state of the producers.
    pub state: ProducerStateManager,
    snapshots: BTreeSet<Offset>,
}

impl ProducerLog {
    /// An empty state, with the snapshots in the partition's directory.
    pub fn open(
        fs: &Fs,
        dir: &Path,
        log_start_offset: Offset,
        expiration_ms: &Arc<AtomicI64>,
    ) -> io::Result<Self> {
        let snapshot = |name: &String| match parse_segment_file(name) {
            Some((offset, SNAPSHOT_SUFFIX)) => Some(offset),
            _ => None,
        };
        Ok(Self {
            fs: fs.clone(),
            dir: dir.to_owned(),
            expiration_ms: Arc::clone(expiration_ms),
            state: ProducerStateManager::new(log_start_offset),
            snapshots: fs.list_files(dir)?.iter().filter_map(snapshot).collect(),
        })
    }

    fn path(&self, offset: Offset) -> PathBuf {
        segment_file(&self.dir, offset, SNAPSHOT_SUFFIX)
    }

    /// Whether there is no snapshot. After a clean stop this means that there were no producers.
    pub fn has_no_snapshot(&self) -> bool {
        self.snapshots.is_empty()
    }

    /// Follows a rename of the partition's directory.
    pub fn set_dir(&mut self, dir: &Path) {
        self.dir = dir.to_owned();
    }

    /// Writes a snapshot if records were appended since the last one. Returns its path, for a later fsync.
    pub fn take_snapshot(&mut self) -> io::Result<Option<PathBuf>> {
        let Some((offset, bytes)) = self.state.take_snapshot() else {
            return Ok(None);
        };
        let path = self.path(offset);
        let file = self.fs.create(&path)?;
        self.fs.write_at(&file, &path, [&bytes, &[]], 0)?;
        self.snapshots.insert(offset);
        Ok(Some(path))
    }

    /// Does [`Self::take_snapshot`]; the snapshot is on disk when this returns.
    pub fn take_snapshot_and_sync(&mut self) -> io::Result<()> {
        match self.take_snapshot()? {
            Some(path) => self.fs.sync(&self.fs.open_existing(&path)?, &path),
            None => Ok(()),
        }
    }

    /// Brings the state to that of the log [`log_start_offset`, `log_end_offset`), as far as snapshots allow: drops the
    /// snapshots outside that range and loads the newest other one. The caller replays the log from
    /// [`ProducerStateManager::map_end_offset`] on.
    pub fn truncate_and_reload(
        &mut self,
        log_start_offset: Offset,
        log_end_offset: Offset,
        now_ms: i64,
    ) -> io::Result<()> {
        let is_out_of_range = |&offset: &Offset| offset > log_end_offset || offset <= log_start_offset;
        let out_of_range: Vec<_> = self.snapshots.iter().copied().filter(is_out_of_range).collect();
        for offset in out_of_range {
            self.remove(offset)?;
        }
        if self.state.map_end_offset() == log_end_offset {
            self.state.on_log_start_offset_incremented(log_start_offset);
            return Ok(());
        }
        self.state.truncate_fully_and_start_at(log_start_offset);
        while let Some(offset) = self.snapshots.last().copied() {
            let bytes = self.fs.read(&self.path(offset))?;
            match self
                .state
                .load_snapshot(offset, &bytes, now_ms, self.expiration_ms())
            {
                Ok(()) => return Ok(()),
                Err(error) => {
                    tracing::warn!(path = %self.path(offset).display(), %error, "removing unreadable producer snapshot");
                    self.remove(offset)?;
                }
            }
        }
        self.state.begin_without_snapshot(log_start_offset);
        Ok(())
    }

    /// Drops all state, files included: the next offset of the log is `offset`.
    pub fn truncate_fully_and_start_at(&mut self, offset: Offset) -> io::Result<()> {
        while let Some(snapshot) = self.snapshots.last().copied() {
            self.remove(snapshot)?;
        }
        self.state.truncate_fully_and_start_at(offset);
        Ok(())
    }

    /// Drops producers that have been idle for too long.
    pub fn remove_expired(&mut self, now_ms: i64) {
        self.state.remove_expired(now_ms, self.expiration_ms());
    }

    fn expiration_ms(&self) -> i64 {
        self.expiration_ms.load(Ordering::Relaxed)
    }

    /// At load: removes snapshots that belong to no segment. Keeps the last one if it is beyond the last segment's
    /// base: a clean stop wrote it.
    pub fn remove_stray(&mut self, segment_base_offsets: &BTreeSet<Offset>) -> io::Result<()> {
        let mut strays: Vec<_> = self.snapshots.difference(segment_base_offsets).copied().collect();
        if strays.last() > segment_base_offsets.last() {
            strays.pop();
        }
        for offset in strays {
            self.remove(offset)?;
        }
        Ok(())
    }

    /// Renames the snapshot that goes with a deleted segment; the caller removes the file later.
    pub fn mark_deleted(&mut self, segment_base_offset: Offset) -> io::Result<Option<PathBuf>> {
        if !self.snapshots.remove(&segment_base_offset) {
            return Ok(None);
        }
        let path = self.path(segment_base_offset);
        let deleted = with_suffix(&path, DELETED_SUFFIX);
        match self.fs.rename(&path, &deleted) {
            Ok(()) => Ok(Some(deleted)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn remove(&mut self, offset: Offset) -> io::Result<()> {
        self.snapshots.remove(&offset);
        self.fs.remove_if_exists(&self.path(offset)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> ProducerLog {
        ProducerLog::open(&Fs::default(), dir, 0, &Arc::new(AtomicI64::new(1000))).unwrap()
    }

    fn names(dir: &Path) -> Vec<String> {
        Fs::default().list(dir).unwrap()
    }

    #[test]
    fn strays_go_but_for_the_one_at_the_end() {
        let cases: [(&[Offset], &[Offset], &[Offset]); 5] = [
            (&[0, 5, 9], &[0, 5], &[0, 5, 9]),
            (&[3, 5, 7, 9], &[0, 5], &[5, 9]),
            (&[3, 4], &[0, 5], &[]),
            (&[3], &[], &[]),
            (&[5, 6, 7], &[5], &[5, 7]),
        ];
        for (snapshots, segments, kept) in cases {
            let dir = tempfile::tempdir().unwrap();
            for &offset in snapshots {
                std::fs::write(segment_file(dir.path(), offset, SNAPSHOT_SUFFIX), b"x").unwrap();
            }
            let mut log = open(dir.path());
            log.remove_stray(&segments.iter().copied().collect()).unwrap();
            let expected: Vec<_> = kept.iter().map(|o| format!("{o:020}.snapshot")).collect();
            if segments.is_empty() {
                continue;
            }
            assert_eq!(names(dir.path()), expected, "{snapshots:?} {segments:?}");
        }
    }

    #[test]
    fn an_unreadable_snapshot_gives_way_to_an_older_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = open(dir.path());
        log.state.advance_map_end_offset(10);
        log.take_snapshot_and_sync().unwrap();
        std::fs::write(segment_file(dir.path(), 20, SNAPSHOT_SUFFIX), b"torn").unwrap();
        let mut log = open(dir.path());
        log.truncate_and_reload(0, 25, 0).unwrap();
        assert_eq!(log.state.map_end_offset(), 10);
        assert_eq!(names(dir.path()), ["00000000000000000010.snapshot"]);
        log.truncate_and_reload(0, 5, 0).unwrap();
        assert_eq!(log.state.map_end_offset(), 0);
        assert!(names(dir.path()).is_empty());
    }
}
