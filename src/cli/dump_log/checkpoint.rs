//! Dump of the checkpoint files of a log dir and of a partition. Kafka's tool does not print them.
//! Kafka 3.9: `OffsetCheckpointFile`, `LeaderEpochCheckpointFile`.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::files::read;
use super::report::{Line, Report, Stop};
use crate::common::ids::TopicPartition;
use crate::log::checkpoint::leader_epoch::{self, EpochEntry};
use crate::log::checkpoint::offset::{
    CLEANER_OFFSET_FILE, HIGH_WATERMARK_FILE, LOG_START_OFFSET_FILE, OffsetCheckpoint, RECOVERY_POINT_FILE,
};
use crate::log::fs::Fs;

/// `topic: orders partition: 0 offset: 40`.
struct PartitionOffset(TopicPartition, i64);

impl Line for PartitionOffset {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self(TopicPartition { topic, partition }, offset) = self;
        write!(out, "topic: {topic} partition: {partition} offset: {offset}")
    }

    fn json(&self) -> Value {
        let Self(TopicPartition { topic, partition }, offset) = self;
        json!({ "kind": "checkpoint", "topic": &**topic, "partition": partition, "offset": offset })
    }
}

impl Line for EpochEntry {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "epoch: {} startOffset: {}", self.epoch, self.start_offset)
    }

    fn json(&self) -> Value {
        json!({ "kind": "leaderEpoch", "epoch": self.epoch, "startOffset": self.start_offset })
    }
}

/// Whether a file of this name is a checkpoint.
pub(super) fn is_checkpoint(name: &str) -> bool {
    [
        leader_epoch::FILE_NAME,
        RECOVERY_POINT_FILE,
        LOG_START_OFFSET_FILE,
        HIGH_WATERMARK_FILE,
        CLEANER_OFFSET_FILE,
    ]
    .contains(&name)
}

/// Dumps a checkpoint, its entries in order of topic and partition, or of epochs.
pub(super) fn dump(path: &Path, name: &str, report: &mut Report<'_>) -> Result<(), Stop> {
    // The readers treat a missing file as empty, so this call checks first that the file exists.
    read(path)?;
    let malformed = |error: io::Error| Stop::unreadable(error);
    let fs = Fs::default();
    if name == leader_epoch::FILE_NAME {
        for entry in leader_epoch::read(&fs, path).map_err(malformed)? {
            report.line(&entry)?;
        }
        return Ok(());
    }
    let dir = path.parent().unwrap_or(Path::new(""));
    let offsets = OffsetCheckpoint::new(&fs, dir, name).read().map_err(malformed)?;
    let mut sorted: Vec<_> = offsets.into_iter().collect();
    sorted.sort_unstable();
    for (partition, offset) in sorted {
        report.line(&PartitionOffset(partition, offset))?;
    }
    Ok(())
}
