//! `/brokers/topics/T/partitions/P/state`: leader and in-sync replicas, JSON version 1.
//! Kafka 3.9: `TopicPartitionStateZNode`.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::ZnodeError;
use super::json::{Object, to_bytes, wrong_type};
use crate::common::ids::PartitionEpoch;
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderIsrAndControllerEpoch, LeaderRecoveryState};

/// The JSON. It does not hold the partition epoch, which is the znode's own version.
pub fn encode(state: &LeaderIsrAndControllerEpoch) -> Bytes {
    let LeaderAndIsr {
        leader,
        leader_epoch,
        isr,
        recovery_state,
        partition_epoch: _,
    } = &state.leader_and_isr;
    let mut object = Map::new();
    object.insert("controller_epoch".to_owned(), state.controller_epoch.into());
    object.insert("leader".to_owned(), (*leader).into());
    object.insert("version".to_owned(), 1.into());
    if *recovery_state != LeaderRecoveryState::Recovered {
        object.insert("leader_recovery_state".to_owned(), (*recovery_state as i8).into());
    }
    object.insert("leader_epoch".to_owned(), (*leader_epoch).into());
    object.insert("isr".to_owned(), isr.as_slice().into());
    to_bytes(&Value::Object(object))
}

/// Reads the JSON of a znode whose version is `partition_epoch`. Required are leader, leader epoch, ISR and controller
/// epoch; a missing recovery state means recovered.
pub fn decode(
    data: &[u8],
    partition_epoch: PartitionEpoch,
) -> Result<LeaderIsrAndControllerEpoch, ZnodeError> {
    let object = Object::parse(data)?;
    let recovery_state = match object.opt_i32("leader_recovery_state")? {
        None => LeaderRecoveryState::Recovered,
        Some(number) => i8::try_from(number)
            .ok()
            .and_then(LeaderRecoveryState::from_i8)
            .ok_or_else(|| wrong_type("leader_recovery_state", "0 or 1"))?,
    };
    Ok(LeaderIsrAndControllerEpoch {
        leader_and_isr: LeaderAndIsr {
            leader: object.i32("leader")?,
            leader_epoch: object.i32("leader_epoch")?,
            isr: object.brokers("isr")?,
            recovery_state,
            partition_epoch,
        },
        controller_epoch: object.i32("controller_epoch")?,
    })
}
