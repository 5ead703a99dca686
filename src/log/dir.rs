//! One log dir: its path, its file system, and its offline state. Kafka 3.9: `LogDirFailureChannel`.
//!
//! The first I/O error on a dir takes it offline: no log of it is written or read again until the broker restarts
//! (fact 55). The broker never retries as if nothing had happened: after a failed fsync the content of the disk is
//! unknown.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::error::LogError;
use super::fs::Fs;

/// The channel through which dirs report that they went offline.
#[derive(Default)]
pub struct FailureChannel {
    failed: Mutex<Vec<PathBuf>>,
    notify: Arc<Notify>,
}

impl FailureChannel {
    /// Dirs that have failed since the last call.
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
    /// Its size.
    pub total_bytes: i64,
    /// The part that an ordinary process may still write.
    pub usable_bytes: i64,
}

/// A log dir that the broker uses.
pub struct LogDir {
    path: PathBuf,
    fs: Fs,
    /// The reason why it is offline.
    offline: OnceLock<String>,
    failures: Arc<FailureChannel>,
}

impl LogDir {
    /// A dir that is online until an error occurs.
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

    /// Its absolute path, which tools use as its name.
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

    /// The file calls of this dir.
    pub fn fs(&self) -> &Fs {
        &self.fs
    }

    /// Whether it went offline.
    pub fn is_offline(&self) -> bool {
        self.offline.get().is_some()
    }

    /// Returns an error if it is offline.
    pub fn ensure_online(&self) -> Result<(), LogError> {
        match self.offline.get() {
            None => Ok(()),
            Some(reason) => Err(self.error(&format!("offline, {reason}"))),
        }
    }

    /// Takes the dir offline if the result is an I/O error.
    pub fn check<T>(&self, result: io::Result<T>) -> Result<T, LogError> {
        result.map_err(|error| self.fail(&error))
    }

    /// Like [`Self::check`], for a read without the log's lock. A truncation or a deletion may remove the file during
    /// the read, so invalid bytes and missing files fail the read, not the dir.
    pub fn check_read<T>(&self, result: io::Result<T>) -> Result<T, LogError> {
        result.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::NotFound => {
                tracing::warn!(dir = %self.path.display(), %error, "read failed");
                self.error(&error.to_string())
            }
            _ => self.fail(&error),
        })
    }

    /// Takes the dir offline. The first error is kept and logged here, because no caller can handle it.
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
