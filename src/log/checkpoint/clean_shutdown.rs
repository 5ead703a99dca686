//! `.kafka_cleanshutdown`: says that a log dir was closed in order. Kafka 3.9: `CleanShutdownFileHandler`.
//!
//! Written last of all when a broker stops, after indexes are trimmed and snapshots and checkpoints are on disk
//! (fact 47). Taken away first of all when it starts, so that a crash while loading counts as one.

use std::io;
use std::path::Path;

use crate::log::fs::Fs;

/// Name of the file in a log dir.
pub const FILE_NAME: &str = ".kafka_cleanshutdown";
/// What a broker of a ZooKeeper-mode cluster writes; only the file's existence is looked at.
const CONTENT: &[u8] = br#"{"version":0,"brokerEpoch":-1}"#;

/// Writes the marker and makes it durable.
pub fn write(fs: &Fs, log_dir: &Path) -> io::Result<()> {
    fs.replace(&log_dir.join(FILE_NAME), CONTENT)
}

/// Takes the marker away; true if there was one.
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
