//! Which partitions of `__consumer_offsets` this broker leads: groups are loaded when it begins to lead one and
//! unloaded when it ceases to. Kafka 3.9: `GroupMetadataManager` (`loadGroupsAndOffsets`, `removeGroupsAndOffsets`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::{debug, error, info};

use super::coordinator::{Group, GroupCoordinator};
use super::loader;
use crate::common::ids::{LeaderEpoch, ProducerId};
use crate::common::topic_name::GROUP_METADATA_TOPIC;
use crate::coordinator::ownership::{Leadership, Ownership};
use crate::coordinator::replay::LoadError;

/// One partition of `__consumer_offsets` and the groups that belong to it.
#[derive(Default)]
pub(super) struct OffsetsPartition {
    pub(super) leadership: Leadership,
    pub(super) groups: HashMap<Arc<str>, Arc<Group>>,
    /// The groups that have offsets of a producer's open transaction.
    pub(super) open_transactions: HashMap<ProducerId, HashSet<Arc<str>>>,
    /// Transactions that ended, committed or not, while the partition was being loaded: their markers may lie behind
    /// what the load reads.
    pub(super) ended_while_loading: Vec<(ProducerId, bool)>,
}

impl GroupCoordinator {
    /// This broker leads a partition of `__consumer_offsets` since this epoch: its groups are loaded, in the
    /// background; requests for them are told to wait at once.
    pub fn on_election(&self, partition: i32, epoch: LeaderEpoch) {
        let Some(entry) = self.partition(partition) else {
            error!(
                partition,
                "{GROUP_METADATA_TOPIC} has more partitions than when this broker started"
            );
            return;
        };
        let mut guard = entry.write();
        if !guard.leadership.advance_epoch(Some(epoch)) {
            info!(
                partition,
                epoch,
                current = guard.leadership.epoch,
                "ignoring a late election as group coordinator"
            );
            return;
        }
        if guard.leadership.ownership != Ownership::Elsewhere {
            return;
        }
        let load = self.next_load.fetch_add(1, Ordering::Relaxed);
        guard.leadership.ownership = Ownership::Loading { load };
        drop(guard);
        info!(partition, epoch, "elected as group coordinator, loading");
        let (this, loads, stop) = (self.this.clone(), self.loads.clone(), self.stop.clone());
        self.runtime.spawn(async move {
            let Some(Ok(_permit)) = stop.run_until_cancelled(loads.acquire_owned()).await else {
                return;
            };
            let run = move || {
                if let Some(coordinator) = this.upgrade() {
                    coordinator.load(partition, load);
                }
            };
            if let Err(error) = tokio::task::spawn_blocking(run).await {
                error!(partition, %error, "loading a partition of the offsets topic has failed");
            }
        });
    }

    /// Reads a partition; blocks. A partition that cannot be read is not owned: its groups would seem never to have
    /// committed anything, and their consumers would start anew.
    fn load(&self, partition: i32, load: u64) {
        let Some(entry) = self.partition(partition) else {
            return;
        };
        let is_current =
            || entry.read().leadership.ownership == Ownership::Loading { load } && !self.stop.is_cancelled();
        let start_ms = self.clock.monotonic_ms();
        let loaded = loader::load(&*self.log, partition, self.config.load_buffer_size, is_current);
        let now = self.now();
        let groups = match loaded {
            Ok(replay) => replay.into_groups(self.config.limits, now),
            Err(LoadError::Superseded) => return,
            Err(error) => {
                error!(partition, %error, "cannot load groups and offsets");
                let mut guard = entry.write();
                if guard.leadership.ownership == (Ownership::Loading { load }) {
                    guard.leadership.ownership = Ownership::Elsewhere;
                }
                return;
            }
        };
        let mut loaded = OffsetsPartition::default();
        let mut offsets = 0;
        for metadata in groups {
            let id = metadata.id().clone();
            offsets += metadata.offsets.len();
            for producer in metadata.offsets.open_transactions() {
                loaded
                    .open_transactions
                    .entry(producer)
                    .or_default()
                    .insert(id.clone());
            }
            loaded.groups.insert(id, Group::new(partition, metadata));
        }
        let groups: Vec<_> = loaded.groups.values().cloned().collect();
        let mut guard = entry.write();
        if guard.leadership.ownership != (Ownership::Loading { load }) {
            debug!(partition, "the partition has moved while it was being loaded");
            return;
        }
        guard.groups = loaded.groups;
        guard.open_transactions = loaded.open_transactions;
        guard.leadership.ownership = Ownership::Owned;
        // Sessions begin before the first request can see the groups: the partition's lock is still held.
        for group in &groups {
            self.drive(group, |cell, now| cell.metadata.on_loaded(now));
        }
        for (producer, committed) in std::mem::take(&mut guard.ended_while_loading) {
            self.end_transaction(&mut guard, producer, committed);
        }
        drop(guard);
        let took_ms = self.clock.monotonic_ms() - start_ms;
        let times = &self.meters.partition_load_time_ms;
        times.update(u64::try_from(took_ms).unwrap_or(0));
        info!(
            partition,
            groups = groups.len(),
            offsets,
            took_ms,
            "loaded groups and offsets"
        );
    }

    /// This broker does not lead a partition of `__consumer_offsets` any more; no epoch if the controller named none.
    pub fn on_resignation(&self, partition: i32, epoch: Option<LeaderEpoch>) {
        let Some(entry) = self.partition(partition) else {
            return;
        };
        let mut guard = entry.write();
        if !guard.leadership.advance_epoch(epoch) {
            info!(
                partition,
                epoch,
                current = guard.leadership.epoch,
                "ignoring a late resignation as group coordinator"
            );
            return;
        }
        let was = std::mem::take(&mut guard.leadership.ownership);
        let groups = std::mem::take(&mut guard.groups);
        guard.open_transactions.clear();
        guard.ended_while_loading.clear();
        drop(guard);
        if was != Ownership::Elsewhere {
            info!(
                partition,
                epoch,
                groups = groups.len(),
                "resigned as group coordinator"
            );
        }
        self.unload(groups);
    }

    /// Sends whoever waits in these groups to the next coordinator.
    pub(super) fn unload(&self, groups: HashMap<Arc<str>, Arc<Group>>) {
        for group in groups.into_values() {
            self.drive(&group, |cell, now| cell.metadata.unload(now));
        }
    }
}
