//! The groups of one partition of `__consumer_offsets`, each with the requests that wait in it.
//! Kafka 3.9: `GroupMetadataManager.groupMetadataCache`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::effect::{JoinResult, SyncResult};
use super::group_metadata::GroupMetadata;
use super::member::Ticket;
use crate::common::ids::ProducerId;

/// One group and the requests that wait in it.
pub(super) struct Group {
    pub(super) partition: i32,
    pub(super) cell: Mutex<GroupCell>,
}

/// What the lock of a group guards.
pub(super) struct GroupCell {
    pub(super) metadata: GroupMetadata,
    pub(super) joins: HashMap<Ticket, oneshot::Sender<JoinResult>>,
    pub(super) syncs: HashMap<Ticket, oneshot::Sender<SyncResult>>,
    /// The deadline of this group's entry in the timer queue that is valid; others are left-overs.
    pub(super) scheduled_at_ms: Option<i64>,
}

impl Group {
    pub(super) fn new(partition: i32, metadata: GroupMetadata) -> Arc<Self> {
        Arc::new(Self {
            partition,
            cell: Mutex::new(GroupCell {
                metadata,
                joins: HashMap::new(),
                syncs: HashMap::new(),
                scheduled_at_ms: None,
            }),
        })
    }

    /// Looks at the group without changing it.
    pub(super) fn view<R>(&self, look: impl FnOnce(&GroupMetadata) -> R) -> R {
        look(&self.cell.lock().metadata)
    }
}

/// The groups of one partition of `__consumer_offsets`.
#[derive(Default)]
pub(super) struct PartitionGroups {
    pub(super) groups: HashMap<Arc<str>, Arc<Group>>,
    /// The groups that have offsets of a producer's open transaction.
    pub(super) open_transactions: HashMap<ProducerId, HashSet<Arc<str>>>,
    /// Transactions that ended, committed or not, while the partition was being loaded: their markers may lie behind
    /// what the load reads.
    pub(super) ended_while_loading: Vec<(ProducerId, bool)>,
}

impl PartitionGroups {
    pub(super) fn of(partition: i32, groups: Vec<GroupMetadata>) -> Self {
        let mut loaded = Self::default();
        for metadata in groups {
            let id = metadata.id().clone();
            for producer in metadata.offsets.open_transactions() {
                let groups = loaded.open_transactions.entry(producer).or_default();
                groups.insert(id.clone());
            }
            loaded.groups.insert(id, Group::new(partition, metadata));
        }
        loaded
    }
}
