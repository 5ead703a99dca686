//! Documents each key in one sentence. DescribeConfigs returns the sentence, and the sentences are the reference of all
//! settings. Each table of keys has one table of sentences.

mod coordinator;
mod kraft;
mod log;
mod network;
mod own;
mod remote;
mod replication;
mod security;
mod server;
mod topic;
mod zookeeper;

const OF_BROKERS: &[&[(&str, &str)]] = &[
    coordinator::SENTENCES,
    kraft::SENTENCES,
    log::SENTENCES,
    network::SENTENCES,
    own::SENTENCES,
    remote::SENTENCES,
    replication::SENTENCES,
    security::SENTENCES,
    server::SENTENCES,
    zookeeper::SENTENCES,
];

/// The documentation of a broker key.
pub fn of_broker_key(name: &str) -> Option<&'static str> {
    let all = OF_BROKERS.iter().flat_map(|sentences| sentences.iter());
    find(all, name)
}

/// The documentation of a topic key.
pub fn of_topic_key(name: &str) -> Option<&'static str> {
    find(topic::SENTENCES.iter(), name)
}

fn find(
    mut sentences: impl Iterator<Item = &'static (&'static str, &'static str)>,
    name: &str,
) -> Option<&'static str> {
    sentences
        .find(|(key, _)| *key == name)
        .map(|(_, sentence)| *sentence)
}

#[cfg(test)]
mod tests {
    use super::super::{broker_keys, topic_keys};
    use super::*;

    fn assert_one_sentence(name: &str, sentence: Option<&str>) {
        let sentence = sentence.unwrap_or_else(|| panic!("{name} has no sentence"));
        assert!(
            sentence.ends_with('.') && !sentence[..sentence.len() - 1].contains(". "),
            "{name}: {sentence}"
        );
        let unit = [
            ("ms", "millisecond"),
            ("hours", "hour"),
            ("minutes", "minute"),
            ("seconds", "second"),
            ("bytes", "byte"),
        ];
        for (suffix, word) in unit {
            let has_unit = name.rsplit('.').next() == Some(suffix);
            assert!(
                !has_unit || sentence.contains(word),
                "{name}: the unit is not named: {sentence}"
            );
        }
    }

    #[test]
    fn every_key_has_one_sentence() {
        for key in broker_keys() {
            assert_one_sentence(key.name, of_broker_key(key.name));
        }
        for key in topic_keys() {
            assert_one_sentence(key.name, of_topic_key(key.name));
        }
        let sentences = OF_BROKERS.iter().map(|sentences| sentences.len()).sum::<usize>();
        // The three keys that exist only in ZooKeeper are not in the tables for `server.properties`.
        assert_eq!(sentences, broker_keys().count() + 3);
        assert_eq!(topic::SENTENCES.len(), topic_keys().len());
    }
}
