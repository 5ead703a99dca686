//! Whether a segment may still be growing.
//!
//! A running broker writes to the last segment of a partition, and a crash leaves that segment as it was. In its files
//! these are no corruption: an incomplete batch at the end of the `.log`, zeros behind it (`log.preallocate`), zeros
//! behind the last entry of an index, an incomplete last entry.

use std::path::Path;

use crate::log::names::{LOG_SUFFIX, parse_segment_file};

/// Whether the directory has no segment with a higher base offset than `file`. A copied file without neighbours counts
/// as the last segment.
pub(super) fn is_last_segment(file: &Path) -> bool {
    let base_offset = |name: &std::ffi::OsStr| Some(parse_segment_file(name.to_str()?)?.0);
    let Some(own) = file.file_name().and_then(base_offset) else {
        return true;
    };
    let dir = match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let Ok(entries) = dir.read_dir() else {
        return true;
    };
    !entries.flatten().any(
        |entry| match parse_segment_file(&entry.file_name().to_string_lossy()) {
            Some((offset, suffix)) => suffix == LOG_SUFFIX && offset > own,
            None => false,
        },
    )
}
