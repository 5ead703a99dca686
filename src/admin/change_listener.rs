//! Follows `/config/changes` and applies the changes on this broker. Kafka 3.9: `ZkConfigManager`,
//! `ZkNodeChangeNotificationListener`.
//!
//! A notification says only *that* an entity changed; its settings are read from its own znode. So a notification may
//! be processed twice, and a missed one does no harm once all settings are read again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::dynamic_configs::DynamicConfigs;
use super::entity_config;
use super::user_credentials;
use crate::common::clock::SharedClock;
use crate::config::{BrokerConfig, LogConfig};
use crate::zk::paths::{self, ConfigEntityType};
use crate::zk::znode::ConfigChange;
use crate::zk::{WatchEvent, WatchKind, ZkError, ZkStore, cluster};

/// How long notifications are kept, for brokers that are slow to read them (fact 9).
const NOTIFICATION_LIFETIME_MS: i64 = 15 * 60 * 1000;

/// The pause before a failed read is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A component that acts on changed configurations. Calls come one after the other, so a call must return soon.
pub trait ConfigListener: Send + Sync {
    /// A topic's own settings changed; `config` is its new configuration.
    fn on_topic_config_change(&self, topic: &str, config: &LogConfig);
    /// This broker's settings changed, and with them the settings that every topic inherits. `before` is the
    /// configuration of the previous call.
    fn on_broker_config_change(&self, before: &BrokerConfig, config: &Arc<BrokerConfig>);
    /// This broker's settings were written again, perhaps to the same values: files that they name may have changed.
    fn on_broker_config_written(&self) {}
}

/// The task that follows `/config/changes`.
pub struct ConfigChangeListener {
    zk: Arc<dyn ZkStore>,
    configs: Arc<DynamicConfigs>,
    clock: SharedClock,
    listeners: Vec<Arc<dyn ConfigListener>>,
    last_executed: i64,
    /// This broker's configuration that the listeners know.
    told: Arc<BrokerConfig>,
}

impl ConfigChangeListener {
    /// Creates a listener that has read no notification yet. `listeners` already know the broker configuration that
    /// `configs` has now.
    pub fn new(
        zk: Arc<dyn ZkStore>,
        configs: Arc<DynamicConfigs>,
        clock: SharedClock,
        listeners: Vec<Arc<dyn ConfigListener>>,
    ) -> Self {
        Self {
            told: configs.current(),
            zk,
            configs,
            clock,
            listeners,
            last_executed: -1,
        }
    }

    /// Follows the changes until `stop` is cancelled, starting with the state at the time of the call.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut events = self.zk.subscribe();
        let mut need = Need::Everything;
        loop {
            match self.satisfy(need).await {
                Ok(()) => {
                    need = tokio::select! {
                        () = stop.cancelled() => return,
                        need = next_need(&mut events) => match need {
                            Some(need) => need,
                            None => return,
                        },
                    };
                }
                Err(error) => {
                    warn!(%error, "reading changed configurations failed, will try again");
                    // After a lost session, the event of the new session also causes a read, but that event may have
                    // arrived already.
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(RETRY_PAUSE) => need = Need::Everything,
                    }
                }
            }
        }
    }

    async fn satisfy(&mut self, need: Need) -> Result<(), ZkError> {
        // The watch is set first, so that a change during the read of all settings is not missed.
        self.process_notifications().await?;
        match need {
            Need::Notifications => Ok(()),
            Need::Everything => self.reload().await,
        }
    }

    /// Reads the configurations of all brokers, users and topics.
    pub async fn reload(&mut self) -> Result<(), ZkError> {
        let (topics, broker_changed) = self.configs.load(&*self.zk).await?;
        if broker_changed {
            self.tell_broker();
        }
        for topic in topics {
            self.tell_topic(&topic);
        }
        Ok(())
    }

    /// Sets the watch, applies the new notifications in their order, and purges the old ones.
    pub async fn process_notifications(&mut self) -> Result<(), ZkError> {
        let children = cluster::children(&*self.zk, paths::CONFIG_CHANGES, true).await?;
        let number = |name: &String| paths::sequence_number(name, paths::CONFIG_CHANGE_PREFIX);
        let mut notifications: Vec<(i64, &String)> = children
            .iter()
            .filter_map(|name| Some((number(name)?, name)))
            .collect();
        notifications.sort_unstable();
        for &(number, name) in &notifications {
            if number > self.last_executed {
                self.process(name).await?;
                self.last_executed = number;
            }
        }
        self.purge(notifications.iter().map(|(_, name)| *name)).await
    }

    async fn process(&mut self, name: &str) -> Result<(), ZkError> {
        let path = paths::config_change(name);
        let Some((data, _)) = self.zk.get(&path, false).await? else {
            return Ok(());
        };
        let change = match ConfigChange::decode(&data) {
            Ok(change) => change,
            Err(error) => {
                warn!(path, %error, "a notification of a changed configuration is unreadable");
                return Ok(());
            }
        };
        let Some((kind, entity)) = change.entity() else {
            return Ok(());
        };
        let overrides = match entity_config::read(&*self.zk, kind, entity).await {
            Ok(overrides) => overrides,
            Err(error @ ZkError::Malformed { .. }) => {
                error!(%error, entity = change.entity_path, "a changed configuration is unreadable");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match kind {
            ConfigEntityType::Topics => {
                info!(topic = entity, ?overrides, "topic configuration changed");
                if self.configs.set_topic(entity, overrides) {
                    self.tell_topic(entity);
                }
            }
            ConfigEntityType::Brokers => {
                info!(broker = entity, keys = ?overrides.keys(), "broker configuration changed");
                if self.configs.set_broker(entity, overrides) {
                    self.tell_broker();
                }
                for listener in &self.listeners {
                    listener.on_broker_config_written();
                }
            }
            ConfigEntityType::Users => {
                // Quotas are there too, and are not honoured yet.
                info!(user = entity, keys = ?overrides.keys(), "user configuration changed");
                user_credentials::update(self.configs.scram_credentials(), entity, &overrides);
            }
            ConfigEntityType::Clients | ConfigEntityType::Ips => {
                debug!(entity = change.entity_path, "quotas are not honoured yet");
            }
        }
        Ok(())
    }

    fn tell_topic(&self, topic: &str) {
        let config = self.configs.topic_config(topic);
        for listener in &self.listeners {
            listener.on_topic_config_change(topic, &config);
        }
    }

    fn tell_broker(&mut self) {
        let config = self.configs.current();
        for listener in &self.listeners {
            listener.on_broker_config_change(&self.told, &config);
        }
        self.told = config;
    }

    async fn purge(&self, names: impl Iterator<Item = &String>) -> Result<(), ZkError> {
        let now = self.clock.wall_ms();
        for name in names {
            let path = paths::config_change(name);
            let Some(stat) = self.zk.exists(&path, false).await? else {
                continue;
            };
            if now - stat.ctime_ms <= NOTIFICATION_LIFETIME_MS {
                // All later notifications are younger.
                break;
            }
            match self.zk.delete(&path, None).await {
                Ok(()) | Err(ZkError::NoNode(_)) => debug!(path, "purged a notification"),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The work that an event requires.
#[derive(Clone, Copy)]
enum Need {
    Notifications,
    Everything,
}

/// Waits for an event that requires work; `None` once the store is gone.
async fn next_need(events: &mut UnboundedReceiver<WatchEvent>) -> Option<Need> {
    loop {
        let event = events.recv().await?;
        match event.kind {
            WatchKind::NodeChildrenChanged if event.path == paths::CONFIG_CHANGES => {
                return Some(Need::Notifications);
            }
            WatchKind::SessionEstablished => return Some(Need::Everything),
            _ => {}
        }
    }
}
