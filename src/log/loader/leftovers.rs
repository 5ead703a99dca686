//! Step 1 of opening a log: what deletions, cleanings and splits that were not completed have left in the directory.

use std::io;
use std::path::Path;

use crate::common::ids::Offset;
use crate::log::file_records::FileRecords;
use crate::log::fs::{Fs, is_refusal};
use crate::log::names::{CLEANED_SUFFIX, DELETED_SUFFIX, LOG_SUFFIX, SWAP_SUFFIX, parse_segment_file};

/// Step 1: removes and renames leftovers. Returns the names that are left.
pub(super) fn tidy_files(fs: &Fs, dir: &Path) -> io::Result<Vec<String>> {
    let names = fs.list_files(dir)?;
    let (mut swaps, mut cleaned) = (Vec::new(), Vec::new());
    let mut changed = false;
    for name in &names {
        let offset = parse_segment_file(name).map(|(offset, _)| offset);
        if name.ends_with(DELETED_SUFFIX) {
            match fs.remove_if_exists(&dir.join(name)) {
                Err(error) if is_refusal(&error) => {
                    tracing::warn!(%error, "leaving a file that was to be deleted");
                }
                removed => changed |= removed?,
            }
        } else if let (true, Some(offset)) = (name.ends_with(CLEANED_SUFFIX), offset) {
            cleaned.push((offset, name));
        } else if let (true, Some(offset)) = (name.ends_with(SWAP_SUFFIX), offset) {
            swaps.push((offset, name));
        }
    }
    // A swap file at or above the lowest cleaned file belongs to a split that did not complete.
    let cleaned_min = cleaned
        .iter()
        .map(|(offset, _)| *offset)
        .min()
        .unwrap_or(Offset::MAX);
    let (incomplete, valid): (Vec<_>, Vec<_>) =
        swaps.into_iter().partition(|(offset, _)| *offset >= cleaned_min);
    for (_, name) in incomplete.iter().chain(&cleaned) {
        changed |= fs.remove_if_exists(&dir.join(name))?;
    }
    if !valid.is_empty() {
        put_swaps_in_place(fs, dir, &names, &valid)?;
        changed = true;
    }
    match changed {
        true => fs.list_files(dir),
        false => Ok(names),
    }
}

/// Replaces the original segments by the cleaned segments that are complete.
fn put_swaps_in_place(fs: &Fs, dir: &Path, names: &[String], swaps: &[(Offset, &String)]) -> io::Result<()> {
    let (mut from, mut to) = (Offset::MAX, Offset::MIN);
    for (base_offset, name) in swaps {
        let path = dir.join(name);
        if !name.ends_with(&format!("{LOG_SUFFIX}{SWAP_SUFFIX}")) {
            continue;
        }
        let size = fs.length(&path)?.unwrap_or(0);
        let next = next_offset_of_file(fs, &path, *base_offset, size)?;
        tracing::info!(path = %path.display(), next, "completing the swap of a cleaned segment");
        from = from.min(*base_offset);
        to = to.max(next);
    }
    for name in names {
        let replaced = parse_segment_file(name).is_some_and(|(offset, _)| (from..to).contains(&offset));
        if replaced && !name.ends_with(SWAP_SUFFIX) {
            tracing::info!(file = %name, dir = %dir.display(), "removing a file that a cleaned segment replaces");
            fs.remove_if_exists(&dir.join(name))?;
        }
    }
    for (_, name) in swaps {
        let place = name.strip_suffix(SWAP_SUFFIX).unwrap_or(name);
        fs.rename(&dir.join(name), &dir.join(place))?;
    }
    fs.sync_dir(dir)
}

/// The offset behind the last whole batch of a `.log` under any name.
fn next_offset_of_file(fs: &Fs, path: &Path, base_offset: Offset, size: u64) -> io::Result<Offset> {
    let records = FileRecords::open(fs, path, size);
    let mut headers = records.headers(0, size)?;
    let mut next = base_offset;
    while let Some((_, header)) = headers.next_header()? {
        next = header.next_offset();
    }
    Ok(next)
}
