//! Owns the assignment of partitions to fetchers. Kafka 3.9: `AbstractFetcherManager.fetcherThreadMap`,
//! `FailedPartitions`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::metrics;
use super::shared::{Fetcher, FetcherKey};
use crate::common::ids::{LeaderEpoch, TopicPartition};
use crate::metrics::Registry;

/// The fetchers of this broker with their partitions.
pub(super) struct Assignments {
    pub(super) fetchers: Mutex<Fetchers>,
    registry: Registry,
}

/// All fetchers.
#[derive(Default)]
pub(super) struct Fetchers {
    pub(super) by_key: BTreeMap<FetcherKey, Arc<Fetcher>>,
    pub(super) assigned: HashMap<TopicPartition, FetcherKey>,
    /// Partitions whose fetching was given up until the controller names them again.
    pub(super) failed: HashSet<TopicPartition>,
}

impl Assignments {
    /// Creates the assignments without fetchers.
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            fetchers: Mutex::default(),
            registry: registry.clone(),
        }
    }

    /// Gives a partition up until the controller names it again. `epoch` is the epoch of the failed fetch. If the
    /// controller has assigned the partition anew since then, the failure is stale and changes nothing.
    pub(super) fn fail(&self, partition: &TopicPartition, epoch: LeaderEpoch) {
        let mut fetchers = self.fetchers.lock();
        if fetchers.epoch(partition) == Some(epoch) {
            fetchers.remove(partition, &self.registry);
            fetchers.failed.insert(partition.clone());
        }
    }
}

impl Fetchers {
    /// The leader epoch in which a partition is fetched.
    pub(super) fn epoch(&self, name: &TopicPartition) -> Option<LeaderEpoch> {
        let fetcher = self.by_key.get(self.assigned.get(name)?)?;
        Some(fetcher.partitions.lock().get(name)?.epoch)
    }

    /// Stops fetching a partition.
    pub(super) fn remove(&mut self, name: &TopicPartition, registry: &Registry) {
        self.failed.remove(name);
        let Some(key) = self.assigned.remove(name) else {
            return;
        };
        metrics::hide_lag(registry, key, name);
        if let Some(fetcher) = self.by_key.get(&key) {
            fetcher.partitions.lock().remove(name);
        }
    }

    /// Ends the fetchers that have no partition.
    pub(super) fn drop_idle(&mut self) {
        self.by_key.retain(|_, fetcher| {
            let idle = fetcher.partitions.lock().is_empty();
            if idle {
                fetcher.stop.cancel();
            }
            !idle
        });
    }
}
