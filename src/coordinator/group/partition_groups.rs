//! Owns the groups of one partition of `__consumer_offsets`, each with its waiting requests. Kafka 3.9:
//! `GroupMetadataManager.groupMetadataCache`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::effect::{JoinResult, SyncResult};
use super::group_metadata::GroupMetadata;
use super::member::Ticket;
use crate::common::ids::ProducerId;

/// One group and its waiting requests.
pub(super) struct Group {
    pub(super) partition: i32,
    pub(super) cell: Mutex<GroupCell>,
}

/// The data behind a group's lock.
pub(super) struct GroupCell {
    pub(super) metadata: GroupMetadata,
    pub(super) joins: HashMap<Ticket, oneshot::Sender<JoinResult>>,
    pub(super) syncs: HashMap<Ticket, oneshot::Sender<SyncResult>>,
    /// The deadline of this group's valid entry in the timer queue. Entries with another deadline are outdated.
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

    /// Reads the group.
    pub(super) fn view<R>(&self, look: impl FnOnce(&GroupMetadata) -> R) -> R {
        look(&self.cell.lock().metadata)
    }
}

/// The groups of one partition of `__consumer_offsets`.
#[derive(Default)]
pub(super) struct PartitionGroups {
    pub(super) groups: HashMap<Arc<str>, Arc<Group>>,
    /// Maps a producer to the groups that have offsets of its open transaction.
    pub(super) open_transactions: HashMap<ProducerId, HashSet<Arc<str>>>,
    /// Transactions that ended, committed or not, while the partition was being loaded. Their markers may be at offsets
    /// that the load does not reach.
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
