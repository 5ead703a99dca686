//! The registration under `/controller`, which makes a broker the controller. Kafka 3.9:
//! `KafkaZkClient.registerControllerAndIncrementControllerEpoch`.

use super::ControllerZkClient;
use crate::common::clock::SharedClock;
use crate::common::ids::{BrokerId, ControllerEpoch};
use crate::controller::error::ControllerError;
use crate::zk::znode::{ControllerRegistration, controller_epoch};
use crate::zk::{CreateMode, Stat, ZkError, ZkOp, ZkOpResult, cluster, paths};

impl ControllerZkClient {
    /// Whether this broker has made the registration under `/controller`, in its present session.
    pub fn is_own_registration(
        &self,
        broker: BrokerId,
        registration: &ControllerRegistration,
        stat: &Stat,
    ) -> bool {
        registration.broker_id == broker && stat.ephemeral_owner == self.store().session_id()
    }

    /// Creates `/controller` and increments `/controller_epoch` in one multi. Returns the new epoch and the version of
    /// `/controller_epoch` that the controller's writes check.
    pub async fn register_controller_and_increment_epoch(
        &self,
        broker: BrokerId,
        clock: &SharedClock,
    ) -> Result<(ControllerEpoch, i32), ControllerError> {
        let (epoch, version) = self.read_or_create_controller_epoch().await?;
        let epoch = epoch.saturating_add(1);
        let ops = [
            ZkOp::Create {
                path: paths::CONTROLLER.to_owned(),
                data: ControllerRegistration::new(broker, clock.wall_ms()).encode(),
                mode: CreateMode::Ephemeral,
            },
            ZkOp::SetData {
                path: paths::CONTROLLER_EPOCH.to_owned(),
                data: controller_epoch::encode(epoch),
                version: Some(version),
            },
        ];
        match self
            .store()
            .multi(ops.to_vec())
            .await
            .map_err(|refused| refused.error)
        {
            Ok(results) => match results.as_slice() {
                [_, ZkOpResult::Set { stat }] => Ok((epoch, stat.version)),
                _ => Err(ZkError::Other("a multi answered with other results".to_owned()).into()),
            },
            // Another broker was faster, or the answer to this broker's first attempt was lost.
            Err(ZkError::NodeExists(_) | ZkError::BadVersion(_)) => {
                self.confirm_registration(broker, epoch).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Checks whether this broker has won the election of this epoch (fact 2).
    async fn confirm_registration(
        &self,
        broker: BrokerId,
        epoch: ControllerEpoch,
    ) -> Result<(ControllerEpoch, i32), ControllerError> {
        let (found, version) = self.read_or_create_controller_epoch().await?;
        match cluster::controller(self.store(), true).await? {
            Some((registration, stat))
                if found == epoch && self.is_own_registration(broker, &registration, &stat) =>
            {
                Ok((epoch, version))
            }
            _ => Err(ControllerError::Moved),
        }
    }

    async fn read_or_create_controller_epoch(&self) -> Result<(ControllerEpoch, i32), ZkError> {
        let store = self.store();
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
}
