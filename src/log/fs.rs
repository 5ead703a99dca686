//! Every file call of the log module, in one place, so that tests can make the N-th call fail or write only a part.
//! Kafka 3.9 has no counterpart, except `Utils.atomicMoveWithFallback` and `Utils.flushDir`.
//!
//! An [`Fs`] without faults costs one branch for each call. Errors name the call and the file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// A call that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Opening a file, creating it if need be.
    Open,
    /// Reading bytes, or the list of a directory.
    Read,
    /// Writing this number of bytes.
    Write(usize),
    /// Cutting or growing a file.
    SetLength,
    /// fsync of a file or a directory.
    Sync,
    /// Renaming a file or a directory.
    Rename,
    /// Removing a file or a directory.
    Remove,
    /// Creating a directory.
    CreateDir,
}

/// What happens to a call.
pub enum Verdict {
    /// The call is made.
    Proceed,
    /// The call fails and changes nothing.
    Fail(io::Error),
    /// A write stores only so many of its bytes, then fails.
    Cut(usize, io::Error),
}

/// Decides which calls fail, for tests.
pub trait Faults: Send + Sync {
    /// Called before each call, in the order of the calls.
    fn before(&self, call: Call, path: &Path) -> Verdict;
}

/// The real file system, or one with faults.
#[derive(Clone, Default)]
pub struct Fs {
    faults: Option<Arc<dyn Faults>>,
}

/// Adds the attempted call and the file to the error.
fn explain(error: io::Error, what: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}

/// Whether a removal failed because of the file itself (it is protected, mounted, or still being written), and not
/// because the disk cannot be written.
pub fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind::{DirectoryNotEmpty, NotADirectory, PermissionDenied, ResourceBusy};
    matches!(
        error.kind(),
        DirectoryNotEmpty | NotADirectory | PermissionDenied | ResourceBusy
    )
}

/// An error about the content of a file, which is invalid.
pub fn corrupt(path: &Path, reason: impl std::fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{} is corrupt: {reason}", path.display()),
    )
}

impl Fs {
    /// A file system whose calls may fail.
    pub fn with_faults(faults: Arc<dyn Faults>) -> Self {
        Self { faults: Some(faults) }
    }

    #[inline]
    fn ask(&self, call: Call, path: &Path) -> io::Result<()> {
        match &self.faults {
            None => Ok(()),
            Some(faults) => match faults.before(call, path) {
                Verdict::Proceed => Ok(()),
                Verdict::Fail(error) | Verdict::Cut(_, error) => Err(error),
            },
        }
    }

    /// Opens for reading and writing; creates an empty file if there is none.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        let open = || {
            self.ask(Call::Open, path)?;
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
        };
        open().map_err(|e| explain(e, "open", path))
    }

    /// The file in `slot`, opened if necessary.
    pub fn open_once<'a>(&self, slot: &'a mut Option<Arc<File>>, path: &Path) -> io::Result<&'a Arc<File>> {
        match slot {
            Some(file) => Ok(file),
            None => Ok(slot.insert(Arc::new(self.open(path)?))),
        }
    }

    /// Opens an existing file for reading and writing.
    pub fn open_existing(&self, path: &Path) -> io::Result<File> {
        let open = || {
            self.ask(Call::Open, path)?;
            OpenOptions::new().read(true).write(true).open(path)
        };
        open().map_err(|e| explain(e, "open", path))
    }

    /// Creates an empty file or empties an existing one, for writing.
    pub fn create(&self, path: &Path) -> io::Result<File> {
        let create = || {
            self.ask(Call::Open, path)?;
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)
        };
        create().map_err(|e| explain(e, "create", path))
    }

    /// The whole file.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let read = || {
            self.ask(Call::Read, path)?;
            fs::read(path)
        };
        read().map_err(|e| explain(e, "read", path))
    }

    /// The whole file as text; `None` if it does not exist.
    pub fn read_text(&self, path: &Path) -> io::Result<Option<String>> {
        match self.read(path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(corrupt(path, "not UTF-8")),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Length of a file; `None` if it does not exist.
    pub fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(explain(e, "stat", path)),
        }
    }

    /// Fills the buffer from `position` on; reads fewer bytes only at the end of the file.
    pub fn read_at(&self, file: &File, path: &Path, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut read = || {
            self.ask(Call::Read, path)?;
            let mut filled = 0;
            while filled < buffer.len() {
                match file.read_at(&mut buffer[filled..], position + filled as u64) {
                    Ok(0) => break,
                    Ok(n) => filled += n,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
            Ok(filled)
        };
        read().map_err(|e| explain(e, "read", path))
    }

    /// Writes two pieces one behind the other at `position`, with one system call in all but rare cases.
    pub fn write_at(&self, file: &File, path: &Path, pieces: [&[u8]; 2], position: u64) -> io::Result<()> {
        let total = pieces[0].len() + pieces[1].len();
        let write = || match &self.faults {
            None => write_pieces(file, pieces, position),
            Some(faults) => match faults.before(Call::Write(total), path) {
                Verdict::Proceed => write_pieces(file, pieces, position),
                Verdict::Fail(error) => Err(error),
                Verdict::Cut(kept, error) => {
                    let all = pieces.concat();
                    write_pieces(file, [&all[..kept.min(total)], &[]], position)?;
                    Err(error)
                }
            },
        };
        write().map_err(|e| explain(e, "write", path))
    }

    /// Cuts or grows a file.
    pub fn set_length(&self, file: &File, path: &Path, length: u64) -> io::Result<()> {
        self.ask(Call::SetLength, path)
            .and_then(|()| file.set_len(length))
            .map_err(|e| explain(e, "set length of", path))
    }

    /// fsync, metadata included, as Java's `FileChannel.force(true)`.
    pub fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        self.ask(Call::Sync, path)
            .and_then(|()| file.sync_all())
            .map_err(|e| explain(e, "fsync", path))
    }

    /// fsync of a directory: makes creations, renames and removals in it durable.
    pub fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.ask(Call::Sync, path)
            .and_then(|()| File::open(path)?.sync_all())
            .map_err(|e| explain(e, "fsync", path))
    }

    /// Renames a file or a directory, replacing a file of that name.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Call::Rename, from)
            .and_then(|()| fs::rename(from, to))
            .map_err(|e| explain(e, "rename", from))
    }

    /// Does [`Self::rename`] if the file exists.
    pub fn rename_if_exists(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.rename(from, to) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Sets the time of a file's last change, in milliseconds since 1970.
    pub fn set_modified(&self, path: &Path, to_ms: i64) -> io::Result<()> {
        let to = std::time::UNIX_EPOCH + std::time::Duration::from_millis(to_ms.max(0) as u64);
        self.ask(Call::SetLength, path)
            .and_then(|()| OpenOptions::new().write(true).open(path)?.set_modified(to))
            .map_err(|e| explain(e, "set the time of", path))
    }

    /// Removes a file. Returns true if it existed.
    pub fn remove_if_exists(&self, path: &Path) -> io::Result<bool> {
        match self.ask(Call::Remove, path).and_then(|()| fs::remove_file(path)) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(explain(e, "remove", path)),
        }
    }

    /// Removes a directory and its content, if it exists.
    pub fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        match self
            .ask(Call::Remove, path)
            .and_then(|()| fs::remove_dir_all(path))
        {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(explain(e, "remove", path)),
            _ => Ok(()),
        }
    }

    /// Creates a directory and its parents.
    pub fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.ask(Call::CreateDir, path)
            .and_then(|()| fs::create_dir_all(path))
            .map_err(|e| explain(e, "create directory", path))
    }

    /// Names in a directory, sorted. Names that are not UTF-8 do not belong to barnabas and are left out.
    pub fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.list_if(path, |_| true)
    }

    /// Names in a directory, sorted, without subdirectories: a directory with the name of a segment's file is not a
    /// segment, as in Kafka.
    pub fn list_files(&self, path: &Path) -> io::Result<Vec<String>> {
        self.list_if(path, |entry| !entry.file_type().is_ok_and(|kind| kind.is_dir()))
    }

    fn list_if(&self, path: &Path, is_wanted: impl Fn(&fs::DirEntry) -> bool) -> io::Result<Vec<String>> {
        let list = || {
            self.ask(Call::Read, path)?;
            let mut names = Vec::new();
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                if let (true, Ok(name)) = (is_wanted(&entry), entry.file_name().into_string()) {
                    names.push(name);
                }
            }
            names.sort_unstable();
            Ok(names)
        };
        list().map_err(|e| explain(e, "list", path))
    }

    /// Replaces a small file so that a crash leaves either the old or the new content: writes `<path>.tmp`, fsyncs it,
    /// renames it to `path` and fsyncs the directory (fact 49).
    pub fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let temporary = super::names::with_suffix(path, ".tmp");
        let file = self.create(&temporary)?;
        self.write_at(&file, &temporary, [content, &[]], 0)?;
        self.sync(&file, &temporary)?;
        self.rename(&temporary, path)?;
        match path.parent() {
            Some(parent) => self.sync_dir(parent),
            None => Ok(()),
        }
    }
}

/// Calls pwritev until everything is written.
fn write_pieces(file: &File, pieces: [&[u8]; 2], mut position: u64) -> io::Result<()> {
    let [mut first, mut second] = pieces;
    while !first.is_empty() || !second.is_empty() {
        let slices = [IoSlice::new(first), IoSlice::new(second)];
        let written = if second.is_empty() {
            file.write_at(first, position)
        } else {
            rustix::io::pwritev(file, &slices, position).map_err(io::Error::from)
        };
        match written {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                position += n as u64;
                let of_first = n.min(first.len());
                first = &first[of_first..];
                second = &second[n - of_first..];
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    /// Fails the n-th call and every later one, as a dead disk does.
    struct DeadAfter(Mutex<usize>);

    impl Faults for DeadAfter {
        fn before(&self, _call: Call, _path: &Path) -> Verdict {
            let mut left = self.0.lock();
            match left.checked_sub(1) {
                Some(fewer) => {
                    *left = fewer;
                    Verdict::Proceed
                }
                None => Verdict::Fail(io::Error::other("injected")),
            }
        }
    }

    #[test]
    fn a_replaced_file_is_old_or_new_whichever_call_fails() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for calls in 0..5 {
            Fs::default().replace(&path, b"old").unwrap();
            let faulty = Fs::with_faults(Arc::new(DeadAfter(Mutex::new(calls))));
            let error = faulty.replace(&path, b"newer").unwrap_err();
            assert!(error.to_string().contains("injected"), "{error}");
            let expected: &[u8] = if calls < 4 { b"old" } else { b"newer" };
            assert_eq!(fs::read(&path).unwrap(), expected, "after {calls} calls");
        }
        Fs::with_faults(Arc::new(DeadAfter(Mutex::new(5))))
            .replace(&path, b"newest")
            .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newest");
    }

    #[test]
    fn pieces_are_written_one_behind_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = Fs::default().create(&path).unwrap();
        for pieces in [[&b"ab"[..], &b"cd"[..]], [b"abcd", b""], [b"", b"abcd"]] {
            Fs::default().write_at(&file, &path, pieces, 3).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"\0\0\0abcd");
        }
    }
}
