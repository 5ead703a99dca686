//! Which znodes a cluster of Kafka 3.9 has: `zk-schema/index.json`, the same file that people read.

use serde::Deserialize;

/// Compiled in: the check must work where the binary is all there is.
const INDEX: &str = include_str!("../../../zk-schema/index.json");

/// One kind of znode.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    /// A pattern such as `/brokers/topics/{topic}`.
    path: String,
    pub(super) kind: Kind,
    pub(super) data: Data,
    /// The file of its JSON schema, if its data is JSON.
    pub(super) schema: Option<String>,
    /// Whether it may be empty instead.
    #[serde(default)]
    pub(super) nullable: bool,
}

/// Who keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// ZooKeeper.
    Persistent,
    /// The session that made it.
    Ephemeral,
    /// ZooKeeper, and gives it a number.
    PersistentSequential,
}

/// What is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Data {
    /// Nothing.
    None,
    /// JSON of a schema.
    Json,
    /// A number in decimal digits.
    Decimal,
    /// Anything.
    Text,
}

/// All kinds.
#[derive(Debug, Deserialize)]
pub(super) struct Index {
    znodes: Vec<Entry>,
}

impl Index {
    /// The index that was compiled in.
    pub(super) fn load() -> Self {
        serde_json::from_str(INDEX).expect("the compiled-in index is JSON, as its test says")
    }

    /// The kind of a znode, the most specific pattern if there are several.
    pub(super) fn entry(&self, path: &str) -> Option<&Entry> {
        let matching = self.znodes.iter().filter(|entry| matches(&entry.path, path));
        matching.min_by_key(|entry| entry.path.matches('{').count())
    }
}

/// Whether `path` fits a pattern such as `/config/changes/config_change_{sequence}`.
pub(in crate::zk) fn matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) => {
                let fits = match pattern.split_once('{') {
                    None => part == pattern,
                    Some((prefix, _)) => part.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()),
                };
                if !fits {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_znode_of_the_index_is_found_under_its_own_pattern() {
        let index = Index::load();
        for entry in &index.znodes {
            let path = entry.path.replace(['{', '}'], "");
            assert_eq!(index.entry(&path).unwrap().path, entry.path);
            assert_eq!(entry.schema.is_some(), entry.data == Data::Json, "{}", entry.path);
        }
        assert!(index.entry("/brokers/topics/t/partitions/0/states").is_none());
    }
}
