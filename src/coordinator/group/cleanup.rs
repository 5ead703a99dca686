//! Removes offsets and groups: for retention, OffsetDelete, DeleteGroups, deleted topics and ended transactions. Kafka
//! 3.9: `GroupMetadataManager` (`cleanupGroupMetadata`, `handleTxnCompletion`).

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use parking_lot::RwLock;
use tracing::{debug, info, warn};

use super::coordinator::GroupCoordinator;
use super::effect::Now;
use super::group_metadata::{CONSUMER_PROTOCOL_TYPE, GroupMetadata};
use super::log::{self, LogFormatError};
use super::partition_groups::{Group, GroupCell, PartitionGroups};
use super::state::GroupState;
use crate::common::error::ErrorCode;
use crate::common::ids::{ProducerId, TopicPartition};

/// The next round writes lost tombstones again, so no request waits for them.
const NO_ACKNOWLEDGEMENT: i16 = 0;

impl GroupCoordinator {
    /// Removes every offset whose retention is over, and the groups that are empty then. Returns the number of removed
    /// offsets.
    pub fn expire_offsets(&self) -> usize {
        let retention_ms = self.config.offsets_retention_ms;
        let removed =
            self.remove_from_all(|metadata, now| metadata.remove_expired_offsets(now, retention_ms));
        if removed > 0 {
            self.meters.offset_expirations.mark(removed as u64);
            info!(offsets = removed, "removed expired offsets");
        }
        removed
    }

    /// Removes the offsets of deleted partitions.
    pub fn on_partitions_deleted(&self, partitions: &[TopicPartition]) {
        let removed = self.remove_from_all(|metadata, _| metadata.offsets.remove(partitions.iter().cloned()));
        if removed > 0 {
            info!(offsets = removed, "removed offsets of deleted partitions");
        }
    }

    fn remove_from_all(&self, select: impl Fn(&mut GroupMetadata, Now) -> Vec<TopicPartition>) -> usize {
        let groups = self.groups().into_iter();
        groups
            .map(|group| self.remove_offsets(&group, |metadata, now| select(metadata, now)))
            .sum()
    }

    /// Handles OffsetDelete. Returns an error code for each partition, or one error for all.
    pub fn delete_offsets(
        &self,
        group_id: &str,
        partitions: Vec<TopicPartition>,
    ) -> Result<Vec<(TopicPartition, ErrorCode)>, ErrorCode> {
        if group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let group = self.find(group_id)?.ok_or(ErrorCode::GroupIdNotFound)?;
        if partitions.is_empty() {
            // Only look at the group: `remove_offsets` also removes a group that has no offsets.
            return group.view(|metadata| deletion_codes(metadata, partitions));
        }
        let mut results = Err(ErrorCode::UnknownServerError);
        let removed = self.remove_offsets(&group, |metadata, _| {
            results = deletion_codes(metadata, partitions);
            let coded = results.iter().flatten().filter(|(_, code)| !code.is_error());
            let deletable: Vec<_> = coded.map(|(partition, _)| partition.clone()).collect();
            metadata.offsets.remove(deletable)
        });
        if removed > 0 {
            self.meters.offset_deletions.mark(removed as u64);
            info!(group = group_id, offsets = removed, "removed offsets by request");
        }
        results
    }

    /// Handles DeleteGroups for one group. Only a group without members is deleted.
    pub fn delete_group(&self, group_id: &str) -> ErrorCode {
        let group = match self.find(group_id) {
            Ok(Some(group)) => group,
            Ok(None) => return ErrorCode::GroupIdNotFound,
            Err(error) => return error,
        };
        let mut code = ErrorCode::None;
        self.remove_offsets(&group, |metadata, _| match metadata.state() {
            GroupState::Empty => metadata.offsets.clear(),
            GroupState::Dead => {
                code = ErrorCode::GroupIdNotFound;
                Vec::new()
            }
            GroupState::PreparingRebalance | GroupState::CompletingRebalance | GroupState::Stable => {
                code = ErrorCode::NonEmptyGroup;
                Vec::new()
            }
        });
        if !code.is_error() {
            info!(group = group_id, "deleted group");
        }
        code
    }

    /// A producer's transaction has ended in these partitions of `__consumer_offsets`.
    pub fn on_transaction_completed(&self, producer: ProducerId, partitions: &[i32], committed: bool) {
        for &partition in partitions {
            let Some(mut partition) = self.partitions.get(partition).map(RwLock::write) else {
                continue;
            };
            if partition.is_loading() {
                partition.state.ended_while_loading.push((producer, committed));
                continue;
            }
            self.end_transaction(&mut partition.state, producer, committed);
        }
    }

    /// Ends a transaction in the groups of a partition: its offsets become valid if it was committed, else they are
    /// dropped.
    pub(super) fn end_transaction(
        &self,
        partition: &mut PartitionGroups,
        producer: ProducerId,
        committed: bool,
    ) {
        let ids = partition.open_transactions.remove(&producer).unwrap_or_default();
        for group in ids.iter().filter_map(|id| partition.groups.get(id)) {
            self.drive(group, |cell, _| {
                cell.metadata.offsets.complete_transaction(producer, committed);
            });
        }
    }

    /// Removes the offsets that `select` takes out of a group, and the group itself if nothing is left. Writes
    /// tombstones for all of them. Returns the number of removed offsets.
    fn remove_offsets(
        &self,
        group: &Arc<Group>,
        select: impl FnOnce(&mut GroupMetadata, Now) -> Vec<TopicPartition>,
    ) -> usize {
        let (removed, dead) = self.drive(group, |cell, now| {
            if cell.metadata.state() == GroupState::Dead {
                select(&mut cell.metadata, now);
                return (0, None);
            }
            let removed = select(&mut cell.metadata, now);
            let is_dead = cell.metadata.die_if_unused(now);
            self.append_tombstones(group, cell, &removed, is_dead, now);
            (removed.len(), is_dead.then(|| cell.metadata.id().clone()))
        });
        if let Some(id) = dead
            && let Some(mut partition) = self.partitions.get(group.partition).map(RwLock::write)
        {
            let groups = &mut partition.state.groups;
            if groups.get(&id).is_some_and(|current| Arc::ptr_eq(current, group)) {
                groups.remove(&id);
                debug!(group = %id, "removed group");
            }
        }
        removed
    }

    /// Appends the tombstones. A group that never had a generation has no group record, so it gets no group tombstone.
    fn append_tombstones(
        &self,
        group: &Group,
        cell: &GroupCell,
        offsets: &[TopicPartition],
        is_dead: bool,
        now: Now,
    ) {
        let id = cell.metadata.id();
        let offset_keys = offsets.iter().map(|p| log::offset_key(id, &p.topic, p.partition));
        let group_key = (is_dead && cell.metadata.generation_id() > 0).then(|| log::group_key(id));
        let keys: Result<Vec<Bytes>, LogFormatError> = offset_keys.chain(group_key).collect();
        let records: Vec<_> = match keys {
            Ok(keys) if keys.is_empty() => return,
            Ok(keys) => keys.into_iter().map(|key| (key, None)).collect(),
            Err(error) => {
                warn!(group = %id, %error, "cannot write tombstones");
                return;
            }
        };
        let batch = self.batch(&records, now);
        let append = self.append(group.partition, batch, NO_ACKNOWLEDGEMENT, None);
        if let Some(Err(error)) = append.now_or_never() {
            warn!(group = %id, %error, "cannot write tombstones");
        }
    }
}

/// The error code of OffsetDelete for each partition. Offsets of topics that the group subscribes to are not deleted.
fn deletion_codes(
    metadata: &GroupMetadata,
    partitions: Vec<TopicPartition>,
) -> Result<Vec<(TopicPartition, ErrorCode)>, ErrorCode> {
    let is_consumer = metadata
        .protocol_type()
        .is_some_and(|t| **t == *CONSUMER_PROTOCOL_TYPE);
    let is_empty = match metadata.state() {
        GroupState::Dead => return Err(ErrorCode::GroupIdNotFound),
        GroupState::Empty => true,
        _ if is_consumer => false,
        _ => return Err(ErrorCode::NonEmptyGroup),
    };
    let with_code = |partition: TopicPartition| {
        let code = match !is_empty && metadata.is_subscribed_to(&partition.topic) {
            true => ErrorCode::GroupSubscribedToTopic,
            false => ErrorCode::None,
        };
        (partition, code)
    };
    Ok(partitions.into_iter().map(with_code).collect())
}
