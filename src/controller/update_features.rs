//! UpdateFeatures: changes of the finalized features. In a cluster with ZooKeeper no broker supports a feature, so none
//! can be raised; features that `/feature` has from elsewhere can be deleted. Kafka 3.9:
//! `KafkaController.processFeatureUpdates` (KIP-584).

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::{info, warn};

use super::admin_request::{FeatureResults, FeatureUpdate, FeatureUpgrade};
use super::error::ControllerError;
use super::event::Reply;
use super::kafka_controller::Controller;
use crate::common::error::ErrorCode;
use crate::zk::paths;
use crate::zk::znode::{FeatureStatus, FeatureZnode};

/// Kafka's message for FEATURE_UPDATE_FAILED.
const UPDATE_FAILED: &str = "Unable to update finalized features due to an unexpected server error.";

impl Controller {
    /// UpdateFeatures. One write has all valid changes. This broker's metadata cache must see it within `timeout`.
    pub(super) async fn process_update_features(
        &mut self,
        updates: Vec<FeatureUpdate>,
        timeout: Duration,
        reply: Reply<FeatureResults>,
    ) -> Result<(), ControllerError> {
        let existing = match self.zk.store().get(paths::FEATURE, false).await? {
            Some((data, _)) => {
                FeatureZnode::decode(&data).map_or_else(|_| BTreeMap::new(), |znode| znode.features)
            }
            None => BTreeMap::new(),
        };
        let mut target = existing.clone();
        let mut results = FeatureResults::new();
        for update in updates {
            let result = check(&update, existing.get(&update.feature).copied());
            if result.is_ok() {
                target.remove(&update.feature);
            }
            results.insert(
                update.feature,
                result.map_err(|reason| (ErrorCode::InvalidRequest, Some(reason))),
            );
        }
        if target != existing {
            info!(?existing, ?target, "finalized features change");
            let znode = FeatureZnode {
                status: FeatureStatus::Enabled,
                features: target,
            };
            let written = self.write_features(&znode, timeout).await;
            if let Err(error) = &written {
                warn!(%error, "finalized features could not be changed");
                for result in results.values_mut().filter(|result| result.is_ok()) {
                    *result = Err((ErrorCode::FeatureUpdateFailed, Some(UPDATE_FAILED.into())));
                }
            }
            let _ = reply.send(results);
            return written;
        }
        let _ = reply.send(results);
        Ok(())
    }

    /// Replaces `/feature`, and waits at most `timeout` until this broker's metadata cache has it.
    pub(super) async fn write_features(
        &self,
        znode: &FeatureZnode,
        timeout: Duration,
    ) -> Result<(), ControllerError> {
        self.zk.create_or_set(paths::FEATURE, znode.encode()).await?;
        let stat = self.zk.store().exists(paths::FEATURE, false).await?;
        let version = stat.map_or(-1, |stat| i64::from(stat.version));
        let mut epoch = self.features_epoch.clone();
        match tokio::time::timeout(timeout, epoch.wait_for(|seen| *seen >= version)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(ControllerError::FeaturesNotSeen(version)),
        }
    }
}

/// Checks an update. Only the deletion of an existing feature is valid; the errors are in Kafka's words.
fn check(update: &FeatureUpdate, existing: Option<i16>) -> Result<(), String> {
    use FeatureUpgrade::{SafeDowngrade, Unknown, Upgrade};
    let (level, upgrade) = (update.level, update.upgrade);
    if update.feature.is_empty() {
        return Err("Feature name can not be empty.".into());
    }
    if upgrade == Unknown {
        return Err("Received unknown upgrade type.".into());
    }
    if level < 1 && upgrade != Upgrade {
        return match existing {
            Some(_) => Ok(()),
            None => Err("Can not delete non-existing finalized feature.".into()),
        };
    }
    if level < 1 {
        return Err(format!(
            "Can not provide versionLevel: {level} less than 1 without setting the SAFE downgradeType in the request."
        ));
    }
    match existing {
        Some(existing) if level == existing => {
            let direction = if upgrade == SafeDowngrade {
                "downgrade"
            } else {
                "upgrade"
            };
            Err(format!(
                "Can not {direction} a finalized feature from existing versionLevel:{existing} to the same value."
            ))
        }
        Some(existing) if level < existing && upgrade != SafeDowngrade => Err(format!(
            "Can not downgrade finalized feature from existing versionLevel:{existing} to provided \
             versionLevel:{level} without setting the downgradeType to SAFE in the request."
        )),
        Some(existing) if level > existing && upgrade != Upgrade => Err(format!(
            "When the downgradeType is set to SAFE in the request, the provided versionLevel:{level} can not be \
             greater than existing versionLevel:{existing}."
        )),
        _ => Err(
            "Could not apply finalized feature update because the provided feature is not supported.".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::FeatureUpgrade::*;
    use super::*;

    #[test]
    fn only_an_existing_feature_can_be_deleted_and_none_can_be_raised() {
        let cases = [
            ("", 1, Upgrade, None, "name can not be empty"),
            ("f", 1, Unknown, None, "unknown upgrade type"),
            ("f", 0, SafeDowngrade, None, "Can not delete non-existing"),
            ("f", 0, Upgrade, Some(1), "without setting the SAFE"),
            ("f", 2, Upgrade, Some(2), "Can not upgrade a finalized"),
            ("f", 2, SafeDowngrade, Some(2), "Can not downgrade a finalized"),
            (
                "f",
                1,
                Upgrade,
                Some(2),
                "Can not downgrade finalized feature from",
            ),
            ("f", 3, SafeDowngrade, Some(2), "can not be greater than"),
            ("f", 1, SafeDowngrade, Some(2), "is not supported"),
            ("f", 3, Upgrade, Some(2), "is not supported"),
            ("f", 3, Upgrade, None, "is not supported"),
        ];
        let update = |feature: &str, level, upgrade| FeatureUpdate {
            feature: feature.to_owned(),
            level,
            upgrade,
        };
        for (feature, level, upgrade, existing, expected) in cases {
            let reason = check(&update(feature, level, upgrade), existing).unwrap_err();
            assert!(
                reason.contains(expected),
                "{feature} {level} {upgrade:?}: {reason}"
            );
        }
        assert_eq!(check(&update("f", 0, SafeDowngrade), Some(2)), Ok(()));
        assert_eq!(check(&update("f", 0, UnsafeDowngrade), Some(2)), Ok(()));
    }
}
