//! Asks the controller for changes of ISRs. Kafka 3.9: `AlterPartitionManager`.
//!
//! One request is in flight at a time. It has every proposal that waits, and it is repeated until the controller
//! answers it. The controller's address comes only from the metadata cache (fact 71). The request goes over the network
//! even if this broker is the controller.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::delayed_operations::DelayedOperations;
use super::hooks::BrokerEpochSource;
use super::meters::IsrCounters;
use crate::cluster::{AlterPartitionOutcome, Effects, IsrProposal, Partition};
use crate::common::clock::SharedClock;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerEpoch, BrokerId, TopicId, TopicPartition};
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderRecoveryState};
use crate::config::BrokerConfig;
use crate::metadata::MetadataCache;
use crate::metrics::Registry;
use crate::network::{
    BrokerAddress, ChannelBuilder, ClientSettings, NodeToControllerChannelManager, NodeToControllerError,
};
use crate::protocol::StrBytes;
use crate::protocol::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use crate::protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};

/// The versions that this broker speaks.
const VERSIONS: RangeInclusive<i16> = 0..=3;
/// The versions for topics without ids, which newer versions cannot name.
const VERSIONS_BY_NAME: RangeInclusive<i16> = 0..=1;
/// Pause after a request that was refused as a whole, or could not be sent.
const RETRY_BACKOFF: Duration = Duration::from_millis(50);

/// The proposals that the controller has not yet answered: at most one for each partition.
pub(super) struct AlterPartitionManager {
    broker_id: BrokerId,
    broker_epoch: BrokerEpochSource,
    metadata: Arc<MetadataCache>,
    clock: SharedClock,
    channel: NodeToControllerChannelManager,
    delayed: DelayedOperations,
    pub(super) counters: IsrCounters,
    pending: Mutex<BTreeMap<TopicPartition, Proposed>>,
    submitted: Notify,
}

#[derive(Clone)]
struct Proposed {
    partition: Arc<Partition>,
    topic_id: TopicId,
    proposal: IsrProposal,
}

impl AlterPartitionManager {
    /// Creates a manager without proposals. `controller_epoch` is the highest epoch of a controller that has sent a
    /// request.
    #[allow(clippy::too_many_arguments, reason = "each is another neighbour")]
    pub(super) fn new(
        config: &BrokerConfig,
        channels: &ChannelBuilder,
        metadata: Arc<MetadataCache>,
        clock: SharedClock,
        broker_epoch: BrokerEpochSource,
        controller_epoch: Arc<AtomicI32>,
        delayed: DelayedOperations,
        metrics: &Registry,
    ) -> Self {
        Self {
            broker_id: config.broker_id,
            broker_epoch,
            channel: channel(config, channels, metadata.clone(), controller_epoch),
            metadata,
            clock,
            delayed,
            counters: IsrCounters::new(metrics),
            pending: Mutex::default(),
            submitted: Notify::new(),
        }
    }

    /// Carries out the effects of a change of one partition outside its lock: wakes requests and proposes another ISR.
    pub(super) fn apply(&self, partition: &Arc<Partition>, effects: Effects) {
        self.delayed.wake(partition, &effects);
        if let Some(proposal) = effects.alter_partition {
            let name = partition.topic_partition();
            tracing::info!(partition = %name, isr = ?proposal.isr, "asking the controller for another isr");
            self.submit(partition.clone(), proposal);
        }
    }

    /// UpdateMetadata may have named another controller.
    pub(super) fn controller_may_have_changed(&self) {
        self.channel.controller_may_have_changed();
    }

    /// Queues a proposal. It replaces an older one for the same partition: a new leader epoch has made that one void.
    fn submit(&self, partition: Arc<Partition>, proposal: IsrProposal) {
        let name = partition.topic_partition().clone();
        let topic_id = partition.topic_id().unwrap_or_default();
        self.pending.lock().insert(
            name,
            Proposed {
                partition,
                topic_id,
                proposal,
            },
        );
        self.submitted.notify_one();
    }

    /// All proposals that still wait for an answer.
    fn batch(&self) -> Vec<Proposed> {
        let mut pending = self.pending.lock();
        pending.retain(|_, p| p.partition.state().isr().pending() == Some(&p.proposal));
        pending.values().cloned().collect()
    }

    fn remove_answered(&self, proposed: &Proposed) {
        let mut pending = self.pending.lock();
        let name = proposed.partition.topic_partition();
        if pending.get(name).is_some_and(|p| p.proposal == proposed.proposal) {
            pending.remove(name);
        }
    }

    /// Sends the proposals, without end.
    pub(super) async fn run(&self) {
        loop {
            self.submitted.notified().await;
            loop {
                let batch = self.batch();
                if batch.is_empty() {
                    break;
                }
                match self.alter_partitions(&batch).await {
                    Ok(true) => {}
                    Ok(false) => tokio::time::sleep(RETRY_BACKOFF).await,
                    Err(error) => {
                        tracing::warn!(
                            reason = error.to_string(),
                            partitions = batch.len(),
                            "isrs were not altered, trying again"
                        );
                        tokio::time::sleep(RETRY_BACKOFF).await;
                    }
                }
            }
        }
    }

    /// Sends one request and applies its response. Returns false if some proposals must be sent again. After an error
    /// all proposals must be sent again, perhaps to another controller.
    async fn alter_partitions(&self, batch: &[Proposed]) -> Result<bool, NodeToControllerError> {
        let by_name = batch.iter().any(|p| p.topic_id.is_nil());
        let answers = self
            .channel
            .send(
                if by_name { VERSIONS_BY_NAME } else { VERSIONS },
                |version| request(self.broker_id, (self.broker_epoch)(), batch, version),
                |response| answers(&response),
            )
            .await?;
        Ok(self.apply_answers(batch, &answers))
    }

    fn apply_answers(&self, batch: &[Proposed], answers: &Answers) -> bool {
        let snapshot = self.metadata.snapshot();
        let mut all_answered = true;
        for proposed in batch {
            let name = proposed.partition.topic_partition();
            let by_id = (proposed.topic_id, None, name.partition);
            let by_name = (TopicId::nil(), Some(&*name.topic), name.partition);
            let answer = answers.iter().find(|(key, _)| {
                let key = (key.0, key.1.as_deref(), key.2);
                key == by_name || (!proposed.topic_id.is_nil() && key == by_id)
            });
            let Some((_, answer)) = answer.cloned() else {
                tracing::warn!(partition = %name, "the controller left a proposal without answer");
                all_answered = false;
                continue;
            };
            let now_ms = self.clock.monotonic_ms();
            let before = proposed.partition.state().isr().committed().len();
            let (outcome, effects) =
                proposed
                    .partition
                    .on_alter_partition(&proposed.proposal, answer.clone(), now_ms, &snapshot);
            report(proposed, &answer, outcome);
            self.count(proposed, before, outcome);
            match outcome {
                AlterPartitionOutcome::Retry => all_answered = false,
                _ => self.remove_answered(proposed),
            }
            self.apply(&proposed.partition, effects);
        }
        all_answered
    }

    /// Updates Kafka's meters: a proposal that was carried out counts as an expansion or a shrink, any other one as
    /// failed.
    fn count(&self, proposed: &Proposed, before: usize, outcome: AlterPartitionOutcome) {
        let counters = &self.counters;
        let counter = match outcome {
            AlterPartitionOutcome::Committed if proposed.proposal.isr.len() > before => &counters.expands,
            AlterPartitionOutcome::Committed => &counters.shrinks,
            _ => &counters.failed_updates,
        };
        counter.mark(1);
    }
}

/// The channel to the controller. A controller that UpdateMetadata names is ignored while a later controller, whose
/// epoch is in `epoch`, has already sent LeaderAndIsr (fact 76).
fn channel(
    config: &BrokerConfig,
    channels: &ChannelBuilder,
    metadata: Arc<MetadataCache>,
    epoch: Arc<AtomicI32>,
) -> NodeToControllerChannelManager {
    let listener = config.controller_listener().to_owned();
    let controller = move || {
        let snapshot = metadata.snapshot();
        if snapshot.controller_epoch < epoch.load(Ordering::Acquire) {
            return None;
        }
        let (id, endpoint) = snapshot.controller(&listener)?;
        Some(BrokerAddress::new(id, endpoint))
    };
    let timeout = Duration::from_millis(config.controller_socket_timeout_ms);
    let settings = ClientSettings::new(channels, config.broker_id.to_string(), timeout);
    NodeToControllerChannelManager::new(Box::new(controller), settings)
}

fn request(broker: BrokerId, epoch: BrokerEpoch, batch: &[Proposed], version: i16) -> AlterPartitionRequest {
    let mut topics: BTreeMap<(&str, TopicId), Vec<PartitionData>> = BTreeMap::new();
    for Proposed {
        partition,
        topic_id,
        proposal,
    } in batch
    {
        let name = partition.topic_partition();
        let mut data = PartitionData::default()
            .with_partition_index(name.partition)
            .with_leader_epoch(proposal.leader_epoch)
            .with_partition_epoch(proposal.partition_epoch);
        if version >= 1 {
            data = data.with_leader_recovery_state(proposal.recovery_state as i8);
        }
        // Only KRaft controllers use the epochs of brokers.
        let state = |&id: &BrokerId| {
            BrokerState::default()
                .with_broker_id(id.into())
                .with_broker_epoch(-1)
        };
        data = match version {
            3.. => data.with_new_isr_with_epochs(proposal.isr.iter().map(state).collect()),
            _ => data.with_new_isr(proposal.isr.iter().map(|&id| id.into()).collect()),
        };
        topics.entry((&name.topic, *topic_id)).or_default().push(data);
    }
    let topic = |((name, id), partitions): ((&str, TopicId), _)| match version {
        2.. => TopicData::default().with_topic_id(id).with_partitions(partitions),
        _ => TopicData::default()
            .with_topic_name(StrBytes::from_string(name.to_owned()).into())
            .with_partitions(partitions),
    };
    AlterPartitionRequest::default()
        .with_broker_id(broker.into())
        .with_broker_epoch(epoch)
        .with_topics(topics.into_iter().map(topic).collect())
}

/// Logs the outcome of a proposal.
fn report(proposed: &Proposed, answer: &Result<LeaderAndIsr, ErrorCode>, outcome: AlterPartitionOutcome) {
    let partition = proposed.partition.topic_partition();
    match answer {
        Ok(LeaderAndIsr {
            isr, partition_epoch, ..
        }) => {
            tracing::info!(%partition, ?isr, partition_epoch, ?outcome, "the controller has set the isr");
        }
        Err(error) => {
            tracing::info!(%partition, isr = ?proposed.proposal.isr, %error, ?outcome, "the controller has refused another isr");
        }
    }
}

/// The topic by id or, in old versions, by name; the partition; the controller's answer.
type Answers = Vec<((TopicId, Option<String>, i32), Result<LeaderAndIsr, ErrorCode>)>;

/// The response's answer for each partition; an error if the whole request was refused.
fn answers(response: &AlterPartitionResponse) -> Result<Answers, ErrorCode> {
    let whole = ErrorCode::from_code(response.error_code);
    if whole.is_error() {
        return Err(whole);
    }
    let mut answers = Answers::new();
    for topic in &response.topics {
        let name = topic.topic_id.is_nil().then(|| topic.topic_name.to_string());
        for partition in &topic.partitions {
            let code = ErrorCode::from_code(partition.error_code);
            // This controller knows less than this broker: it is no longer the controller, or not yet (facts 18 and
            // 71).
            if code == ErrorCode::NotController {
                return Err(code);
            }
            let decided = || LeaderAndIsr {
                leader: partition.leader_id.0,
                leader_epoch: partition.leader_epoch,
                isr: partition.isr.iter().map(|id| id.0).collect(),
                recovery_state: LeaderRecoveryState::from_i8(partition.leader_recovery_state)
                    .unwrap_or_default(),
                partition_epoch: partition.partition_epoch,
            };
            let answer = if code.is_error() { Err(code) } else { Ok(decided()) };
            answers.push(((topic.topic_id, name.clone(), partition.partition_index), answer));
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Endpoint, SecurityProtocol};
    use crate::metadata::BrokerMetadata;

    #[test]
    fn the_controller_is_asked_through_the_control_planes_listener() {
        for (control_plane, port) in [(None, 1), (Some("CONTROL"), 2)] {
            let mut config = BrokerConfig::for_test(1, std::path::Path::new("unused"));
            config.control_plane_listener_name = control_plane.map(str::to_owned);
            let metadata = Arc::new(MetadataCache::default());
            let endpoint = |listener: &str, port| Endpoint {
                listener: listener.to_owned(),
                security_protocol: SecurityProtocol::Plaintext,
                host: "h".to_owned(),
                port,
            };
            metadata.update(|snapshot| {
                let endpoints = vec![endpoint("PLAINTEXT", 1), endpoint("CONTROL", 2)];
                let controller = BrokerMetadata {
                    id: 7,
                    endpoints,
                    rack: None,
                };
                snapshot.brokers.insert(7, controller);
                snapshot.controller_id = Some(7);
                snapshot.controller_epoch = 1;
            });
            let epoch = Arc::new(AtomicI32::new(1));
            let channel = channel(&config, &ChannelBuilder::plaintext(), metadata, epoch.clone());
            let known = || channel.controller().map(|address| address.endpoint.port);
            assert_eq!(known(), Some(port));
            epoch.store(2, Ordering::Release);
            assert_eq!(known(), None, "LeaderAndIsr has come from a later controller");
        }
    }
}
