//! Assigns partitions to fetchers. Kafka 3.9: `ReplicaFetcherManager`, `AbstractFetcherManager`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::assignments::{Assignments, Fetchers};
use super::context::FetcherContext;
use super::fetch_state::PartitionFetchState;
use super::metrics::{self, FetcherStats};
use super::shared::{Fetcher, FetcherKey};
use super::thread::FetcherThread;
use crate::cluster::Partition;
use crate::common::ids::{BrokerId, LeaderEpoch, TopicId, TopicPartition};
use crate::config::BrokerConfig;
use crate::metrics::Registry;
use crate::network::BrokerAddress;
use crate::replica::hooks::BrokerEpochSource;

/// A partition that is to be fetched from its leader.
pub struct FetchAssignment {
    /// The follower.
    pub partition: Arc<Partition>,
    /// `None` if the controller did not name an id.
    pub topic_id: Option<TopicId>,
    /// The leader to fetch from.
    pub leader: BrokerAddress,
    /// Leader epoch of the assignment.
    pub epoch: LeaderEpoch,
}

/// All fetchers of this broker.
pub struct FetcherManager {
    config: Arc<BrokerConfig>,
    /// The current `num.replica.fetchers`; changed under the lock of `fetchers`.
    fetchers_per_leader: AtomicUsize,
    broker_epoch: BrokerEpochSource,
    metrics: Registry,
    assignments: Arc<Assignments>,
    context: FetcherContext,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl FetcherManager {
    /// Creates a manager without fetchers.
    pub fn new(
        config: Arc<BrokerConfig>,
        broker_epoch: BrokerEpochSource,
        context: FetcherContext,
        metrics: &Registry,
    ) -> Self {
        Self {
            fetchers_per_leader: AtomicUsize::new(config.num_replica_fetchers),
            config,
            broker_epoch,
            metrics: metrics.clone(),
            assignments: Arc::new(Assignments::new(metrics)),
            context,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Moves partitions from their present fetchers to the fetchers of their leaders.
    pub fn assign(&self, assignments: Vec<FetchAssignment>) {
        if self.stop.is_cancelled() {
            return;
        }
        let mut fetchers = self.assignments.fetchers.lock();
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
            let fetcher = self.fetcher(&mut fetchers, key, leader);
            fetcher.partitions.lock().insert(name.clone(), state);
            metrics::show_lag(&self.metrics, key, &fetcher, &name);
            fetchers.assigned.insert(name, key);
            touched.insert(key, fetcher);
        }
        touched.values().for_each(|fetcher| fetcher.assigned.notify_one());
        fetchers.drop_idle();
    }

    /// Spreads the partitions of each leader over another number of fetchers.
    pub fn resize(&self, fetchers_per_leader: usize) {
        let mut fetchers = self.assignments.fetchers.lock();
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
                        self.start_fetcher(&mut fetchers, key, leader, BTreeMap::new(), ended)
                    }
                };
                metrics::hide_lag(&self.metrics, old_key, &name);
                fetcher.partitions.lock().insert(name.clone(), state);
                metrics::show_lag(&self.metrics, key, &fetcher, &name);
                fetchers.assigned.insert(name, key);
            }
        }
    }

    /// The current `num.replica.fetchers`.
    pub fn fetchers_per_leader(&self) -> usize {
        self.fetchers_per_leader.load(Ordering::Relaxed)
    }

    /// Stops fetching these partitions.
    pub fn remove<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        let mut fetchers = self.assignments.fetchers.lock();
        partitions
            .into_iter()
            .for_each(|name| fetchers.remove(name, &self.metrics));
        fetchers.drop_idle();
    }

    /// How many partitions were given up (metric `FailedPartitionsCount`).
    pub fn failed_partitions(&self) -> usize {
        self.assignments.fetchers.lock().failed.len()
    }

    /// The largest lag of any partition (metric `MaxLag`).
    pub fn max_lag(&self) -> i64 {
        let fetchers = self.assignments.fetchers.lock();
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
        let fetchers = std::mem::take(&mut *self.assignments.fetchers.lock());
        for (name, key) in &fetchers.assigned {
            metrics::hide_lag(&self.metrics, *key, name);
        }
    }

    /// The fetcher for `key`. If the leader's address has changed, a new fetcher takes over all partitions of the old
    /// one.
    fn fetcher(&self, fetchers: &mut Fetchers, key: FetcherKey, leader: BrokerAddress) -> Arc<Fetcher> {
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
        self.start_fetcher(fetchers, key, leader, partitions, ended.into_iter().collect())
    }

    fn start_fetcher(
        &self,
        fetchers: &mut Fetchers,
        key: FetcherKey,
        leader: BrokerAddress,
        partitions: BTreeMap<TopicPartition, PartitionFetchState>,
        predecessors: Vec<CancellationToken>,
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
            self.assignments.clone(),
            self.context.clone(),
            self.config.clone(),
            self.broker_epoch.clone(),
            key.1,
            stats,
        );
        self.tasks.spawn(thread.run());
        fetcher
    }
}

/// Kafka's formula, so that the load is spread as in Kafka: `abs(31 * hash(topic) + partition) % fetchers`.
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
