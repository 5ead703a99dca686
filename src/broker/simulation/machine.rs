//! Runs one broker of a simulated cluster: the parts that `startup` connects, on a simulated disk and network.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::startup::register;
use crate::admin::DynamicConfigs;
use crate::api::testing::ApiParts;
use crate::common::clock::SharedClock;
use crate::common::ids::BrokerId;
use crate::config::{BrokerConfig, CurrentConfig, Endpoint, LogConfig, SecurityProtocol};
use crate::controller::{Controller, ControllerHandle, ControllerSetup};
use crate::log::LogManager;
use crate::log::simulated_disk::{Mount, SimulatedDisk};
use crate::metadata::MetadataCache;
use crate::metrics::Registry;
use crate::network::client::simulated::SimulatedNetwork;
use crate::network::{ChannelBuilder, RequestHandler as _};
use crate::replica::ReplicaManager;
use crate::zk::gate::GatedStore;
use crate::zk::memory::{MemorySession, MemoryZooKeeper};
use crate::zk::registration::Registration;
use crate::zk::znode::BrokerInfo;
use crate::zk::{ZkStore, paths};

/// The time between two attempts to register while the session of the previous run still exists.
const REGISTRATION_RETRY: Duration = Duration::from_millis(250);
/// The time between two rounds of the jobs that background threads do in a real broker.
const BACKGROUND_INTERVAL: Duration = Duration::from_millis(700);

/// The parts that all runs of all brokers share.
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
    /// Closed (false) while no message passes between the process and ZooKeeper.
    pub(super) zookeeper_gate: watch::Sender<bool>,
    /// Cancelled when the process ends.
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
    /// Starts a broker and waits until it is registered. Registration succeeds only after the session of its previous
    /// run has ended.
    pub(super) async fn start(id: BrokerId, dir: &Path, disk: &SimulatedDisk, around: &Surroundings) -> Self {
        let config = Arc::new(config(id, dir, &around.log_config));
        let mount = disk.mount();
        let log_manager = mount
            .open_logs(&config, &around.log_config, around.clock.clone())
            .expect("the logs open, whatever happened to them");
        let slot = Arc::new(OnceLock::<ControllerHandle>::new());
        let (metadata, metrics) = (Arc::new(MetadataCache::default()), Registry::default());
        let configs = Arc::new(DynamicConfigs::new(config.clone()));
        let topic_configs = configs.clone();
        let replicas = ReplicaManager::new(
            config.clone(),
            &ChannelBuilder::plaintext(),
            log_manager.clone(),
            metadata.clone(),
            around.clock.clone(),
            Arc::new(move |topic: &str| topic_configs.topic_config(topic)),
            {
                let slot = slot.clone();
                Arc::new(move || slot.get().map_or(-1, ControllerHandle::broker_epoch))
            },
            &metrics,
        );
        replicas.start();
        let session = around.zookeeper.connect();
        let zookeeper_gate = watch::Sender::new(true);
        let zk: Arc<dyn ZkStore> = Arc::new(GatedStore::new(session.clone(), &zookeeper_gate));
        let stop = CancellationToken::new();
        let controller = controller(&config, zk.clone(), &around.clock, &stop).await;
        slot.set(controller.clone())
            .unwrap_or_else(|_| unreachable!("set once"));
        let parts = ApiParts {
            config,
            configs,
            clock: around.clock.clone(),
            metadata,
            replicas: replicas.clone(),
            controller: controller.clone(),
            zk,
            metrics,
        };
        let api = Arc::new(parts.into_api());
        let handler = move |context, correlation_id, request| {
            let api = api.clone();
            async move { api.handle(&context, correlation_id, request).await }.boxed()
        };
        around.network.listen(id, Arc::new(handler));
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

    /// Ends the process at once. Its ZooKeeper session continues until `session` is closed.
    pub(super) async fn kill(self) -> Arc<MemorySession> {
        self.mount.unmount();
        // From here no message of the process reaches ZooKeeper.
        self.zookeeper_gate.send_replace(false);
        self.stop.cancel();
        // The disk is unmounted and the network is cut, so this only ends the tasks.
        self.replicas.shutdown().await;
        self.log_manager.abandon();
        self.session
    }

    /// Ends the broker as `Broker::shutdown` does. The caller has moved leadership to other brokers before.
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

/// Registers the broker and lets it take part in the controller election.
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
        channels: ChannelBuilder::plaintext(),
        register: Arc::new(move || {
            let (registration, zk, info) = (registration.clone(), to_register.clone(), info.clone());
            async move { register(&registration, &*zk, &info).await }.boxed()
        }),
        metrics: Registry::default(),
        features_epoch: watch::channel(i64::MAX).1,
        shutdown: stop.child_token(),
    })
}
