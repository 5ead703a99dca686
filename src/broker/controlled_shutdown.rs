//! Asks the controller to move the broker's leaderships before the broker stops. Kafka 3.9:
//! `KafkaServer.controlledShutdown`.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::common::error::ErrorCode;
use crate::common::ids::BrokerId;
use crate::config::BrokerConfig;
use crate::controller::ControllerHandle;
use crate::metadata::{MetadataCache, MetadataSnapshot};
use crate::network::{
    BrokerAddress, ChannelBuilder, ClientSettings, NodeToControllerChannelManager, NodeToControllerError,
};
use crate::protocol::messages::controlled_shutdown_response::RemainingPartition;
use crate::protocol::messages::{
    BrokerId as WireBrokerId, ControlledShutdownRequest, ControlledShutdownResponse,
};

/// Fixed by inter.broker.protocol.version 3.9.
const VERSIONS: RangeInclusive<i16> = 3..=3;

/// How long ZooKeeper may be unreachable before the broker stops waiting for a controller. A failover within the
/// ensemble is shorter.
const ZOOKEEPER_OUTAGE: Duration = Duration::from_secs(2);

/// Asks as often as configured. If the controller does not move every partition, the broker stops anyway, and the
/// partitions are moved when its session ends. `zookeeper` says whether ZooKeeper is connected; without ZooKeeper no
/// controller can move the partitions.
pub(super) async fn hand_over(
    config: &BrokerConfig,
    channels: &ChannelBuilder,
    metadata: &Arc<MetadataCache>,
    controller: &ControllerHandle,
    zookeeper: watch::Receiver<bool>,
) {
    tokio::select! {
        () = try_repeatedly(config, channels, metadata, controller) => {}
        () = away_for(zookeeper, ZOOKEEPER_OUTAGE) => warn!(
            broker = config.broker_id,
            "zookeeper is away, so no controller can take leadership over: stops without a controlled shutdown"
        ),
    }
}

/// Returns when ZooKeeper has been unreachable for `outage`.
async fn away_for(mut zookeeper: watch::Receiver<bool>, outage: Duration) {
    // An error means that the session was closed.
    while zookeeper.wait_for(|&connected| !connected).await.is_ok() {
        if tokio::time::timeout(outage, zookeeper.wait_for(|&connected| connected))
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn try_repeatedly(
    config: &BrokerConfig,
    channels: &ChannelBuilder,
    metadata: &Arc<MetadataCache>,
    controller: &ControllerHandle,
) {
    let channel = channel(config, channels, metadata.clone());
    let broker = config.broker_id;
    let attempts = config.controlled_shutdown_max_retries;
    for attempt in 1..=attempts {
        let reason = match ask(&channel, broker, controller).await {
            Ok(remaining) if remaining.is_empty() => {
                info!(broker, "controlled shutdown succeeded");
                return;
            }
            Ok(remaining) if !is_any_movable(&metadata.snapshot(), broker, &remaining) => {
                warn!(
                    broker,
                    partitions = remaining.len(),
                    "stops as the leader of partitions that have no other live replica"
                );
                return;
            }
            Ok(remaining) => format!("{} partitions are still led here", remaining.len()),
            Err(error) => error.to_string(),
        };
        warn!(broker, attempt, reason, "controlled shutdown failed");
        if attempt < attempts {
            tokio::time::sleep(Duration::from_millis(config.controlled_shutdown_retry_backoff_ms)).await;
        }
    }
}

/// Whether one of the partitions has a replica on another live broker. That replica may join the ISR later.
fn is_any_movable(snapshot: &MetadataSnapshot, broker: BrokerId, partitions: &[RemainingPartition]) -> bool {
    partitions.iter().any(|remaining| {
        let known = snapshot.partition(&remaining.topic_name, remaining.partition_index);
        // A partition that is unknown to this broker may have any replicas.
        known.is_none_or(|partition| {
            let others = partition.replicas.iter().filter(|&&id| id != broker);
            others.into_iter().any(|&id| snapshot.is_alive(id))
        })
    })
}

fn channel(
    config: &BrokerConfig,
    channels: &ChannelBuilder,
    metadata: Arc<MetadataCache>,
) -> NodeToControllerChannelManager {
    // Kafka uses this listener here even if a control plane listener exists.
    let listener = config.inter_broker_listener_name.clone();
    let controller = move || {
        let snapshot = metadata.snapshot();
        let (id, endpoint) = snapshot.controller(&listener)?;
        Some(BrokerAddress::new(id, endpoint))
    };
    let timeout = Duration::from_millis(config.request_timeout_ms);
    let settings = ClientSettings::new(channels, config.broker_id.to_string(), timeout)
        .with_connection_timeout(Duration::from_millis(config.controller_socket_timeout_ms));
    NodeToControllerChannelManager::new(Box::new(controller), settings)
}

/// Sends ControlledShutdown once. Returns the partitions that this broker still leads.
async fn ask(
    channel: &NodeToControllerChannelManager,
    broker: BrokerId,
    controller: &ControllerHandle,
) -> Result<Vec<RemainingPartition>, NodeToControllerError> {
    let request = ControlledShutdownRequest::default()
        .with_broker_id(WireBrokerId(broker))
        .with_broker_epoch(controller.broker_epoch());
    let read = |response: ControlledShutdownResponse| match ErrorCode::from_code(response.error_code) {
        ErrorCode::None => Ok(response.remaining_partitions),
        error => Err(error),
    };
    channel.send(VERSIONS, |_| request, read).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::ids::TopicPartition;
    use crate::common::leader_and_isr::{LeaderAndIsr, LeaderIsrAndControllerEpoch};
    use crate::metadata::{BrokerMetadata, PartitionMetadata};

    #[test]
    fn only_another_live_replica_is_worth_waiting_for() {
        let mut snapshot = MetadataSnapshot::default();
        for (index, replicas) in [vec![1, 2], vec![1, 3], vec![1]].into_iter().enumerate() {
            let partition = PartitionMetadata {
                state: LeaderIsrAndControllerEpoch {
                    leader_and_isr: LeaderAndIsr::initial(1, vec![1]),
                    controller_epoch: 1,
                },
                replicas,
                offline_replicas: Vec::new(),
            };
            let name = TopicPartition::new("t", index as i32);
            snapshot.upsert_partition(&name, uuid::Uuid::nil(), partition);
        }
        for id in [1, 2] {
            let broker = BrokerMetadata {
                id,
                endpoints: Vec::new(),
                rack: None,
            };
            snapshot.brokers.insert(id, broker);
        }
        let remaining = |index| {
            RemainingPartition::default()
                .with_topic_name(crate::protocol::StrBytes::from_static_str("t").into())
                .with_partition_index(index)
        };
        let is_movable = |indexes: &[i32]| {
            let partitions: Vec<_> = indexes.iter().copied().map(remaining).collect();
            is_any_movable(&snapshot, 1, &partitions)
        };
        assert!(is_movable(&[0]), "2 is alive");
        assert!(!is_movable(&[1]), "3 is down");
        assert!(!is_movable(&[1, 2]));
        assert!(is_movable(&[1, 0]));
        assert!(is_movable(&[9]), "not known here");
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_outage_of_zookeeper_is_waited_out() {
        let (connected, receiver) = watch::channel(true);
        let task = tokio::spawn(away_for(receiver, ZOOKEEPER_OUTAGE));
        connected.send_replace(false);
        tokio::time::sleep(ZOOKEEPER_OUTAGE / 2).await;
        connected.send_replace(true);
        tokio::time::sleep(ZOOKEEPER_OUTAGE * 2).await;
        assert!(!task.is_finished());
        connected.send_replace(false);
        tokio::time::sleep(ZOOKEEPER_OUTAGE * 2).await;
        assert!(task.is_finished());
    }
}
