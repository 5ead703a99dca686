//! The files of a segment by their names, and the content of a small one.

use std::path::{Path, PathBuf};

use super::report::Stop;

/// The base offset in the name of a segment's file.
pub(super) fn base_offset_of(path: &Path) -> Result<i64, Stop> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let digits = name.split('.').next().unwrap_or_default();
    digits
        .parse()
        .map_err(|_| Stop::unreadable("its name does not start with an offset"))
}

/// The file with another ending beside this one.
pub(super) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split('.').next().unwrap_or_default();
    path.with_file_name(format!("{stem}{suffix}"))
}

/// The whole of a small file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Stop> {
    std::fs::read(path).map_err(|error| Stop::unreadable(format!("{}: {error}", path.display())))
}
