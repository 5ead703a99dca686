//! One ordered sender for each broker: requests go out one at a time, each repeated until it is answered or the
//! broker is gone. Kafka 3.9: `ControllerChannelManager`, `RequestSendThread`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::channel_metrics::{ChannelMetrics, QueueMetrics};
use super::control_request::{ControlRequest, deleted_partitions};
use super::event::ControllerEvent;
use super::event_queue::EventQueue;
use crate::common::ids::BrokerId;
use crate::metadata::BrokerMetadata;
use crate::metrics::Registry;
use crate::network::{BrokerAddress, NetworkClient, NetworkError};

/// Versions of inter-broker protocol 3.9-IV0; sent without asking the peer (fact 45).
const LEADER_AND_ISR_VERSION: i16 = 7;
const UPDATE_METADATA_VERSION: i16 = 8;
const STOP_REPLICA_VERSION: i16 = 4;

/// Pause before a request is sent again that was not answered.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);

/// The controller's way to the brokers. Never waits: answers come back as events.
pub trait BrokerChannels: Send + Sync + 'static {
    /// Opens the channel to a broker that has just registered.
    fn add_broker(&mut self, broker: &BrokerMetadata);
    /// Closes the channel; what is not sent yet is dropped.
    fn remove_broker(&mut self, broker: BrokerId);
    /// Puts a request behind those sent before. Dropped if there is no channel to the broker.
    fn send(&mut self, broker: BrokerId, request: ControlRequest);
    /// Closes every channel.
    fn remove_all(&mut self);
}

/// The channels over the network.
pub struct ControllerChannelManager {
    controller_id: BrokerId,
    /// The listener of the other brokers to connect to.
    listener: String,
    /// For connecting.
    connection_timeout: Duration,
    request_timeout: Duration,
    events: EventQueue,
    metrics: ChannelMetrics,
    senders: BTreeMap<BrokerId, Sender>,
}

struct Sender {
    /// Unbounded as in Kafka: a controller must not wait for a broker, and a broker that stays silent loses its
    /// session and with it this queue.
    requests: mpsc::UnboundedSender<(ControlRequest, Instant)>,
    metrics: Arc<QueueMetrics>,
    task: JoinHandle<()>,
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ControllerChannelManager {
    /// No channels yet. Answers go to `events`.
    pub fn new(
        controller_id: BrokerId,
        listener: String,
        connection_timeout: Duration,
        request_timeout: Duration,
        events: EventQueue,
        registry: &Registry,
    ) -> Self {
        Self {
            controller_id,
            listener,
            connection_timeout,
            request_timeout,
            events,
            metrics: ChannelMetrics::new(registry),
            senders: BTreeMap::new(),
        }
    }
}

impl BrokerChannels for ControllerChannelManager {
    fn add_broker(&mut self, broker: &BrokerMetadata) {
        let Some(endpoint) = broker.endpoint(&self.listener) else {
            warn!(
                broker = broker.id,
                listener = self.listener,
                "broker has no such listener, cannot be told anything"
            );
            return;
        };
        let address = BrokerAddress {
            id: broker.id,
            host: endpoint.host.clone(),
            port: endpoint.port,
        };
        let mut client = NetworkClient::new(address, &self.controller_id.to_string(), self.request_timeout);
        client.set_connection_timeout(self.connection_timeout);
        let (requests, queue) = mpsc::unbounded_channel();
        self.remove_broker(broker.id);
        let metrics = self.metrics.add(broker.id);
        let sending = send_in_order(client, broker.id, queue, metrics.clone(), self.events.clone());
        let sender = Sender {
            requests,
            metrics,
            task: tokio::spawn(sending),
        };
        self.senders.insert(broker.id, sender);
    }

    fn remove_broker(&mut self, broker: BrokerId) {
        self.senders.remove(&broker);
        self.metrics.remove(broker);
    }

    fn send(&mut self, broker: BrokerId, request: ControlRequest) {
        match self.senders.get(&broker) {
            Some(sender) => {
                sender.metrics.queued();
                drop(sender.requests.send((request, Instant::now())));
            }
            None => warn!(
                broker,
                request = request.name(),
                "not sent, the broker is offline"
            ),
        }
    }

    fn remove_all(&mut self) {
        for broker in std::mem::take(&mut self.senders).into_keys() {
            self.metrics.remove(broker);
        }
    }
}

async fn send_in_order(
    client: NetworkClient,
    broker: BrokerId,
    mut queue: mpsc::UnboundedReceiver<(ControlRequest, Instant)>,
    metrics: Arc<QueueMetrics>,
    events: EventQueue,
) {
    while let Some((request, since)) = queue.recv().await {
        metrics.taken(since.elapsed());
        let mut attempts = 0_u64;
        let answer = loop {
            match send_once(&client, broker, &request).await {
                Ok(answer) => break answer,
                Err(error) if attempts == 0 => {
                    info!(broker, request = request.name(), %error, "control request failed, is repeated until it succeeds");
                }
                Err(error) => {
                    debug!(broker, request = request.name(), attempts, %error, "control request failed again")
                }
            }
            attempts += 1;
            tokio::time::sleep(RETRY_BACKOFF).await;
        };
        if let Some(answer) = answer {
            events.put(answer);
        }
    }
}

/// The event that the answer is to the controller, if it is one.
async fn send_once(
    client: &NetworkClient,
    broker: BrokerId,
    request: &ControlRequest,
) -> Result<Option<ControllerEvent>, NetworkError> {
    let controller_epoch = request.controller_epoch();
    Ok(match request {
        ControlRequest::LeaderAndIsr(request) => Some(ControllerEvent::LeaderAndIsrResponse {
            broker,
            controller_epoch,
            response: client.send(request, LEADER_AND_ISR_VERSION).await?,
        }),
        ControlRequest::UpdateMetadata(request) => Some(ControllerEvent::UpdateMetadataResponse {
            broker,
            response: client.send(request, UPDATE_METADATA_VERSION).await?,
        }),
        ControlRequest::StopReplica(request) => {
            let response = client.send(request, STOP_REPLICA_VERSION).await?;
            let deleted = deleted_partitions(request);
            (!deleted.is_empty()).then_some(ControllerEvent::DeletionStopReplicaResponse {
                broker,
                controller_epoch,
                deleted,
                response,
            })
        }
    })
}
