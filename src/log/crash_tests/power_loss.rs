//! The power fails at every single call of everything a log does. Unlike a process that dies, the machine loses what
//! was not fsynced: any page of a file that was written since, the length it has got, any of the latest creations,
//! renames and removals in the directory. What was flushed must be there all the same, and whatever else is there
//! must have been written there once.
//!
//! A script runs once, on a [`Disk`] that only watches. At each call it draws some of the states in which the power
//! could leave the files; each is written to a directory of its own and recovered there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::log::fs::{Faults, Verdict};
use crate::log::unified_log::UnifiedLog;

/// Bytes that are lost or kept together: as small beside the segments here as a page is beside real ones.
const PAGE: usize = 96;
/// How many states are drawn at each call.
const DRAWS: usize = 4;

/// Inodes by name.
type Listing = BTreeMap<String, u64>;

/// A file: its last fsynced content, and a handle that shows the present one even when no name is left.
struct Inode {
    synced: Vec<u8>,
    handle: File,
}

impl Inode {
    fn present(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut file = self.handle.try_clone().unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// What may be left of it.
    fn draw(&self, random: &mut StdRng) -> Vec<u8> {
        let present = self.present();
        let lengths = [self.synced.len(), present.len()];
        let (shorter, longer) = (lengths[0].min(lengths[1]), lengths[0].max(lengths[1]));
        let length = match random.random_range(0..6) {
            0 => return self.synced.clone(),
            1 => return present,
            2 => lengths[0],
            3 => random.random_range(shorter..=longer),
            _ => lengths[1],
        };
        // What was never written to the disk reads as zeros.
        let mut left = vec![0; length];
        for (i, page) in left.chunks_mut(PAGE).enumerate() {
            let source = if random.random() { &present } else { &self.synced };
            for (byte, kept) in page.iter_mut().zip(source.iter().skip(i * PAGE)) {
                *byte = *kept;
            }
        }
        left
    }
}

/// Files as the power has left them, and what is known of that moment.
struct Wreck {
    files: BTreeMap<String, Vec<u8>>,
    recovery_point: Offset,
    call: String,
}

#[derive(Default)]
struct Watched {
    inodes: HashMap<u64, Inode>,
    /// The directory as of its last fsync and after each change since.
    listings: Vec<Listing>,
    log: Option<Arc<UnifiedLog>>,
    wrecks: Vec<Wreck>,
    calls: u64,
}

impl Watched {
    /// Notes what the last call has done to the directory.
    fn look(&mut self, dir: &Path) {
        let mut listing = Listing::new();
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let entry = entry.unwrap();
            let inode = entry.ino();
            listing.insert(entry.file_name().into_string().unwrap(), inode);
            self.inodes.entry(inode).or_insert_with(|| Inode {
                synced: Vec::new(),
                handle: File::open(entry.path()).unwrap(),
            });
        }
        if self.listings.last() != Some(&listing) {
            self.listings.push(listing);
        }
    }

    fn draw(&self, random: &mut StdRng, recovery_point: Offset, call: &str) -> Wreck {
        let last = self.listings.len() - 1;
        let listing = match random.random_range(0..3) {
            0 => 0,
            1 => random.random_range(0..=last),
            _ => last,
        };
        let files = self.listings[listing]
            .iter()
            .map(|(name, inode)| (name.clone(), self.inodes[inode].draw(random)))
            .collect();
        Wreck {
            files,
            recovery_point,
            call: format!("{call}, listing {listing} of {last}"),
        }
    }
}

/// Watches what is done to a log's directory.
struct Disk {
    dir: PathBuf,
    watched: Mutex<Watched>,
}

impl Faults for Disk {
    fn before(&self, call: Call, path: &Path) -> Verdict {
        if call == Call::Read {
            return Verdict::Proceed;
        }
        let mut watched = self.watched.lock();
        let watched = &mut *watched;
        watched.look(&self.dir);
        watched.calls += 1;
        if let Some(log) = &watched.log {
            let recovery_point = log.recovery_point();
            for draw in 0..DRAWS {
                let seed = watched.calls * DRAWS as u64 + draw as u64;
                let name = path.file_name().unwrap_or_default().display();
                let call = format!("seed {seed} at {call:?} {name}");
                let wreck = watched.draw(&mut StdRng::seed_from_u64(seed), recovery_point, &call);
                watched.wrecks.push(wreck);
            }
        }
        if call == Call::Sync && path == self.dir {
            watched.listings.drain(..watched.listings.len() - 1);
        } else if call == Call::Sync
            && let Ok(metadata) = std::fs::metadata(path)
            && let Some(inode) = watched.inodes.get_mut(&metadata.ino())
        {
            inode.synced = inode.present();
        }
        Verdict::Proceed
    }
}

/// Runs a script, recovers what the power would leave at each call of it; how many states that were.
fn fail_everywhere(config: &LogConfig, script: &[Step]) -> usize {
    let root = testing::root();
    let disk = Arc::new(Disk {
        dir: root.path().join("t-0"),
        watched: Mutex::default(),
    });
    let fs = Fs::with_faults(Arc::clone(&disk) as Arc<dyn Faults>);
    let test = TestLog::open(root, config.clone(), CLEAN, fs).unwrap();
    test.log.assign_epoch_start_offset(0, 0).unwrap();
    disk.watched.lock().log = Some(Arc::clone(&test.log));
    let mut clock = NOW_MS;
    let mut before = State::of(&test);
    // What was ever written at each offset.
    let mut written: BTreeMap<Offset, BTreeSet<i64>> = BTreeMap::new();
    let mut wrecks = 0;
    for step in single(script) {
        let recovery_point = test.log.recovery_point();
        take(&test, step, &mut clock).unwrap();
        let after = match step {
            Step::Close => before.clone(),
            _ => State::of(&test),
        };
        for (offset, timestamp) in &after.content {
            written.entry(*offset).or_default().insert(*timestamp);
        }
        let left = std::mem::take(&mut disk.watched.lock().wrecks);
        for (i, wreck) in left.into_iter().enumerate() {
            wrecks += 1;
            // The checkpoint may be as new as the recovery point, older, or as old as the log.
            let checkpointed = [wreck.recovery_point, recovery_point, 0][i % 3];
            let case = format!("{}, in {step:?}, recovery point {checkpointed}", wreck.call);
            check_wreck(config, &wreck, checkpointed, [&before, &after], &written, &case);
        }
        before = after;
    }
    wrecks
}

fn check_wreck(
    config: &LogConfig,
    wreck: &Wreck,
    checkpointed: Offset,
    [before, after]: [&State; 2],
    written: &BTreeMap<Offset, BTreeSet<i64>>,
    case: &str,
) {
    let root = testing::root();
    let dir = root.path().join("t-0");
    std::fs::create_dir(&dir).unwrap();
    for (name, bytes) in &wreck.files {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
    let opening = Opening {
        recovery_point: Some(checkpointed),
        ..UNCLEAN
    };
    let test = TestLog::open(root, config.clone(), opening, Fs::default())
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    let start = before.start.max(after.start);
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| content(&test, start)))
        .unwrap_or_else(|_| panic!("{case}: unreadable"));
    for (offset, timestamp) in before.content.range(start..wreck.recovery_point.max(start)) {
        let is_lost = after.content.get(offset) == Some(timestamp) && found.get(offset) != Some(timestamp);
        assert!(
            !is_lost,
            "{case}: lost offset {offset}, which was flushed; {found:?}"
        );
    }
    for (offset, timestamp) in &found {
        let ever = written.get(offset).is_some_and(|ever| ever.contains(timestamp));
        assert!(ever, "{case}: offset {offset} out of nowhere");
    }
    assert_sound(test, &found, case);
}

#[test]
fn appends_rolls_and_flushes_survive_a_power_loss_at_any_call() {
    use Step::*;
    let script = [
        Lead(0, 4),
        Follow(0, 4),
        Flush,
        Follow(1, 9),
        Roll,
        Lead(2, 5),
        Flush,
        Follow(2, 12),
        Close,
    ];
    let mut wrecks = fail_everywhere(&config(), &script);
    wrecks += fail_everywhere(
        &LogConfig {
            preallocate: true,
            flush_messages: 3,
            ..config()
        },
        &script,
    );
    assert!(wrecks > 1000, "{wrecks}");
}

#[test]
fn retention_survives_a_power_loss_at_any_call() {
    let wrecks = fail_everywhere(&config(), &retention());
    assert!(wrecks > 500, "{wrecks}");
}

#[test]
fn truncation_survives_a_power_loss_at_any_call() {
    let wrecks =
        fail_everywhere(&config(), &truncation()) + fail_everywhere(&config(), &truncation_to_new_start());
    assert!(wrecks > 1000, "{wrecks}");
}
