//! The front desk of all partitions on this broker. Kafka 3.9: `ReplicaManager`.
//!
//! What it does for whom stands in the files beside it: [`append`](super::append), [`fetch`](super::fetch),
//! [`leader_and_isr`](super::leader_and_isr) and so on. Here is only what they share.
//!
//! Lock order: state change (one decision of the controller at a time) → fetcher manager → one partition → its
//! log. The purgatories' locks are leaves. No lock is held while waiting for a peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use dashmap::DashMap;
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::add_partitions_to_txn::AddPartitionsToTxnManager;
use super::alter_log_dirs::LogDirMover;
use super::alter_partition::AlterPartitionQueue;
use super::fetch_session::FetchSessionCache;
use super::fetcher::FetcherManager;
use super::hooks::{BrokerEpochSource, LeadershipChange, ReplicaListener, TopicConfigs};
use super::metrics::{Expirations, IsrCounters};
use super::replication_quota::ReplicationQuota;
use super::topic_metrics::TopicMetrics;
use crate::cluster::{Effects, Partition};
use crate::common::blocking;
use crate::common::clock::SharedClock;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerEpoch, BrokerId, ControllerEpoch, LeaderEpoch, TopicPartition};
#[cfg(test)]
use crate::common::seeded;
use crate::config::BrokerConfig;
use crate::log::{LogManager, UnifiedLog};
use crate::metadata::MetadataCache;
use crate::metrics::Registry;
use crate::purgatory::Purgatory;

/// A partition that the controller has placed on this broker.
#[derive(Clone)]
pub(super) enum HostedPartition {
    /// Served.
    Online(Arc<Partition>),
    /// Its log dir has failed.
    Offline,
}

/// What a waiting fetch waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum DelayedFetchKey {
    /// The end of the log, for replicas.
    LogEnd(TopicPartition),
    /// The high watermark, for consumers.
    HighWatermark(TopicPartition),
}

/// All partitions on this broker.
pub struct ReplicaManager {
    pub(super) config: Arc<BrokerConfig>,
    pub(super) log_manager: Arc<LogManager>,
    pub(super) metadata: Arc<MetadataCache>,
    pub(super) clock: SharedClock,
    pub(super) topic_configs: TopicConfigs,
    pub(super) broker_epoch: BrokerEpochSource,
    pub(super) partitions: DashMap<TopicPartition, HostedPartition>,
    pub(super) delayed_produce: Purgatory<TopicPartition>,
    pub(super) delayed_fetch: Purgatory<DelayedFetchKey>,
    pub(super) delayed_delete_records: Purgatory<TopicPartition>,
    pub(super) fetch_sessions: FetchSessionCache,
    pub(super) alter_partition: AlterPartitionQueue,
    pub(super) fetchers: FetcherManager,
    pub(super) log_dir_mover: LogDirMover,
    pub(super) alter_log_dirs_quota: Arc<ReplicationQuota>,
    /// For what followers fetch from here.
    pub(super) leader_quota: ReplicationQuota,
    /// For what is fetched from leaders.
    pub(super) follower_quota: ReplicationQuota,
    pub(super) topic_metrics: TopicMetrics,
    pub(super) add_partitions_to_txn: AddPartitionsToTxnManager,
    /// `transaction.partition.verification.enable`.
    verifies_transactions: AtomicBool,
    pub(super) isr_counters: IsrCounters,
    pub(super) expirations: Expirations,
    /// Held while a decision of a controller is carried out: Kafka's `replicaStateChangeLock`.
    pub(super) state_change: Arc<tokio::sync::Mutex<()>>,
    /// Highest epoch of a controller that has spoken.
    pub(super) controller_epoch: AtomicI32,
    /// UpdateMetadata has named another controller.
    pub(super) controller_changed: Notify,
    pub(super) high_watermark_checkpoint_started: AtomicBool,
    pub(super) listeners: RwLock<Vec<Arc<dyn ReplicaListener>>>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl ReplicaManager {
    /// A manager without partitions: all of them come from the controller. `config.broker_id` is the resolved one.
    pub fn new(
        config: Arc<BrokerConfig>,
        log_manager: Arc<LogManager>,
        metadata: Arc<MetadataCache>,
        clock: SharedClock,
        topic_configs: TopicConfigs,
        broker_epoch: BrokerEpochSource,
        metrics: &Registry,
    ) -> Arc<Self> {
        let delayed_delete_records = Purgatory::default();
        let alter_log_dirs_quota = Arc::new(ReplicationQuota::new(
            clock.clone(),
            config.alter_log_dirs_replication_quota_window_num,
            config.alter_log_dirs_replication_quota_window_size_seconds,
        ));
        let replication_quota = || {
            let seconds = config.replication_quota_window_size_seconds;
            ReplicationQuota::new(clock.clone(), config.replication_quota_window_num, seconds)
        };
        let manager = Arc::new(Self {
            log_dir_mover: LogDirMover::new(
                &config,
                log_manager.clone(),
                alter_log_dirs_quota.clone(),
                delayed_delete_records.clone(),
            ),
            alter_log_dirs_quota,
            leader_quota: replication_quota(),
            follower_quota: replication_quota(),
            topic_metrics: TopicMetrics::new(metrics),
            delayed_delete_records,
            fetch_sessions: FetchSessionCache::new(config.max_incremental_fetch_session_cache_slots),
            fetchers: FetcherManager::new(config.clone(), broker_epoch.clone(), metrics),
            add_partitions_to_txn: AddPartitionsToTxnManager::new(
                &config,
                metadata.clone(),
                clock.clone(),
                metrics,
            ),
            verifies_transactions: AtomicBool::new(config.transaction_partition_verification_enable),
            config,
            log_manager,
            metadata,
            clock,
            topic_configs,
            broker_epoch,
            partitions: DashMap::new(),
            delayed_produce: Purgatory::default(),
            delayed_fetch: Purgatory::default(),
            alter_partition: AlterPartitionQueue::default(),
            isr_counters: IsrCounters::new(metrics),
            expirations: Expirations::new(metrics),
            state_change: Arc::default(),
            controller_epoch: AtomicI32::new(0),
            controller_changed: Notify::new(),
            high_watermark_checkpoint_started: AtomicBool::new(false),
            listeners: RwLock::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        super::metrics::register(&manager, metrics);
        manager.reconfigure(&manager.config);
        manager
    }

    /// Puts the settings of `config` in force that can change at run time.
    pub fn reconfigure(self: &Arc<Self>, config: &BrokerConfig) {
        self.fetchers.resize(self, config.num_replica_fetchers);
        self.alter_log_dirs_quota
            .set_limit(config.replica_alter_log_dirs_io_max_bytes_per_second);
        self.leader_quota
            .set_limit(config.leader_replication_throttled_rate);
        self.follower_quota
            .set_limit(config.follower_replication_throttled_rate);
        let verifies = config.transaction_partition_verification_enable;
        self.verifies_transactions.store(verifies, Ordering::Relaxed);
    }

    /// Has `listener` told of every later change. All listeners are to be added before the first LeaderAndIsr.
    pub fn add_listener(&self, listener: Arc<dyn ReplicaListener>) {
        self.listeners.write().push(listener);
    }

    /// Starts the background tasks; must be called within a runtime. They end with [`shutdown`](Self::shutdown).
    pub fn start(self: &Arc<Self>) {
        self.spawn(|manager| async move { manager.expire_isr_forever().await });
        self.spawn(|manager| async move { manager.alter_partitions_forever().await });
        self.spawn(|manager| async move { manager.handle_log_dir_failures_forever().await });
    }

    /// Stops fetchers and tasks and writes the high watermarks. The logs stay open.
    pub async fn shutdown(self: &Arc<Self>) {
        self.stop.cancel();
        self.fetchers.shutdown().await;
        let manager = self.clone();
        let movers = blocking::spawn(move || manager.log_dir_mover.shutdown());
        if let Err(failure) = movers.await {
            tracing::error!(%failure, "copying between log dirs was not ended");
        }
        self.tasks.close();
        self.tasks.wait().await;
        self.delayed_fetch.wake_all();
        self.delayed_produce.wake_all();
        self.delayed_delete_records.wake_all();
        // Before the first LeaderAndIsr there is nothing to write, and an empty file would be a lie (fact 31).
        if self.high_watermark_checkpoint_started.load(Ordering::Acquire) {
            self.checkpoint_high_watermarks().await;
        }
    }

    /// This broker.
    pub fn broker_id(&self) -> BrokerId {
        self.config.broker_id
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// The metadata cache it looks into.
    pub fn metadata(&self) -> &MetadataCache {
        &self.metadata
    }

    /// Fetch sessions of consumers and followers.
    pub fn fetch_sessions(&self) -> &FetchSessionCache {
        &self.fetch_sessions
    }

    /// What comes in and goes out, by topic.
    pub fn topic_metrics(&self) -> &TopicMetrics {
        &self.topic_metrics
    }

    /// Time for what waits and expires.
    pub fn monotonic_ms(&self) -> i64 {
        self.clock.monotonic_ms()
    }

    /// Whether a control request was meant for an earlier life of this broker (KIP-380, fact 24). The controller may
    /// know of a later one than we do; that is fine.
    pub fn is_broker_epoch_stale(&self, requested: BrokerEpoch) -> bool {
        requested != -1 && requested < (self.broker_epoch)()
    }

    /// How many fetchers each leader has.
    #[cfg(test)]
    pub fn fetchers_per_leader(&self) -> usize {
        self.fetchers.fetchers_per_leader()
    }

    /// Bytes per second that are let through to followers, from leaders, and between log dirs.
    #[cfg(test)]
    pub fn replication_limits(&self) -> [u64; 3] {
        [
            self.leader_quota.limit(),
            self.follower_quota.limit(),
            self.alter_log_dirs_quota.limit(),
        ]
    }

    /// Whether batches that open a transaction need the word of its coordinator (KIP-890).
    pub fn verifies_transactions(&self) -> bool {
        self.verifies_transactions.load(Ordering::Relaxed)
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

    /// A topic has another configuration now.
    pub fn update_topic_config(&self, topic: &str) {
        self.log_manager.update_topic_config(topic, &*self.topic_configs);
    }

    /// The partition, or what to tell a client who believes that it is here.
    pub fn partition(&self, partition: &TopicPartition) -> Result<Arc<Partition>, ErrorCode> {
        match self.partitions.get(partition).as_deref() {
            Some(HostedPartition::Online(partition)) => Ok(partition.clone()),
            Some(HostedPartition::Offline) => Err(ErrorCode::KafkaStorageError),
            None => {
                let known = self
                    .metadata
                    .snapshot()
                    .partition(&partition.topic, partition.partition)
                    .is_some();
                Err(if known {
                    ErrorCode::NotLeaderOrFollower
                } else {
                    ErrorCode::UnknownTopicOrPartition
                })
            }
        }
    }

    /// The local log if this broker leads the partition, else the error for the client.
    pub fn leader_log(&self, partition: &TopicPartition) -> Result<Arc<UnifiedLog>, ErrorCode> {
        self.partition(partition)?.leader_log()
    }

    /// Leader and leader epoch as this broker knows them, for clients that asked the wrong one (KIP-951).
    pub fn current_leader(&self, partition: &TopicPartition) -> (BrokerId, LeaderEpoch) {
        match self.partitions.get(partition).as_deref() {
            Some(HostedPartition::Online(partition)) => partition.leader_and_epoch(),
            _ => match self
                .metadata
                .snapshot()
                .partition(&partition.topic, partition.partition)
            {
                Some(known) => (
                    known.state.leader_and_isr.leader,
                    known.state.leader_and_isr.leader_epoch,
                ),
                None => (-1, -1),
            },
        }
    }

    /// Every partition that is served.
    pub fn online_partitions(&self) -> Vec<Arc<Partition>> {
        let online = |hosted: &HostedPartition| match hosted {
            HostedPartition::Online(partition) => Some(partition.clone()),
            HostedPartition::Offline => None,
        };
        let online = self.partitions.iter().filter_map(|entry| online(entry.value()));
        let online: Vec<_> = online.collect();
        #[cfg(test)]
        let online = seeded::arranged(online, |partition| partition.topic_partition().clone());
        online
    }

    /// Does what a change of one partition demands outside its lock.
    pub(super) fn apply(&self, partition: &Arc<Partition>, effects: Effects) {
        let name = partition.topic_partition();
        if effects.log_end_advanced {
            self.delayed_fetch.wake(&DelayedFetchKey::LogEnd(name.clone()));
        }
        if effects.high_watermark_advanced {
            self.delayed_produce.wake(name);
            self.delayed_fetch
                .wake(&DelayedFetchKey::HighWatermark(name.clone()));
        }
        if effects.log_start_moved {
            self.delayed_delete_records.wake(name);
        }
        if let Some(proposal) = effects.alter_partition {
            tracing::info!(partition = %name, isr = ?proposal.isr, "asking the controller for another isr");
            self.alter_partition.submit(partition.clone(), proposal);
        }
    }

    /// Admits a controller that is not older than one who has already spoken. The state-change lock is held.
    pub(super) fn admit_controller(&self, epoch: ControllerEpoch) -> Result<(), ErrorCode> {
        let newest = self.controller_epoch.load(Ordering::Acquire);
        if epoch < newest {
            tracing::warn!(epoch, newest, "refusing the request of a controller of the past");
            return Err(ErrorCode::StaleControllerEpoch);
        }
        self.controller_epoch.store(epoch, Ordering::Release);
        Ok(())
    }

    /// Has everybody who waits for something of this partition look again: its leadership has changed.
    pub(super) fn wake_waiting(&self, partition: &TopicPartition) {
        self.delayed_produce.wake(partition);
        self.delayed_delete_records.wake(partition);
        self.delayed_fetch
            .wake(&DelayedFetchKey::LogEnd(partition.clone()));
        self.delayed_fetch
            .wake(&DelayedFetchKey::HighWatermark(partition.clone()));
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
