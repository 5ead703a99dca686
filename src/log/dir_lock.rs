//! `.lock`: keeps two brokers from using one log dir. Kafka 3.9: `FileLock`.
//!
//! Java holds an fcntl (POSIX) lock on the file, so barnabas must use one too. Such a lock belongs to the process, not
//! to the handle: it does not exclude a second broker in the same process, and it is lost when *any* handle of the file
//! is closed. An additional flock excludes other brokers of the same process.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock, flock};

use super::fs::Fs;

/// Name of the file in a log dir.
pub const FILE_NAME: &str = ".lock";

/// A locked log dir; unlocked when dropped.
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Locks `log_dir`. Fails at once with an error of kind `WouldBlock` if another broker holds the lock.
    pub fn acquire(fs: &Fs, log_dir: &Path) -> io::Result<Self> {
        let file = fs.open(&log_dir.join(FILE_NAME))?;
        if let Err(e) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // Closing this handle would release the fcntl lock of the other broker in this process, so the handle stays
            // open: a failed start costs one handle.
            std::mem::forget(file);
            return Err(held(e.into(), log_dir));
        }
        fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|e| held(e.into(), log_dir))?;
        Ok(Self { _file: file })
    }
}

fn held(error: io::Error, log_dir: &Path) -> io::Error {
    match error.kind() {
        // fcntl may also return EACCES.
        io::ErrorKind::WouldBlock | io::ErrorKind::PermissionDenied => io::Error::new(
            io::ErrorKind::WouldBlock,
            format!(
                "log dir {} is in use by another broker: it holds the lock on {FILE_NAME}",
                log_dir.display()
            ),
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dir_is_locked_once_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let fs = Fs::default();
        let lock = DirLock::acquire(&fs, dir.path()).unwrap();
        let error = DirLock::acquire(&fs, dir.path()).map(drop).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(lock);
    }
}
