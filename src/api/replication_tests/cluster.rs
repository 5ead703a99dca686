//! Brokers in one process: real logs in temporary dirs, real sockets on the loopback interface, ZooKeeper in memory,
//! and a controller that is one value in the test. Under test is everything from the handlers down.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tempfile::TempDir;

use super::controller::{ControllerState, TOPIC_ID};
use crate::admin::DynamicConfigs;
use crate::api::Api;
use crate::api::testing::ApiParts;
use crate::common::clock::{Clock, ManualClock};
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerEpoch, BrokerId, Offset, TopicPartition};
use crate::common::leader_and_isr::LeaderAndIsr;
use crate::config::{BrokerConfig, LogConfig};
use crate::controller::ControllerHandle;
use crate::log::{LogManager, UnifiedLog};
use crate::metadata::MetadataCache;
use crate::metrics::Registry;
use crate::network::{
    BrokerAddress, ChannelBuilder, ClientSettings, ListenerSecurities, NetworkClient, Reply, RequestContext,
    RequestHandler, RunningServer, SocketServer,
};
use crate::protocol::messages::leader_and_isr_request::{LeaderAndIsrPartitionState, LeaderAndIsrTopicState};
use crate::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use crate::protocol::messages::stop_replica_request::{StopReplicaPartitionState, StopReplicaTopicState};
use crate::protocol::messages::update_metadata_request::{
    UpdateMetadataBroker, UpdateMetadataEndpoint, UpdateMetadataPartitionState, UpdateMetadataTopicState,
};
use crate::protocol::messages::{
    LeaderAndIsrRequest, LeaderAndIsrResponse, ProduceRequest, ProduceResponse, StopReplicaRequest,
    UpdateMetadataRequest,
};
use crate::protocol::{Request, Response, StrBytes};
use crate::record::BatchBuilder;
use crate::replica::ReplicaManager;
use crate::zk::memory::MemoryZooKeeper;

pub const TOPIC: &str = "t";
/// The broker that plays the controller's part on the wire.
pub const CONTROLLER: BrokerId = 1;
const LISTENER: &str = "PLAINTEXT";
const CONTROL_PLANE: &str = "CONTROLLER";
const UNUSED_PORT: u16 = 1;
const BROKER_EPOCH: BrokerEpoch = 1;

/// A broker whose controller is the test's.
struct Handler {
    api: Api,
    controller: Arc<Mutex<ControllerState>>,
}

impl RequestHandler for Handler {
    async fn handle(&self, context: &RequestContext, correlation_id: i32, request: Request) -> Reply {
        match request {
            Request::AlterPartition(r) => {
                let response = self.controller.lock().alter_partition(r);
                let response = Response::of(&response, context.api_version, correlation_id);
                Reply::Send(response.expect("a response can be written"))
            }
            other => self.api.handle(context, correlation_id, other).await,
        }
    }
}

pub struct TestBroker {
    pub id: BrokerId,
    pub replicas: Arc<ReplicaManager>,
    pub log_manager: Arc<LogManager>,
    pub metrics: Registry,
    port: u16,
    running: RunningServer,
}

impl TestBroker {
    pub fn log(&self, partition: i32) -> Arc<UnifiedLog> {
        self.log_manager
            .get_log(&name(partition))
            .expect("the log is there")
    }

    pub fn client(&self) -> NetworkClient {
        let address = BrokerAddress::plaintext(self.id, "127.0.0.1", self.port);
        NetworkClient::new(
            address,
            ClientSettings::new(&ChannelBuilder::plaintext(), "test", Duration::from_secs(10)),
        )
    }
}

pub struct TestCluster {
    pub clock: Arc<ManualClock>,
    pub controller: Arc<Mutex<ControllerState>>,
    pub brokers: BTreeMap<BrokerId, TestBroker>,
    pub log_config: LogConfig,
    /// Broker 1 has one listener, which serves the other brokers' requests to the controller only.
    pub has_control_plane: bool,
    dirs: BTreeMap<BrokerId, TempDir>,
}

pub fn name(partition: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, partition)
}

/// One batch with these values.
pub fn batch(values: &[&str]) -> Bytes {
    let mut batch = BatchBuilder::new(0);
    for value in values {
        batch.append(1_000, None, Some(value.as_bytes()), &[]);
    }
    batch.build()
}

/// Waits until something holds. It must hold within ten seconds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: not within ten seconds");
}

impl TestCluster {
    /// Brokers 1 to `brokers`, which know each other and host nothing.
    pub async fn start(brokers: i32) -> Self {
        Self::start_with(brokers, LogConfig::default()).await
    }

    /// The same, with this configuration of logs.
    pub async fn start_with(brokers: i32, log_config: LogConfig) -> Self {
        let mut cluster = Self {
            clock: ManualClock::at(1_000_000),
            controller: Arc::default(),
            brokers: BTreeMap::new(),
            log_config,
            has_control_plane: false,
            dirs: (1..=brokers)
                .map(|id| (id, TempDir::new().expect("a dir")))
                .collect(),
        };
        cluster.controller.lock().epoch = 1;
        for id in 1..=brokers {
            cluster.start_broker(id).await;
        }
        cluster.update_metadata().await;
        cluster
    }

    /// Starts a broker on its own dir. The others are not told.
    pub async fn start_broker(&mut self, id: BrokerId) {
        let mut config = BrokerConfig::for_test(id, self.dirs[&id].path());
        config.replica_fetch_backoff_ms = 50;
        config.log_defaults = self.log_config.clone();
        config.control_plane_listener_name = self.has_control_plane.then(|| CONTROL_PLANE.to_owned());
        let clock: Arc<dyn Clock> = self.clock.clone();
        let topic_config = self.log_config.clone();
        let metrics = Registry::default();
        let log_manager = LogManager::open(&config, &|_| topic_config.clone(), clock.clone(), &metrics);
        let log_manager = log_manager.expect("the log dir opens");
        let server = SocketServer::bind(&config, &ListenerSecurities::plaintext(&config), &metrics, &clock)
            .await
            .expect("a free port");
        let port = server.endpoints().next().expect("a listener").port;
        let (config, metadata) = (Arc::new(config), Arc::new(MetadataCache::default()));
        let configs = Arc::new(DynamicConfigs::new(config.clone()));
        let topic_configs = configs.clone();
        let replicas = ReplicaManager::new(
            config.clone(),
            &ChannelBuilder::plaintext(),
            log_manager.clone(),
            metadata.clone(),
            clock.clone(),
            Arc::new(move |topic: &str| topic_configs.topic_config(topic)),
            Arc::new(|| BROKER_EPOCH),
            &metrics,
        );
        replicas.start();
        let parts = ApiParts {
            config,
            configs,
            clock,
            metadata,
            replicas: replicas.clone(),
            controller: ControllerHandle::idle(BROKER_EPOCH),
            zk: MemoryZooKeeper::new(self.clock.clone()).connect(),
            metrics: metrics.clone(),
        };
        let handler = Handler {
            api: parts.into_api(),
            controller: self.controller.clone(),
        };
        let running = server.start(&Arc::new(handler));
        self.brokers.insert(
            id,
            TestBroker {
                id,
                replicas,
                log_manager,
                metrics,
                port,
                running,
            },
        );
    }

    /// Takes a broker down. The others are not told.
    pub async fn stop_broker(&mut self, id: BrokerId) {
        let broker = self.brokers.remove(&id).expect("it runs");
        broker.running.stop(Duration::ZERO).await;
        broker.replicas.shutdown().await;
        broker.log_manager.shutdown();
    }

    pub fn replace_disk(&mut self, id: BrokerId) {
        self.dirs.insert(id, TempDir::new().expect("a dir"));
    }

    pub fn partition_dir(&self, broker: BrokerId, partition: i32) -> PathBuf {
        self.dirs[&broker].path().join(format!("{TOPIC}-{partition}"))
    }

    /// Tells every broker of all running brokers and of every partition.
    pub async fn update_metadata(&self) {
        let live = self.brokers.values().map(|broker| {
            let at = |listener, port: u16| {
                UpdateMetadataEndpoint::default()
                    .with_host(StrBytes::from_static_str("127.0.0.1"))
                    .with_port(port.into())
                    .with_listener(StrBytes::from_static_str(listener))
            };
            let endpoints = match self.has_control_plane && broker.id == CONTROLLER {
                true => vec![at(LISTENER, UNUSED_PORT), at(CONTROL_PLANE, broker.port)],
                false => vec![at(LISTENER, broker.port), at(CONTROL_PLANE, UNUSED_PORT)],
            };
            UpdateMetadataBroker::default()
                .with_id(broker.id.into())
                .with_endpoints(endpoints)
        });
        let (epoch, states) = {
            let controller = self.controller.lock();
            let states: Vec<_> = controller
                .partitions
                .iter()
                .map(|(&partition, state)| {
                    UpdateMetadataPartitionState::default()
                        .with_partition_index(partition)
                        .with_leader(state.leader.into())
                        .with_leader_epoch(state.leader_epoch)
                        .with_zk_version(state.partition_epoch)
                        .with_isr(state.isr.iter().map(|&id| id.into()).collect())
                        .with_replicas(controller.replicas.iter().map(|&id| id.into()).collect())
                })
                .collect();
            (controller.epoch, states)
        };
        let topic = UpdateMetadataTopicState::default()
            .with_topic_name(StrBytes::from_static_str(TOPIC).into())
            .with_topic_id(TOPIC_ID)
            .with_partition_states(states);
        let request = UpdateMetadataRequest::default()
            .with_controller_id(CONTROLLER.into())
            .with_controller_epoch(epoch)
            .with_broker_epoch(BROKER_EPOCH)
            .with_topic_states(vec![topic])
            .with_live_brokers(live.collect());
        for broker in self.brokers.values() {
            let response = broker.client().send(&request, 8).await.expect("an answer");
            assert_eq!(response.error_code, 0);
        }
    }

    /// Creates a partition on all brokers, with every broker in the ISR.
    pub async fn create_partition(&self, partition: i32, leader: BrokerId) {
        {
            let mut controller = self.controller.lock();
            controller.replicas = self.dirs.keys().copied().collect();
            let isr = controller.replicas.clone();
            controller
                .partitions
                .insert(partition, LeaderAndIsr::initial(leader, isr));
        }
        self.update_metadata().await;
        self.tell(partition, true).await;
    }

    /// Elects a leader; the ISR becomes `isr`. The brokers are not told.
    pub fn elect_silently(&self, partition: i32, leader: BrokerId, isr: &[BrokerId]) {
        let mut controller = self.controller.lock();
        let state = controller
            .partitions
            .get_mut(&partition)
            .expect("a known partition");
        *state = state.new_leader_and_isr(leader, isr.to_vec());
        state.partition_epoch += 1;
    }

    /// Elects a leader; the ISR becomes `isr`.
    pub async fn elect(&self, partition: i32, leader: BrokerId, isr: &[BrokerId]) {
        self.elect_silently(partition, leader, isr);
        self.update_metadata().await;
        self.tell(partition, false).await;
    }

    /// Sends the state of a partition to every broker that runs.
    pub async fn tell(&self, partition: i32, is_new: bool) {
        for broker in self.brokers.values() {
            let response = self.tell_one(broker, partition, is_new).await;
            let codes = response
                .topics
                .iter()
                .flat_map(|t| &t.partition_errors)
                .map(|p| p.error_code);
            assert_eq!(
                (response.error_code, codes.collect::<Vec<_>>()),
                (0, vec![0]),
                "broker {}",
                broker.id
            );
        }
    }

    pub async fn tell_one(&self, broker: &TestBroker, partition: i32, is_new: bool) -> LeaderAndIsrResponse {
        let request = self.leader_and_isr(partition, is_new);
        broker.client().send(&request, 7).await.expect("an answer")
    }

    pub fn leader_and_isr(&self, partition: i32, is_new: bool) -> LeaderAndIsrRequest {
        let controller = self.controller.lock();
        let state = &controller.partitions[&partition];
        let ids = |ids: &[BrokerId]| ids.iter().map(|&id| id.into()).collect::<Vec<_>>();
        let partition = LeaderAndIsrPartitionState::default()
            .with_partition_index(partition)
            .with_controller_epoch(controller.epoch)
            .with_leader(state.leader.into())
            .with_leader_epoch(state.leader_epoch)
            .with_isr(ids(&state.isr))
            .with_partition_epoch(state.partition_epoch)
            .with_replicas(ids(&controller.replicas))
            .with_is_new(is_new);
        let topic = LeaderAndIsrTopicState::default()
            .with_topic_name(StrBytes::from_static_str(TOPIC).into())
            .with_topic_id(TOPIC_ID)
            .with_partition_states(vec![partition]);
        LeaderAndIsrRequest::default()
            .with_controller_id(CONTROLLER.into())
            .with_controller_epoch(controller.epoch)
            .with_broker_epoch(BROKER_EPOCH)
            .with_topic_states(vec![topic])
    }

    pub async fn stop_replica(&self, broker: BrokerId, partition: i32, epoch: i32, delete: bool) -> i16 {
        let state = StopReplicaPartitionState::default()
            .with_partition_index(partition)
            .with_leader_epoch(epoch)
            .with_delete_partition(delete);
        let topic = StopReplicaTopicState::default()
            .with_topic_name(StrBytes::from_static_str(TOPIC).into())
            .with_partition_states(vec![state]);
        let request = StopReplicaRequest::default()
            .with_controller_id(CONTROLLER.into())
            .with_controller_epoch(self.controller.lock().epoch)
            .with_broker_epoch(BROKER_EPOCH)
            .with_topic_states(vec![topic]);
        let response = self.brokers[&broker]
            .client()
            .send(&request, 4)
            .await
            .expect("an answer");
        response
            .partition_errors
            .first()
            .map_or(response.error_code, |partition| partition.error_code)
    }

    pub fn isr(&self, partition: i32) -> Vec<BrokerId> {
        self.controller.lock().partitions[&partition].isr.clone()
    }

    pub async fn produce(
        &self,
        broker: BrokerId,
        partition: i32,
        acks: i16,
        values: &[&str],
    ) -> ProduceResponse {
        let client = self.brokers[&broker].client();
        client
            .send(&produce_request(partition, acks, batch(values)), 11)
            .await
            .expect("an answer")
    }

    /// Produces, which must succeed. Returns the base offset.
    pub async fn produce_ok(&self, broker: BrokerId, partition: i32, acks: i16, values: &[&str]) -> Offset {
        let response = self.produce(broker, partition, acks, values).await;
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(
            ErrorCode::from_code(partition.error_code),
            ErrorCode::None,
            "{:?}",
            partition.error_message
        );
        partition.base_offset
    }

    /// Waits until every broker has the same bytes, up to the same high watermark.
    pub async fn until_equal(&self, partition: i32) {
        let describe = |broker: &TestBroker| {
            let log = broker.log(partition);
            (log.log_end_offset(), log.high_watermark())
        };
        let all = || self.brokers.values().map(describe).collect::<Vec<_>>();
        eventually("replicas are equal", || {
            let all = all();
            all.iter()
                .all(|replica| replica.0 == replica.1 && *replica == all[0])
        })
        .await;
        let bytes = |broker: &TestBroker| {
            let dir = self.partition_dir(broker.id, partition);
            let mut files: Vec<_> = std::fs::read_dir(dir)
                .expect("the partition's dir")
                .map(|entry| entry.expect("an entry").path())
                .filter(|path| path.extension().is_some_and(|e| e == "log"))
                .collect();
            files.sort();
            files
                .iter()
                .flat_map(|path| std::fs::read(path).expect("a segment"))
                .collect::<Vec<u8>>()
        };
        let mut all = self.brokers.values().map(bytes);
        let first = all.next().expect("at least one broker");
        assert!(all.all(|other| other == first), "the replicas' bytes differ");
    }

    pub async fn shutdown(mut self) {
        let ids: Vec<_> = self.brokers.keys().copied().collect();
        for id in ids {
            self.stop_broker(id).await;
        }
    }
}

pub fn produce_request(partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(StrBytes::from_static_str(TOPIC).into())
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(5_000)
        .with_topic_data(vec![topic])
}
