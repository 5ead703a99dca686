//! Refuses control requests that are meant for an earlier life of this broker (fact 24). Kafka 3.9:
//! `ZkSupport.isBrokerEpochStale`.

use crate::common::error::ErrorCode;
use crate::common::ids::BrokerEpoch;
use crate::protocol::ApiKey;
use crate::replica::ReplicaManager;

/// STALE_BROKER_EPOCH if the request carries the epoch of an earlier life.
pub fn check_broker_epoch(
    replicas: &ReplicaManager,
    api: ApiKey,
    broker_epoch: BrokerEpoch,
) -> Result<(), ErrorCode> {
    if replicas.is_broker_epoch_stale(broker_epoch) {
        let api = api.name();
        tracing::info!(
            broker_epoch,
            "refusing {api} meant for an earlier life of this broker"
        );
        return Err(ErrorCode::StaleBrokerEpoch);
    }
    Ok(())
}
