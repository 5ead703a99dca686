//! Loads a partition of `__consumer_offsets` when this broker becomes its leader, and unloads it later. Kafka 3.9:
//! `GroupMetadataManager` (`loadGroupsAndOffsets`, `removeGroupsAndOffsets`).

use tracing::info;

use super::coordinator::GroupCoordinator;
use super::loader::Replay;
use super::partition_groups::PartitionGroups;
use crate::common::ids::LeaderEpoch;
use crate::coordinator::partitions::Load;

impl GroupCoordinator {
    /// This broker became leader of a partition of `__consumer_offsets` in this epoch. The groups are loaded in the
    /// background. From this call on, most requests for them are refused with COORDINATOR_LOAD_IN_PROGRESS until the
    /// load has finished.
    pub fn on_election(&self, partition: i32, epoch: LeaderEpoch) {
        let Some(load) = self.partitions.begin_load(partition, epoch) else {
            return;
        };
        let this = self.handle();
        let partitions = self.partitions.clone();
        self.spawn(async move {
            let run = move || {
                if let Some(coordinator) = this.upgrade() {
                    coordinator.load(load);
                }
            };
            partitions.in_turn(load, run).await;
        });
    }

    /// Reads a partition. Blocks the thread.
    fn load(&self, load: Load) {
        let mut replay = Replay::default();
        if !self.partitions.replay(load, |batch| replay.apply(batch)) {
            return;
        }
        let groups = replay.into_groups(self.config.limits, self.now());
        let (partition, count) = (load.partition, groups.len());
        let offsets: usize = groups.iter().map(|group| group.offsets.len()).sum();
        let loaded = PartitionGroups::of(partition, groups);
        let is_owned = self.partitions.finish(load, loaded, |state, meanwhile| {
            // Sessions start before the first request can see the groups.
            for group in state.groups.values() {
                self.drive(group, |cell, now| cell.metadata.on_loaded(now));
            }
            for (producer, committed) in meanwhile.ended_while_loading {
                self.end_transaction(state, producer, committed);
            }
        });
        if is_owned {
            info!(partition, groups = count, offsets, "loaded groups and offsets");
        }
    }

    /// This broker no longer leads a partition of `__consumer_offsets`. `epoch` is `None` if the controller sent none.
    pub fn on_resignation(&self, partition: i32, epoch: Option<LeaderEpoch>) {
        if let Some(state) = self.partitions.resign(partition, epoch) {
            self.unload(state);
        }
    }

    /// Unloads these groups. Their waiting requests are answered so that members look for the new coordinator.
    pub(super) fn unload(&self, state: PartitionGroups) {
        for group in state.groups.into_values() {
            self.drive(&group, |cell, now| cell.metadata.unload(now));
        }
    }
}
