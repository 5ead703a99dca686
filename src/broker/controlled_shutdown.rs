//! Asks the controller to take leadership away before the broker stops. Kafka 3.9: `KafkaServer.controlledShutdown`.

use std::time::Duration;

use tracing::{info, warn};

use crate::common::error::ErrorCode;
use crate::config::BrokerConfig;
use crate::controller::ControllerHandle;
use crate::metadata::MetadataCache;
use crate::network::{BrokerAddress, NetworkClient};
use crate::protocol::messages::{BrokerId as WireBrokerId, ControlledShutdownRequest};

/// Fixed by inter.broker.protocol.version 3.9.
const CONTROLLED_SHUTDOWN_VERSION: i16 = 3;

/// Tries as often as configured. A broker that is not let go in order goes all the same: its partitions are then
/// moved when its session ends.
pub(super) async fn hand_over(
    config: &BrokerConfig,
    metadata: &MetadataCache,
    controller: &ControllerHandle,
) {
    let attempts = config.controlled_shutdown_max_retries;
    for attempt in 1..=attempts {
        match ask(config, metadata, controller).await {
            Ok(()) => {
                info!(broker = config.broker_id, "controlled shutdown succeeded");
                return;
            }
            Err(reason) => warn!(
                broker = config.broker_id,
                attempt, reason, "controlled shutdown failed"
            ),
        }
        if attempt < attempts {
            tokio::time::sleep(Duration::from_millis(config.controlled_shutdown_retry_backoff_ms)).await;
        }
    }
}

async fn ask(
    config: &BrokerConfig,
    metadata: &MetadataCache,
    controller: &ControllerHandle,
) -> Result<(), String> {
    let image = metadata.image();
    let listener = config
        .control_plane_listener_name
        .as_ref()
        .unwrap_or(&config.inter_broker_listener_name);
    let peer = image
        .controller_id
        .and_then(|id| image.brokers.get(&id))
        .ok_or("no controller is known")?;
    let endpoint = peer
        .endpoint(listener)
        .ok_or("the controller has no endpoint for brokers")?;
    let address = BrokerAddress {
        id: peer.id,
        host: endpoint.host.clone(),
        port: endpoint.port,
    };
    let timeout = Duration::from_millis(config.controller_socket_timeout_ms);
    let client = NetworkClient::new(address, &config.broker_id.to_string(), timeout);
    let request = ControlledShutdownRequest::default()
        .with_broker_id(WireBrokerId(config.broker_id))
        .with_broker_epoch(controller.broker_epoch());
    let response = client
        .send(&request, CONTROLLED_SHUTDOWN_VERSION)
        .await
        .map_err(|e| e.to_string())?;
    match ErrorCode::from_code(response.error_code) {
        ErrorCode::None if response.remaining_partitions.is_empty() => Ok(()),
        ErrorCode::None => Err(format!(
            "{} partitions are still led here",
            response.remaining_partitions.len()
        )),
        error => Err(error.to_string()),
    }
}
