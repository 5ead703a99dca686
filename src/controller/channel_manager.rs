//! The controller's requests to the brokers: to each broker one at a time and in order, each repeated until it is
//! answered or the broker is gone. Kafka 3.9: `ControllerChannelManager`, `RequestSendThread`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::channel_metrics::{ChannelMetrics, QueueMetrics};
use super::control_request::{ControlRequest, deleted_partitions};
use super::event::ControllerEvent;
use super::event_queue::EventQueue;
use crate::common::ids::BrokerId;
use crate::metadata::BrokerMetadata;
use crate::metrics::Registry;
use crate::network::{
    BrokerAddress, ChannelBuilder, ClientSettings, InterBrokerRequests, InterBrokerSendThread, NetworkClient,
    NetworkError,
};

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
    /// The listener of the other brokers to connect to.
    listener: String,
    metrics: ChannelMetrics,
    channels: BTreeMap<BrokerId, Channel>,
    /// Its queues are unbounded as in Kafka: a controller must not wait for a broker, and a broker that stays silent
    /// loses its session and with it its queue.
    sender: InterBrokerSendThread<ControlRequests>,
    requests: Arc<ControlRequests>,
}

/// A broker that is registered.
struct Channel {
    address: BrokerAddress,
    metrics: Arc<QueueMetrics>,
}

/// What follows from the answers of brokers.
struct ControlRequests {
    events: EventQueue,
}

/// A request that waits for its turn.
struct Queued {
    request: ControlRequest,
    since: Instant,
    metrics: Arc<QueueMetrics>,
}

impl ControllerChannelManager {
    /// No channels yet. Answers go to `events`.
    pub fn new(
        controller_id: BrokerId,
        listener: String,
        connection_timeout: Duration,
        request_timeout: Duration,
        channels: &ChannelBuilder,
        events: EventQueue,
        registry: &Registry,
    ) -> Self {
        let settings = ClientSettings::new(channels, controller_id.to_string(), request_timeout)
            .with_connection_timeout(connection_timeout);
        Self {
            listener,
            metrics: ChannelMetrics::new(registry),
            channels: BTreeMap::new(),
            sender: InterBrokerSendThread::new(settings),
            requests: Arc::new(ControlRequests { events }),
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
        self.remove_broker(broker.id);
        let channel = Channel {
            address: BrokerAddress::new(broker.id, endpoint),
            metrics: self.metrics.add(broker.id),
        };
        self.channels.insert(broker.id, channel);
    }

    fn remove_broker(&mut self, broker: BrokerId) {
        self.channels.remove(&broker);
        self.sender.remove(broker);
        self.metrics.remove(broker);
    }

    fn send(&mut self, broker: BrokerId, request: ControlRequest) {
        match self.channels.get(&broker) {
            Some(channel) => {
                channel.metrics.queued();
                let queued = Queued {
                    request,
                    since: Instant::now(),
                    metrics: channel.metrics.clone(),
                };
                let address = channel.address.clone();
                self.sender
                    .enqueue(&self.requests, address, |queue| queue.push_back(queued));
            }
            None => warn!(
                broker,
                request = request.name(),
                "not sent, the broker is offline"
            ),
        }
    }

    fn remove_all(&mut self) {
        for broker in std::mem::take(&mut self.channels).into_keys() {
            self.sender.remove(broker);
            self.metrics.remove(broker);
        }
    }
}

/// One request after the other, each again until it is answered.
impl InterBrokerRequests for ControlRequests {
    type Queue = VecDeque<Queued>;
    type Batch = Queued;

    fn next(queue: &mut VecDeque<Queued>) -> Option<Queued> {
        queue.pop_front()
    }

    async fn exchange(self: Arc<Self>, client: Arc<NetworkClient>, queued: Queued) {
        let Queued {
            request,
            since,
            metrics,
        } = queued;
        metrics.taken(since.elapsed());
        let broker = client.address().id;
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
            self.events.put(answer);
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
