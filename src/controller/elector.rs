//! The events of the election: a broker becomes the controller by the creation of `/controller`, or resigns. Kafka 3.9:
//! `KafkaController.elect`, `maybeResign`, `triggerControllerMove`.

use tracing::{debug, error, info, warn};

use super::context::ControllerContext;
use super::error::ControllerError;
use super::kafka_controller::Controller;
use crate::zk::znode::ControllerRegistration;
use crate::zk::{Stat, ZkError, cluster, paths};

impl Controller {
    /// The session has expired, so another broker may already be the controller.
    pub(super) fn process_expire(&mut self) -> Result<(), ControllerError> {
        self.resign();
        Ok(())
    }

    /// `/controller` is gone, or the broker has a new session.
    pub(super) async fn reelect(&mut self) -> Result<(), ControllerError> {
        self.maybe_resign().await?;
        self.elect().await
    }

    /// Reads `/controller`, and resigns if another broker is the controller now.
    pub(super) async fn maybe_resign(&mut self) -> Result<(), ControllerError> {
        let controller = cluster::controller(self.zk.store(), true).await?;
        if self.is_active()
            && !controller.is_some_and(|(registration, stat)| self.is_ours(&registration, &stat))
        {
            self.resign();
        }
        Ok(())
    }

    /// Whether this broker has made the registration under `/controller`, in its present session.
    fn is_ours(&self, registration: &ControllerRegistration, stat: &Stat) -> bool {
        self.zk.is_own_registration(self.id(), registration, stat)
    }

    /// Makes this broker the controller, if there is none.
    pub(super) async fn elect(&mut self) -> Result<(), ControllerError> {
        if let Some((registration, stat)) = cluster::controller(self.zk.store(), true).await? {
            if self.is_active() || !self.is_ours(&registration, &stat) {
                debug!(controller = registration.broker_id, "there is a controller");
                return Ok(());
            }
            // This broker won an election whose result it did not learn, so no broker acts as the controller: the
            // election is repeated (fact 2).
            warn!("repeats an election that this broker has won without notice");
            let deleted = self
                .zk
                .store()
                .delete(paths::CONTROLLER, Some(stat.version))
                .await;
            match deleted {
                Ok(()) | Err(ZkError::NoNode(_) | ZkError::BadVersion(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.zk.store().exists(paths::MIGRATION, true).await?.is_some() {
            // A ZooKeeper controller must not replace the KRaft controller that migrates the cluster (fact 11).
            warn!("a migration to KRaft is under way, this broker does not stand for election");
            return Ok(());
        }
        let registered = self
            .zk
            .register_controller_and_increment_epoch(self.id(), &self.clock)
            .await;
        let (epoch, epoch_zk_version) = match registered {
            Ok(won) => won,
            Err(ControllerError::Moved) => {
                debug!("another broker won the election");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        info!(epoch, epoch_zk_version, "elected as the controller");
        self.context.epoch = epoch;
        self.context.epoch_zk_version = epoch_zk_version;
        self.zk.set_guard(Some(epoch_zk_version));
        self.status.set_active(true);
        match self.failover().await {
            Err(ControllerError::Moved) => self.maybe_resign().await,
            Err(error) => {
                error!(epoch, %error, "failed to take over as the controller, resigns");
                self.trigger_controller_move().await
            }
            Ok(()) => Ok(()),
        }
    }

    /// Lets another broker become the controller: resigns, and deletes `/controller` if it is still this broker's.
    async fn trigger_controller_move(&mut self) -> Result<(), ControllerError> {
        let epoch_zk_version = self.context.epoch_zk_version;
        self.resign();
        match cluster::controller(self.zk.store(), true).await? {
            Some((registration, stat)) if self.is_ours(&registration, &stat) => {
                self.zk.set_guard(Some(epoch_zk_version));
                let deleted = self.zk.delete(paths::CONTROLLER).await;
                self.zk.set_guard(None);
                deleted
            }
            _ => Ok(()),
        }
    }

    /// Gives up the role of the controller: clears the context, and drops the requests that are not sent yet.
    pub(super) fn resign(&mut self) {
        if self.is_active() {
            info!(epoch = self.context.epoch, "resigns as the controller");
        }
        self.status.set_active(false);
        self.rebalance_timer.cancel();
        self.channels.remove_all();
        self.zk.set_guard(None);
        self.context = ControllerContext::default();
        self.metrics.update(&self.context);
    }
}
