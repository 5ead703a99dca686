//! Owns the offsets of one group: committed, being appended to the log, and waiting for the end of a transaction. Also
//! decides when offsets expire. Kafka 3.9: `GroupMetadata` (offset part), `OffsetAndMetadata`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::common::ids::{LeaderEpoch, Offset, ProducerId, TopicPartition};

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// The next offset to be consumed.
    pub offset: Offset,
    /// The leader epoch of the last consumed record. -1 if the client did not give it.
    pub leader_epoch: LeaderEpoch,
    /// The client's metadata string, often empty.
    pub metadata: Arc<str>,
    /// When the offset was committed, in milliseconds since 1970.
    pub commit_timestamp_ms: i64,
    /// Set only if the commit requested a retention (OffsetCommit versions 2 to 4).
    pub expire_timestamp_ms: Option<i64>,
}

/// A committed offset and the base offset of its batch in `__consumer_offsets`. The later batch wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRecord {
    /// The base offset of the batch.
    pub appended_batch_offset: Offset,
    /// The committed offset.
    pub value: OffsetAndMetadata,
}

/// Identifies a commit that is being appended to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitId(u64);

/// Which offsets of a group may expire, and when their retention starts.
#[derive(Clone, Copy, Debug)]
pub enum Expiry<'a> {
    /// All offsets. Retention starts when the group lost its last member.
    Since(i64),
    /// All offsets. Retention starts at each offset's commit.
    SinceCommit,
    /// Offsets of topics that no member subscribes to. Retention starts at each offset's commit.
    NotSubscribedSinceCommit(&'a BTreeSet<Arc<str>>),
}

/// The offsets of an open transaction.
#[derive(Clone, Debug, Default)]
struct TransactionalOffsets {
    appended: HashMap<TopicPartition, CommitRecord>,
    /// The latest commit that is being appended, for each partition.
    appending: HashMap<TopicPartition, CommitId>,
}

impl TransactionalOffsets {
    fn contains(&self, partition: &TopicPartition) -> bool {
        self.appended.contains_key(partition) || self.appending.contains_key(partition)
    }

    fn is_empty(&self) -> bool {
        self.appended.is_empty() && self.appending.is_empty()
    }
}

/// The offsets of one group.
#[derive(Clone, Debug, Default)]
pub struct GroupOffsets {
    committed: HashMap<TopicPartition, CommitRecord>,
    /// The latest commit that is being appended, for each partition.
    pending: HashMap<TopicPartition, CommitId>,
    /// The offsets of open transactions.
    transactional: HashMap<ProducerId, TransactionalOffsets>,
    next_commit_id: u64,
}

impl GroupOffsets {
    /// Builds the offsets from the state that the loader read.
    pub fn loaded(
        committed: HashMap<TopicPartition, CommitRecord>,
        transactional: HashMap<ProducerId, HashMap<TopicPartition, CommitRecord>>,
    ) -> Self {
        let open = |appended| TransactionalOffsets {
            appended,
            ..TransactionalOffsets::default()
        };
        Self {
            committed,
            transactional: transactional
                .into_iter()
                .map(|(producer, appended)| (producer, open(appended)))
                .collect(),
            ..Self::default()
        }
    }

    /// The committed offset of one partition.
    pub fn get(&self, partition: &TopicPartition) -> Option<&OffsetAndMetadata> {
        self.committed.get(partition).map(|record| &record.value)
    }

    /// Partitions with a committed offset.
    pub fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.committed.keys()
    }

    /// Number of partitions with a committed offset.
    pub fn len(&self) -> usize {
        self.committed.len()
    }

    /// Whether no offset is committed, being appended or waiting for a transaction.
    pub fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty() && self.transactional.is_empty()
    }

    /// Whether a commit in progress or an open transaction may change the partition's committed offset. OffsetFetch
    /// with `require_stable` asks this.
    pub fn is_unstable(&self, partition: &TopicPartition) -> bool {
        self.pending.contains_key(partition)
            || self
                .transactional
                .values()
                .any(|offsets| offsets.contains(partition))
    }

    /// The producers with open transactions in this group.
    pub fn open_transactions(&self) -> impl Iterator<Item = ProducerId> {
        self.transactional.keys().copied()
    }

    /// Begins a commit of these partitions. The append follows.
    pub fn begin_commit<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) -> CommitId {
        let id = CommitId(self.next_commit_id);
        self.next_commit_id += 1;
        for partition in partitions {
            self.pending.insert(partition.clone(), id);
        }
        id
    }

    /// The commit is replicated. It becomes valid, unless a later commit is valid already or the partition's offset was
    /// removed since.
    pub fn complete_commit(
        &mut self,
        id: CommitId,
        appended_batch_offset: Offset,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
    ) {
        for (partition, value) in offsets {
            let Some(&latest) = self.pending.get(&partition) else {
                continue;
            };
            if latest == id {
                self.pending.remove(&partition);
            }
            let record = CommitRecord {
                appended_batch_offset,
                value,
            };
            put_if_newer(&mut self.committed, partition, record);
        }
    }

    /// The commit cannot be written or replicated.
    pub fn fail_commit<'a>(
        &mut self,
        id: CommitId,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) {
        for partition in partitions {
            if self.pending.get(partition) == Some(&id) {
                self.pending.remove(partition);
            }
        }
    }

    /// Begins a commit of these partitions within a transaction. The append follows.
    pub fn begin_transactional_commit<'a>(
        &mut self,
        producer: ProducerId,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> CommitId {
        let id = CommitId(self.next_commit_id);
        self.next_commit_id += 1;
        let offsets = self.transactional.entry(producer).or_default();
        for partition in partitions {
            offsets.appending.insert(partition.clone(), id);
        }
        id
    }

    /// The commit within a transaction is replicated. It becomes valid when the transaction is committed. If the
    /// transaction has already ended, the commit is ignored: its producer ended the transaction without waiting for
    /// this commit.
    pub fn complete_transactional_commit(
        &mut self,
        producer: ProducerId,
        id: CommitId,
        appended_batch_offset: Offset,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
    ) {
        let Some(open) = self.transactional.get_mut(&producer) else {
            return;
        };
        for (partition, value) in offsets {
            let Some(&latest) = open.appending.get(&partition) else {
                continue;
            };
            if latest == id {
                open.appending.remove(&partition);
            }
            let record = CommitRecord {
                appended_batch_offset,
                value,
            };
            put_if_newer(&mut open.appended, partition, record);
        }
    }

    /// The commit within a transaction cannot be written or replicated.
    pub fn fail_transactional_commit<'a>(
        &mut self,
        producer: ProducerId,
        id: CommitId,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) {
        let Some(open) = self.transactional.get_mut(&producer) else {
            return;
        };
        for partition in partitions {
            if open.appending.get(partition) == Some(&id) {
                open.appending.remove(partition);
            }
        }
        if open.is_empty() {
            self.transactional.remove(&producer);
        }
    }

    /// A transaction has ended. Its offsets become valid if it was committed, else they are dropped.
    pub fn complete_transaction(&mut self, producer: ProducerId, committed: bool) {
        let offsets = self.transactional.remove(&producer).unwrap_or_default();
        if committed {
            for (partition, record) in offsets.appended {
                put_if_newer(&mut self.committed, partition, record);
            }
        }
    }

    /// Removes these partitions. Returns those that may have a record in the log.
    pub fn remove(&mut self, partitions: impl IntoIterator<Item = TopicPartition>) -> Vec<TopicPartition> {
        let mut removed = Vec::new();
        for partition in partitions {
            let was_pending = self.pending.remove(&partition).is_some();
            // The transactions stay open, and the group exists as long as they do.
            for offsets in self.transactional.values_mut() {
                offsets.appended.remove(&partition);
                offsets.appending.remove(&partition);
            }
            if self.committed.remove(&partition).is_some() || was_pending {
                removed.push(partition);
            }
        }
        removed
    }

    /// Removes all partitions. Returns those that may have a record in the log.
    pub fn clear(&mut self) -> Vec<TopicPartition> {
        let mut partitions: HashSet<_> = self.committed.drain().map(|(partition, _)| partition).collect();
        partitions.extend(self.pending.drain().map(|(partition, _)| partition));
        self.transactional.clear();
        partitions.into_iter().collect()
    }

    /// Removes the offsets that have expired at `now_ms` (wall clock) under this rule. Returns their partitions.
    pub fn remove_expired(
        &mut self,
        now_ms: i64,
        retention_ms: i64,
        expiry: Expiry<'_>,
    ) -> Vec<TopicPartition> {
        let is_expired = |partition: &TopicPartition, value: &OffsetAndMetadata| {
            if let Expiry::NotSubscribedSinceCommit(topics) = expiry
                && topics.contains(&partition.topic)
            {
                return false;
            }
            let since_ms = match expiry {
                Expiry::Since(ms) => ms,
                Expiry::SinceCommit | Expiry::NotSubscribedSinceCommit(_) => value.commit_timestamp_ms,
            };
            match value.expire_timestamp_ms {
                Some(expire_ms) => now_ms >= expire_ms,
                None => now_ms.saturating_sub(since_ms) >= retention_ms,
            }
        };
        let expired: Vec<_> = self
            .committed
            .iter()
            .filter(|(partition, record)| {
                !self.pending.contains_key(*partition) && is_expired(partition, &record.value)
            })
            .map(|(partition, _)| partition.clone())
            .collect();
        for partition in &expired {
            self.committed.remove(partition);
        }
        expired
    }
}

/// Stores the offset, unless the stored one is from a later batch.
pub fn put_if_newer(
    committed: &mut HashMap<TopicPartition, CommitRecord>,
    partition: TopicPartition,
    record: CommitRecord,
) {
    match committed.get_mut(&partition) {
        Some(current) if current.appended_batch_offset >= record.appended_batch_offset => {}
        Some(current) => *current = record,
        None => {
            committed.insert(partition, record);
        }
    }
}

#[cfg(test)]
mod tests;
