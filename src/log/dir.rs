//! One log dir: its path, its file system, and the latch that takes it offline. Kafka 3.9: `LogDirFailureChannel`.
//!
//! The first I/O error on a dir latches it: no log of it is written or read again until the broker restarts
//! (fact 55). An error is never retried as if nothing had happened; after a failed fsync nobody knows what is
//! on the disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::error::LogError;
use super::fs::Fs;

/// Where dirs report that they went offline.
#[derive(Default)]
pub struct FailureChannel {
    failed: Mutex<Vec<PathBuf>>,
    notify: Arc<Notify>,
}

impl FailureChannel {
    /// Dirs that failed since the last call.
    pub fn take(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.failed.lock())
    }

    /// Wakes one waiter for each failure, or the next one to wait.
    pub fn notify(&self) -> Arc<Notify> {
        Arc::clone(&self.notify)
    }

    fn report(&self, dir: &Path) {
        self.failed.lock().push(dir.to_owned());
        self.notify.notify_one();
    }
}

/// The space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total_bytes: i64,
    /// What an ordinary process may still write.
    pub usable_bytes: i64,
}

/// A log dir that the broker uses.
pub struct LogDir {
    path: PathBuf,
    fs: Fs,
    /// Why it is offline.
    offline: OnceLock<String>,
    failures: Arc<FailureChannel>,
}

impl LogDir {
    /// A dir that works until an error says otherwise.
    pub fn new(path: PathBuf, fs: Fs, failures: Arc<FailureChannel>) -> Arc<Self> {
        Arc::new(Self {
            path,
            fs,
            offline: OnceLock::new(),
            failures,
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its absolute path, by which tools know it.
    pub fn absolute_path(&self) -> PathBuf {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// Size and free space of its file system.
    pub fn space(&self) -> io::Result<Space> {
        let found = rustix::fs::statvfs(&self.path)?;
        let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(found.f_frsize)).unwrap_or(i64::MAX);
        Ok(Space {
            total_bytes: bytes(found.f_blocks),
            usable_bytes: bytes(found.f_bavail),
        })
    }

    /// The file calls to be used in it.
    pub fn fs(&self) -> &Fs {
        &self.fs
    }

    /// Whether it went offline.
    pub fn is_offline(&self) -> bool {
        self.offline.get().is_some()
    }

    /// An error if it is offline.
    pub fn ensure_online(&self) -> Result<(), LogError> {
        match self.offline.get() {
            None => Ok(()),
            Some(reason) => Err(self.error(&format!("offline, {reason}"))),
        }
    }

    /// Turns an I/O error into one that has taken the dir offline.
    pub fn check<T>(&self, result: io::Result<T>) -> Result<T, LogError> {
        result.map_err(|error| self.fail(&error))
    }

    /// Like [`Self::check`] for a read without the log's lock. A truncation or a deletion may pull the file away
    /// from under it, so bytes that make no sense and files that are not there fail the read, not the dir.
    pub fn check_read<T>(&self, result: io::Result<T>) -> Result<T, LogError> {
        result.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::NotFound => {
                tracing::warn!(dir = %self.path.display(), %error, "read failed");
                self.error(&error.to_string())
            }
            _ => self.fail(&error),
        })
    }

    /// Takes the dir offline; the first error counts and is logged here, as nobody above can handle it.
    pub fn fail(&self, error: &io::Error) -> LogError {
        let reason = error.to_string();
        if self.offline.set(reason.clone()).is_ok() {
            tracing::error!(dir = %self.path.display(), error = %reason, "log dir failed and goes offline");
            self.failures.report(&self.path);
        }
        self.error(&format!("offline, {}", self.offline.get().unwrap_or(&reason)))
    }

    /// An error of this dir that does not take it offline.
    pub fn error(&self, reason: &str) -> LogError {
        LogError::Storage {
            dir: self.path.display().to_string(),
            reason: reason.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_latches_and_is_reported_once() {
        let failures = Arc::new(FailureChannel::default());
        let dir = LogDir::new("/d".into(), Fs::default(), Arc::clone(&failures));
        assert!(dir.ensure_online().is_ok());
        for reason in ["first", "second"] {
            let error = dir.check::<()>(Err(io::Error::other(reason))).unwrap_err();
            assert!(error.to_string().contains("first"), "{error}");
        }
        assert!(dir.ensure_online().is_err());
        assert_eq!(failures.take(), [PathBuf::from("/d")]);
        assert!(failures.take().is_empty());
    }
}
