//! The start of a broker, step by step in Kafka's order: ZooKeeper, identity, logs, listeners, replicas, registration,
//! controller, coordinators, service. Kafka 3.9: `KafkaServer.startup`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::coordinators::Coordinators;
use super::listeners::{ConfigHooks, ReplicaHooks};
use super::{Broker, claim_id, features, host_name, log_dirs};
use crate::admin::{AdminManager, ConfigChangeListener, DynamicConfigs};
use crate::api::{Api, DECLARATIONS};
use crate::common::clock::SharedClock;
use crate::common::ids::BrokerEpoch;
use crate::common::loggers::Loggers;
use crate::config::{BrokerConfig, Endpoint};
use crate::controller::{Controller, ControllerHandle, ControllerSetup};
use crate::log::{LogDirsError, LogManager};
use crate::metadata::MetadataCache;
use crate::metrics::{MetricsServer, Registry};
use crate::network::{BindError, ConnectionLimits, SocketServer};
use crate::replica::{BrokerEpochSource, ReplicaManager, TopicConfigs};
use crate::zk::registration::{Registration, RegistrationError};
use crate::zk::znode::BrokerInfo;
use crate::zk::{ZkError, ZkOptions, ZkSession, ZkStore, cluster, paths};

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// ZooKeeper could not be reached or refused something.
    #[error("ZooKeeper at {connect}: {error}")]
    ZooKeeper {
        /// `zookeeper.connect`.
        connect: String,
        /// What went wrong.
        error: ZkError,
    },
    /// The log dirs belong to another broker or cluster, or contradict each other.
    #[error("{0}")]
    Identity(String),
    /// The log dirs cannot be used.
    #[error(transparent)]
    Log(#[from] LogDirsError),
    /// A listener cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Another broker has our id or our address.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// Loading the logs panicked.
    #[error("loading the logs failed: {0}")]
    Loading(String),
}

/// What the first steps find out.
struct Identity {
    cluster_id: String,
    config: Arc<BrokerConfig>,
}

/// What every later step stands on.
pub(super) struct Foundation {
    pub(super) config: Arc<BrokerConfig>,
    pub(super) zk: Arc<dyn ZkStore>,
    pub(super) clock: SharedClock,
    pub(super) metrics: Registry,
    /// Ends the tasks that are not stopped in an order of their own.
    pub(super) stop: CancellationToken,
}

pub(super) async fn start(
    config: BrokerConfig,
    clock: SharedClock,
    loggers: Loggers,
) -> Result<Broker, StartError> {
    let started_ms = clock.monotonic_ms();
    let connect = config.zookeeper_connect.clone();
    let zk_failed = |error| StartError::ZooKeeper {
        connect: connect.clone(),
        error,
    };

    let session = Arc::new(
        ZkSession::connect(ZkOptions::from_config(&config))
            .await
            .map_err(zk_failed)?,
    );
    let result = start_on(config, clock.clone(), session.clone(), &connect, loggers).await;
    match &result {
        Ok(broker) => info!(
            broker = broker.id(),
            started_in_ms = clock.monotonic_ms() - started_ms,
            "serving"
        ),
        // Without this the znodes of a broker that failed half-way would stand until its session expires.
        Err(_) => session.close().await,
    }
    result
}

/// Steps 1 to 15, on a session that stands.
async fn start_on(
    config: BrokerConfig,
    clock: SharedClock,
    session: Arc<ZkSession>,
    connect: &str,
    loggers: Loggers,
) -> Result<Broker, StartError> {
    let zk: Arc<dyn ZkStore> = session.clone();
    let zk_failed = |error| StartError::ZooKeeper {
        connect: connect.to_owned(),
        error,
    };
    let Identity { cluster_id, config } = identify(config, &*zk, connect).await?;
    let configs = Arc::new(DynamicConfigs::new(config.clone()));
    configs.load(&*zk).await.map_err(zk_failed)?;
    let base = Foundation {
        config: config.clone(),
        zk: zk.clone(),
        clock: clock.clone(),
        metrics: Registry::new(clock.clone()),
        stop: CancellationToken::new(),
    };
    // What a start that fails has begun ends with it.
    let unfinished = base.stop.clone().drop_guard();
    // Scrapes are answered from here on: a start after a crash may take long, and shows how far it is.
    if let Some(server) = bind_metrics(&config).await? {
        tokio::spawn(server.run(base.metrics.clone(), base.stop.child_token()));
    }
    let log_manager = open_logs(&base, &configs).await?;
    log_manager.start_background();

    let metadata = Arc::new(MetadataCache::default());
    let server = SocketServer::bind(&configs.current(), &base.metrics).await?;
    let endpoints: Vec<Endpoint> = server.endpoints().cloned().collect();
    // The replicas need the broker's epoch, which the controller module, started later, keeps.
    let controller_slot = Arc::new(OnceLock::<ControllerHandle>::new());
    let broker_epoch: BrokerEpochSource = {
        let slot = controller_slot.clone();
        Arc::new(move || slot.get().map_or(-1, ControllerHandle::broker_epoch))
    };
    let replicas = replica_manager(&base, &configs, &log_manager, &metadata, broker_epoch.clone());
    let failed = CancellationToken::new();
    // Coordinators hear of leadership through the replicas, so they stand before the first LeaderAndIsr can come.
    let coordinators = Coordinators::start(&base, &replicas, &metadata, broker_epoch)
        .await
        .map_err(zk_failed)?;
    replicas.add_listener(Arc::new(ReplicaHooks {
        broker_id: config.broker_id,
        coordinators: coordinators.clone(),
        log_manager: log_manager.clone(),
        zk: zk.clone(),
        failed: failed.clone(),
    }));
    replicas.reconfigure(&configs.current());
    replicas.start();

    let features_epoch = follow_features(&base);
    let to_register = ToRegister {
        endpoints: advertised(&config, &endpoints).await,
        cluster_id: cluster_id.clone(),
        patience: registration_patience(&session),
    };
    let controller = register_and_elect(&base, &configs, to_register, features_epoch.clone()).await?;
    controller_slot
        .set(controller.clone())
        .unwrap_or_else(|_| unreachable!("set once"));

    let limits = server.limits();
    follow_configs(&base, &configs, &log_manager, &replicas, &controller, limits);

    let api = Arc::new(Api {
        config: config.clone(),
        cluster_id,
        clock: clock.clone(),
        metadata: metadata.clone(),
        replicas: replicas.clone(),
        groups: coordinators.groups.clone(),
        transactions: coordinators.transactions.clone(),
        controller: controller.clone(),
        admin: Arc::new(AdminManager::new(zk.clone(), metadata.clone(), configs, loggers)),
        declarations: DECLARATIONS,
        features_epoch,
        zk,
    });
    let server = server.start(&api);
    unfinished.disarm();
    Ok(Broker {
        config,
        endpoints,
        zk: session,
        metadata,
        log_manager,
        replicas,
        coordinators,
        controller,
        server,
        stop: base.stop,
        failed,
    })
}

/// Starts the task that applies the configurations that others write to ZooKeeper.
fn follow_configs(
    base: &Foundation,
    configs: &Arc<DynamicConfigs>,
    log_manager: &Arc<LogManager>,
    replicas: &Arc<ReplicaManager>,
    controller: &ControllerHandle,
    connection_limits: Arc<ConnectionLimits>,
) {
    let hooks = ConfigHooks {
        log_manager: log_manager.clone(),
        configs: configs.clone(),
        replicas: replicas.clone(),
        controller: controller.clone(),
        connection_limits,
        reconfiguring: Arc::default(),
    };
    let hooks = vec![Arc::new(hooks) as _];
    let changes = ConfigChangeListener::new(base.zk.clone(), configs.clone(), base.clock.clone(), hooks);
    tokio::spawn(changes.run(base.stop.child_token()));
}

/// Starts the task that follows `/feature`; what it returns is the version of the znode.
fn follow_features(base: &Foundation) -> watch::Receiver<i64> {
    let (epoch, features_epoch) = watch::channel(-1);
    tokio::spawn(features::follow(base.zk.clone(), epoch, base.stop.child_token()));
    features_epoch
}

/// What the broker tells ZooKeeper about itself, and where.
struct ToRegister {
    endpoints: Vec<Endpoint>,
    cluster_id: String,
    /// How long the session of an earlier life may take to end.
    patience: Duration,
}

/// ZooKeeper ends a session at the first tick after its timeout, which is two ticks at least.
fn registration_patience(session: &ZkSession) -> Duration {
    session.session_timeout() * 3 / 2
}

/// Steps 12 and 13: refuses an address that is taken, registers, starts the controller module.
async fn register_and_elect(
    base: &Foundation,
    configs: &DynamicConfigs,
    to_register: ToRegister,
    features_epoch: watch::Receiver<i64>,
) -> Result<ControllerHandle, StartError> {
    let Foundation {
        config, zk, clock, ..
    } = base;
    let ToRegister {
        endpoints,
        cluster_id,
        patience,
    } = to_register;
    let info = BrokerInfo::new(endpoints, config.broker_rack.clone(), clock.wall_ms());
    let registration = Arc::new(Registration::new(config.broker_id));
    let broker_epoch = claim_id::register(&registration, &**zk, config.broker_id, &info, patience).await?;
    let register = RegisterAgain {
        registration,
        zk: zk.clone(),
        info,
        clock: clock.clone(),
        cluster_id,
    };
    Ok(Controller::start(ControllerSetup {
        config: config.clone(),
        current_config: configs.shared(),
        zk: zk.clone(),
        clock: clock.clone(),
        broker_epoch,
        register: register.into_hook(),
        metrics: base.metrics.clone(),
        features_epoch,
        shutdown: base.stop.child_token(),
    }))
}

/// Steps 1 to 7: the znodes every broker needs, the cluster's id, `meta.properties`, this broker's id.
async fn identify(mut config: BrokerConfig, zk: &dyn ZkStore, connect: &str) -> Result<Identity, StartError> {
    let zk_failed = |error| StartError::ZooKeeper {
        connect: connect.to_owned(),
        error,
    };
    cluster::create_persistent_paths(zk).await.map_err(zk_failed)?;
    let cluster_id = cluster::get_or_create_cluster_id(zk).await.map_err(zk_failed)?;
    let mut meta_properties = log_dirs::read_meta_properties(&config.log_dirs)?;
    meta_properties
        .verify(&cluster_id, config.broker_id)
        .map_err(|error| StartError::Identity(error.to_string()))?;
    config.broker_id = match (config.broker_id, meta_properties.broker_id()) {
        (configured, _) if configured >= 0 => configured,
        (_, Some(found)) => found,
        (_, None) if config.broker_id_generation_enable => {
            cluster::generate_broker_id(zk, config.reserved_broker_max_id)
                .await
                .map_err(zk_failed)?
        }
        (_, None) => {
            let reason = "broker.id is not set, no log dir has one, and broker.id.generation.enable is false";
            return Err(StartError::Identity(reason.into()));
        }
    };
    log_dirs::write_meta_properties(&mut meta_properties, &cluster_id, config.broker_id);
    info!(broker = config.broker_id, cluster_id, "identified");
    Ok(Identity {
        cluster_id,
        config: Arc::new(config),
    })
}

async fn open_logs(base: &Foundation, configs: &Arc<DynamicConfigs>) -> Result<Arc<LogManager>, StartError> {
    let (config, configs) = (configs.current(), configs.clone());
    let (clock, metrics) = (base.clock.clone(), base.metrics.clone());
    let opened = tokio::task::spawn_blocking(move || {
        LogManager::open(&config, &|topic| configs.topic_config(topic), clock, &metrics)
    });
    Ok(opened
        .await
        .map_err(|error| StartError::Loading(error.to_string()))??)
}

/// The listener for scrapes, if one is configured.
async fn bind_metrics(config: &BrokerConfig) -> Result<Option<MetricsServer>, StartError> {
    let Some(address) = &config.barnabas_metrics_listener else {
        return Ok(None);
    };
    let server = MetricsServer::bind(address).await;
    let server = server.and_then(|server| Ok((server.address()?, server)));
    let (bound, server) = server.map_err(|source| BindError::Address {
        listener: "barnabas.metrics.listener".to_owned(),
        address: address.clone(),
        source,
    })?;
    info!(address = %bound, "metrics can be scraped");
    Ok(Some(server))
}

/// What is registered: the advertised listeners, those without a port of their own with the one that was bound, those
/// without a host with the canonical name of this machine.
async fn advertised(config: &BrokerConfig, bound: &[Endpoint]) -> Vec<Endpoint> {
    let mut endpoints = config.advertised_listeners.clone();
    if endpoints.iter().any(|endpoint| endpoint.host.is_empty()) {
        let name = tokio::task::spawn_blocking(host_name::canonical)
            .await
            .expect("looking up a name does not panic");
        for endpoint in endpoints.iter_mut().filter(|endpoint| endpoint.host.is_empty()) {
            endpoint.host.clone_from(&name);
        }
    }
    for endpoint in &mut endpoints {
        let bound = bound.iter().find(|b| b.listener == endpoint.listener);
        if endpoint.port == 0 {
            endpoint.port = bound.map_or(0, |b| b.port);
        }
        let Endpoint {
            listener, host, port, ..
        } = endpoint;
        info!(broker = config.broker_id, "advertises {listener}://{host}:{port}");
    }
    endpoints
}

fn replica_manager(
    base: &Foundation,
    configs: &Arc<DynamicConfigs>,
    logs: &Arc<LogManager>,
    metadata: &Arc<MetadataCache>,
    broker_epoch: BrokerEpochSource,
) -> Arc<ReplicaManager> {
    let configs = configs.clone();
    let topic_configs: TopicConfigs = Arc::new(move |topic| configs.topic_config(topic));
    ReplicaManager::new(
        base.config.clone(),
        logs.clone(),
        metadata.clone(),
        base.clock.clone(),
        topic_configs,
        broker_epoch,
        &base.metrics,
    )
}

/// What the controller module does when the session that held our registration has expired.
struct RegisterAgain {
    registration: Arc<Registration>,
    zk: Arc<dyn ZkStore>,
    info: BrokerInfo,
    clock: SharedClock,
    cluster_id: String,
}

impl RegisterAgain {
    fn into_hook(self) -> crate::controller::RegisterBroker {
        let register = Arc::new(self);
        Arc::new(move || {
            let register = register.clone();
            async move { register.run().await }.boxed()
        })
    }

    async fn run(&self) -> Result<BrokerEpoch, ZkError> {
        // An ensemble that has lost its data, or another one, must not be filled with parts of this cluster.
        let found = cluster::cluster_id(&*self.zk).await?;
        if found.as_ref() != Some(&self.cluster_id) {
            return Err(ZkError::Other(format!(
                "{} says {}, but this broker belongs to cluster {}: ZooKeeper has lost its data, or is another one",
                paths::CLUSTER_ID,
                found.as_deref().unwrap_or("nothing, it is not there"),
                self.cluster_id
            )));
        }
        let info = BrokerInfo {
            timestamp_ms: self.clock.wall_ms(),
            ..self.info.clone()
        };
        register(&self.registration, &*self.zk, &info).await
    }
}

pub(super) async fn register(
    registration: &Registration,
    zk: &dyn ZkStore,
    info: &BrokerInfo,
) -> Result<BrokerEpoch, ZkError> {
    registration
        .register(zk, info)
        .await
        .map_err(|error| match error {
            RegistrationError::Zk(error) => error,
            other => ZkError::Other(other.to_string()),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::clock::ManualClock;
    use crate::zk::memory::MemoryZooKeeper;

    #[tokio::test]
    async fn nothing_is_written_to_a_zookeeper_that_has_lost_the_cluster() {
        let clock = ManualClock::at(1);
        let zookeeper = MemoryZooKeeper::new(clock.clone());
        let zk = zookeeper.connect();
        let again = RegisterAgain {
            registration: Arc::new(Registration::new(1)),
            zk: zk.clone(),
            info: BrokerInfo::new(Vec::new(), None, 1),
            clock,
            cluster_id: "ours".into(),
        };
        let before = zookeeper.snapshot();
        let refused = again.run().await.unwrap_err().to_string();
        assert!(
            refused.contains("/cluster/id") && refused.contains("lost its data"),
            "{refused}"
        );
        assert_eq!(zookeeper.snapshot(), before);
        // Another cluster has moved in.
        cluster::create_persistent_paths(&*zk).await.unwrap();
        let theirs = cluster::get_or_create_cluster_id(&*zk).await.unwrap();
        let refused = again.run().await.unwrap_err().to_string();
        assert!(refused.contains(&theirs) && refused.contains("ours"), "{refused}");
        let again = RegisterAgain {
            cluster_id: theirs,
            ..again
        };
        assert!(again.run().await.is_ok());
    }
}
