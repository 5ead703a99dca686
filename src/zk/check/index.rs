//! The kinds of znodes that a cluster of Kafka 3.9 has, from `zk-schema/index.json`, which also serves as
//! documentation.

use serde::Deserialize;

/// Compiled into the binary: the check must work without any other file.
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

/// What keeps a znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// ZooKeeper keeps it until it is deleted.
    Persistent,
    /// The session that created it.
    Ephemeral,
    /// ZooKeeper keeps it, and adds a number to its name.
    PersistentSequential,
}

/// The form of a znode's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Data {
    /// No data.
    None,
    /// JSON of a schema.
    Json,
    /// A number in decimal digits.
    Decimal,
    /// Any text.
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

    /// The kind of a znode: the most specific pattern if several match.
    pub(super) fn entry(&self, path: &str) -> Option<&Entry> {
        let matching = self.znodes.iter().filter(|entry| matches(&entry.path, path));
        matching.min_by_key(|entry| entry.path.matches('{').count())
    }
}

/// Whether `path` matches a pattern such as `/config/changes/config_change_{sequence}`.
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
