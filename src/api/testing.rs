//! Builds an [`Api`] in tests. The test brings the parts that it looks into; the coordinators are made here and do not
//! serve: they refuse every request until they are started.

use std::path::Path;
use std::sync::Arc;

use futures::FutureExt as _;
use tokio::sync::watch;

use super::{Api, DECLARATIONS};
use crate::admin::{AdminManager, DynamicConfigs};
use crate::common::clock::{ManualClock, SharedClock};
use crate::common::loggers::Loggers;
use crate::common::topic_name::{GROUP_METADATA_TOPIC, TRANSACTION_STATE_TOPIC};
use crate::config::BrokerConfig;
use crate::controller::ControllerHandle;
use crate::coordinator::ReplicatedLog;
use crate::coordinator::group::GroupCoordinator;
use crate::coordinator::producer_ids::{ControllerBlocks, ProducerIdManager};
use crate::coordinator::transaction::{NetworkMarkerSender, TransactionCoordinator};
use crate::log::LogManager;
use crate::metadata::MetadataCache;
use crate::metrics::Registry;
use crate::network::{ChannelBuilder, RequestContext};
use crate::replica::ReplicaManager;
use crate::zk::ZkStore;
use crate::zk::memory::MemoryZooKeeper;

/// The parts of an [`Api`] that a test brings.
pub(crate) struct ApiParts {
    pub(crate) config: Arc<BrokerConfig>,
    pub(crate) configs: Arc<DynamicConfigs>,
    pub(crate) clock: SharedClock,
    /// The cache that `replicas` updates.
    pub(crate) metadata: Arc<MetadataCache>,
    pub(crate) replicas: Arc<ReplicaManager>,
    pub(crate) controller: ControllerHandle,
    pub(crate) zk: Arc<dyn ZkStore>,
    pub(crate) metrics: Registry,
}

impl ApiParts {
    pub(crate) fn into_api(self) -> Api {
        let (config, clock, metrics) = (&*self.config, &self.clock, &self.metrics);
        let log = |topic| Arc::new(ReplicatedLog::new(self.replicas.clone(), topic));
        let groups = GroupCoordinator::new(
            config.into(),
            config.offsets_topic_num_partitions,
            log(GROUP_METADATA_TOPIC),
            clock.clone(),
            metrics,
        );
        let controller = self.controller.clone();
        let broker_epoch = Arc::new(move || controller.broker_epoch());
        let blocks = ControllerBlocks::new(
            config,
            &ChannelBuilder::plaintext(),
            self.metadata.clone(),
            broker_epoch,
        );
        let count = config.transaction_state_log_num_partitions;
        let transactions = TransactionCoordinator::new(
            config.into(),
            (count, Box::new(move || async move { Ok(count) }.boxed())),
            log(TRANSACTION_STATE_TOPIC),
            clock.clone(),
            self.metadata.clone(),
            &ChannelBuilder::plaintext(),
            ProducerIdManager::new(blocks, clock.clone()),
            Box::new(NetworkMarkerSender),
            metrics,
        );
        let admin = AdminManager::new(
            self.zk.clone(),
            self.metadata.clone(),
            self.configs,
            Loggers::default(),
        );
        Api {
            config: self.config,
            cluster_id: "cluster".into(),
            clock: self.clock,
            metadata: self.metadata,
            replicas: self.replicas,
            groups,
            transactions,
            controller: self.controller,
            admin: Arc::new(admin),
            declarations: DECLARATIONS,
            features_epoch: watch::channel(0).1,
            zk: self.zk,
        }
    }
}

/// Broker 1 with its logs in `dir`. It has not heard of the cluster, and its controller never runs.
pub(crate) fn api_in(dir: &Path) -> Api {
    let config = Arc::new(BrokerConfig::for_test(1, dir));
    let clock = ManualClock::at(1_000_000);
    let (metadata, metrics) = (Arc::new(MetadataCache::default()), Registry::default());
    let configs = Arc::new(DynamicConfigs::new(config.clone()));
    let topic_configs = configs.clone();
    let topic_config = move |topic: &str| topic_configs.topic_config(topic);
    let log_manager = LogManager::open(&config, &topic_config, clock.clone(), &metrics);
    let replicas = ReplicaManager::new(
        config.clone(),
        &ChannelBuilder::plaintext(),
        log_manager.expect("the log dir opens"),
        metadata.clone(),
        clock.clone(),
        Arc::new(topic_config),
        Arc::new(|| 1),
        &metrics,
    );
    let parts = ApiParts {
        config,
        configs,
        clock: clock.clone(),
        metadata,
        replicas,
        controller: ControllerHandle::idle(1),
        zk: MemoryZooKeeper::new(clock).connect(),
        metrics,
    };
    parts.into_api()
}

/// A client's request in this version, on the only listener.
pub(crate) fn context(api_version: i16) -> RequestContext {
    RequestContext {
        api_version,
        client_id: "test".into(),
        peer: ([127, 0, 0, 1], 1).into(),
        listener: "PLAINTEXT".into(),
        security_protocol: crate::config::SecurityProtocol::Plaintext,
        principal: crate::security::KafkaPrincipal::anonymous(),
    }
}
