//! Why a clean ended before its end.

use std::io;

use crate::log::dir::LogDir;
use crate::log::error::LogError;
use crate::record::RecordError;

/// Why a clean ended before its end. The log is as it was, or cleaned up to some segment.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// Somebody needs the log, or the thread is to stop.
    #[error("the cleaning was aborted")]
    Aborted,
    /// This log cannot be cleaned as it is, or not with the space there is: the reason, for people.
    #[error("{0}")]
    Uncleanable(String),
    /// The log dir is offline or the log closed.
    #[error(transparent)]
    Storage(#[from] LogError),
}

impl CleanError {
    /// Sorts an I/O error: is it about this log and the space it needs, or about the disk?
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
