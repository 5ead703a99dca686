//! Defines the callbacks of the replica layer to the layers above it, so that it need not import them. Kafka 3.9: the
//! callbacks `onLeadershipChange` of `RequestHandlerHelper`, `LogDirFailureHandler`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::common::ids::{BrokerEpoch, LeaderEpoch, TopicPartition};
use crate::config::LogConfig;

/// The configuration of a topic: its own settings over the broker's defaults.
pub type TopicConfigs = Arc<dyn Fn(&str) -> LogConfig + Send + Sync>;

/// This broker's registration epoch (czxid); -1 while it is not registered.
pub type BrokerEpochSource = Arc<dyn Fn() -> BrokerEpoch + Send + Sync>;

/// The partitions whose leadership changed on this broker by one decision of the controller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeadershipChange {
    /// Partitions that this broker now leads, since this leader epoch.
    pub leaders: Vec<(TopicPartition, LeaderEpoch)>,
    /// Partitions that this broker now follows, since this leader epoch.
    pub followers: Vec<(TopicPartition, LeaderEpoch)>,
    /// Partitions that StopReplica took from this broker, with the leader epoch if the controller named one.
    pub stopped: Vec<(TopicPartition, Option<LeaderEpoch>)>,
}

impl LeadershipChange {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.leaders.is_empty() && self.followers.is_empty() && self.stopped.is_empty()
    }
}

/// A listener for changes: the coordinators listen for their topics, the broker for failed log dirs.
///
/// Calls come in the order of the controller's decisions and with the replica state-change lock held: a call must
/// return soon, and leave loading and unloading to a task.
pub trait ReplicaListener: Send + Sync {
    /// The leadership of some partitions changed.
    fn on_leadership_change(&self, change: &LeadershipChange);
    /// Log dirs went offline: `/log_dir_event_notification` must be written, and the broker must stop when no live dir
    /// is left.
    fn on_log_dirs_failed(&self, dirs: &[PathBuf]);
}
