//! The start offsets of a partition's leader epochs. A follower compares them with the leader's to find out how far the
//! two logs agree (KIP-101, KIP-595). Kafka 3.9: `LeaderEpochFileCache`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::checkpoint::leader_epoch::{self, EpochEntry};
use super::fs::Fs;
use crate::common::ids::{LeaderEpoch, NO_LEADER_EPOCH, Offset};

/// "No such epoch" in answers to OffsetForLeaderEpoch.
pub const UNDEFINED: (LeaderEpoch, Offset) = (NO_LEADER_EPOCH, -1);

/// The epochs of one log, in memory and in `leader-epoch-checkpoint`. Epochs and start offsets both increase
/// strictly.
pub struct LeaderEpochCache {
    fs: Fs,
    path: Mutex<PathBuf>,
    entries: Mutex<Vec<EpochEntry>>,
    /// Whether the file still has entries that were dropped in memory.
    has_stale_file: AtomicBool,
}

/// Adds `entry` at the end and drops the entries that contradict it. Returns false if it adds nothing new.
fn assign(entries: &mut Vec<EpochEntry>, entry: EpochEntry) -> bool {
    if let Some(latest) = entries.last()
        && latest.epoch == entry.epoch
        && latest.start_offset <= entry.start_offset
    {
        return false;
    }
    let kept = entries
        .iter()
        .rposition(|e| e.epoch < entry.epoch && e.start_offset < entry.start_offset)
        .map_or(0, |i| i + 1);
    entries.truncate(kept);
    entries.push(entry);
    true
}

impl LeaderEpochCache {
    /// Reads the file in `partition_dir`. A torn file is an error (fact 49).
    pub fn load(fs: &Fs, partition_dir: &Path) -> io::Result<Self> {
        let path = partition_dir.join(leader_epoch::FILE_NAME);
        let mut entries = Vec::new();
        for entry in leader_epoch::read(fs, &path)? {
            assign(&mut entries, entry);
        }
        Ok(Self {
            fs: fs.clone(),
            path: Mutex::new(path),
            entries: Mutex::new(entries),
            has_stale_file: AtomicBool::new(false),
        })
    }

    /// Writes the file. The lock of the path orders the writers, so that the last one writes the newest entries; the
    /// entries can be read and changed in the meantime. Writes nothing for a log whose directory is gone.
    pub fn flush(&self) -> io::Result<()> {
        let path = self.path.lock();
        let entries = {
            let entries = self.entries.lock();
            self.has_stale_file.store(false, Ordering::Relaxed);
            entries.clone()
        };
        match leader_epoch::write(&self.fs, &path, &entries) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && !path.parent().is_some_and(Path::exists) => {
                Ok(())
            }
            result => result,
        }
    }

    /// Renames the partition's directory while no thread writes the file.
    pub fn move_dir(&self, to: &Path, rename: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut path = self.path.lock();
        rename()?;
        *path = to.join(leader_epoch::FILE_NAME);
        Ok(())
    }

    /// Records in memory that `epoch` begins at `start_offset`, and drops the entries that contradict it. Returns true
    /// if the caller has to flush: the entry is new, or the file still has an epoch that was dropped at or before this
    /// offset. After the next start such an entry could not be told from a valid one, because records of an older epoch
    /// precede it.
    pub fn assign_in_memory(&self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        if epoch < 0 || start_offset < 0 {
            return false;
        }
        let mut entries = self.entries.lock();
        assign(&mut entries, EpochEntry { epoch, start_offset })
            || self.has_stale_file.load(Ordering::Relaxed)
    }

    /// Records that `epoch` begins at `start_offset`; the entry is on disk when this returns (fact 32).
    #[cfg(test)]
    pub fn assign(&self, epoch: LeaderEpoch, start_offset: Offset) -> io::Result<()> {
        match self.assign_in_memory(epoch, start_offset) {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// The latest epoch.
    pub fn latest(&self) -> Option<EpochEntry> {
        self.entries.lock().last().copied()
    }

    /// All epochs.
    #[cfg(test)]
    pub fn entries(&self) -> Vec<EpochEntry> {
        self.entries.lock().clone()
    }

    /// The largest epoch ≤ `epoch` and its end; the latest epoch ends at `log_end_offset`. [`UNDEFINED`] for an epoch
    /// beyond the latest. For an epoch before the first: that epoch itself, with the start of the first as its end.
    pub fn end_offset_for(&self, epoch: LeaderEpoch, log_end_offset: Offset) -> (LeaderEpoch, Offset) {
        let entries = self.entries.lock();
        if epoch == NO_LEADER_EPOCH {
            return UNDEFINED;
        }
        if entries.last().is_some_and(|latest| latest.epoch == epoch) {
            return (epoch, log_end_offset);
        }
        let next = entries.partition_point(|e| e.epoch <= epoch);
        match (next.checked_sub(1).map(|i| entries[i]), entries.get(next)) {
            (_, None) => UNDEFINED,
            (None, Some(next)) => (epoch, next.start_offset),
            (Some(own), Some(next)) => (own.epoch, next.start_offset),
        }
    }

    /// The epoch of the leader that appended `offset`.
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        let entries = self.entries.lock();
        let next = entries.partition_point(|e| e.start_offset <= offset);
        next.checked_sub(1).map(|i| entries[i].epoch)
    }

    /// Drops the epochs that begin at `end_offset` or beyond. Returns true if there were any.
    pub fn truncate_from_end(&self, end_offset: Offset) -> bool {
        let mut entries = self.entries.lock();
        let kept = entries.partition_point(|e| e.start_offset < end_offset);
        let changed = kept < entries.len();
        entries.truncate(kept);
        self.has_stale_file.fetch_or(changed, Ordering::Relaxed);
        changed
    }

    /// Drops the epochs that ended before `start_offset`; the epoch of that offset now begins there. Returns true if
    /// anything changed.
    pub fn truncate_from_start(&self, start_offset: Offset) -> bool {
        let mut entries = self.entries.lock();
        let next = entries.partition_point(|e| e.start_offset <= start_offset);
        let Some(own) = next.checked_sub(1) else {
            return false;
        };
        let changed = own > 0 || entries[own].start_offset != start_offset;
        entries[own].start_offset = start_offset;
        entries.drain(..own);
        changed
    }

    /// Drops all entries in memory.
    pub fn clear(&self) {
        let mut entries = self.entries.lock();
        entries.clear();
        self.has_stale_file.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: &[(LeaderEpoch, Offset)]) -> (tempfile::TempDir, LeaderEpochCache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = LeaderEpochCache::load(&Fs::default(), dir.path()).unwrap();
        for &(epoch, offset) in entries {
            cache.assign(epoch, offset).unwrap();
        }
        (dir, cache)
    }

    fn pairs(cache: &LeaderEpochCache) -> Vec<(LeaderEpoch, Offset)> {
        cache
            .entries()
            .iter()
            .map(|e| (e.epoch, e.start_offset))
            .collect()
    }

    #[test]
    fn assigning_drops_what_contradicts() {
        type Entries = &'static [(LeaderEpoch, Offset)];
        let cases: [(Entries, Entries); 7] = [
            (&[(0, 0), (1, 5)], &[(0, 0), (1, 5)]),
            (&[(0, 0), (0, 5)], &[(0, 0)]),
            (&[(1, 5), (1, 3)], &[(1, 3)]),
            (&[(0, 0), (1, 5), (2, 5)], &[(0, 0), (2, 5)]),
            (&[(0, 0), (1, 5), (2, 9), (3, 4)], &[(0, 0), (3, 4)]),
            (&[(5, 0), (6, 5), (4, 7)], &[(4, 7)]),
            (&[(0, 0), (-1, 5), (1, -1)], &[(0, 0)]),
        ];
        for (assigned, expected) in cases {
            let (dir, cache) = cache(assigned);
            assert_eq!(pairs(&cache), expected, "{assigned:?}");
            let reloaded = LeaderEpochCache::load(&Fs::default(), dir.path()).unwrap();
            assert_eq!(pairs(&reloaded), expected, "{assigned:?} reloaded");
        }
    }

    #[test]
    fn an_epoch_that_was_dropped_in_memory_does_not_come_back_behind_older_records() {
        let (dir, cache) = cache(&[(0, 0), (1, 3)]);
        assert!(cache.truncate_from_end(3));
        // Records of epoch 0 follow at 3 before the file is written.
        assert!(cache.assign_in_memory(0, 3), "the caller has to flush");
        cache.flush().unwrap();
        assert!(!cache.assign_in_memory(0, 4), "once");
        let reloaded = LeaderEpochCache::load(&Fs::default(), dir.path()).unwrap();
        assert_eq!(pairs(&reloaded), [(0, 0)]);
    }

    #[test]
    fn end_offsets_follow_the_rules_of_replication() {
        let (_dir, cache) = cache(&[(2, 10), (4, 20), (7, 30)]);
        let cases = [
            (-1, UNDEFINED),
            (0, (0, 10)),
            (2, (2, 20)),
            (3, (2, 20)),
            (4, (4, 30)),
            (6, (4, 30)),
            (7, (7, 99)),
            (8, UNDEFINED),
        ];
        for (epoch, expected) in cases {
            assert_eq!(cache.end_offset_for(epoch, 99), expected, "epoch {epoch}");
        }
        let epochs: Vec<_> = [9, 10, 19, 20, 30, 1000]
            .map(|offset| cache.epoch_for_offset(offset))
            .into();
        assert_eq!(epochs, [None, Some(2), Some(2), Some(4), Some(7), Some(7)]);
    }

    #[test]
    fn truncation_keeps_the_epoch_of_the_cut() {
        let all: &[(LeaderEpoch, Offset)] = &[(2, 10), (4, 20), (7, 30)];
        type Case<'a> = (Offset, &'a [(LeaderEpoch, Offset)], bool);
        let from_start: [Case; 5] = [
            (5, all, false),
            (10, all, false),
            (15, &[(2, 15), (4, 20), (7, 30)], true),
            (20, &[(4, 20), (7, 30)], true),
            (99, &[(7, 99)], true),
        ];
        for (offset, expected, changed) in from_start {
            let (_dir, cache) = cache(all);
            assert_eq!(cache.truncate_from_start(offset), changed, "{offset}");
            assert_eq!(pairs(&cache), expected, "start at {offset}");
        }
        let from_end: [(Offset, usize); 5] = [(31, 3), (30, 2), (20, 1), (11, 1), (10, 0)];
        for (offset, kept) in from_end {
            let (_dir, cache) = cache(all);
            assert_eq!(cache.truncate_from_end(offset), kept < 3, "{offset}");
            assert_eq!(pairs(&cache), &all[..kept], "end at {offset}");
        }
    }
}
