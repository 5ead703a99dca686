//! The names of files and directories in a log dir: this module alone builds and parses them. Kafka 3.9:
//! `LogFileUtils`, `LocalLog.parseTopicPartitionName`.

use std::path::{Path, PathBuf};

use crate::common::ids::{Offset, TopicPartition, random_uuid};

/// Suffix of a segment's records.
pub const LOG_SUFFIX: &str = ".log";
/// Suffix of the index from offsets to file positions.
pub const INDEX_SUFFIX: &str = ".index";
/// Suffix of the index from timestamps to offsets.
pub const TIME_INDEX_SUFFIX: &str = ".timeindex";
/// Suffix of the index of aborted transactions.
pub const TXN_INDEX_SUFFIX: &str = ".txnindex";
/// Suffix of the producer state before the offset in the name.
pub const SNAPSHOT_SUFFIX: &str = ".snapshot";
/// Appended to a file that will be removed after `file.delete.delay.ms`.
pub const DELETED_SUFFIX: &str = ".deleted";
/// Appended to a file the cleaner is writing.
pub const CLEANED_SUFFIX: &str = ".cleaned";
/// Appended to a file the cleaner has finished and is moving into place.
pub const SWAP_SUFFIX: &str = ".swap";

/// Longest file name that common file systems allow.
const NAME_LENGTH_MAX: usize = 255;

/// `00000000000000000042.log` and the like; `suffix` may be a chain such as `.log.deleted`.
pub fn segment_file(dir: &Path, base_offset: Offset, suffix: &str) -> PathBuf {
    dir.join(format!("{base_offset:020}{suffix}"))
}

/// The path with a suffix behind its file name.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Digits of an offset in a file's name.
const OFFSET_DIGITS: usize = 20;

/// Splits `00000000000000000042.log.swap` into 42 and `.log.swap`; `None` if it does not start with an offset of twenty
/// digits. Such a file is not a segment's, and the log does not touch it.
pub fn parse_segment_file(name: &str) -> Option<(Offset, &str)> {
    let dot = name.find('.')?;
    let (digits, suffix) = name.split_at(dot);
    if digits.len() != OFFSET_DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, suffix))
}

/// The kind of a partition's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionDirKind {
    /// The log itself.
    Current,
    /// `-delete`: a deleted log whose files will be removed.
    Deleted,
    /// `-future`: the copy that will replace the log in another log dir.
    Future,
    /// `-stray`: a replica that the cluster does not know.
    Stray,
}

impl PartitionDirKind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Current => "",
            Self::Deleted => "-delete",
            Self::Future => "-future",
            Self::Stray => "-stray",
        }
    }
}

/// Parses `topic-0` and `topic-0.<32 hex>-delete`; `None` for a directory that is not a partition's (fact 53).
pub fn parse_partition_dir(name: &str) -> Option<(TopicPartition, PartitionDirKind)> {
    use PartitionDirKind::{Current, Deleted, Future, Stray};
    let kind = [Deleted, Future, Stray]
        .into_iter()
        .find(|kind| name.ends_with(kind.suffix()))
        .unwrap_or(Current);
    let plain = match kind {
        Current => name,
        // Kafka requires a dot and at least one character between it and the suffix.
        _ => {
            let stem = name.strip_suffix(kind.suffix())?;
            let (plain, id) = stem.rsplit_once('.')?;
            if id.is_empty() {
                return None;
            }
            plain
        }
    };
    let (topic, partition) = plain.rsplit_once('-')?;
    if topic.is_empty() || !partition.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((TopicPartition::new(topic, partition.parse().ok()?), kind))
}

/// A new name for the copy of a partition's directory in another log dir; `None` if the topic's name is too long for
/// that. The name is never shortened, because a restart must read the topic from it (KAFKA-4893).
pub fn future_partition_dir(partition: &TopicPartition) -> Option<String> {
    let name = format!(
        "{partition}.{}{}",
        random_uuid().simple(),
        PartitionDirKind::Future.suffix()
    );
    (name.len() <= NAME_LENGTH_MAX).then_some(name)
}

/// A new name for a partition's directory that is being deleted or set aside. The topic is shortened so that the name
/// fits.
pub fn partition_dir_with_suffix(partition: &TopicPartition, kind: PartitionDirKind) -> String {
    let tail = format!(
        "-{}.{}{}",
        partition.partition,
        random_uuid().simple(),
        kind.suffix()
    );
    // Topic names are ASCII; the loop keeps this correct for any string.
    let mut end = partition.topic.len().min(NAME_LENGTH_MAX - tail.len());
    while !partition.topic.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{tail}", &partition.topic[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_files_carry_twenty_digits() {
        let path = segment_file(Path::new("/d"), 42, LOG_SUFFIX);
        assert_eq!(path, Path::new("/d/00000000000000000042.log"));
        let deleted = with_suffix(&path, DELETED_SUFFIX);
        assert_eq!(deleted, Path::new("/d/00000000000000000042.log.deleted"));
        let cases = [
            ("00000000000000000042.log", Some((42, ".log"))),
            ("00000000000000000042.index.swap", Some((42, ".index.swap"))),
            ("leader-epoch-checkpoint", None),
            ("partition.metadata", None),
            (".log", None),
            ("42.log", None),
            ("99999999999999999999.log", None),
        ];
        for (name, expected) in cases {
            assert_eq!(parse_segment_file(name), expected, "{name}");
        }
    }

    #[test]
    fn partition_directories_are_told_apart() {
        use PartitionDirKind::*;
        let cases = [
            ("t-0", Some(("t", 0, Current))),
            ("a-b.c-12", Some(("a-b.c", 12, Current))),
            (
                "t-0.0123456789abcdef0123456789abcdef-delete",
                Some(("t", 0, Deleted)),
            ),
            (
                "a.b-7.0123456789abcdef0123456789abcdef-future",
                Some(("a.b", 7, Future)),
            ),
            ("t-3.ff-stray", Some(("t", 3, Stray))),
            ("t-0-delete", None),
            ("lost+found", None),
            ("t-", None),
            ("-0", None),
            ("t-x", None),
            ("t-99999999999", None),
        ];
        for (name, expected) in cases {
            let expected = expected.map(|(t, p, k)| (TopicPartition::new(t, p), k));
            assert_eq!(parse_partition_dir(name), expected, "{name}");
        }
    }

    #[test]
    fn a_copy_has_its_topics_whole_name_or_none() {
        let partition = TopicPartition::new("a.b", 7);
        let name = future_partition_dir(&partition).unwrap();
        assert_eq!(
            parse_partition_dir(&name),
            Some((partition, PartitionDirKind::Future))
        );
        let longest = NAME_LENGTH_MAX - "-0.".len() - 32 - "-future".len();
        for (length, fits) in [(longest, true), (longest + 1, false)] {
            let partition = TopicPartition::new("x".repeat(length), 0);
            assert_eq!(future_partition_dir(&partition).is_some(), fits, "{length}");
        }
    }

    #[test]
    fn a_long_topic_is_cut_to_fit() {
        let partition = TopicPartition::new("x".repeat(249), 1234);
        let name = partition_dir_with_suffix(&partition, PartitionDirKind::Deleted);
        assert_eq!(name.len(), NAME_LENGTH_MAX);
        let (parsed, kind) = parse_partition_dir(&name).unwrap();
        assert_eq!((parsed.partition, kind), (1234, PartitionDirKind::Deleted));
    }
}
