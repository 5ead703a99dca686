//! `/log_dir_event_notification/log_dir_event_N`: a broker lost a log directory, JSON version 1.
//! Kafka 3.9: `LogDirEventNotificationSequenceZNode`.

use bytes::Bytes;
use serde_json::json;

use super::ZnodeError;
use super::json::{Object, to_bytes};
use crate::common::ids::BrokerId;

/// The only kind of event.
const LOG_DIR_FAILURE_EVENT: i32 = 1;

/// The JSON.
pub fn encode(broker_id: BrokerId) -> Bytes {
    to_bytes(&json!({"version": 1, "broker": broker_id, "event": LOG_DIR_FAILURE_EVENT}))
}

/// The broker.
pub fn decode(data: &[u8]) -> Result<BrokerId, ZnodeError> {
    Object::parse(data)?.i32("broker")
}
