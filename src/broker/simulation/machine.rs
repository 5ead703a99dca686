//! One broker of a simulated cluster: what `startup` connects, on a simulated disk and network.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::startup::register;
use crate::api::produce::ProduceReply;
use crate::api::{
    RequestContext, fetch, leader_and_isr, list_offsets, offset_for_leader_epoch, produce, stop_replica,
    update_metadata,
};
use crate::common::clock::SharedClock;
use crate::common::ids::BrokerId;
use crate::config::{BrokerConfig, CurrentConfig, Endpoint, LogConfig, SecurityProtocol};
use crate::controller::{Controller, ControllerHandle, ControllerSetup};
use crate::log::LogManager;
use crate::log::simulated_disk::{Mount, SimulatedDisk};
use crate::metadata::MetadataCache;
use crate::metrics::Registry;
use crate::network::Reply;
use crate::network::client::simulated::{Handler, SimulatedNetwork};
use crate::protocol::messages::ApiVersionsResponse;
use crate::protocol::messages::api_versions_response::ApiVersion;
use crate::protocol::{Request, Response};
use crate::replica::ReplicaManager;
use crate::zk::gate::GatedStore;
use crate::zk::memory::{MemorySession, MemoryZooKeeper};
use crate::zk::registration::Registration;
use crate::zk::znode::BrokerInfo;
use crate::zk::{ZkStore, paths};

const ALTER_PARTITION: i16 = 56;
/// Between two attempts to register while the session of the last life stands.
const REGISTRATION_RETRY: Duration = Duration::from_millis(250);
/// Between two rounds of the jobs that threads do in a real broker.
const BACKGROUND_INTERVAL: Duration = Duration::from_millis(700);

/// What every life of every broker shares.
pub(super) struct Surroundings {
    pub(super) zookeeper: MemoryZooKeeper,
    pub(super) network: Arc<SimulatedNetwork>,
    pub(super) clock: SharedClock,
    pub(super) log_config: LogConfig,
}

/// A broker's process.
pub(super) struct Machine {
    pub(super) replicas: Arc<ReplicaManager>,
    pub(super) controller: ControllerHandle,
    pub(super) session: Arc<MemorySession>,
    log_manager: Arc<LogManager>,
    pub(super) mount: Arc<Mount>,
    /// Closed while the process hears and says nothing to ZooKeeper.
    pub(super) zookeeper_gate: watch::Sender<bool>,
    /// Cancelled with the process.
    pub(super) stop: CancellationToken,
}

fn config(id: BrokerId, dir: &Path, log_config: &LogConfig) -> BrokerConfig {
    BrokerConfig {
        replica_lag_time_max_ms: 3_000,
        replica_fetch_wait_max_ms: 300,
        replica_fetch_backoff_ms: 150,
        replica_socket_timeout_ms: 4_000,
        replica_high_watermark_checkpoint_interval_ms: 1_000,
        controller_socket_timeout_ms: 4_000,
        request_timeout_ms: 4_000,
        auto_leader_rebalance_enable: false,
        unclean_leader_election_enable: log_config.unclean_leader_election_enable,
        log_defaults: log_config.clone(),
        ..BrokerConfig::for_test(id, dir)
    }
}

impl Machine {
    /// Starts a broker and waits until it is registered, which takes as long as the session of its last life lasts.
    pub(super) async fn start(id: BrokerId, dir: &Path, disk: &SimulatedDisk, around: &Surroundings) -> Self {
        let config = Arc::new(config(id, dir, &around.log_config));
        let mount = disk.mount();
        let log_manager = mount
            .open_logs(&config, &around.log_config, around.clock.clone())
            .expect("the logs open, whatever happened to them");
        let slot = Arc::new(OnceLock::<ControllerHandle>::new());
        let topic_config = around.log_config.clone();
        let replicas = ReplicaManager::new(
            config.clone(),
            log_manager.clone(),
            Arc::new(MetadataCache::default()),
            around.clock.clone(),
            Arc::new(move |_: &str| topic_config.clone()),
            {
                let slot = slot.clone();
                Arc::new(move || slot.get().map_or(-1, ControllerHandle::broker_epoch))
            },
            &Registry::default(),
        );
        replicas.start();
        let session = around.zookeeper.connect();
        let zookeeper_gate = watch::Sender::new(true);
        let zk: Arc<dyn ZkStore> = Arc::new(GatedStore::new(session.clone(), &zookeeper_gate));
        let stop = CancellationToken::new();
        let controller = controller(&config, zk, &around.clock, &stop).await;
        slot.set(controller.clone())
            .unwrap_or_else(|_| unreachable!("set once"));
        around
            .network
            .listen(id, handler(replicas.clone(), controller.clone()));
        let background = run_background_jobs(log_manager.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(background));
        Self {
            replicas,
            controller,
            session,
            log_manager,
            mount,
            zookeeper_gate,
            stop,
        }
    }

    /// The process ends at once. Its ZooKeeper session lives on until `session` is closed.
    pub(super) async fn kill(self) -> Arc<MemorySession> {
        self.mount.unmount();
        // Nothing of it reaches ZooKeeper any more.
        self.zookeeper_gate.send_replace(false);
        self.stop.cancel();
        // With the disk gone and the network cut this can do nothing but end the tasks.
        self.replicas.shutdown().await;
        self.log_manager.abandon();
        self.session
    }

    /// Ends as `Broker::shutdown` does; the caller has handed leadership over before.
    pub(super) async fn shutdown(self) {
        self.stop.cancel();
        self.replicas.shutdown().await;
        self.log_manager.shutdown();
        self.controller.shutdown().await;
        self.session.close();
    }
}

async fn run_background_jobs(log_manager: Arc<LogManager>) {
    loop {
        tokio::time::sleep(BACKGROUND_INTERVAL).await;
        log_manager.run_background_jobs();
    }
}

/// Registers and stands for election.
async fn controller(
    config: &Arc<BrokerConfig>,
    zk: Arc<dyn ZkStore>,
    clock: &SharedClock,
    stop: &CancellationToken,
) -> ControllerHandle {
    let id = config.broker_id;
    let endpoint = Endpoint {
        listener: "PLAINTEXT".into(),
        security_protocol: SecurityProtocol::Plaintext,
        host: "simulated".into(),
        port: id as u16,
    };
    let info = BrokerInfo::new(vec![endpoint], None, clock.wall_ms());
    let registration = Arc::new(Registration::new(id));
    while zk
        .exists(&paths::broker_id(id), false)
        .await
        .is_ok_and(|found| found.is_some())
    {
        tokio::time::sleep(REGISTRATION_RETRY).await;
    }
    let broker_epoch = register(&registration, &*zk, &info)
        .await
        .expect("the id is free");
    let to_register = zk.clone();
    Controller::start(ControllerSetup {
        config: config.clone(),
        current_config: CurrentConfig::new(config.clone()),
        zk,
        clock: clock.clone(),
        broker_epoch,
        register: Arc::new(move || {
            let (registration, zk, info) = (registration.clone(), to_register.clone(), info.clone());
            async move { register(&registration, &*zk, &info).await }.boxed()
        }),
        metrics: Registry::default(),
        features_epoch: watch::channel(i64::MAX).1,
        shutdown: stop.child_token(),
    })
}

fn handler(replicas: Arc<ReplicaManager>, controller: ControllerHandle) -> Handler {
    Arc::new(move |context, correlation_id, request| {
        let (replicas, controller) = (replicas.clone(), controller.clone());
        async move { handle(&replicas, &controller, &context, correlation_id, request).await }.boxed()
    })
}

/// The part of `api::dispatch` that a cluster without groups and administrators needs.
async fn handle(
    replicas: &Arc<ReplicaManager>,
    controller: &ControllerHandle,
    context: &RequestContext,
    id: i32,
    request: Request,
) -> Reply {
    let version = context.api_version;
    let response = match request {
        Request::ApiVersions(_) => {
            let api = ApiVersion::default()
                .with_api_key(ALTER_PARTITION)
                .with_max_version(3);
            Response::of(
                &ApiVersionsResponse::default().with_api_keys(vec![api]),
                version,
                id,
            )
        }
        Request::Produce(r) => match produce::serve(replicas, context, r).await {
            ProduceReply::Respond(response) => Response::of(&response, version, id),
            ProduceReply::Nothing => return Reply::Nothing,
            ProduceReply::Close => return Reply::Close,
        },
        Request::Fetch(r) => fetch::serve(replicas, context, r)
            .await
            .into_response(version, id),
        Request::ListOffsets(r) => Response::of(&list_offsets::serve(replicas, version, &r), version, id),
        Request::OffsetForLeaderEpoch(r) => {
            Response::of(&offset_for_leader_epoch::serve(replicas, &r), version, id)
        }
        Request::LeaderAndIsr(r) => {
            Response::of(&leader_and_isr::serve(replicas, version, r).await, version, id)
        }
        Request::StopReplica(r) => Response::of(&stop_replica::serve(replicas, &r).await, version, id),
        Request::UpdateMetadata(r) => {
            Response::of(&update_metadata::serve(replicas, &r).await.0, version, id)
        }
        Request::AlterPartition(r) => {
            Response::of(&controller.alter_partition(r, version).await, version, id)
        }
        other => panic!("nobody should ask for {:?}", other.api()),
    };
    Reply::Send(response.expect("a response can be written"))
}
