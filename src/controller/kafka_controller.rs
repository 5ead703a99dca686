//! The controller: its parts, its start, and the dispatch of events to their handlers. Kafka 3.9: `KafkaController`.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use super::channel_manager::{BrokerChannels, ControllerChannelManager};
use super::context::ControllerContext;
use super::error::ControllerError;
use super::event::ControllerEvent::{self, self as E};
use super::event_manager::{self, ControllerEventProcessor};
use super::event_queue::EventQueue;
use super::handle::ControllerHandle;
use super::metrics::ControllerMetrics;
use super::reassignment::Reassignments;
use super::rebalance_timer::RebalanceTimer;
use super::state_machines::StateMachines;
use super::status::ControllerStatus;
use super::topic_deletion;
use super::zk_client::ControllerZkClient;
use crate::common::clock::SharedClock;
use crate::common::ids::{BrokerEpoch, BrokerId};
use crate::config::{BrokerConfig, CurrentConfig};
use crate::metrics::Registry;
use crate::network::ChannelBuilder;
use crate::zk::{ZkError, ZkStore};

/// The pause before a failed registration in a new session is repeated.
const REGISTRATION_BACKOFF: Duration = Duration::from_secs(1);

/// Registers this broker under `/brokers/ids` in the present session, and returns the broker's epoch.
pub type RegisterBroker = Arc<dyn Fn() -> BoxFuture<'static, Result<BrokerEpoch, ZkError>> + Send + Sync>;

/// The parts that the broker gives to its controller.
pub struct ControllerSetup {
    /// This broker's configuration, with the resolved broker id.
    pub config: Arc<BrokerConfig>,
    /// The same with the values that have changed at run time.
    pub current_config: CurrentConfig,
    /// The connection to ZooKeeper.
    pub zk: Arc<dyn ZkStore>,
    /// The clock.
    pub clock: SharedClock,
    /// The epoch of the registration at the broker's start.
    pub broker_epoch: BrokerEpoch,
    /// Registers the broker again after a session has expired.
    pub register: RegisterBroker,
    /// Opens the connections to the brokers.
    pub channels: ChannelBuilder,
    /// Takes the controller's metrics.
    pub metrics: Registry,
    /// The version of `/feature` that this broker's metadata cache has; -1 for none.
    pub features_epoch: watch::Receiver<i64>,
    /// Ends the controller.
    pub shutdown: CancellationToken,
}

/// The controller of a broker, active or not. One task owns it.
pub struct Controller {
    pub(super) config: Arc<BrokerConfig>,
    pub(super) current_config: CurrentConfig,
    pub(super) zk: ControllerZkClient,
    pub(super) context: ControllerContext,
    pub(super) channels: Box<dyn BrokerChannels>,
    pub(super) events: EventQueue,
    pub(super) clock: SharedClock,
    pub(super) status: Arc<ControllerStatus>,
    pub(super) rebalance_timer: RebalanceTimer,
    pub(super) features_epoch: watch::Receiver<i64>,
    pub(super) metrics: ControllerMetrics,
    register: RegisterBroker,
    /// The error of the last attempt to register again, if it failed.
    registration_refused: Option<ZkError>,
}

impl ControllerEventProcessor for Controller {
    async fn process(&mut self, event: ControllerEvent, waited: Duration) {
        let (name, state, begun) = (event.name(), event.state(), Instant::now());
        self.metrics.begin(state, waited);
        self.handle(name, event).await;
        self.metrics.end(state, begun.elapsed(), &self.context);
    }

    fn stop(&mut self) {
        self.resign();
    }
}

impl Controller {
    /// Starts the controller's tasks. The first event is the election.
    pub fn start(setup: ControllerSetup) -> ControllerHandle {
        let (config, metrics) = (setup.config.clone(), setup.metrics.clone());
        let channels = setup.channels.clone();
        Self::start_with_channels(setup, |events| {
            Box::new(ControllerChannelManager::new(
                config.broker_id,
                config.controller_listener().to_owned(),
                Duration::from_millis(config.controller_socket_timeout_ms),
                Duration::from_millis(config.request_timeout_ms),
                &channels,
                events,
                &metrics,
            ))
        })
    }

    /// Starts the controller's tasks with channels to the brokers that need not be the network.
    pub fn start_with_channels(
        setup: ControllerSetup,
        channels: impl FnOnce(EventQueue) -> Box<dyn BrokerChannels>,
    ) -> ControllerHandle {
        let events = EventQueue::default();
        let status = Arc::new(ControllerStatus::new(setup.broker_epoch));
        let watches = setup.zk.subscribe();
        let metrics = ControllerMetrics::new(&setup.metrics, &status, &events);
        let controller = Self {
            current_config: setup.current_config,
            zk: ControllerZkClient::new(setup.zk),
            context: ControllerContext::default(),
            channels: channels(events.clone()),
            events: events.clone(),
            clock: setup.clock,
            status: status.clone(),
            rebalance_timer: RebalanceTimer::new(events.clone()),
            features_epoch: setup.features_epoch,
            metrics,
            register: setup.register,
            registration_refused: None,
            config: setup.config,
        };
        events.put(ControllerEvent::Startup);
        tokio::spawn(event_manager::translate_watches(
            watches,
            events.clone(),
            setup.shutdown.clone(),
        ));
        let task = tokio::spawn(event_manager::run(
            controller,
            events.clone(),
            setup.shutdown.clone(),
        ));
        ControllerHandle::new(events, status, setup.shutdown, task)
    }

    /// The state machines on this controller's context, ZooKeeper client and channels.
    pub(super) fn machines(&mut self) -> StateMachines<'_> {
        StateMachines {
            context: &mut self.context,
            zk: &self.zk,
            channels: &mut *self.channels,
            config: &self.config,
            current_config: &self.current_config,
            unclean_elections: &self.metrics.unclean_elections,
        }
    }

    /// The reassignments under way.
    pub(super) fn reassignments(&mut self) -> Reassignments<'_> {
        let events = self.events.clone();
        Reassignments {
            machines: self.machines(),
            events,
        }
    }

    /// Whether this broker is the controller.
    pub(super) fn is_active(&self) -> bool {
        self.status.is_active()
    }

    /// The id of this broker.
    pub(super) fn id(&self) -> BrokerId {
        self.config.broker_id
    }

    async fn handle(&mut self, name: &'static str, event: ControllerEvent) {
        let mut result = self.dispatch(event).await;
        if matches!(result, Err(ControllerError::Moved)) {
            info!(event = name, "another broker has become the controller");
            result = self.maybe_resign().await;
        }
        match result {
            Ok(()) => {}
            Err(ControllerError::Zk(ZkError::SessionExpired)) => {
                debug!(
                    event = name,
                    "the session expired while the controller handled an event"
                );
            }
            Err(error) => error!(event = name, %error, "failed to handle an event"),
        }
    }

    async fn dispatch(&mut self, event: ControllerEvent) -> Result<(), ControllerError> {
        match event {
            E::Startup => self.elect().await,
            E::ControllerChange => self.maybe_resign().await,
            E::Reelect => self.reelect().await,
            E::RegisterBrokerAndReelect => self.register_broker_and_reelect().await,
            E::Expire => self.process_expire(),
            E::AlterPartition {
                request,
                version,
                reply,
            } => self.process_alter_partition(request, version, reply).await,
            E::ControlledShutdown { broker, epoch, reply } => {
                self.process_controlled_shutdown(broker, epoch, reply).await
            }
            E::AllocateProducerIds { broker, epoch, reply } => {
                self.process_allocate_producer_ids(broker, epoch, reply).await
            }
            // A broker that is not the controller drops the event, and the caller gets NOT_CONTROLLER.
            _ if !self.is_active() => Ok(()),
            E::BrokerChange => self.process_broker_change().await,
            E::BrokerModification(broker) => self.process_broker_modification(broker).await,
            E::TopicChange => self.process_topic_change().await,
            E::PartitionModification(topic) => self.process_partition_modification(&topic).await,
            E::TopicDeletion => topic_deletion::process_topic_deletion(&mut self.machines()).await,
            E::IsrChangeNotification => self.process_isr_change_notification().await,
            E::LogDirEventNotification => self.process_log_dir_event_notification().await,
            E::ZnodeReassignment => self.process_znode_reassignment().await.map(drop),
            E::ZnodePreferredElection => self.process_znode_preferred_election().await,
            E::AutoPreferredReplicaElection => self.process_auto_preferred_replica_election().await,
            E::UncleanElectionEnabled => self.process_unclean_election_enabled(None).await,
            E::TopicUncleanElectionEnabled(topic) => self.process_unclean_election_enabled(Some(topic)).await,
            E::LeaderAndIsrResponse {
                broker,
                controller_epoch,
                response,
            } => {
                self.process_leader_and_isr_response(broker, controller_epoch, response)
                    .await
            }
            E::UpdateMetadataResponse { broker, response } => {
                self.process_update_metadata_response(broker, &response)
            }
            E::DeletionStopReplicaResponse {
                broker,
                controller_epoch,
                deleted,
                response,
            } => {
                topic_deletion::process_deletion_stop_replica_response(
                    &mut self.machines(),
                    broker,
                    controller_epoch,
                    deleted,
                    response,
                )
                .await
            }
            E::ElectLeaders {
                partitions,
                election,
                reply,
            } => self.process_elect_leaders(partitions, election, reply).await,
            E::ApiReassignment { targets, reply } => self.process_api_reassignment(targets, reply).await,
            E::UpdateFeatures {
                updates,
                timeout,
                reply,
            } => self.process_update_features(updates, timeout, reply).await,
            E::ListReassignments { partitions, reply } => self.process_list_reassignments(partitions, reply),
        }
    }

    /// Registers the broker in a new session and stands for election. The end of the old session has deleted both
    /// registrations.
    async fn register_broker_and_reelect(&mut self) -> Result<(), ControllerError> {
        match (self.register)().await {
            Ok(epoch) => {
                info!(broker_epoch = epoch, "registered again in a new session");
                self.status.set_broker_epoch(epoch);
                self.registration_refused = None;
            }
            Err(ZkError::SessionExpired) => return Err(ZkError::SessionExpired.into()),
            Err(error) => {
                // An error that repeats every second until an administrator acts is logged once.
                if self.registration_refused.as_ref() != Some(&error) {
                    error!(%error, "cannot register in the new session, repeats it every second");
                }
                self.registration_refused = Some(error);
                self.events
                    .put_after(REGISTRATION_BACKOFF, ControllerEvent::RegisterBrokerAndReelect);
                return Ok(());
            }
        }
        self.reelect().await
    }
}
