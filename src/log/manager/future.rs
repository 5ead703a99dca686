//! The move of logs between dirs: the copy in another dir (`-future`), and the replacement when it is complete.
//! Kafka 3.9: the parts of `LogManager` with "future" in their name.
//!
//! The replica layer does the copying. Two renames end it, and the copy's rename comes first, so that a restart finds a
//! log at any time. A restart between the two finds two equal logs and keeps one.

use std::path::Path;
use std::sync::Arc;

use super::{LogManager, ManagedDir};
use crate::common::ids::{TopicId, TopicPartition};
use crate::config::LogConfig;
use crate::log::dir::LogDir;
use crate::log::error::LogError;
use crate::log::names::future_partition_dir;
use crate::log::unified_log::UnifiedLog;

impl LogManager {
    /// Every log dir, including offline ones, in the order of `log.dirs`.
    pub fn log_dirs(&self) -> impl Iterator<Item = &Arc<LogDir>> {
        self.dirs.iter().map(|managed| &managed.dir)
    }

    /// The log dir with this absolute path.
    pub fn log_dir(&self, absolute_path: &Path) -> Option<&Arc<LogDir>> {
        self.log_dirs().find(|dir| dir.absolute_path() == absolute_path)
    }

    pub(super) fn managed(&self, dir: &Arc<LogDir>) -> Option<&Arc<ManagedDir>> {
        self.dirs.iter().find(|managed| Arc::ptr_eq(&managed.dir, dir))
    }

    /// The copy of a partition's log in another dir.
    pub fn future_log(&self, partition: &TopicPartition) -> Option<Arc<UnifiedLog>> {
        self.logs.future.read().get(partition).cloned()
    }

    /// Every copy that is being made.
    pub fn all_future_logs(&self) -> Vec<Arc<UnifiedLog>> {
        self.logs.future.read().values().cloned().collect()
    }

    /// Sets the dir in which the partition's log will be created later. The choice is lost when the broker stops, as in
    /// Kafka.
    pub fn prefer_log_dir(&self, partition: &TopicPartition, dir: &Arc<LogDir>) {
        let is_there = |log: Option<Arc<UnifiedLog>>| log.is_some_and(|log| Arc::ptr_eq(log.log_dir(), dir));
        if is_there(self.get_log(partition)) || is_there(self.future_log(partition)) {
            return;
        }
        if let Some(managed) = self.managed(dir) {
            let mut preferred = self.preferred_dirs.lock();
            preferred.insert(partition.clone(), Arc::clone(managed));
        }
    }

    /// Creates an empty copy of a partition's log in another dir. Fails while any dir is offline, because that dir
    /// might hold another copy.
    pub fn create_future_log(
        &self,
        partition: &TopicPartition,
        topic_id: Option<TopicId>,
        dir: &Arc<LogDir>,
        config: LogConfig,
    ) -> Result<Arc<UnifiedLog>, LogError> {
        let _creating = self.creating.lock();
        self.ensure_all_online()?;
        let (Some(managed), Some(name)) = (self.managed(dir), future_partition_dir(partition)) else {
            return Err(dir.error(&format!("no copy of {partition} can be made there")));
        };
        self.pause_cleaning(partition);
        let log = self.create_log(managed, &name, partition, config)?;
        if let Some(id) = topic_id {
            log.assign_topic_id(id)?;
        }
        self.logs
            .future
            .write()
            .insert(partition.clone(), Arc::clone(&log));
        self.preferred_dirs.lock().remove(partition);
        tracing::info!(log = %partition, dir = %dir.path().display(), "created a copy that is to replace the log");
        Ok(log)
    }

    /// Takes over a copy that was found at start, if it can still replace the log. `beside` are the logs of its dir.
    pub(super) fn take_in_copy(&self, copy: &Arc<UnifiedLog>, beside: &[Arc<UnifiedLog>]) {
        let partition = copy.topic_partition();
        if beside.iter().any(|log| log.topic_partition() == partition) {
            leave_alone(copy, "the log lies in the same dir");
        } else if self.future_log(partition).is_some() {
            leave_alone(copy, "there is another copy");
        } else {
            self.pause_cleaning(partition);
            let mut copies = self.logs.future.write();
            copies.insert(partition.clone(), Arc::clone(copy));
        }
    }

    /// Drops the partition's copy if it is in the dir where the log is about to be created.
    pub(super) fn give_up_copy_in(&self, dir: &LogDir, partition: &TopicPartition) {
        let mut copies = self.logs.future.write();
        let is_there = |copy: &Arc<UnifiedLog>| copy.log_dir().path() == dir.path();
        if copies.get(partition).is_some_and(is_there)
            && let Some(copy) = copies.remove(partition)
        {
            self.moving.lock().remove(partition);
            leave_alone(&copy, "the log is created in the same dir");
        }
    }

    /// Keeps the cleaner away from a partition until it is no longer copied.
    pub(super) fn pause_cleaning(&self, partition: &TopicPartition) {
        let paused = self.cleaner.manager().abort_and_pause(partition);
        self.moving.lock().insert(partition.clone(), paused);
    }

    /// Deletes a copy that is no longer needed.
    pub fn delete_future_log(&self, partition: &TopicPartition) -> Result<(), LogError> {
        let _creating = self.creating.lock();
        let Some(log) = self.logs.future.write().remove(partition) else {
            return Ok(());
        };
        self.moving.lock().remove(partition);
        self.move_away(&log)?;
        match self.managed(log.log_dir()) {
            Some(managed) => managed
                .dir
                .check(managed.forget_checkpoints(std::slice::from_ref(partition))),
            None => Ok(()),
        }
    }

    /// Makes the copy the log and deletes the old log. The caller makes sure that the copy has every record and that no
    /// append happens in the meantime. After the copy has taken the log's place, an error of the old log's dir concerns
    /// only that dir.
    pub fn replace_current_with_future_log(&self, partition: &TopicPartition) -> Result<(), LogError> {
        let _creating = self.creating.lock();
        let (Some(old), Some(new)) = (self.get_log(partition), self.future_log(partition)) else {
            let dir = &self.dirs[0].dir;
            return Err(dir.error(&format!("{partition} or its copy is offline")));
        };
        new.log_dir().ensure_online()?;
        new.rename_dir(&new.log_dir().path().join(partition.to_string()), false)?;
        new.update_high_watermark(old.high_watermark());
        self.logs.future.write().remove(partition);
        self.logs
            .current
            .write()
            .insert(partition.clone(), Arc::clone(&new));
        if let Some(managed) = self.managed(new.log_dir()) {
            managed
                .high_watermarks
                .lock()
                .insert(partition.clone(), new.high_watermark());
            managed.checkpoint_recovery_points();
        }
        tracing::info!(
            log = %partition, from = %old.log_dir().path().display(), to = %new.log_dir().path().display(),
            "moved the log to another dir"
        );
        let cleaner = self.cleaner.manager();
        cleaner.alter_checkpoint_dir(partition, old.log_dir().path(), new.log_dir().path());
        self.moving.lock().remove(partition);
        let forgotten = self
            .move_away(&old)
            .and_then(|()| match self.managed(old.log_dir()) {
                Some(managed) => managed
                    .dir
                    .check(managed.forget_checkpoints(std::slice::from_ref(partition))),
                None => Ok(()),
            });
        if let Err(error) = forgotten {
            tracing::error!(log = %partition, %error, "the old log could not be deleted");
            old.abandon();
        }
        Ok(())
    }

    /// Removes the old log of a replacement that was interrupted between its two renames. No record was appended since,
    /// so both logs have the same records; if they differ, this is not such a case.
    pub(super) fn finish_replacement(&self, kept: &Arc<UnifiedLog>, other: &Arc<UnifiedLog>) -> bool {
        let essence = |log: &UnifiedLog| (log.topic_id(), log.log_end_offset(), log.latest_epoch());
        if essence(kept) != essence(other) || kept.topic_id().is_none() {
            return false;
        }
        tracing::warn!(
            log = %kept.topic_partition(), kept = %kept.path().display(), deleted = %other.path().display(),
            "a move between log dirs was cut short when it was complete, deleting one of two equal logs"
        );
        self.move_away(other).is_ok()
    }
}

/// Releases a copy that cannot replace a log. Its files stay: they may be the only ones with some records.
fn leave_alone(copy: &UnifiedLog, reason: &str) {
    tracing::warn!(
        path = %copy.path().display(), reason,
        "leaving alone a copy that cannot replace the log; remove it if it is not wanted"
    );
    copy.abandon();
}
