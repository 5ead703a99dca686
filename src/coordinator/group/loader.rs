//! Reads one partition of `__consumer_offsets` back into groups, when this broker becomes its leader.
//! Kafka 3.9: `GroupMetadataManager` (`doLoadGroupsAndOffsets`).
//!
//! The loader replays the log from its start to its end, replicated or not. The newest record of a key is valid; a
//! record without value deletes the older ones. Offsets of a transaction wait for its marker, but their position in the
//! log is that of their own batch, not of the marker. Offsets of open transactions stay pending (fact 68). The loader
//! skips an unreadable record with a warning, so that one bad record does not lose the offsets of every group.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tracing::warn;

use super::effect::Now;
use super::group_metadata::{GroupLimits, GroupMetadata};
use super::log::{self, GroupMetadataValue, Key, LogFormatError};
use super::offsets::{CommitRecord, GroupOffsets, put_if_newer};
use crate::common::ids::{ProducerId, TopicName, TopicPartition};
use crate::coordinator::replay::for_each_record;
use crate::record::{ControlRecordType, EndTransactionMarker, Record, RecordBatch};

type Offsets = HashMap<TopicPartition, CommitRecord>;

/// The state that the loader has read so far.
#[derive(Debug, Default)]
pub struct Replay {
    groups: HashMap<Arc<str>, GroupMetadataValue>,
    committed: HashMap<Arc<str>, Offsets>,
    transactional: HashMap<ProducerId, HashMap<Arc<str>, Offsets>>,
    /// Each topic name once, shared by all offsets of the topic.
    topics: HashSet<TopicName>,
    group_ids: HashSet<Arc<str>>,
}

impl Replay {
    /// Applies the next batch of the log.
    pub fn apply(&mut self, batch: &RecordBatch<'_>) {
        if batch.is_control_batch() {
            let offset = batch.base_offset();
            match EndTransactionMarker::read(&batch.header(), batch.records()) {
                Ok(Some((marker, _))) => self.end_transaction(batch.producer_id(), marker.control_type),
                Ok(None) => {}
                Err(error) => warn!(offset, %error, "skipping an unreadable transaction marker"),
            }
            return;
        }
        for_each_record(batch, |record| self.apply_record(batch, record));
    }

    fn apply_record(&mut self, batch: &RecordBatch<'_>, record: &Record<'_>) -> Result<(), LogFormatError> {
        match log::read_key(record.key.unwrap_or_default())? {
            Key::Offset {
                group,
                topic,
                partition,
            } => {
                let value = record.value.map(log::read_offset_value).transpose()?;
                let group = intern(&mut self.group_ids, group);
                let partition = TopicPartition::new(intern(&mut self.topics, topic), partition);
                let offsets = if batch.is_transactional() {
                    self.transactional
                        .entry(batch.producer_id())
                        .or_default()
                        .entry(group)
                } else {
                    self.committed.entry(group)
                }
                .or_default();
                match value {
                    Some(value) => {
                        let appended_batch_offset = batch.base_offset();
                        let record = CommitRecord {
                            appended_batch_offset,
                            value,
                        };
                        offsets.insert(partition, record);
                    }
                    None => {
                        offsets.remove(&partition);
                    }
                }
            }
            Key::Group { group } => {
                let value = record.value.map(log::read_group_value).transpose()?;
                let group = intern(&mut self.group_ids, group);
                match value {
                    Some(value) => {
                        self.groups.insert(group, value);
                    }
                    None => {
                        self.groups.remove(&group);
                    }
                }
            }
            Key::Unknown(version) => {
                // Groups of the new consumer protocol remain after an upgrade and a downgrade.
                warn!(
                    offset = record.offset,
                    version, "skipping a record with a key of an unknown version"
                );
            }
        }
        Ok(())
    }

    fn end_transaction(&mut self, producer: ProducerId, end: ControlRecordType) {
        let pending = self.transactional.remove(&producer).unwrap_or_default();
        if end == ControlRecordType::Commit {
            for (group, offsets) in pending {
                let committed = self.committed.entry(group).or_default();
                for (partition, record) in offsets {
                    put_if_newer(committed, partition, record);
                }
            }
        }
    }

    /// The groups at the end of the log, including groups that only keep offsets.
    pub fn into_groups(mut self, limits: GroupLimits, now: Now) -> Vec<GroupMetadata> {
        let mut open: HashMap<Arc<str>, HashMap<ProducerId, Offsets>> = HashMap::new();
        for (producer, groups) in self.transactional {
            for (group, offsets) in groups {
                if !offsets.is_empty() {
                    open.entry(group).or_default().insert(producer, offsets);
                }
            }
        }
        let mut loaded = Vec::new();
        for id in self.group_ids {
            let value = self.groups.remove(&id);
            let committed = self.committed.remove(&id).unwrap_or_default();
            let open = open.remove(&id).unwrap_or_default();
            if value.is_none() && committed.is_empty() && open.is_empty() {
                continue;
            }
            let mut group = match value {
                Some(value) => GroupMetadata::from_log(&id, value, limits, now),
                None => GroupMetadata::new(id, limits, now),
            };
            group.offsets = GroupOffsets::loaded(committed, open);
            loaded.push(group);
        }
        loaded
    }
}

fn intern(names: &mut HashSet<Arc<str>>, name: &str) -> Arc<str> {
    if let Some(known) = names.get(name) {
        return known.clone();
    }
    let name: Arc<str> = name.into();
    names.insert(name.clone());
    name
}

#[cfg(test)]
mod tests;
