//! The offset checkpoints of each log dir.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::{LogManager, ManagedDir};
use crate::common::ids::{Offset, TopicPartition};
use crate::log::unified_log::UnifiedLog;

impl ManagedDir {
    /// Offsets of the logs in this dir, including copies that are being made. The function does not hold the maps of
    /// logs while it reads the logs.
    fn offsets(&self, offset: impl Fn(&UnifiedLog) -> Option<Offset>) -> HashMap<TopicPartition, Offset> {
        let mut here: Vec<Arc<UnifiedLog>> = Vec::new();
        // If a dir has both the log and a copy, the log's offset counts.
        for logs in [&self.logs.future, &self.logs.current] {
            let logs = logs.read();
            let found = logs.values().filter(|log| Arc::ptr_eq(log.log_dir(), &self.dir));
            here.extend(found.cloned());
        }
        here.iter()
            .filter_map(|log| Some((log.topic_partition().clone(), offset(log)?)))
            .collect()
    }

    /// Writes `recovery-point-offset-checkpoint`; false if the dir is offline.
    pub(super) fn checkpoint_recovery_points(&self) -> bool {
        let _one_writer = self.checkpointing.lock();
        let offsets = self.offsets(|log| Some(log.recovery_point()));
        !self.dir.is_offline() && self.dir.check(self.recovery_points.write(&offsets)).is_ok()
    }

    /// Writes `log-start-offset-checkpoint`; false if the dir is offline.
    pub(super) fn checkpoint_log_start_offsets(&self) -> bool {
        let _one_writer = self.checkpointing.lock();
        let offsets = self.offsets(UnifiedLog::log_start_offset_to_checkpoint);
        !self.dir.is_offline() && self.dir.check(self.log_start_offsets.write(&offsets)).is_ok()
    }

    /// Writes all checkpoints without the partitions in `gone`, whose logs are no longer in the map.
    pub(super) fn forget_checkpoints(&self, gone: &[TopicPartition]) -> io::Result<()> {
        self.checkpoint_recovery_points();
        self.checkpoint_log_start_offsets();
        let mut high_watermarks = self.high_watermarks.lock();
        let before = high_watermarks.len();
        high_watermarks.retain(|partition, _| !gone.contains(partition));
        if high_watermarks.len() < before {
            self.high_watermark_file.write(&high_watermarks)?;
        }
        self.cleaner_checkpoint.remove(gone)
    }
}

impl LogManager {
    /// The high watermark of a partition from `replication-offset-checkpoint` of the dir that holds its log, as read at
    /// start or written since. A dir to which the log is being copied may have an entry too, which belongs to the copy.
    pub fn checkpointed_high_watermark(&self, partition: &TopicPartition) -> Option<Offset> {
        let log = self.get_log(partition)?;
        let managed = self.managed(log.log_dir())?;
        managed.high_watermarks.lock().get(partition).copied()
    }

    /// Writes `replication-offset-checkpoint` of every online dir. A log that is not in `high_watermarks` keeps its
    /// offset in the file: a broker that has not heard from its controller yet must not erase its checkpoints
    /// (fact 31).
    pub fn checkpoint_high_watermarks(&self, high_watermarks: &HashMap<TopicPartition, Offset>) {
        for managed in self.dirs.iter().filter(|d| !d.dir.is_offline()) {
            let mut written = managed.high_watermarks.lock();
            let new = managed.offsets(|log| {
                let partition = log.topic_partition();
                let copy = self.future_log(partition);
                if copy.is_some_and(|copy| std::ptr::eq(&*copy, log)) {
                    return Some(log.high_watermark());
                }
                let known = high_watermarks.get(partition).or_else(|| written.get(partition));
                known.copied()
            });
            if managed.dir.check(managed.high_watermark_file.write(&new)).is_ok() {
                *written = new;
            }
        }
    }

    /// Writes `recovery-point-offset-checkpoint` of every dir.
    pub fn checkpoint_recovery_points(&self) {
        for managed in &self.dirs {
            managed.checkpoint_recovery_points();
        }
    }

    /// Writes `log-start-offset-checkpoint` of every dir.
    pub fn checkpoint_log_start_offsets(&self) {
        for managed in &self.dirs {
            managed.checkpoint_log_start_offsets();
        }
    }
}
