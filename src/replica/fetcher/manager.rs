//! Which fetcher fetches what. Kafka 3.9: `ReplicaFetcherManager`, `AbstractFetcherManager`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::fetch_state::PartitionFetchState;
use super::metrics::{self, FetcherStats};
use super::thread::FetcherThread;
use crate::cluster::Partition;
use crate::common::ids::{BrokerId, LeaderEpoch, TopicId, TopicPartition};
use crate::config::BrokerConfig;
use crate::metrics::Registry;
use crate::network::BrokerAddress;
use crate::replica::ReplicaManager;
use crate::replica::hooks::BrokerEpochSource;

/// A partition that is to be fetched from its leader.
pub struct FetchAssignment {
    /// The follower.
    pub partition: Arc<Partition>,
    /// `None` if the controller named none.
    pub topic_id: Option<TopicId>,
    /// Where to fetch.
    pub leader: BrokerAddress,
    /// Leader epoch of the assignment.
    pub epoch: LeaderEpoch,
}

/// The leader and which of its `num.replica.fetchers` fetchers.
pub(super) type FetcherKey = (BrokerId, usize);

/// What a fetcher and its manager share.
pub(super) struct Fetcher {
    pub(super) leader: BrokerAddress,
    pub(super) partitions: Mutex<BTreeMap<TopicPartition, PartitionFetchState>>,
    /// Partitions have been added.
    pub(super) assigned: Notify,
    pub(super) stop: CancellationToken,
    /// Cancelled when its task has ended: from then on it does nothing more to a log.
    pub(super) ended: CancellationToken,
    /// Fetchers that had its partitions before. It begins when they have ended, with what they have left in the logs.
    pub(super) predecessors: Vec<CancellationToken>,
}

/// All fetchers of this broker.
pub struct FetcherManager {
    config: Arc<BrokerConfig>,
    /// `num.replica.fetchers` as it is now; changed under the lock of `fetchers`.
    fetchers_per_leader: AtomicUsize,
    broker_epoch: BrokerEpochSource,
    metrics: Registry,
    fetchers: Mutex<Fetchers>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Fetchers {
    by_key: BTreeMap<FetcherKey, Arc<Fetcher>>,
    assigned: HashMap<TopicPartition, FetcherKey>,
    /// Given up until the controller speaks of them again.
    failed: HashSet<TopicPartition>,
}

impl FetcherManager {
    /// No fetchers yet.
    pub fn new(config: Arc<BrokerConfig>, broker_epoch: BrokerEpochSource, metrics: &Registry) -> Self {
        Self {
            fetchers_per_leader: AtomicUsize::new(config.num_replica_fetchers),
            config,
            broker_epoch,
            metrics: metrics.clone(),
            fetchers: Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Moves partitions to the fetchers of their leaders, from whichever fetched them before.
    pub fn assign(&self, manager: &Arc<ReplicaManager>, assignments: Vec<FetchAssignment>) {
        if self.stop.is_cancelled() {
            return;
        }
        let mut fetchers = self.fetchers.lock();
        let mut touched = BTreeMap::new();
        for assignment in assignments {
            let FetchAssignment {
                partition,
                topic_id,
                leader,
                epoch,
            } = assignment;
            let name = partition.topic_partition().clone();
            fetchers.remove(&name, &self.metrics);
            let Some(state) = PartitionFetchState::begin(partition, topic_id, epoch) else {
                continue;
            };
            let key = (leader.id, fetcher_id(&name, self.fetchers_per_leader()));
            let fetcher = self.fetcher(&mut fetchers, key, leader, manager);
            fetcher.partitions.lock().insert(name.clone(), state);
            metrics::show_lag(&self.metrics, key, &fetcher, &name);
            fetchers.assigned.insert(name, key);
            touched.insert(key, fetcher);
        }
        touched.values().for_each(|fetcher| fetcher.assigned.notify_one());
        fetchers.drop_idle();
    }

    /// Spreads the partitions of each leader over another number of fetchers.
    pub fn resize(&self, manager: &Arc<ReplicaManager>, fetchers_per_leader: usize) {
        let mut fetchers = self.fetchers.lock();
        let before = self
            .fetchers_per_leader
            .swap(fetchers_per_leader, Ordering::Relaxed);
        if before == fetchers_per_leader || self.stop.is_cancelled() {
            return;
        }
        tracing::info!(
            before,
            now = fetchers_per_leader,
            "another number of fetchers for each leader"
        );
        let old = std::mem::take(&mut fetchers.by_key);
        let mut ended: HashMap<BrokerId, Vec<CancellationToken>> = HashMap::new();
        for ((leader, _), fetcher) in &old {
            fetcher.stop.cancel();
            ended.entry(*leader).or_default().push(fetcher.ended.clone());
        }
        for (old_key, old) in old {
            for (name, state) in std::mem::take(&mut *old.partitions.lock()) {
                let key = (old_key.0, fetcher_id(&name, fetchers_per_leader));
                let fetcher = match fetchers.by_key.get(&key) {
                    Some(fetcher) => fetcher.clone(),
                    None => {
                        let (leader, ended) = (old.leader.clone(), ended[&key.0].clone());
                        self.start_fetcher(&mut fetchers, key, leader, BTreeMap::new(), ended, manager)
                    }
                };
                metrics::hide_lag(&self.metrics, old_key, &name);
                fetcher.partitions.lock().insert(name.clone(), state);
                metrics::show_lag(&self.metrics, key, &fetcher, &name);
                fetchers.assigned.insert(name, key);
            }
        }
    }

    /// `num.replica.fetchers` as it is now.
    pub fn fetchers_per_leader(&self) -> usize {
        self.fetchers_per_leader.load(Ordering::Relaxed)
    }

    /// Ends the fetching of these partitions.
    pub fn remove<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        let mut fetchers = self.fetchers.lock();
        partitions
            .into_iter()
            .for_each(|name| fetchers.remove(name, &self.metrics));
        fetchers.drop_idle();
    }

    /// Gives a partition up until the controller speaks of it again; unless it already has since `epoch`, in which the
    /// partition was fetched when that failed: what is stale must not end what has begun since.
    pub(super) fn fail(&self, partition: &TopicPartition, epoch: LeaderEpoch) {
        let mut fetchers = self.fetchers.lock();
        if fetchers.epoch(partition) == Some(epoch) {
            fetchers.remove(partition, &self.metrics);
            fetchers.failed.insert(partition.clone());
        }
    }

    /// How many partitions were given up (metric `FailedPartitionsCount`).
    pub fn failed_partitions(&self) -> usize {
        self.fetchers.lock().failed.len()
    }

    /// The largest lag of any partition (metric `MaxLag`).
    pub fn max_lag(&self) -> i64 {
        let fetchers = self.fetchers.lock();
        let lag = |fetcher: &Arc<Fetcher>| {
            fetcher
                .partitions
                .lock()
                .values()
                .filter_map(|state| state.lag)
                .max()
                .unwrap_or(0)
        };
        fetchers.by_key.values().map(lag).max().unwrap_or(0)
    }

    /// Ends all fetchers and waits for their tasks.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let fetchers = std::mem::take(&mut *self.fetchers.lock());
        for (name, key) in &fetchers.assigned {
            metrics::hide_lag(&self.metrics, *key, name);
        }
    }

    /// The fetcher for `key`. A leader that has moved gets a new one, with all that the old one had.
    fn fetcher(
        &self,
        fetchers: &mut Fetchers,
        key: FetcherKey,
        leader: BrokerAddress,
        manager: &Arc<ReplicaManager>,
    ) -> Arc<Fetcher> {
        let old = fetchers.by_key.get(&key);
        if let Some(fetcher) = old
            && fetcher.leader == leader
        {
            return fetcher.clone();
        }
        let before = old.map(|old| {
            old.stop.cancel();
            (std::mem::take(&mut *old.partitions.lock()), old.ended.clone())
        });
        let (partitions, ended) = before.unzip();
        let partitions = partitions.unwrap_or_default();
        self.start_fetcher(
            fetchers,
            key,
            leader,
            partitions,
            ended.into_iter().collect(),
            manager,
        )
    }

    fn start_fetcher(
        &self,
        fetchers: &mut Fetchers,
        key: FetcherKey,
        leader: BrokerAddress,
        partitions: BTreeMap<TopicPartition, PartitionFetchState>,
        predecessors: Vec<CancellationToken>,
        manager: &Arc<ReplicaManager>,
    ) -> Arc<Fetcher> {
        let stats = FetcherStats::new(&self.metrics, key, &leader);
        let fetcher = Arc::new(Fetcher {
            leader,
            partitions: Mutex::new(partitions),
            assigned: Notify::new(),
            stop: self.stop.child_token(),
            ended: CancellationToken::new(),
            predecessors,
        });
        for name in fetcher.partitions.lock().keys() {
            metrics::show_lag(&self.metrics, key, &fetcher, name);
        }
        fetchers.by_key.insert(key, fetcher.clone());
        let thread = FetcherThread::new(
            fetcher.clone(),
            manager.clone(),
            self.config.clone(),
            self.broker_epoch.clone(),
            key.1,
            stats,
        );
        self.tasks.spawn(thread.run());
        fetcher
    }
}

impl Fetchers {
    /// The leader epoch in which a partition is fetched.
    fn epoch(&self, name: &TopicPartition) -> Option<LeaderEpoch> {
        let fetcher = self.by_key.get(self.assigned.get(name)?)?;
        Some(fetcher.partitions.lock().get(name)?.epoch)
    }

    fn remove(&mut self, name: &TopicPartition, registry: &Registry) {
        self.failed.remove(name);
        let Some(key) = self.assigned.remove(name) else {
            return;
        };
        metrics::hide_lag(registry, key, name);
        if let Some(fetcher) = self.by_key.get(&key) {
            fetcher.partitions.lock().remove(name);
        }
    }

    fn drop_idle(&mut self) {
        self.by_key.retain(|_, fetcher| {
            let idle = fetcher.partitions.lock().is_empty();
            if idle {
                fetcher.stop.cancel();
            }
            !idle
        });
    }
}

/// Kafka's choice, so that the load is spread as there: `abs(31 * hash(topic) + partition) % fetchers`.
pub(in crate::replica) fn fetcher_id(partition: &TopicPartition, fetchers: usize) -> usize {
    let topic = partition.topic.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    let hash = topic.wrapping_mul(31).wrapping_add(partition.partition);
    // Java's Utils.abs: the smallest integer, which has no positive counterpart, becomes 0.
    let hash = hash.checked_abs().unwrap_or(0);
    usize::try_from(hash).unwrap_or(0) % fetchers.max(1)
}

#[cfg(test)]
mod tests;
