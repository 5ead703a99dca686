//! Owns a running broker and stops it. Kafka 3.9: `KafkaServer.shutdown`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::controlled_shutdown;
use super::coordinators::Coordinators;
use crate::common::ids::BrokerId;
use crate::config::{BrokerConfig, Endpoint};
use crate::controller::ControllerHandle;
use crate::log::LogManager;
use crate::metadata::MetadataCache;
use crate::network::{ChannelBuilder, RunningServer};
use crate::replica::ReplicaManager;
use crate::zk::ZkSession;

/// How long connections may take to finish their current request when the broker stops.
const CONNECTION_GRACE: Duration = Duration::from_millis(500);

/// A running broker.
pub struct Broker {
    pub(super) config: Arc<BrokerConfig>,
    /// The addresses that the broker listens on, with resolved ports.
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) zk: Arc<ZkSession>,
    pub(super) metadata: Arc<MetadataCache>,
    pub(super) log_manager: Arc<LogManager>,
    pub(super) replicas: Arc<ReplicaManager>,
    pub(super) coordinators: Coordinators,
    pub(super) controller: ControllerHandle,
    pub(super) server: RunningServer,
    /// Stops the tasks that follow ZooKeeper.
    pub(super) stop: CancellationToken,
    /// Cancelled when the broker cannot continue.
    pub(super) failed: CancellationToken,
    pub(super) channels: ChannelBuilder,
}

impl Broker {
    /// The broker's id: configured, read from disk or generated.
    pub fn id(&self) -> BrokerId {
        self.config.broker_id
    }

    /// The addresses that the broker listens on.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Returns when the broker can no longer work because its last log dir has failed. Kafka halts in this case; the
    /// owner of this value must do the same.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Moves the leaderships to other brokers, stops everything in Kafka's order and writes the clean shutdown files.
    pub async fn shutdown(self) {
        if self.config.controlled_shutdown_enable {
            let zookeeper = self.zk.connected();
            controlled_shutdown::hand_over(
                &self.config,
                &self.channels,
                &self.metadata,
                &self.controller,
                zookeeper,
            )
            .await;
        }
        self.shutdown_at_once().await;
    }

    /// Stops many brokers. The brokers of a whole cluster stop together, because each would move its leaderships to a
    /// broker that also stops. The clean logs of the ISRs have every committed record, so nothing is lost. If other
    /// brokers stay, the brokers move their leaderships and stop one after another.
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

    /// Does the same as [`Self::shutdown`] without moving the leaderships.
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
