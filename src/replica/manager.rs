//! Owns all partitions on this broker and offers every operation on them. Kafka 3.9: `ReplicaManager`.
//!
//! A part that has state of its own is a value in the manager: the hosted partitions, the purgatories, the ISR
//! proposals, the quotas, the checkpoints of high watermarks, the verification of transactions, the fetchers, the moves
//! between log dirs. The use cases have no state and use several of these values, so they are methods of the manager in
//! the files beside this one: [`append`](super::append), [`fetch`](super::fetch),
//! [`leader_and_isr`](super::leader_and_isr), `stop_replica`, `log_dir_failure` and so on.
//!
//! Lock order: state change (one decision of the controller at a time) → fetcher manager → one partition → its
//! log. The purgatories' locks are leaves. No lock is held while waiting for a peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::alter_log_dirs::ReplicaAlterLogDirsManager;
use super::alter_partition::AlterPartitionManager;
use super::delayed_operations::DelayedOperations;
use super::fetch_session::FetchSessionCache;
use super::fetcher::{FetcherContext, FetcherManager};
use super::high_watermark_checkpoint::HighWatermarkCheckpoints;
use super::hooks::{BrokerEpochSource, LeadershipChange, ReplicaListener, TopicConfigs};
use super::hosted_partitions::HostedPartitions;
use super::meters::Expirations;
use super::replica_metrics;
use super::throttled_replicas::ReplicationQuotas;
use super::topic_metrics::TopicMetrics;
use super::transaction_verification::TransactionVerification;
use crate::cluster::{Effects, Partition};
use crate::common::blocking;
use crate::common::clock::SharedClock;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerEpoch, BrokerId, ControllerEpoch, LeaderEpoch, TopicPartition};
use crate::config::BrokerConfig;
use crate::log::LogManager;
use crate::metadata::MetadataCache;
use crate::metrics::Registry;
use crate::network::ChannelBuilder;

/// All partitions on this broker.
pub struct ReplicaManager {
    pub(super) config: Arc<BrokerConfig>,
    pub(super) log_manager: Arc<LogManager>,
    pub(super) metadata: Arc<MetadataCache>,
    pub(super) clock: SharedClock,
    pub(super) topic_configs: TopicConfigs,
    pub(super) broker_epoch: BrokerEpochSource,
    pub(super) partitions: Arc<HostedPartitions>,
    pub(super) delayed: DelayedOperations,
    pub(super) fetch_sessions: FetchSessionCache,
    pub(super) alter_partition: Arc<AlterPartitionManager>,
    pub(super) fetchers: FetcherManager,
    pub(super) log_dirs: ReplicaAlterLogDirsManager,
    pub(super) quotas: Arc<ReplicationQuotas>,
    pub(super) topic_metrics: Arc<TopicMetrics>,
    pub(super) verification: Arc<TransactionVerification>,
    pub(super) expirations: Expirations,
    /// Held while a decision of a controller is carried out: Kafka's `replicaStateChangeLock`.
    pub(super) state_change: Arc<tokio::sync::Mutex<()>>,
    /// Highest epoch of a controller that has sent a request.
    pub(super) controller_epoch: Arc<AtomicI32>,
    pub(super) high_watermarks: Arc<HighWatermarkCheckpoints>,
    pub(super) listeners: RwLock<Vec<Arc<dyn ReplicaListener>>>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl ReplicaManager {
    /// Creates a manager without partitions; the controller assigns all of them. `config.broker_id` is the resolved id.
    #[allow(clippy::too_many_arguments, reason = "each is another neighbour")]
    pub fn new(
        config: Arc<BrokerConfig>,
        channels: &ChannelBuilder,
        log_manager: Arc<LogManager>,
        metadata: Arc<MetadataCache>,
        clock: SharedClock,
        topic_configs: TopicConfigs,
        broker_epoch: BrokerEpochSource,
        metrics: &Registry,
    ) -> Arc<Self> {
        let controller_epoch = Arc::new(AtomicI32::new(0));
        let partitions = Arc::new(HostedPartitions::new(&config, metadata.clone()));
        let delayed = DelayedOperations::default();
        let quotas = Arc::new(ReplicationQuotas::new(&config, &clock));
        let topic_metrics = Arc::new(TopicMetrics::new(metrics));
        let fetchers = FetcherManager::new(
            config.clone(),
            broker_epoch.clone(),
            FetcherContext {
                broker_id: config.broker_id,
                channels: channels.clone(),
                topic_metrics: topic_metrics.clone(),
                quotas: quotas.clone(),
                delayed: delayed.clone(),
            },
            metrics,
        );
        let alter_partition = Arc::new(AlterPartitionManager::new(
            &config,
            channels,
            metadata.clone(),
            clock.clone(),
            broker_epoch.clone(),
            controller_epoch.clone(),
            delayed.clone(),
            metrics,
        ));
        let checkpoints = HighWatermarkCheckpoints::new(&config, log_manager.clone(), partitions.clone());
        let manager = Arc::new(Self {
            log_dirs: ReplicaAlterLogDirsManager::new(
                &config,
                log_manager.clone(),
                partitions.clone(),
                topic_configs.clone(),
                quotas.alter_log_dirs.clone(),
                delayed.delete_records.clone(),
            ),
            high_watermarks: Arc::new(checkpoints),
            quotas,
            topic_metrics,
            fetchers,
            alter_partition,
            fetch_sessions: FetchSessionCache::new(config.max_incremental_fetch_session_cache_slots),
            verification: Arc::new(TransactionVerification::new(
                &config,
                channels,
                metadata.clone(),
                partitions.clone(),
                clock.clone(),
                metrics,
            )),
            config,
            log_manager,
            metadata,
            clock,
            topic_configs,
            broker_epoch,
            partitions,
            delayed,
            expirations: Expirations::new(metrics),
            state_change: Arc::default(),
            controller_epoch,
            listeners: RwLock::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        manager.register_gauges(metrics);
        manager.reconfigure(&manager.config);
        manager
    }

    fn register_gauges(self: &Arc<Self>, metrics: &Registry) {
        let weak = Arc::downgrade(self);
        replica_metrics::register(metrics, &self.clock, move || {
            weak.upgrade().map(|manager| manager.metrics())
        });
    }

    /// Applies the settings of `config` that can change at run time.
    pub fn reconfigure(self: &Arc<Self>, config: &BrokerConfig) {
        self.fetchers.resize(config.num_replica_fetchers);
        self.quotas.reconfigure(config);
        let verifies = config.transaction_partition_verification_enable;
        self.verification.enable(verifies);
    }

    /// Adds a listener, which is called for every later change. All listeners must be added before the first
    /// LeaderAndIsr.
    pub fn add_listener(&self, listener: Arc<dyn ReplicaListener>) {
        self.listeners.write().push(listener);
    }

    /// Starts the background tasks; must be called within a runtime. They end with [`shutdown`](Self::shutdown).
    pub fn start(self: &Arc<Self>) {
        self.spawn(|manager| async move { manager.expire_isr_forever().await });
        self.spawn(|manager| async move { manager.alter_partition.run().await });
        self.spawn(|manager| async move { manager.handle_log_dir_failures_forever().await });
    }

    /// Stops fetchers and tasks and writes the high watermarks. The logs stay open.
    pub async fn shutdown(self: &Arc<Self>) {
        self.stop.cancel();
        self.fetchers.shutdown().await;
        let manager = self.clone();
        let movers = blocking::spawn(move || manager.log_dirs.mover.shutdown());
        if let Err(failure) = movers.await {
            tracing::error!(%failure, "copying between log dirs was not ended");
        }
        self.tasks.close();
        self.tasks.wait().await;
        self.delayed.wake_all();
        self.high_watermarks.write_last().await;
    }

    /// The id of this broker.
    pub fn broker_id(&self) -> BrokerId {
        self.config.broker_id
    }

    /// The configuration that the manager was created with.
    pub fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// The metadata cache that the manager uses.
    pub fn metadata(&self) -> &MetadataCache {
        &self.metadata
    }

    /// The fetch sessions of consumers and followers.
    pub fn fetch_sessions(&self) -> &FetchSessionCache {
        &self.fetch_sessions
    }

    /// The meters of each topic.
    pub fn topic_metrics(&self) -> &TopicMetrics {
        &self.topic_metrics
    }

    /// The monotonic time in milliseconds, for waits and expiry.
    pub fn monotonic_ms(&self) -> i64 {
        self.clock.monotonic_ms()
    }

    /// Whether a control request was meant for an earlier registration of this broker (KIP-380, fact 24). A newer
    /// broker epoch than ours is not stale: the controller may know it before this broker does.
    pub fn is_broker_epoch_stale(&self, requested: BrokerEpoch) -> bool {
        requested != -1 && requested < (self.broker_epoch)()
    }

    /// The number of fetchers of each leader.
    #[cfg(test)]
    pub fn fetchers_per_leader(&self) -> usize {
        self.fetchers.fetchers_per_leader()
    }

    /// The quotas in bytes per second: to followers, from leaders, and between log dirs.
    #[cfg(test)]
    pub fn replication_limits(&self) -> [u64; 3] {
        [
            self.quotas.leader.limit(),
            self.quotas.follower.limit(),
            self.quotas.alter_log_dirs.limit(),
        ]
    }

    /// The verification of transactions.
    pub fn verification(&self) -> &Arc<TransactionVerification> {
        &self.verification
    }

    /// Runs a task until it ends or the manager is shut down.
    pub(super) fn spawn<F>(self: &Arc<Self>, task: impl FnOnce(Arc<Self>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (work, stop) = (task(self.clone()), self.stop.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Applies the changed configuration of a topic.
    pub fn update_topic_config(&self, topic: &str) {
        self.log_manager.update_topic_config(topic, &*self.topic_configs);
    }

    /// The partition, or the error for a client that expects it on this broker.
    pub fn partition(&self, partition: &TopicPartition) -> Result<Arc<Partition>, ErrorCode> {
        self.partitions.online(partition)
    }

    /// The leader and leader epoch that this broker knows, for a client that asked the wrong broker (KIP-951).
    pub fn current_leader(&self, partition: &TopicPartition) -> (BrokerId, LeaderEpoch) {
        self.partitions.current_leader(partition)
    }

    /// Every partition that is served.
    pub fn online_partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.all_online()
    }

    /// Carries out the effects of a change of one partition outside its lock.
    pub(super) fn apply(&self, partition: &Arc<Partition>, effects: Effects) {
        self.alter_partition.apply(partition, effects);
    }

    /// Accepts a controller unless a later one has already sent a request. The caller holds the state-change lock.
    pub(super) fn admit_controller(&self, epoch: ControllerEpoch) -> Result<(), ErrorCode> {
        let newest = self.controller_epoch.load(Ordering::Acquire);
        if epoch < newest {
            tracing::warn!(epoch, newest, "refusing the request of a controller of the past");
            return Err(ErrorCode::StaleControllerEpoch);
        }
        self.controller_epoch.store(epoch, Ordering::Release);
        Ok(())
    }

    pub(super) fn tell_leadership_change(&self, change: &LeadershipChange) {
        if !change.is_empty() {
            self.listeners
                .read()
                .iter()
                .for_each(|listener| listener.on_leadership_change(change));
        }
    }
}
