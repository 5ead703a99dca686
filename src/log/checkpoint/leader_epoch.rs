//! `leader-epoch-checkpoint` of a partition: where each leader epoch begins. Kafka 3.9: `LeaderEpochCheckpointFile`.
//!
//! ```text
//! 0
//! 2
//! 0 0          leader epoch, its first offset
//! 3 118
//! ```

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use super::{read_entries, write_entries};
use crate::common::ids::{LeaderEpoch, Offset};
use crate::log::fs::Fs;

/// Name of the file in a partition's directory.
pub const FILE_NAME: &str = "leader-epoch-checkpoint";

/// A leader epoch and its first offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The leader's epoch.
    pub epoch: LeaderEpoch,
    /// Offset of the first record that this leader may have appended.
    pub start_offset: Offset,
}

/// All entries in the order of the file; none if the file does not exist.
pub fn read(fs: &Fs, path: &Path) -> io::Result<Vec<EpochEntry>> {
    read_entries(fs, path, |[epoch, start_offset]: [&str; 2]| {
        Some(EpochEntry {
            epoch: epoch.parse().ok()?,
            start_offset: start_offset.parse().ok()?,
        })
    })
}

/// Replaces the file.
pub fn write(fs: &Fs, path: &Path, entries: &[EpochEntry]) -> io::Result<()> {
    write_entries(fs, path, entries.iter(), |text, entry| {
        write!(text, "{} {}", entry.epoch, entry.start_offset)
    })
}
