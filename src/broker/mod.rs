//! The broker as a value: connects all layers, starts and stops them in Kafka's order. Nothing here decides anything.
//! Kafka 3.9: `KafkaServer`.
//!
//! No statics and no process-wide settings: any number of brokers run in one process.

mod claim_id;
mod controlled_shutdown;
mod coordinators;
mod features;
mod host_name;
mod listeners;
mod log_dirs;
#[cfg(test)]
mod simulation;
mod startup;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::common::clock::SharedClock;
use crate::common::ids::BrokerId;
use crate::common::loggers::Loggers;
use crate::config::{BrokerConfig, Endpoint};
use crate::controller::ControllerHandle;
use crate::log::LogManager;
use crate::metadata::MetadataCache;
use crate::network::RunningServer;
use crate::replica::ReplicaManager;
use crate::zk::ZkSession;

use coordinators::Coordinators;
pub use startup::StartError;

/// How long connections get to finish what they are at when the broker stops.
const CONNECTION_GRACE: Duration = Duration::from_millis(500);

/// A broker that serves.
pub struct Broker {
    config: Arc<BrokerConfig>,
    /// The addresses it listens on, ports resolved.
    endpoints: Vec<Endpoint>,
    zk: Arc<ZkSession>,
    metadata: Arc<MetadataCache>,
    log_manager: Arc<LogManager>,
    replicas: Arc<ReplicaManager>,
    coordinators: Coordinators,
    controller: ControllerHandle,
    server: RunningServer,
    /// Ends the tasks that follow ZooKeeper.
    stop: CancellationToken,
    /// Cancelled when the broker cannot go on.
    failed: CancellationToken,
}

impl Broker {
    /// Starts a broker; returns once it serves. `loggers` are those of the process.
    pub async fn start(
        config: BrokerConfig,
        clock: SharedClock,
        loggers: Loggers,
    ) -> Result<Self, StartError> {
        startup::start(config, clock, loggers).await
    }

    /// Its id, whether configured, found on disk or generated.
    pub fn id(&self) -> BrokerId {
        self.config.broker_id
    }

    /// Where it listens.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Returns when the broker can no longer do anything useful: its last log dir has failed. Kafka halts then;
    /// the owner of this value should do the same.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Hands leadership over, then stops everything in Kafka's order and writes what makes the next start a clean
    /// one.
    pub async fn shutdown(self) {
        if self.config.controlled_shutdown_enable {
            let zookeeper = self.zk.connected();
            controlled_shutdown::hand_over(&self.config, &self.metadata, &self.controller, zookeeper).await;
        }
        self.shutdown_at_once().await;
    }

    /// Stops many brokers. Brokers that are a whole cluster stop together: each would hand its partitions over to one
    /// that is about to leave as well. The clean logs of the ISRs have every committed record, so nothing is lost.
    /// Where other brokers stay, one after the other hands its partitions over.
    pub async fn shutdown_all(brokers: Vec<Self>) {
        let own: BTreeSet<BrokerId> = brokers.iter().map(Self::id).collect();
        let stays = |broker: &Self| {
            broker
                .metadata
                .snapshot()
                .brokers
                .keys()
                .any(|id| !own.contains(id))
        };
        if brokers.iter().any(stays) {
            for broker in brokers {
                broker.shutdown().await;
            }
        } else {
            join_all(brokers.into_iter().map(Self::shutdown_at_once)).await;
        }
    }

    /// [`Self::shutdown`] without handing leadership over.
    async fn shutdown_at_once(self) {
        let id = self.config.broker_id;
        self.stop.cancel();
        self.server.stop(CONNECTION_GRACE).await;
        self.coordinators.shutdown();
        self.replicas.shutdown().await;
        let log_manager = self.log_manager.clone();
        let closed = tokio::task::spawn_blocking(move || log_manager.shutdown()).await;
        if closed.is_err() {
            tracing::error!(
                broker = id,
                "closing the logs panicked; the next start recovers them"
            );
        }
        self.controller.shutdown().await;
        self.zk.close().await;
        info!(broker = id, "stopped");
    }
}
