//! `/controller`: the controller's registration, JSON version 2. Kafka 3.9: `ControllerZNode`.

use bytes::Bytes;
use serde_json::json;

use super::ZnodeError;
use super::json::{Object, to_bytes};
use crate::common::ids::BrokerId;

/// The controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControllerRegistration {
    /// Its broker id.
    pub broker_id: BrokerId,
    /// When it was elected, milliseconds since 1970; -1 if the znode does not say.
    pub timestamp_ms: i64,
    /// -1 for an ordinary controller. A value above 0 means that a KRaft controller has taken over for a migration, and
    /// no broker may act as controller or write configurations any more (fact 11).
    pub kraft_controller_epoch: i32,
}

impl ControllerRegistration {
    /// The registration of a broker.
    pub fn new(broker_id: BrokerId, timestamp_ms: i64) -> Self {
        Self {
            broker_id,
            timestamp_ms,
            kraft_controller_epoch: -1,
        }
    }

    /// Whether a KRaft controller has taken over (fact 11).
    pub fn is_kraft(&self) -> bool {
        self.kraft_controller_epoch > 0
    }

    /// The JSON.
    pub fn encode(&self) -> Bytes {
        to_bytes(&json!({
            "version": 2,
            "brokerid": self.broker_id,
            "timestamp": self.timestamp_ms.to_string(),
            "kraftControllerEpoch": self.kraft_controller_epoch,
        }))
    }

    /// Requires only `brokerid`.
    pub fn decode(data: &[u8]) -> Result<Self, ZnodeError> {
        let object = Object::parse(data)?;
        Ok(Self {
            broker_id: object.i32("brokerid")?,
            timestamp_ms: object.i64_in_str("timestamp").unwrap_or(-1),
            kraft_controller_epoch: object.opt_i32("kraftControllerEpoch")?.unwrap_or(-1),
        })
    }
}
