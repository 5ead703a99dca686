//! `cleaner-offset-checkpoint` of one log dir: the first dirty offset of each cleaned log. Kafka 3.9: the checkpoints
//! of `LogCleanerManager`, which reads the file again for every question.
//!
//! A file that cannot be read counts as empty. Everything is then dirty and is cleaned once more, which removes no
//! record that should stay.

use std::collections::HashMap;
use std::io;

use parking_lot::Mutex;

use crate::common::ids::{Offset, TopicPartition};
use crate::log::checkpoint::OffsetCheckpoint;

/// The file and its content.
pub struct CleanerCheckpoint {
    file: OffsetCheckpoint,
    /// The lock is held while the file is written.
    offsets: Mutex<HashMap<TopicPartition, Offset>>,
}

impl CleanerCheckpoint {
    /// A checkpoint without entries until [`Self::load`].
    pub fn new(file: OffsetCheckpoint) -> Self {
        Self {
            file,
            offsets: Mutex::default(),
        }
    }

    /// Reads the file. Creates it if it is missing.
    pub fn load(&self) -> io::Result<()> {
        self.file.create_if_missing()?;
        let found = match self.file.read() {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(%error, "the cleaner's checkpoint is of no use, everything will be cleaned again");
                HashMap::new()
            }
            result => result?,
        };
        *self.offsets.lock() = found;
        Ok(())
    }

    /// Removes the partitions that are not `there`: a new partition of the same name would otherwise take over the
    /// offset of a deleted one.
    pub fn retain(&self, there: impl Fn(&TopicPartition) -> bool) {
        self.offsets.lock().retain(|partition, _| there(partition));
    }

    /// The first dirty offset of a partition.
    pub fn get(&self, partition: &TopicPartition) -> Option<Offset> {
        self.offsets.lock().get(partition).copied()
    }

    /// Records the first dirty offset of a partition.
    pub fn update(&self, partition: &TopicPartition, offset: Offset) -> io::Result<()> {
        self.change(|offsets| offsets.insert(partition.clone(), offset) != Some(offset))
    }

    /// Removes partitions.
    pub fn remove(&self, partitions: &[TopicPartition]) -> io::Result<()> {
        self.change(|offsets| {
            let before = offsets.len();
            offsets.retain(|partition, _| !partitions.contains(partition));
            offsets.len() < before
        })
    }

    /// Follows a truncation: nothing from `offset` on is clean any more.
    pub fn truncate(&self, partition: &TopicPartition, offset: Offset) -> io::Result<()> {
        self.change(|offsets| match offsets.get_mut(partition) {
            Some(first_dirty) if *first_dirty > offset => {
                *first_dirty = offset;
                true
            }
            _ => false,
        })
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<TopicPartition, Offset>) -> bool) -> io::Result<()> {
        let mut offsets = self.offsets.lock();
        match change(&mut offsets) {
            true => self.file.write(&offsets),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::checkpoint::offset::CLEANER_OFFSET_FILE;
    use crate::log::fs::Fs;

    #[test]
    fn the_file_follows_what_is_noted() {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let file = OffsetCheckpoint::new(&Fs::default(), dir.path(), CLEANER_OFFSET_FILE);
            let checkpoint = CleanerCheckpoint::new(file);
            checkpoint.load().unwrap();
            checkpoint.retain(|partition| &*partition.topic != "gone");
            checkpoint
        };
        let (a, b) = (TopicPartition::new("a", 0), TopicPartition::new("b", 0));
        let checkpoint = open();
        let text = || std::fs::read_to_string(dir.path().join(CLEANER_OFFSET_FILE)).unwrap();
        assert_eq!(text(), "");
        checkpoint.update(&a, 10).unwrap();
        checkpoint.update(&b, 20).unwrap();
        checkpoint.update(&TopicPartition::new("gone", 0), 5).unwrap();
        checkpoint.truncate(&a, 15).unwrap();
        checkpoint.truncate(&b, 15).unwrap();
        let again = open();
        assert_eq!((again.get(&a), again.get(&b)), (Some(10), Some(15)));
        assert_eq!(again.get(&TopicPartition::new("gone", 0)), None);
        again.remove(std::slice::from_ref(&a)).unwrap();
        assert_eq!(text(), "0\n1\nb 0 15\n");
        std::fs::write(dir.path().join(CLEANER_OFFSET_FILE), "torn").unwrap();
        assert_eq!(open().get(&b), None);
    }
}
