//! `/latest_producer_id_block`: the last allocated block of producer ids, JSON version 1.
//! Kafka 3.9: `ProducerIdBlockZNode`, `ProducerIdsBlock`.

use bytes::Bytes;
use serde_json::json;

use super::ZnodeError;
use super::json::{Object, to_bytes};
use crate::common::ids::{BrokerId, ProducerId};

/// How many ids a block has.
pub const PRODUCER_ID_BLOCK_SIZE: i64 = 1000;

/// A block of producer ids, both ends included. The znode is created together with its first block, never before, and
/// replaced by compare-and-set (fact 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The broker that owns the block.
    pub broker_id: BrokerId,
    /// The first id.
    pub first: ProducerId,
    /// The last id.
    pub last: ProducerId,
}

impl ProducerIdBlock {
    /// The block after `previous`, or the first block; `None` when the ids are used up.
    pub fn next(previous: Option<&Self>, broker_id: BrokerId) -> Option<Self> {
        let first = match previous {
            None => 0,
            Some(previous) => previous.last.checked_add(1)?,
        };
        let last = first.checked_add(PRODUCER_ID_BLOCK_SIZE - 1)?;
        Some(Self {
            broker_id,
            first,
            last,
        })
    }

    /// The JSON.
    pub fn encode(&self) -> Bytes {
        to_bytes(&json!({
            "version": 1,
            "broker": self.broker_id,
            "block_start": self.first.to_string(),
            "block_end": self.last.to_string(),
        }))
    }

    /// Requires every key except the version. A znode with null data, as Kafka creates it, reads as empty here and
    /// means that there is no block yet: callers must check `data.is_empty()` first.
    pub fn decode(data: &[u8]) -> Result<Self, ZnodeError> {
        let object = Object::parse(data)?;
        Ok(Self {
            broker_id: object.i32("broker")?,
            first: object.i64_in_str("block_start")?,
            last: object.i64_in_str("block_end")?,
        })
    }
}
