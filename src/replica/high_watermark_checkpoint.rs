//! Keeps the high watermarks on disk, so that a restarted replica knows which records were committed. Kafka 3.9:
//! `ReplicaManager.checkpointHighWatermarks`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::hosted_partitions::HostedPartitions;
use crate::common::blocking;
use crate::common::ids::{Offset, TopicPartition};
use crate::config::BrokerConfig;
use crate::log::LogManager;

/// The files `replication-offset-checkpoint` of all log dirs.
pub(super) struct HighWatermarkCheckpoints {
    interval: Duration,
    log_manager: Arc<LogManager>,
    partitions: Arc<HostedPartitions>,
    /// Whether the first LeaderAndIsr has come. Before that, no high watermark is known, and writing would empty the
    /// files (fact 31).
    has_begun: AtomicBool,
}

impl HighWatermarkCheckpoints {
    /// Creates the checkpoints without writing them.
    pub(super) fn new(
        config: &BrokerConfig,
        log_manager: Arc<LogManager>,
        partitions: Arc<HostedPartitions>,
    ) -> Self {
        Self {
            interval: Duration::from_millis(config.replica_high_watermark_checkpoint_interval_ms.max(1)),
            log_manager,
            partitions,
            has_begun: AtomicBool::new(false),
        }
    }

    /// Records that the first LeaderAndIsr has come. Returns true on the first call; the caller then starts
    /// [`Self::run`].
    pub(super) fn begin(&self) -> bool {
        !self.has_begun.swap(true, Ordering::AcqRel)
    }

    /// Writes the files at a fixed interval.
    pub(super) async fn run(self: &Arc<Self>) {
        loop {
            tokio::time::sleep(self.interval).await;
            self.write().await;
        }
    }

    /// Writes the files when the broker stops.
    pub(super) async fn write_last(self: &Arc<Self>) {
        if self.has_begun.load(Ordering::Acquire) {
            self.write().await;
        }
    }

    /// Writes the file of every live log dir.
    async fn write(self: &Arc<Self>) {
        let this = self.clone();
        let write = move || {
            this.log_manager
                .checkpoint_high_watermarks(&this.high_watermarks())
        };
        if let Err(failure) = blocking::spawn(write).await {
            tracing::error!(%failure, "high watermarks were not written");
        }
    }

    /// The high watermark of every log. A log that no LeaderAndIsr has named yet keeps its checkpointed high watermark:
    /// the controller may name the partitions in several requests (fact 31).
    fn high_watermarks(&self) -> HashMap<TopicPartition, Offset> {
        let known = |name: &TopicPartition| self.log_manager.checkpointed_high_watermark(name);
        let mut all: HashMap<_, _> = self
            .log_manager
            .all_logs()
            .iter()
            .filter_map(|log| Some((log.topic_partition().clone(), known(log.topic_partition())?)))
            .collect();
        for partition in self.partitions.all_online() {
            if let Some(log) = partition.log() {
                all.insert(partition.topic_partition().clone(), log.high_watermark());
            }
        }
        all
    }
}
