//! The rules for topic names, and the names of Kafka's own topics. Kafka 3.9: `Topic`.

/// Stores the offsets and members of groups.
pub const GROUP_METADATA_TOPIC: &str = "__consumer_offsets";
/// Stores the states of transactions.
pub const TRANSACTION_STATE_TOPIC: &str = "__transaction_state";
/// Stores the states of share groups in a later release (KIP-932).
pub const SHARE_GROUP_STATE_TOPIC: &str = "__share_group_state";
/// A KRaft controller's own log; no topic of a ZooKeeper-mode cluster may have this name.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// Longest name: the name and the partition's number together must fit into a directory's name.
const MAX_LENGTH: usize = 249;

/// Whether only the broker itself writes to the topic.
pub fn is_internal(topic: &str) -> bool {
    matches!(
        topic,
        GROUP_METADATA_TOPIC | TRANSACTION_STATE_TOPIC | SHARE_GROUP_STATE_TOPIC
    )
}

/// Why a name is invalid, in the text of Kafka's message.
pub fn validate(topic: &str) -> Result<(), String> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let problem = match topic {
        "" => "the empty string is not allowed".to_string(),
        "." | ".." => format!("'{topic}' is not allowed"),
        _ if topic.len() > MAX_LENGTH => {
            format!("the length of '{topic}' is longer than the max allowed length {MAX_LENGTH}")
        }
        _ if !topic.chars().all(is_legal) => {
            format!(
                "'{topic}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
            )
        }
        _ => return Ok(()),
    };
    Err(format!("Topic name is invalid: {problem}"))
}

/// Whether two topics would have the same metric names, in which `.` becomes `_`.
pub fn collide(one: &str, other: &str) -> bool {
    let unify = |c: u8| if c == b'.' { b'_' } else { c };
    one.bytes().map(unify).eq(other.bytes().map(unify))
}

/// Whether a name can collide with another one.
pub fn can_collide(topic: &str) -> bool {
    topic.contains(['.', '_'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_validated() {
        let longest = "x".repeat(MAX_LENGTH);
        for name in ["a", "A-b_c.9", "...", longest.as_str(), GROUP_METADATA_TOPIC] {
            assert_eq!(validate(name), Ok(()), "{name}");
        }
        let too_long = "x".repeat(MAX_LENGTH + 1);
        for name in [
            "",
            ".",
            "..",
            "a b",
            "a/b",
            "\u{e9}",
            "a\0",
            "a:b",
            too_long.as_str(),
        ] {
            assert!(validate(name).is_err(), "{name}");
        }
    }

    #[test]
    fn dots_and_underscores_collide() {
        assert!(collide("a.b_c", "a_b.c"));
        assert!(collide("a.b", "a.b"));
        assert!(!collide("a.b", "a-b"));
        assert!(!collide("a.b", "a.bc"));
        assert!(can_collide("a.b") && can_collide("a_b") && !can_collide("a-b"));
    }

    #[test]
    fn internal_topics() {
        for topic in ["__consumer_offsets", "__transaction_state", "__share_group_state"] {
            assert!(is_internal(topic), "{topic}");
        }
        for topic in ["__consumer_offset", "__cluster_metadata", "consumer_offsets"] {
            assert!(!is_internal(topic), "{topic}");
        }
    }
}
