//! Starts a broker, step by step in Kafka's order: ZooKeeper, identity, logs, listeners, replicas, registration,
//! controller, coordinators, service. Kafka 3.9: `KafkaServer.startup`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::context::BrokerContext;
use super::coordinators::Coordinators;
use super::listeners::{ConfigHooks, ReplicaHooks};
use super::running::Broker;
use super::start_error::StartError;
use super::{claim_id, features, host_name, log_dirs};
use crate::admin::{AdminManager, ConfigChangeListener, DynamicConfigs};
use crate::api::{Api, DECLARATIONS};
use crate::common::clock::SharedClock;
use crate::common::ids::BrokerEpoch;
use crate::common::loggers::Loggers;
use crate::config::{BrokerConfig, Endpoint};
use crate::controller::{Controller, ControllerHandle, ControllerSetup};
use crate::log::LogManager;
use crate::metadata::MetadataCache;
use crate::metrics::MetricsServer;
use crate::network::{BindError, ChannelBuilder, ListenerSecurities, SocketServer};
use crate::replica::{BrokerEpochSource, ReplicaManager, TopicConfigs};
use crate::zk::registration::Registration;
use crate::zk::znode::BrokerInfo;
use crate::zk::{ZkError, ZkOptions, ZkSession, ZkStore, cluster, paths};

/// The results of the first steps.
struct Identity {
    cluster_id: String,
    config: Arc<BrokerConfig>,
}

impl Broker {
    /// Starts a broker. Returns when it serves requests. `loggers` are the loggers of the process.
    pub async fn start(
        config: BrokerConfig,
        clock: SharedClock,
        loggers: Loggers,
    ) -> Result<Self, StartError> {
        let started_ms = clock.monotonic_ms();
        let connect = config.zookeeper_connect.clone();
        let zk_failed = |error| StartError::ZooKeeper {
            connect: connect.clone(),
            error,
        };

        let session = Arc::new(
            ZkSession::connect(ZkOptions::from_config(&config).map_err(zk_failed)?)
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
            // Without this, the znodes of a broker that failed during its start would stay until its session expires.
            Err(_) => session.close().await,
        }
        result
    }
}

/// Steps 1 to 15, on an open session.
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
    configs.encode_passwords_again(&*zk).await.map_err(zk_failed)?;
    configs.load(&*zk).await.map_err(zk_failed)?;
    let current = configs.current();
    let securities = ListenerSecurities::new(&current, configs.scram_credentials()).await?;
    let channels = ChannelBuilder::new(&current, &securities, &clock)?;
    let context = BrokerContext::new(&config, &zk, &clock, channels, securities);
    // A failed start ends the tasks that it has started.
    let unfinished = context.stop.clone().drop_guard();
    serve_metrics(&context).await?;
    let log_manager = open_logs(&context, &configs).await?;
    log_manager.start_background();
    let metadata = Arc::new(MetadataCache::default());
    let server = SocketServer::bind(&current, &context.securities, &context.metrics, &clock).await?;
    let endpoints: Vec<Endpoint> = server.endpoints().cloned().collect();
    // The replicas need the broker epoch. The controller module has it, but starts later.
    let controller_slot = Arc::new(OnceLock::<ControllerHandle>::new());
    let broker_epoch = epoch_in(&controller_slot);
    let replicas = replica_manager(&context, &configs, &log_manager, &metadata, broker_epoch.clone());
    let coordinators = Coordinators::start(&context, &replicas, &metadata, broker_epoch)
        .await
        .map_err(zk_failed)?;
    let failed = start_replicas(&context, &configs, &log_manager, &replicas, &coordinators);
    let features_epoch = follow_features(&context);
    let to_register = ToRegister::new(&config, &endpoints, &cluster_id, &session).await;
    let controller = register_and_elect(&context, &configs, to_register, features_epoch.clone()).await?;
    controller_slot
        .set(controller.clone())
        .unwrap_or_else(|_| unreachable!("set once"));
    follow_configs(&context, &configs, &log_manager, &replicas, &controller, &server);
    let api = Arc::new(Api {
        config: config.clone(),
        cluster_id,
        clock,
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
        stop: context.stop,
        failed,
        channels: context.channels,
    })
}

/// The broker epoch from the controller module, when the module has started.
fn epoch_in(controller: &Arc<OnceLock<ControllerHandle>>) -> BrokerEpochSource {
    let controller = controller.clone();
    Arc::new(move || controller.get().map_or(-1, ControllerHandle::broker_epoch))
}

/// Starts the replicas. The replicas notify the coordinators of leadership changes, so the coordinators exist before
/// the first LeaderAndIsr can arrive. The returned token is cancelled when the broker cannot continue.
fn start_replicas(
    context: &BrokerContext,
    configs: &DynamicConfigs,
    log_manager: &Arc<LogManager>,
    replicas: &Arc<ReplicaManager>,
    coordinators: &Coordinators,
) -> CancellationToken {
    let failed = CancellationToken::new();
    replicas.add_listener(Arc::new(ReplicaHooks {
        broker_id: context.config.broker_id,
        coordinators: coordinators.clone(),
        log_manager: log_manager.clone(),
        zk: context.zk.clone(),
        failed: failed.clone(),
    }));
    replicas.reconfigure(&configs.current());
    replicas.start();
    failed
}

/// Starts the task that applies changed configurations from ZooKeeper.
fn follow_configs(
    context: &BrokerContext,
    configs: &Arc<DynamicConfigs>,
    log_manager: &Arc<LogManager>,
    replicas: &Arc<ReplicaManager>,
    controller: &ControllerHandle,
    server: &SocketServer,
) {
    let hooks = ConfigHooks {
        log_manager: log_manager.clone(),
        configs: configs.clone(),
        replicas: replicas.clone(),
        controller: controller.clone(),
        connection_limits: server.limits(),
        securities: context.securities.clone(),
        channels: context.channels.clone(),
        reconfiguring: Arc::default(),
    };
    let hooks = vec![Arc::new(hooks) as _];
    let changes =
        ConfigChangeListener::new(context.zk.clone(), configs.clone(), context.clock.clone(), hooks);
    tokio::spawn(changes.run(context.stop.child_token()));
}

/// Starts the task that follows `/feature`. The returned receiver has the version of the znode.
fn follow_features(context: &BrokerContext) -> watch::Receiver<i64> {
    let (epoch, features_epoch) = watch::channel(-1);
    tokio::spawn(features::follow(
        context.zk.clone(),
        epoch,
        context.stop.child_token(),
    ));
    features_epoch
}

/// The data of the broker's registration in ZooKeeper.
struct ToRegister {
    endpoints: Vec<Endpoint>,
    cluster_id: String,
    /// The maximum wait for the end of the previous run's session.
    patience: Duration,
}

impl ToRegister {
    async fn new(config: &BrokerConfig, bound: &[Endpoint], cluster_id: &str, session: &ZkSession) -> Self {
        Self {
            endpoints: advertised(config, bound).await,
            cluster_id: cluster_id.to_owned(),
            patience: registration_patience(session),
        }
    }
}

/// ZooKeeper expires a session at the first tick after its timeout. The timeout is at least two ticks.
fn registration_patience(session: &ZkSession) -> Duration {
    session.session_timeout() * 3 / 2
}

/// Steps 12 and 13: fails if the address is taken, registers the broker, starts the controller module.
async fn register_and_elect(
    context: &BrokerContext,
    configs: &DynamicConfigs,
    to_register: ToRegister,
    features_epoch: watch::Receiver<i64>,
) -> Result<ControllerHandle, StartError> {
    let BrokerContext {
        config, zk, clock, ..
    } = context;
    let ToRegister {
        endpoints,
        cluster_id,
        patience,
    } = to_register;
    let info = BrokerInfo::new(endpoints, config.broker_rack.clone(), clock.wall_ms());
    let registration = Arc::new(Registration::new(config.broker_id));
    let broker_epoch = claim_id::register(
        &registration,
        &**zk,
        &context.channels,
        config.broker_id,
        &info,
        patience,
    )
    .await?;
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
        channels: context.channels.clone(),
        metrics: context.metrics.clone(),
        features_epoch,
        shutdown: context.stop.child_token(),
    }))
}

/// Steps 1 to 7: the persistent znodes, the cluster id, `meta.properties`, the broker id.
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

async fn open_logs(
    context: &BrokerContext,
    configs: &Arc<DynamicConfigs>,
) -> Result<Arc<LogManager>, StartError> {
    let (config, configs) = (configs.current(), configs.clone());
    let (clock, metrics) = (context.clock.clone(), context.metrics.clone());
    let opened = tokio::task::spawn_blocking(move || {
        LogManager::open(&config, &|topic| configs.topic_config(topic), clock, &metrics)
    });
    Ok(opened
        .await
        .map_err(|error| StartError::Loading(error.to_string()))??)
}

/// Starts to answer metric scrapes if a listener for them is configured. It runs early, because a start after a crash
/// may take long and the metrics show its progress.
async fn serve_metrics(context: &BrokerContext) -> Result<(), StartError> {
    let Some(address) = &context.config.barnabas_metrics_listener else {
        return Ok(());
    };
    let server = MetricsServer::bind(address).await;
    let server = server.and_then(|server| Ok((server.address()?, server)));
    let (bound, server) = server.map_err(|source| BindError::Address {
        listener: "barnabas.metrics.listener".to_owned(),
        address: address.clone(),
        source,
    })?;
    info!(address = %bound, "metrics can be scraped");
    tokio::spawn(server.run(context.metrics.clone(), context.stop.child_token()));
    Ok(())
}

/// The listeners to register. An advertised listener without a port gets the bound port. A listener without a host gets
/// the canonical name of this machine.
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
    context: &BrokerContext,
    configs: &Arc<DynamicConfigs>,
    logs: &Arc<LogManager>,
    metadata: &Arc<MetadataCache>,
    broker_epoch: BrokerEpochSource,
) -> Arc<ReplicaManager> {
    let configs = configs.clone();
    let topic_configs: TopicConfigs = Arc::new(move |topic| configs.topic_config(topic));
    ReplicaManager::new(
        context.config.clone(),
        &context.channels,
        logs.clone(),
        metadata.clone(),
        context.clock.clone(),
        topic_configs,
        broker_epoch,
        &context.metrics,
    )
}

/// Registers the broker again after the session of its registration has expired. The controller module calls this.
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
        // If the ensemble has lost its data or is another ensemble, the broker must not write parts of this cluster to
        // it.
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
            crate::zk::registration::RegistrationError::Zk(error) => error,
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
        // The ensemble now has another cluster.
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
