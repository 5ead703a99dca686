//! `/controller_epoch`: how many controllers there have been, as decimal text. Kafka 3.9: `ControllerEpochZNode`.

use bytes::Bytes;

use super::ZnodeError;
use super::json::number_text;
use crate::common::ids::ControllerEpoch;

/// The initial value of the znode; the first controller writes one more.
pub const INITIAL: ControllerEpoch = 0;

/// The text.
pub fn encode(epoch: ControllerEpoch) -> Bytes {
    Bytes::from(epoch.to_string())
}

/// Reads the text.
pub fn decode(data: &[u8]) -> Result<ControllerEpoch, ZnodeError> {
    number_text(data)
}
