//! The offset checkpoints of a log dir: one offset for each partition. Kafka 3.9: `OffsetCheckpointFile`.
//!
//! ```text
//! 0
//! 1
//! orders 0 40
//! ```
//!
//! | file | offset | written |
//! |---|---|---|
//! | `recovery-point-offset-checkpoint` | flushed up to here | every minute, at shutdown, when a log is deleted |
//! | `log-start-offset-checkpoint` | start of the log, if above its first segment's | likewise |
//! | `replication-offset-checkpoint` | high watermark | every 5 s by the replica manager, at shutdown |
//! | `cleaner-offset-checkpoint` | first dirty offset | by the log cleaner, after each pass |

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{read_entries, write_entries};
use crate::common::ids::{Offset, TopicPartition};
use crate::log::fs::Fs;

/// Name of the file with the recovery points.
pub const RECOVERY_POINT_FILE: &str = "recovery-point-offset-checkpoint";
/// Name of the file with the log start offsets.
pub const LOG_START_OFFSET_FILE: &str = "log-start-offset-checkpoint";
/// Name of the file with the high watermarks.
pub const HIGH_WATERMARK_FILE: &str = "replication-offset-checkpoint";
/// Name of the file with the cleaner's progress.
pub const CLEANER_OFFSET_FILE: &str = "cleaner-offset-checkpoint";

/// One such file.
#[derive(Clone)]
pub struct OffsetCheckpoint {
    fs: Fs,
    path: PathBuf,
}

impl OffsetCheckpoint {
    /// The file `name` in a log dir.
    pub fn new(fs: &Fs, log_dir: &Path, name: &str) -> Self {
        Self {
            fs: fs.clone(),
            path: log_dir.join(name),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All entries; none if the file does not exist. A malformed file is an error of kind `InvalidData`.
    pub fn read(&self) -> io::Result<HashMap<TopicPartition, Offset>> {
        let parse = |[topic, partition, offset]: [&str; 3]| {
            let partition = TopicPartition::new(topic, partition.parse().ok()?);
            Some((partition, offset.parse().ok()?))
        };
        Ok(read_entries(&self.fs, &self.path, parse)?.into_iter().collect())
    }

    /// Creates an empty file if there is none, as Kafka does when it opens a log dir. An empty file has no entries.
    pub fn create_if_missing(&self) -> io::Result<()> {
        match self.fs.length(&self.path)? {
            Some(_) => Ok(()),
            None => self.fs.create(&self.path).map(drop),
        }
    }

    /// Replaces all entries.
    pub fn write(&self, offsets: &HashMap<TopicPartition, Offset>) -> io::Result<()> {
        use std::fmt::Write as _;
        let mut sorted: Vec<_> = offsets.iter().collect();
        sorted.sort_unstable();
        write_entries(&self.fs, &self.path, sorted.into_iter(), |text, (tp, offset)| {
            write!(text, "{} {} {offset}", tp.topic, tp.partition)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> io::Result<HashMap<TopicPartition, Offset>> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("c"), content).unwrap();
        OffsetCheckpoint::new(&Fs::default(), dir.path(), "c").read()
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = OffsetCheckpoint::new(&Fs::default(), dir.path(), RECOVERY_POINT_FILE);
        assert!(file.read().unwrap().is_empty());
        let offsets = HashMap::from([
            (TopicPartition::new("b", 0), 7),
            (TopicPartition::new("a", 10), i64::MAX),
        ]);
        file.write(&offsets).unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(text, "0\n2\na 10 9223372036854775807\nb 0 7\n");
        assert_eq!(file.read().unwrap(), offsets);
    }

    #[test]
    fn malformed_files_are_refused_with_the_line() {
        let cases = [
            ("\n", "line 1"),
            ("1\n0\n", "line 1"),
            ("0\n", "line 2"),
            ("0\n-1\n", "line 2"),
            ("0\n99999999999\n", "line 2"),
            ("0\n1\n", "0 entries, 1 expected"),
            ("0\n1\nt 0 1\nt 1 1\n", "2 entries, 1 expected"),
            ("0\n1\nt 0\n", "line 3"),
            ("0\n1\nt 0 1 2\n", "line 3"),
            ("0\n1\nt x 1\n", "line 3"),
            ("0\n1\n\n", "line 3"),
        ];
        for (content, expected) in cases {
            let error = read(content).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{content:?}");
            assert!(error.to_string().contains(expected), "{content:?}: {error}");
        }
        assert!(read("").unwrap().is_empty());
        assert_eq!(read("0\n1\nt   0\t9\n").unwrap()[&TopicPartition::new("t", 0)], 9);
    }
}
