//! The cleaner's error: why a clean ended early.

use std::io;

use crate::log::dir::LogDir;
use crate::log::error::LogError;
use crate::record::RecordError;

/// Why a clean ended early. The log is unchanged, or cleaned up to some segment.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// Another operation needs the log, or the thread has to stop.
    #[error("the cleaning was aborted")]
    Aborted,
    /// This log cannot be cleaned as it is, or not with the free space there is. Holds the reason as text for an
    /// operator.
    #[error("{0}")]
    Uncleanable(String),
    /// The log dir is offline, or the log is closed.
    #[error(transparent)]
    Storage(#[from] LogError),
}

impl CleanError {
    /// Classifies an I/O error: it concerns either this log and the space that it needs, or the disk.
    pub(super) fn from_io(dir: &LogDir, error: &io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, InvalidData, NotFound, QuotaExceeded, StorageFull, UnexpectedEof};
        match error.kind() {
            InvalidData | UnexpectedEof | NotFound | StorageFull | QuotaExceeded | FileTooLarge => {
                Self::Uncleanable(error.to_string())
            }
            _ => Self::Storage(dir.fail(error)),
        }
    }
}

impl From<RecordError> for CleanError {
    fn from(error: RecordError) -> Self {
        Self::Uncleanable(error.to_string())
    }
}
