//! `partition.metadata`: the id of the topic that a partition's directory belongs to. Kafka 3.9:
//! `PartitionMetadataFile`.
//!
//! ```text
//! version: 0
//! topic_id: mZJDz3pZQ-OQQbw_-HYL_Q
//! ```
//!
//! The last line has no line feed. The file is on disk before the first record (fact 54), and is never written for the
//! nil id.

use std::io;
use std::path::Path;

use crate::common::ids::{TopicId, uuid_from_base64, uuid_to_base64};
use crate::log::fs::{Fs, corrupt};

/// Name of the file in a partition's directory.
pub const FILE_NAME: &str = "partition.metadata";

/// The id in the file; `None` if there is no file.
pub fn read(fs: &Fs, path: &Path) -> io::Result<Option<TopicId>> {
    let Some(text) = fs.read_text(path)? else {
        return Ok(None);
    };
    let mut lines = text.lines();
    let mut field = |name: &str| {
        let line = lines.next()?;
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    };
    if field("version") != Some("0") {
        return Err(corrupt(path, "line 1 is not \"version: 0\""));
    }
    match field("topic_id").and_then(uuid_from_base64) {
        Some(id) if !id.is_nil() => Ok(Some(id)),
        _ => Err(corrupt(path, "no topic id in line 2")),
    }
}

/// Writes the file.
pub fn write(fs: &Fs, path: &Path, id: TopicId) -> io::Result<()> {
    assert!(!id.is_nil(), "the nil id stands for a topic without one");
    let text = format!("version: 0\ntopic_id: {}", uuid_to_base64(id));
    fs.replace(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_captured_file_is_read_and_written_again_to_the_byte() {
        let captured = "version: 0\ntopic_id: mZJDz3pZQ-OQQbw_-HYL_Q";
        let dir = tempfile::tempdir().unwrap();
        let (fs, path) = (Fs::default(), dir.path().join(FILE_NAME));
        assert_eq!(read(&fs, &path).unwrap(), None);
        std::fs::write(&path, captured).unwrap();
        let id = read(&fs, &path).unwrap().unwrap();
        assert_eq!(uuid_to_base64(id), "mZJDz3pZQ-OQQbw_-HYL_Q");
        write(&fs, &path, id).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), captured);
    }

    #[test]
    fn nonsense_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (fs, path) = (Fs::default(), dir.path().join(FILE_NAME));
        for content in [
            "",
            "version: 1\ntopic_id: mZJDz3pZQ-OQQbw_-HYL_Q",
            "version: 0",
            "version: 0\ntopic_id: short",
            "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA",
        ] {
            std::fs::write(&path, content).unwrap();
            assert!(read(&fs, &path).is_err(), "{content:?}");
        }
    }
}
