//! The controller's metrics, under Kafka's names. Kafka 3.9: the gauges of `KafkaController` and
//! `ControllerEventManager`, `ControllerStats`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::context::ControllerContext;
use super::controller_state::ControllerState;
use super::event_queue::EventQueue;
use super::status::ControllerStatus;
use crate::metrics::{Meter, MetricName, Registry, Timer};

/// The timer of each state, in the order of the states' numbers. Two states have no timer.
const TIMERS: [Option<&str>; 18] = [
    None,
    Some("ControllerChangeRateAndTimeMs"),
    Some("LeaderElectionRateAndTimeMs"),
    Some("TopicChangeRateAndTimeMs"),
    Some("TopicDeletionRateAndTimeMs"),
    Some("PartitionReassignmentRateAndTimeMs"),
    Some("AutoLeaderBalanceRateAndTimeMs"),
    Some("ManualLeaderBalanceRateAndTimeMs"),
    Some("ControlledShutdownRateAndTimeMs"),
    Some("IsrChangeRateAndTimeMs"),
    Some("LeaderAndIsrResponseReceivedRateAndTimeMs"),
    Some("LogDirChangeRateAndTimeMs"),
    Some("ControllerShutdownRateAndTimeMs"),
    Some("UncleanLeaderElectionEnableRateAndTimeMs"),
    Some("TopicUncleanLeaderElectionEnableRateAndTimeMs"),
    Some("ListPartitionReassignmentRateAndTimeMs"),
    None,
    Some("UpdateFeaturesRateAndTimeMs"),
];

/// The gauges of the cluster, in the order of `ControllerMetrics::gauges`. They are 0 on a broker that is not the
/// controller.
const GAUGES: [&str; 9] = [
    "OfflinePartitionsCount",
    "PreferredReplicaImbalanceCount",
    "GlobalTopicCount",
    "GlobalPartitionCount",
    "TopicsToDeleteCount",
    "ReplicasToDeleteCount",
    "TopicsIneligibleToDeleteCount",
    "ReplicasIneligibleToDeleteCount",
    "ActiveBrokerCount",
];

/// Kafka's gauges that have one value only in a cluster that does not migrate from ZooKeeper.
const CONSTANTS: [(&str, f64); 2] = [("FencedBrokerCount", 0.0), ("ZkMigrationState", 4.0)];

/// The controller's metrics. The gauges of the cluster have their values as of the end of the last event.
pub(super) struct ControllerMetrics {
    state: Arc<AtomicUsize>,
    gauges: Arc<[AtomicUsize; GAUGES.len()]>,
    timers: [Option<Arc<Timer>>; TIMERS.len()],
    queue_time: Arc<Timer>,
    /// `UncleanLeaderElectionsPerSec`: elections that may have lost records.
    pub(super) unclean_elections: Arc<Meter>,
}

fn name(name: &str) -> MetricName {
    MetricName::new("kafka.controller", "KafkaController", name)
}

fn stats(name: &str) -> MetricName {
    MetricName::new("kafka.controller", "ControllerStats", name)
}

impl ControllerMetrics {
    pub(super) fn new(registry: &Registry, status: &Arc<ControllerStatus>, events: &EventQueue) -> Self {
        let state = Arc::new(AtomicUsize::new(ControllerState::Idle as usize));
        let gauges: Arc<[AtomicUsize; GAUGES.len()]> = Arc::default();
        let current = state.clone();
        registry.gauge(name("ControllerState"), move || {
            current.load(Ordering::Relaxed) as f64
        });
        let status = status.clone();
        registry.gauge(name("ActiveControllerCount"), move || {
            f64::from(u8::from(status.is_active()))
        });
        for (i, gauge) in GAUGES.iter().enumerate() {
            let gauges = gauges.clone();
            registry.gauge(name(gauge), move || gauges[i].load(Ordering::Relaxed) as f64);
        }
        for (constant, value) in CONSTANTS {
            registry.gauge(name(constant), move || value);
        }
        let events = events.clone();
        let queue = |name| MetricName::new("kafka.controller", "ControllerEventManager", name);
        registry.gauge(queue("EventQueueSize"), move || events.len() as f64);
        Self {
            state,
            gauges,
            timers: TIMERS.map(|timer| timer.map(|timer| registry.timer(stats(timer)))),
            queue_time: registry.timer(queue("EventQueueTimeMs")),
            unclean_elections: registry.meter(stats("UncleanLeaderElectionsPerSec")),
        }
    }

    /// The controller begins to handle an event that has `waited` in the queue.
    pub(super) fn begin(&self, state: ControllerState, waited: Duration) {
        self.queue_time.update(waited);
        self.state.store(state as usize, Ordering::Relaxed);
    }

    /// The controller has handled the event in the time `took`.
    pub(super) fn end(&self, state: ControllerState, took: Duration, context: &ControllerContext) {
        self.state
            .store(ControllerState::Idle as usize, Ordering::Relaxed);
        if let Some(timer) = &self.timers[state as usize] {
            timer.update(took);
        }
        self.update(context);
    }

    /// Sets the gauges of the cluster from the context; they are 0 if it is empty.
    pub(super) fn update(&self, context: &ControllerContext) {
        let partitions = context.partition_counts();
        let deletion = context.deletion_counts();
        let values = [
            partitions.offline,
            partitions.imbalanced,
            context.topic_count(),
            partitions.with_state,
            deletion.topics,
            deletion.replicas,
            deletion.ineligible_topics,
            deletion.ineligible_replicas,
            context.live_or_shutting_down_brokers().count(),
        ];
        for (gauge, value) in self.gauges.iter().zip(values) {
            gauge.store(value, Ordering::Relaxed);
        }
    }
}
