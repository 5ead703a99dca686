//! A cluster for tests: the controllers of several brokers on one ZooKeeper in memory. Their channels record each
//! request and answer it at once as a healthy broker would.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::channel_manager::BrokerChannels;
use super::super::control_request::{ControlRequest, deleted_partitions};
use super::super::event::ControllerEvent;
use super::super::event_queue::EventQueue;
use super::super::{Controller, ControllerHandle, ControllerSetup};
use crate::common::clock::ManualClock;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerEpoch, BrokerId, TopicId, TopicPartition};
use crate::common::leader_and_isr::{LeaderIsrAndControllerEpoch, ReplicaAssignment};
use crate::config::{BrokerConfig, CurrentConfig, Endpoint, SecurityProtocol};
use crate::metadata::BrokerMetadata;
use crate::metrics::Registry;
use crate::network::ChannelBuilder;
use crate::protocol::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use crate::protocol::messages::leader_and_isr_response::{
    LeaderAndIsrPartitionError, LeaderAndIsrTopicError,
};
use crate::protocol::messages::stop_replica_response::StopReplicaPartitionError;
use crate::protocol::messages::{
    AlterPartitionRequest, LeaderAndIsrRequest, LeaderAndIsrResponse, StopReplicaRequest, StopReplicaResponse,
};
use crate::zk::gate::GatedStore;
use crate::zk::memory::{MemorySession, MemoryZooKeeper};
use crate::zk::znode::{BrokerInfo, TopicAssignment, partition_state};
use crate::zk::{CreateMode, ZkError, ZkStore, paths};

/// A recorded request.
#[derive(Clone, Debug)]
pub struct Sent {
    pub from: BrokerId,
    pub to: BrokerId,
    pub request: ControlRequest,
}

/// Faults in the answers of brokers.
#[derive(Default)]
pub struct Answers {
    /// Replicas whose log dir has failed: brokers answer for them with an error.
    pub failed: BTreeSet<(BrokerId, TopicPartition)>,
    /// Brokers that accept requests and do not answer.
    pub silent: BTreeSet<BrokerId>,
}

#[derive(Default)]
pub struct Wire {
    pub sent: Mutex<Vec<Sent>>,
    pub answers: Mutex<Answers>,
}

struct CapturingChannels {
    from: BrokerId,
    wire: Arc<Wire>,
    events: EventQueue,
    open: BTreeSet<BrokerId>,
}

impl BrokerChannels for CapturingChannels {
    fn add_broker(&mut self, broker: &BrokerMetadata) {
        self.open.insert(broker.id);
    }

    fn remove_broker(&mut self, broker: BrokerId) {
        self.open.remove(&broker);
    }

    fn send(&mut self, broker: BrokerId, request: ControlRequest) {
        if !self.open.contains(&broker) {
            return;
        }
        let answers = self.wire.answers.lock();
        if !answers.silent.contains(&broker) {
            self.events.put(answer(&answers, broker, &request));
        }
        drop(answers);
        let from = self.from;
        self.wire.sent.lock().push(Sent {
            from,
            to: broker,
            request,
        });
    }

    fn remove_all(&mut self) {
        self.open.clear();
    }
}

fn answer(answers: &Answers, broker: BrokerId, request: &ControlRequest) -> ControllerEvent {
    let controller_epoch = request.controller_epoch();
    match request {
        ControlRequest::LeaderAndIsr(request) => ControllerEvent::LeaderAndIsrResponse {
            broker,
            controller_epoch,
            response: answer_leader_and_isr(answers, broker, request),
        },
        ControlRequest::UpdateMetadata(_) => ControllerEvent::UpdateMetadataResponse {
            broker,
            response: Default::default(),
        },
        ControlRequest::StopReplica(request) => ControllerEvent::DeletionStopReplicaResponse {
            broker,
            controller_epoch,
            deleted: deleted_partitions(request),
            response: answer_stop_replica(answers, broker, request),
        },
    }
}

fn error_of(answers: &Answers, broker: BrokerId, topic: &str, index: i32) -> i16 {
    let failed = answers
        .failed
        .contains(&(broker, TopicPartition::new(topic, index)));
    if failed {
        ErrorCode::KafkaStorageError.code()
    } else {
        0
    }
}

fn answer_leader_and_isr(
    answers: &Answers,
    broker: BrokerId,
    request: &LeaderAndIsrRequest,
) -> LeaderAndIsrResponse {
    let topics = request.topic_states.iter().map(|topic| {
        let errors = topic.partition_states.iter().map(|p| {
            LeaderAndIsrPartitionError::default()
                .with_partition_index(p.partition_index)
                .with_error_code(error_of(answers, broker, &topic.topic_name, p.partition_index))
        });
        LeaderAndIsrTopicError::default()
            .with_topic_id(topic.topic_id)
            .with_partition_errors(errors.collect())
    });
    LeaderAndIsrResponse::default().with_topics(topics.collect())
}

fn answer_stop_replica(
    answers: &Answers,
    broker: BrokerId,
    request: &StopReplicaRequest,
) -> StopReplicaResponse {
    let errors = request.topic_states.iter().flat_map(|topic| {
        topic.partition_states.iter().map(|p| {
            StopReplicaPartitionError::default()
                .with_topic_name(topic.topic_name.clone())
                .with_partition_index(p.partition_index)
                .with_error_code(error_of(answers, broker, &topic.topic_name, p.partition_index))
        })
    });
    StopReplicaResponse::default().with_partition_errors(errors.collect())
}

pub struct TestBroker {
    pub session: Arc<MemorySession>,
    pub handle: ControllerHandle,
    pub current_config: CurrentConfig,
    pub metrics: Registry,
    /// While false, all requests to ZooKeeper and watch events of the broker wait, as in a stopped process.
    pub running: watch::Sender<bool>,
}

/// The cluster, with its brokers and what they have sent.
pub struct Cluster {
    pub zookeeper: MemoryZooKeeper,
    /// A session that belongs to no broker, for the acts of administrators.
    pub admin: Arc<MemorySession>,
    pub clock: Arc<ManualClock>,
    pub wire: Arc<Wire>,
    pub brokers: BTreeMap<BrokerId, TestBroker>,
    pub configure: fn(&mut BrokerConfig),
}

fn registration(id: BrokerId) -> BrokerInfo {
    let endpoint = Endpoint {
        listener: "PLAINTEXT".into(),
        security_protocol: SecurityProtocol::Plaintext,
        host: "127.0.0.1".into(),
        port: 19200 + id as u16,
    };
    BrokerInfo::new(vec![endpoint], None, 1)
}

async fn register(store: &dyn ZkStore, id: BrokerId) -> Result<BrokerEpoch, ZkError> {
    let data = registration(id).encode();
    let (_, stat) = store
        .create(&paths::broker_id(id), data, CreateMode::Ephemeral)
        .await?;
    Ok(stat.czxid)
}

impl Cluster {
    /// A cluster without brokers, whose ZooKeeper has the persistent paths that each broker creates.
    pub async fn new() -> Self {
        let clock = ManualClock::at(1_000_000);
        let zookeeper = MemoryZooKeeper::new(clock.clone());
        let admin = zookeeper.connect();
        for path in paths::PERSISTENT_PATHS {
            let mut at = 1;
            while at <= path.len() {
                let end = path[at..].find('/').map_or(path.len(), |i| at + i);
                let _ = admin
                    .create(&path[..end], Bytes::new(), CreateMode::Persistent)
                    .await;
                at = end + 1;
            }
        }
        Self {
            zookeeper,
            admin,
            clock,
            wire: Arc::default(),
            brokers: BTreeMap::new(),
            configure: |_| {},
        }
    }

    /// A cluster of `n` brokers, of which broker 0 is the controller.
    pub async fn with_brokers(n: BrokerId) -> Self {
        let mut cluster = Self::new().await;
        for id in 0..n {
            cluster.start_broker(id).await;
        }
        cluster
    }

    /// Registers a broker and starts its controller.
    pub async fn start_broker(&mut self, id: BrokerId) {
        let session = self.zookeeper.connect();
        self.start_broker_in(session, id).await;
    }

    /// Registers a broker and starts its controller in a session that a test has prepared.
    pub async fn start_broker_in(&mut self, session: Arc<MemorySession>, id: BrokerId) {
        let broker_epoch = register(&*session, id).await.expect("the id is free");
        let mut config = BrokerConfig::for_test(id, Path::new("unused"));
        (self.configure)(&mut config);
        let current_config = CurrentConfig::new(Arc::new(config));
        let running = watch::Sender::new(true);
        let store: Arc<dyn ZkStore> = Arc::new(GatedStore::new(session.clone(), &running));
        let to_register = store.clone();
        let metrics = Registry::default();
        let setup = ControllerSetup {
            current_config: current_config.clone(),
            config: current_config.load(),
            zk: store,
            clock: self.clock.clone(),
            broker_epoch,
            channels: ChannelBuilder::plaintext(),
            register: Arc::new(move || {
                let store = to_register.clone();
                async move { register(&*store, id).await }.boxed()
            }),
            metrics: metrics.clone(),
            // There is no metadata cache here, so the controller never waits for it.
            features_epoch: watch::channel(i64::MAX).1,
            shutdown: CancellationToken::new(),
        };
        let wire = self.wire.clone();
        let handle = Controller::start_with_channels(setup, |events| {
            Box::new(CapturingChannels {
                from: id,
                wire,
                events,
                open: BTreeSet::new(),
            })
        });
        self.brokers.insert(
            id,
            TestBroker {
                session,
                handle,
                current_config,
                metrics,
                running,
            },
        );
        self.until_idle().await;
    }

    /// Ends a broker's session and process at once.
    pub async fn kill_broker(&mut self, id: BrokerId) {
        let broker = self.brokers.remove(&id).expect("the broker runs");
        broker.handle.shutdown().await;
        broker.session.close();
        self.until_idle().await;
    }

    /// Lets all tasks run until they are idle. No task waits for time here.
    pub async fn until_idle(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    /// The only active controller.
    pub fn controller(&self) -> BrokerId {
        let active: Vec<_> = self
            .brokers
            .iter()
            .filter(|(_, b)| b.handle.is_active())
            .map(|(&id, _)| id)
            .collect();
        assert_eq!(active.len(), 1, "active controllers: {active:?}");
        active[0]
    }

    pub fn handle(&self, id: BrokerId) -> &ControllerHandle {
        &self.brokers[&id].handle
    }

    pub fn controller_handle(&self) -> &ControllerHandle {
        self.handle(self.controller())
    }

    /// Changes the default of `unclean.leader.election.enable` at run time on all brokers.
    pub async fn set_default_unclean_election(&self, enable: bool) {
        for broker in self.brokers.values() {
            let config = BrokerConfig {
                unclean_leader_election_enable: enable,
                ..BrokerConfig::clone(&broker.current_config.load())
            };
            broker.current_config.store(Arc::new(config));
            if enable {
                broker.handle.unclean_election_enabled();
            }
        }
        self.until_idle().await;
    }

    /// Takes the requests since the last call.
    pub fn take_sent(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.wire.sent.lock())
    }

    pub async fn create_topic(&self, topic: &str, partitions: &[&[BrokerId]]) {
        let data = topic_znode(topic, partitions).encode();
        self.admin
            .create(&paths::topic(topic), data, CreateMode::Persistent)
            .await
            .expect("new topic");
        self.until_idle().await;
    }

    pub async fn set_topic(&self, topic: &str, partitions: &[&[BrokerId]]) {
        let data = topic_znode(topic, partitions).encode();
        self.admin
            .set(&paths::topic(topic), data, None)
            .await
            .expect("known topic");
        self.until_idle().await;
    }

    pub async fn delete_topic(&self, topic: &str) {
        let path = paths::delete_topic(topic);
        self.admin
            .create(&path, Bytes::new(), CreateMode::Persistent)
            .await
            .expect("not queued yet");
        self.until_idle().await;
    }

    pub async fn topic(&self, topic: &str) -> Option<TopicAssignment> {
        let found = self
            .admin
            .get(&paths::topic(topic), false)
            .await
            .expect("a session");
        found.map(|(data, _)| TopicAssignment::decode(&data).expect("readable"))
    }

    pub async fn state(&self, topic: &str, index: i32) -> Option<LeaderIsrAndControllerEpoch> {
        let path = paths::topic_partition_state(topic, index);
        let found = self.admin.get(&path, false).await.expect("a session");
        found.map(|(data, stat)| partition_state::decode(&data, stat.version).expect("readable"))
    }

    pub async fn leader_and_isr(&self, topic: &str, index: i32) -> (BrokerId, Vec<BrokerId>) {
        let state = self.state(topic, index).await.expect("a state").leader_and_isr;
        (state.leader, state.isr)
    }

    /// Sends the AlterPartition of a leader: the present epochs and another ISR. Returns the error of each partition.
    pub async fn alter_isr(&self, leader: BrokerId, wanted: &[(&str, i32, &[BrokerId])]) -> Vec<ErrorCode> {
        let mut topics: BTreeMap<TopicId, Vec<PartitionData>> = BTreeMap::new();
        for (topic, index, isr) in wanted {
            let id = self.topic(topic).await.and_then(|t| t.topic_id).expect("an id");
            let state = self.state(topic, *index).await.expect("a state").leader_and_isr;
            let partition = PartitionData::default()
                .with_partition_index(*index)
                .with_leader_epoch(state.leader_epoch)
                .with_partition_epoch(state.partition_epoch)
                .with_new_isr_with_epochs(
                    isr.iter()
                        .map(|&b| {
                            BrokerState::default()
                                .with_broker_id(b.into())
                                .with_broker_epoch(-1)
                        })
                        .collect(),
                );
            topics.entry(id).or_default().push(partition);
        }
        let topics = topics
            .into_iter()
            .map(|(id, p)| TopicData::default().with_topic_id(id).with_partitions(p));
        let request = AlterPartitionRequest::default()
            .with_broker_id(leader.into())
            .with_broker_epoch(self.handle(leader).broker_epoch())
            .with_topics(topics.collect());
        let response = self.controller_handle().alter_partition(request, 3).await;
        self.until_idle().await;
        if response.error_code != 0 {
            return vec![ErrorCode::from_code(response.error_code)];
        }
        let errors = response
            .topics
            .iter()
            .flat_map(|t| &t.partitions)
            .map(|p| ErrorCode::from_code(p.error_code));
        errors.collect()
    }

    /// Sets a topic's configuration without a notification.
    pub async fn set_topic_config(&self, topic: &str, config: &str) {
        let path = paths::config_entity(paths::ConfigEntityType::Topics, topic);
        let data = Bytes::from(format!(r#"{{"version":1,"config":{config}}}"#));
        if self.admin.set(&path, data.clone(), None).await.is_err() {
            self.admin
                .create(&path, data, CreateMode::Persistent)
                .await
                .expect("the parent exists");
        }
    }

    /// Pauses or resumes a broker's process.
    pub async fn set_running(&self, id: BrokerId, running: bool) {
        self.brokers[&id].running.send_replace(running);
        self.until_idle().await;
    }
}

fn topic_znode(topic: &str, partitions: &[&[BrokerId]]) -> TopicAssignment {
    let partitions = partitions.iter().enumerate();
    TopicAssignment {
        topic_id: Some(topic_id(topic)),
        partitions: partitions
            .map(|(i, r)| (i as i32, ReplicaAssignment::of(r.to_vec())))
            .collect(),
    }
}

/// The id of a topic, which its name determines.
pub fn topic_id(topic: &str) -> TopicId {
    let number = topic
        .bytes()
        .fold(1_u128, |n, b| n.wrapping_mul(131).wrapping_add(u128::from(b)));
    TopicId::from_u128(number)
}
