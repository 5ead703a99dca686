//! Model of a power loss, for tests: the states in which a directory and everything below it may be left. A page of a
//! file that was written since the last fsync may be the old one, and so may the file's length. The latest creations,
//! renames and removals in a directory may be undone, but only together with all later ones in the same directory.
//!
//! The files are real. The test announces each call before it makes it. The model keeps removed files, because they may
//! come back.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rand::Rng;
use tempfile::TempDir;

use super::fs::Call;

/// Bytes that are lost or kept together. The size is small compared to the tests' segments, as a page is to real ones.
const PAGE: usize = 96;

/// Inodes by name.
type Listing = BTreeMap<String, u64>;

enum Inode {
    /// A file's last fsynced content.
    File { synced: Vec<u8> },
    /// A directory's content at its last fsync, and after each change since.
    Directory { listings: Vec<Listing> },
}

/// The files after the power loss: the content of each by its path, and the directories.
#[derive(Debug, Default)]
pub struct Left(BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Left {
    /// Replaces everything below `root` by this state.
    pub fn write(&self, root: &Path) {
        for entry in fs::read_dir(root).expect("the root is there") {
            let path = entry.expect("readable").path();
            match path.is_dir() {
                true => fs::remove_dir_all(&path).expect("removable"),
                false => fs::remove_file(&path).expect("removable"),
            }
        }
        for (path, content) in &self.0 {
            match content {
                None => fs::create_dir(root.join(path)).expect("new"),
                Some(bytes) => fs::write(root.join(path), bytes).expect("writable"),
            }
        }
    }
}

/// Knows which part of a directory is durable.
pub struct Durability {
    root: PathBuf,
    inodes: HashMap<u64, Inode>,
    /// Holds a link to each file that may be needed, named by its inode.
    kept: TempDir,
}

impl Durability {
    /// Treats all existing files as durable. The root itself is durable too.
    pub fn of(root: &Path) -> Self {
        let beside = root.parent().expect("a root below a directory");
        let kept = TempDir::new_in(beside).expect("a directory beside");
        let mut durability = Self {
            root: root.to_owned(),
            inodes: HashMap::new(),
            kept,
        };
        durability.look_at_all(&durability.root.clone());
        let present: Vec<_> = durability.inodes.keys().copied().collect();
        for inode in present {
            durability.sync_inode(inode);
        }
        durability
    }

    /// The test must call this before each file call.
    pub fn before(&mut self, call: Call, path: &Path) {
        match call {
            Call::Read | Call::Write(_) | Call::SetLength => {}
            Call::Open | Call::Rename | Call::Remove | Call::CreateDir => {
                for dir in [Some(path), path.parent()].into_iter().flatten() {
                    if dir.is_dir() && dir.starts_with(&self.root) {
                        self.look(dir);
                    }
                }
            }
            Call::Sync => {
                // The last call may have created a file.
                let dir = if path.is_dir() { Some(path) } else { path.parent() };
                dir.filter(|dir| dir.starts_with(&self.root))
                    .into_iter()
                    .for_each(|dir| self.look(dir));
                if let Ok(metadata) = fs::metadata(path) {
                    self.sync_inode(metadata.ino());
                }
            }
        }
    }

    /// Draws a state in which a power loss now could leave the files.
    pub fn draw(&mut self, random: &mut impl Rng) -> Left {
        self.look_at_all(&self.root.clone());
        let mut left = Left::default();
        let root = fs::metadata(&self.root).expect("the root is there").ino();
        self.draw_below(root, Path::new(""), random, &mut left);
        left
    }

    fn draw_below(&self, directory: u64, path: &Path, random: &mut impl Rng, left: &mut Left) {
        let Some(Inode::Directory { listings }) = self.inodes.get(&directory) else {
            return;
        };
        let last = listings.len() - 1;
        let listing = match random.random_range(0..3) {
            0 => 0,
            1 => random.random_range(0..=last),
            _ => last,
        };
        for (name, inode) in &listings[listing] {
            let path = path.join(name);
            match &self.inodes[inode] {
                Inode::File { synced } => {
                    let torn = torn(synced, &self.present(*inode), random);
                    left.0.insert(path, Some(torn));
                }
                Inode::Directory { .. } => {
                    left.0.insert(path.clone(), None);
                    self.draw_below(*inode, &path, random, left);
                }
            }
        }
    }

    fn kept(&self, inode: u64) -> PathBuf {
        self.kept.path().join(inode.to_string())
    }

    /// A file's current content, even if it has no name any more.
    fn present(&self, inode: u64) -> Vec<u8> {
        fs::read(self.kept(inode)).expect("a link is kept")
    }

    /// Records the changes of a directory.
    fn look(&mut self, dir: &Path) {
        let (Ok(metadata), Ok(entries)) = (fs::metadata(dir), fs::read_dir(dir)) else {
            return;
        };
        let mut listing = Listing::new();
        for entry in entries.flatten() {
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else {
                continue;
            };
            let inode = entry.ino();
            listing.insert(name, inode);
            if self.inodes.contains_key(&inode) {
                continue;
            }
            let new = if kind.is_dir() {
                Inode::Directory {
                    listings: vec![Listing::new()],
                }
            } else {
                fs::hard_link(entry.path(), self.kept(inode)).expect("a link can be made");
                Inode::File { synced: Vec::new() }
            };
            self.inodes.insert(inode, new);
        }
        let known = self
            .inodes
            .entry(metadata.ino())
            .or_insert_with(|| Inode::Directory {
                listings: vec![Listing::new()],
            });
        if let Inode::Directory { listings } = known
            && listings.last() != Some(&listing)
        {
            listings.push(listing);
        }
    }

    fn look_at_all(&mut self, dir: &Path) {
        self.look(dir);
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                self.look_at_all(&entry.path());
            }
        }
    }

    fn sync_inode(&mut self, inode: u64) {
        let content = match self.inodes.get(&inode) {
            Some(Inode::File { .. }) => self.present(inode),
            _ => Vec::new(),
        };
        match self.inodes.get_mut(&inode) {
            Some(Inode::File { synced }) => *synced = content,
            Some(Inode::Directory { listings }) => drop(listings.drain(..listings.len() - 1)),
            None => {}
        }
    }
}

/// A state in which a power loss could leave a file.
pub fn torn(synced: &[u8], present: &[u8], random: &mut impl Rng) -> Vec<u8> {
    let lengths = [synced.len(), present.len()];
    let (shorter, longer) = (lengths[0].min(lengths[1]), lengths[0].max(lengths[1]));
    let length = match random.random_range(0..6) {
        0 => return synced.to_vec(),
        1 => return present.to_vec(),
        2 => lengths[0],
        3 => random.random_range(shorter..=longer),
        _ => lengths[1],
    };
    // A part that was never written to the disk reads as zeros.
    let mut left = vec![0; length];
    for (i, page) in left.chunks_mut(PAGE).enumerate() {
        let source = if random.random() { present } else { synced };
        for (byte, kept) in page.iter_mut().zip(source.iter().skip(i * PAGE)) {
            *byte = *kept;
        }
    }
    left
}
