//! Connects layers that may not import each other: passes leadership changes and log dir failures from the replicas to
//! the upper layers, and changed configurations from ZooKeeper to the lower layers.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::coordinators::Coordinators;
use crate::admin::{ConfigListener, DynamicConfigs};
use crate::common::ids::{BrokerId, LeaderEpoch, TopicPartition};
use crate::common::topic_name::{GROUP_METADATA_TOPIC, TRANSACTION_STATE_TOPIC};
use crate::config::{BrokerConfig, LogConfig};
use crate::controller::ControllerHandle;
use crate::log::LogManager;
use crate::log::cleaner::CleanerConfig;
use crate::network::{ChannelBuilder, ConnectionLimits, ListenerSecurities};
use crate::replica::{LeadershipChange, ReplicaListener, ReplicaManager};
use crate::zk::znode::log_dir_event;
use crate::zk::{CreateMode, ZkStore, paths};

/// Handles changes of the replicas.
pub(super) struct ReplicaHooks {
    pub(super) broker_id: BrokerId,
    pub(super) coordinators: Coordinators,
    pub(super) log_manager: Arc<LogManager>,
    pub(super) zk: Arc<dyn ZkStore>,
    pub(super) failed: CancellationToken,
}

impl ReplicaHooks {
    fn resign(&self, partition: &TopicPartition, epoch: Option<LeaderEpoch>) {
        match &*partition.topic {
            GROUP_METADATA_TOPIC => self
                .coordinators
                .groups
                .on_resignation(partition.partition, epoch),
            TRANSACTION_STATE_TOPIC => self
                .coordinators
                .transactions
                .on_resignation(partition.partition, epoch),
            _ => {}
        }
    }
}

impl ReplicaListener for ReplicaHooks {
    fn on_leadership_change(&self, change: &LeadershipChange) {
        for (partition, epoch) in &change.followers {
            self.resign(partition, Some(*epoch));
        }
        for (partition, epoch) in &change.stopped {
            self.resign(partition, *epoch);
        }
        for (partition, epoch) in &change.leaders {
            match &*partition.topic {
                GROUP_METADATA_TOPIC => self.coordinators.groups.on_election(partition.partition, *epoch),
                TRANSACTION_STATE_TOPIC => self
                    .coordinators
                    .transactions
                    .on_election(partition.partition, *epoch),
                _ => {}
            }
        }
    }

    fn on_log_dirs_failed(&self, dirs: &[PathBuf]) {
        if self.log_manager.live_log_dirs().is_empty() {
            error!(broker = self.broker_id, "no log dir is left, stopping at once");
            self.failed.cancel();
            return;
        }
        let (zk, dirs) = (self.zk.clone(), dirs.to_vec());
        let event = log_dir_event::encode(self.broker_id);
        tokio::spawn(async move {
            match zk
                .create(
                    paths::LOG_DIR_EVENT_SEQUENCE,
                    event,
                    CreateMode::PersistentSequential,
                )
                .await
            {
                Ok((path, _)) => info!(?dirs, path, "told the controller of failed log dirs"),
                Err(error) => error!(?dirs, %error, "cannot tell the controller of failed log dirs"),
            }
        });
    }
}

/// Handles changed configurations.
pub(super) struct ConfigHooks {
    pub(super) log_manager: Arc<LogManager>,
    pub(super) configs: Arc<DynamicConfigs>,
    pub(super) replicas: Arc<ReplicaManager>,
    pub(super) controller: ControllerHandle,
    pub(super) connection_limits: Arc<ConnectionLimits>,
    /// The TLS of the listeners, and of the connections to other brokers.
    pub(super) securities: ListenerSecurities,
    pub(super) channels: ChannelBuilder,
    /// Held by the task that applies the slow parts of a broker's configuration.
    pub(super) reconfiguring: Arc<Mutex<()>>,
}

impl ConfigListener for ConfigHooks {
    fn on_topic_config_change(&self, topic: &str, config: &LogConfig) {
        self.log_manager
            .update_topic_config(topic, &|topic| self.configs.topic_config(topic));
        if config.unclean_leader_election_enable && self.controller.is_active() {
            self.controller.topic_unclean_election_enabled(topic.into());
        }
    }

    fn on_broker_config_change(&self, before: &BrokerConfig, config: &Arc<BrokerConfig>) {
        self.replicas.reconfigure(config);
        self.log_manager.reconfigure(config);
        // The controller reads the current configuration itself. It is notified only of a change that makes it act.
        if config.unclean_leader_election_enable && !before.unclean_leader_election_enable {
            self.controller.unclean_election_enabled();
        }
        // This work is slow: it resolves hosts, waits for cleaner threads to end, and visits every log. So it runs in
        // its own task. The last of these tasks applies the latest configuration, whichever change started the task.
        let (log_manager, configs) = (self.log_manager.clone(), self.configs.clone());
        let (limits, reconfiguring) = (self.connection_limits.clone(), self.reconfiguring.clone());
        let other_defaults = config.log_defaults != before.log_defaults;
        tokio::task::spawn_blocking(move || {
            let _reconfiguring = reconfiguring.lock();
            let config = configs.current();
            limits.reconfigure(&config);
            log_manager.cleaner().reconfigure(CleanerConfig::from(&*config));
            if other_defaults {
                log_manager.update_topic_configs(&|topic| configs.topic_config(topic));
            }
        });
    }

    /// Loads the stores again whose settings or files have changed. This reads files.
    fn on_broker_config_written(&self) {
        let (configs, reconfiguring) = (self.configs.clone(), self.reconfiguring.clone());
        let (securities, channels) = (self.securities.clone(), self.channels.clone());
        tokio::task::spawn_blocking(move || {
            let _reconfiguring = reconfiguring.lock();
            let config = configs.current();
            for listener in securities.reconfigure(&config) {
                channels.reconfigure(&listener, &config);
            }
        });
    }
}

#[cfg(test)]
mod tests;
