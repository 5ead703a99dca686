//! `.kafka_cleanshutdown`: marks a log dir that was closed in order. Kafka 3.9: `CleanShutdownFileHandler`.
//!
//! A stopping broker writes the file as its last step, after it has trimmed the indexes and flushed snapshots and
//! checkpoints (fact 47). A starting broker removes it as its first step, so that a crash while loading counts as a
//! crash.

use std::io;
use std::path::Path;

use crate::log::fs::Fs;

/// Name of the file in a log dir.
pub const FILE_NAME: &str = ".kafka_cleanshutdown";
/// The content that a broker of a ZooKeeper-mode cluster writes; only the file's existence matters.
const CONTENT: &[u8] = br#"{"version":0,"brokerEpoch":-1}"#;

/// Writes the marker and makes it durable.
pub fn write(fs: &Fs, log_dir: &Path) -> io::Result<()> {
    fs.replace(&log_dir.join(FILE_NAME), CONTENT)
}

/// Removes the marker. Returns true if it existed.
pub fn take(fs: &Fs, log_dir: &Path) -> io::Result<bool> {
    let existed = fs.remove_if_exists(&log_dir.join(FILE_NAME))?;
    if existed {
        fs.sync_dir(log_dir)?;
    }
    Ok(existed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_is_seen_once() {
        let dir = tempfile::tempdir().unwrap();
        let fs = Fs::default();
        assert!(!take(&fs, dir.path()).unwrap());
        write(&fs, dir.path()).unwrap();
        let text = std::fs::read_to_string(dir.path().join(FILE_NAME)).unwrap();
        assert_eq!(text, r#"{"version":0,"brokerEpoch":-1}"#);
        assert!(take(&fs, dir.path()).unwrap());
        assert!(!take(&fs, dir.path()).unwrap());
    }
}
