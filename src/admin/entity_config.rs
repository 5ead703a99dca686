//! Reads and writes the znodes under `/config`, each as a whole, and notifies every broker of a change. Kafka 3.9:
//! `KafkaZkClient.setOrCreateEntityConfigs`, `AdminZkClient.changeEntityConfig`.

use std::collections::BTreeMap;

use super::error::AdminError;
use crate::common::error::ErrorCode;
use crate::zk::paths::{self, ConfigEntityType};
use crate::zk::znode::{ConfigChange, ConfigEntity};
use crate::zk::{CreateMode, ZkError, ZkOp, ZkStore, cluster};

/// The overrides of one entity, by key.
pub type Overrides = BTreeMap<String, String>;

/// Reads the overrides of one entity; empty if it has no znode.
pub async fn read(zk: &dyn ZkStore, kind: ConfigEntityType, name: &str) -> Result<Overrides, ZkError> {
    Ok(cluster::config(zk, kind, name).await?.config)
}

/// Replaces all overrides of one entity.
///
/// The write is refused without a controller, and under a KRaft controller, which would not see the change (fact 11).
/// The same transaction checks that the controller has not changed. If two writers write at once, the last one wins, as
/// in Kafka.
pub async fn write(
    zk: &dyn ZkStore,
    kind: ConfigEntityType,
    name: &str,
    overrides: &Overrides,
) -> Result<(), AdminError> {
    let controller_moved = |why: &str| {
        let message = format!("cannot write the configuration of {kind}/{name}: {why}");
        AdminError::new(ErrorCode::StaleControllerEpoch, message)
    };
    let Some((controller, stat)) = cluster::controller(zk, false).await? else {
        return Err(controller_moved("there is no controller"));
    };
    if controller.is_kraft() {
        return Err(controller_moved("a KRaft controller has taken over"));
    }
    let path = paths::config_entity(kind, name);
    let data = ConfigEntity {
        config: overrides.clone(),
    }
    .encode();
    let check = ZkOp::Check {
        path: paths::CONTROLLER.into(),
        version: stat.version,
    };
    let set = ZkOp::SetData {
        path: path.clone(),
        data: data.clone(),
        version: None,
    };
    let ops = || vec![check.clone(), set.clone()];
    let outcome = match zk.multi(ops()).await {
        Err(error) if error.index == 1 && matches!(error.error, ZkError::NoNode(_)) => {
            match zk.create(&path, data, CreateMode::Persistent).await {
                Ok(_) => return Ok(()),
                // Another broker has created it meanwhile, or our own first attempt did.
                Err(ZkError::NodeExists(_)) => zk.multi(ops()).await,
                Err(error) => return Err(error.into()),
            }
        }
        outcome => outcome,
    };
    match outcome {
        Ok(_) => Ok(()),
        Err(error) if error.index == 0 && is_missing_or_changed(&error.error) => {
            Err(controller_moved("the controller has just changed"))
        }
        Err(error) => Err(error.error.into()),
    }
}

fn is_missing_or_changed(error: &ZkError) -> bool {
    matches!(error, ZkError::NoNode(_) | ZkError::BadVersion(_))
}

/// Replaces the overrides of one entity, then notifies every broker (fact 9). The two writes are not one transaction:
/// if the second one fails, brokers learn of the change at the entity's next change, or when they start.
pub async fn change(
    zk: &dyn ZkStore,
    kind: ConfigEntityType,
    name: &str,
    overrides: &Overrides,
) -> Result<(), AdminError> {
    write(zk, kind, name, overrides).await?;
    let data = ConfigChange::of(kind, name).encode();
    let created = zk.create(
        paths::CONFIG_CHANGE_SEQUENCE,
        data,
        CreateMode::PersistentSequential,
    );
    created.await?;
    Ok(())
}
