//! The race for `/controller`, and giving it up. Kafka 3.9: `KafkaController.elect`, `maybeResign`,
//! `triggerControllerMove`; `KafkaZkClient.registerControllerAndIncrementControllerEpoch`.

use tracing::{debug, error, info, warn};

use super::context::ControllerContext;
use super::error::ControllerError;
use super::kafka_controller::Controller;
use crate::common::ids::ControllerEpoch;
use crate::zk::znode::{ControllerRegistration, controller_epoch};
use crate::zk::{CreateMode, Stat, ZkError, ZkOp, ZkOpResult, cluster, paths};

impl Controller {
    pub(super) async fn process_startup(&mut self) -> Result<(), ControllerError> {
        let result = self.elect().await;
        self.status.set_started();
        result
    }

    pub(super) async fn reelect(&mut self) -> Result<(), ControllerError> {
        self.maybe_resign().await?;
        self.elect().await
    }

    /// Looks who the controller is, and resigns if it is not this broker any more.
    pub(super) async fn maybe_resign(&mut self) -> Result<(), ControllerError> {
        let controller = cluster::controller(self.zk.store(), true).await?;
        if self.is_active()
            && !controller.is_some_and(|(registration, stat)| self.is_ours(&registration, &stat))
        {
            self.resign();
        }
        Ok(())
    }

    /// Whether a registration under `/controller` was made by this broker in the session that stands now.
    fn is_ours(&self, registration: &ControllerRegistration, stat: &Stat) -> bool {
        registration.broker_id == self.id() && stat.ephemeral_owner == self.zk.store().session_id()
    }

    /// Becomes the controller if there is none.
    async fn elect(&mut self) -> Result<(), ControllerError> {
        if let Some((registration, stat)) = cluster::controller(self.zk.store(), true).await? {
            if self.is_active() || !self.is_ours(&registration, &stat) {
                debug!(controller = registration.broker_id, "there is a controller");
                return Ok(());
            }
            // An election broke off after it had been won. Nobody acts as controller: stand again (fact 2).
            warn!("gives up a controllership that was won without notice");
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
            warn!("a migration to KRaft is under way, does not stand for election (fact 11)");
            return Ok(());
        }
        let (epoch, epoch_zk_version) = match self.run_for_controller().await {
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
                error!(epoch, %error, "failed to take over as the controller, gives it up");
                self.trigger_controller_move().await
            }
            Ok(()) => Ok(()),
        }
    }

    /// Creates `/controller` and bumps `/controller_epoch` in one multi. Returns the new epoch and the version that
    /// guards our writes.
    async fn run_for_controller(&self) -> Result<(ControllerEpoch, i32), ControllerError> {
        let (epoch, version) = self.read_or_create_controller_epoch().await?;
        let epoch = epoch.saturating_add(1);
        let ops = [
            ZkOp::Create {
                path: paths::CONTROLLER.to_owned(),
                data: ControllerRegistration::new(self.id(), self.clock.wall_ms()).encode(),
                mode: CreateMode::Ephemeral,
            },
            ZkOp::SetData {
                path: paths::CONTROLLER_EPOCH.to_owned(),
                data: controller_epoch::encode(epoch),
                version: Some(version),
            },
        ];
        match self
            .zk
            .store()
            .multi(ops.to_vec())
            .await
            .map_err(|refused| refused.error)
        {
            Ok(results) => match results.as_slice() {
                [_, ZkOpResult::Set { stat }] => Ok((epoch, stat.version)),
                _ => Err(ZkError::Other("a multi answered with other results".to_owned()).into()),
            },
            // Somebody was faster, or the answer to our own first attempt was lost.
            Err(ZkError::NodeExists(_) | ZkError::BadVersion(_)) => self.confirm_election(epoch).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Whether we are the winner of this epoch (fact 2).
    async fn confirm_election(
        &self,
        epoch: ControllerEpoch,
    ) -> Result<(ControllerEpoch, i32), ControllerError> {
        let (found, version) = self.read_or_create_controller_epoch().await?;
        match cluster::controller(self.zk.store(), true).await? {
            Some((registration, stat)) if found == epoch && self.is_ours(&registration, &stat) => {
                Ok((epoch, version))
            }
            _ => Err(ControllerError::Moved),
        }
    }

    async fn read_or_create_controller_epoch(&self) -> Result<(ControllerEpoch, i32), ZkError> {
        let store = self.zk.store();
        loop {
            if let Some(found) = cluster::controller_epoch(store).await? {
                return Ok(found);
            }
            let data = controller_epoch::encode(controller_epoch::INITIAL);
            match store
                .create(paths::CONTROLLER_EPOCH, data, CreateMode::Persistent)
                .await
            {
                Ok(_) | Err(ZkError::NodeExists(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets somebody else try: resigns and deletes `/controller`, unless somebody else already has it.
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

    /// Stops being the controller: forgets everything, drops every request not yet sent.
    pub(super) fn resign(&mut self) {
        if self.is_active() {
            info!(epoch = self.context.epoch, "resigns as the controller");
        }
        self.status.set_active(false);
        if let Some(timer) = self.rebalance_timer.take() {
            timer.abort();
        }
        self.channels.remove_all();
        self.zk.set_guard(None);
        self.context = ControllerContext::default();
        self.metrics.show(&self.context);
    }
}
