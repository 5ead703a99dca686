//! Identifiers that several layers share. Kafka 3.9: `TopicPartition`, `TopicIdPartition`, `Uuid`.
//!
//! Epochs and offsets are aliases rather than newtypes: the code compares them, adds them and writes them to the wire
//! as plain integers, as Kafka's documents describe them.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
#[cfg(test)]
use rand::Rng as _;

/// The `broker.id` of a broker; -1 stands for "none" wherever Kafka allows it.
pub type BrokerId = i32;
/// czxid of the broker's registration znode; -1 if unknown.
pub type BrokerEpoch = i64;
/// Each controller election increases it; stored in `/controller_epoch`.
pub type ControllerEpoch = i32;
/// Each leader election of a partition increases it; -1 if unknown.
pub type LeaderEpoch = i32;
/// zkVersion of a partition's state znode.
pub type PartitionEpoch = i32;
/// Position of a record in a partition.
pub type Offset = i64;
/// Identifier of an idempotent or transactional producer; -1 for none.
pub type ProducerId = i64;
/// Random identifier that a topic gets when it is created (KIP-516); nil for a topic without one.
pub type TopicId = uuid::Uuid;
/// A topic's name. It is shared instead of copied, because it is in every key of every map.
pub type TopicName = Arc<str>;

/// No broker: the leader of a partition that is offline.
pub const NO_BROKER: BrokerId = -1;
/// The leader of a partition in UpdateMetadata while its topic is being deleted.
pub const LEADER_DURING_DELETE: BrokerId = -2;
/// The sender does not know the leader epoch, so no fencing takes place.
pub const NO_LEADER_EPOCH: LeaderEpoch = -1;
/// The leader epoch with which a deleting StopReplica passes every fence (KIP-570, fact 25).
pub const LEADER_EPOCH_DURING_DELETE: LeaderEpoch = -2;

/// One partition of one topic.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: TopicName,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Joins a topic's name and a partition's number.
    pub fn new(topic: impl Into<TopicName>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

/// `topic-0`, as in Kafka's log messages and directory names.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A UUID in the form Kafka writes: 22 characters of URL-safe base64 without padding.
pub fn uuid_to_base64(id: TopicId) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

/// Parses the output of [`uuid_to_base64`]; `None` for anything else.
pub fn uuid_from_base64(text: &str) -> Option<TopicId> {
    let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    Some(TopicId::from_bytes(bytes))
}

/// A random UUID by Kafka's rules: its text never starts with a dash, which tools would read as a flag, and it is never
/// one of the two reserved values.
pub fn random_uuid() -> TopicId {
    #[cfg(test)]
    if let Some(bytes) = super::seeded::draw(|random| random.random::<[u8; 16]>()) {
        return uuid::Builder::from_random_bytes(bytes).into_uuid();
    }
    loop {
        let id = TopicId::new_v4();
        if !uuid_to_base64(id).starts_with('-') {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_kafkas_text_form() {
        let id = TopicId::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
        assert_eq!(uuid_to_base64(id), "AQIDBAUGBwgJCgsMDQ4PEA");
        assert_eq!(uuid_from_base64("AQIDBAUGBwgJCgsMDQ4PEA"), Some(id));
        assert_eq!(uuid_from_base64("short"), None);
        assert!(!uuid_to_base64(random_uuid()).starts_with('-'));
    }

    #[test]
    fn partitions_print_as_their_directory_is_called() {
        assert_eq!(TopicPartition::new("a-b", 3).to_string(), "a-b-3");
    }
}
