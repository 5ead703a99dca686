//! Power loss tests: the power fails at every single call of every operation of a log. Unlike a killed process, the
//! machine loses data that was not fsynced: any page of a file that was written since, the file's new length, and any
//! of the latest creations, renames and removals in the directory. Flushed data must still be there, and all other data
//! must be something that was once written in its place.
//!
//! A script runs once, on a [`Disk`] that only observes. At each call the disk draws some of the states in which a
//! power loss could leave the files. The test writes each state to a directory of its own and recovers it there. From
//! some of the states a second life begins on such a disk: the power fails again during its recovery and first appends,
//! and a third and a fourth life follow.

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
use crate::log::power_loss::torn;
use crate::log::unified_log::UnifiedLog;

/// How many states are drawn at each call.
const DRAWS: usize = 4;
/// One of so many states gets another life.
const SURVIVOR: usize = 150;
/// How many further lives.
const LIVES: LeaderEpoch = 3;

/// Inodes by name.
type Listing = BTreeMap<String, u64>;

/// A file: its last fsynced content, and a handle that shows the current content even when no name is left.
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
}

/// Files by name.
type Files = BTreeMap<String, Vec<u8>>;

/// Files as a power loss at a call would have left them.
struct Draw {
    files: Files,
    recovery_point: Offset,
    call: String,
}

/// Files after a power loss, and the state of the log at that moment.
#[derive(Clone)]
struct Wreck {
    files: Files,
    opening: Opening,
    /// Batches that were flushed and may not be lost.
    promised: Content,
    /// Below this offset the epochs may be unknown.
    epochs_from: Offset,
    case: String,
}

/// Everything that was ever written at each offset.
type Written = BTreeMap<Offset, BTreeSet<i64>>;

#[derive(Default)]
struct Watched {
    inodes: HashMap<u64, Inode>,
    /// The directory at its last fsync, and after each change since.
    listings: Vec<Listing>,
    /// `None` while the log is being recovered.
    log: Option<Arc<UnifiedLog>>,
    draws: Vec<Draw>,
    calls: u64,
}

impl Watched {
    /// Records how the last call has changed the directory.
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

    fn draw(&self, random: &mut StdRng, recovery_point: Offset, call: &str) -> Draw {
        let last = self.listings.len() - 1;
        let listing = match random.random_range(0..3) {
            0 => 0,
            1 => random.random_range(0..=last),
            _ => last,
        };
        let files = self.listings[listing]
            .iter()
            .map(|(name, inode)| {
                let inode = &self.inodes[inode];
                (name.clone(), torn(&inode.synced, &inode.present(), random))
            })
            .collect();
        Draw {
            files,
            recovery_point,
            call: format!("{call}, listing {listing} of {last}"),
        }
    }
}

/// Observes the calls on a log's directory.
struct Disk {
    dir: PathBuf,
    /// How many states are drawn at each call.
    draws: usize,
    watched: Mutex<Watched>,
}

impl Disk {
    /// A disk whose directory has these files, all fsynced.
    fn with(files: &Files, dir: PathBuf, draws: usize) -> Arc<Self> {
        write_files(files, &dir);
        let mut watched = Watched::default();
        watched.look(&dir);
        for inode in watched.inodes.values_mut() {
            inode.synced = inode.present();
        }
        Arc::new(Self {
            dir,
            draws,
            watched: Mutex::new(watched),
        })
    }

    fn take_draws(&self) -> Vec<Draw> {
        std::mem::take(&mut self.watched.lock().draws)
    }
}

fn write_files(files: &Files, dir: &Path) {
    std::fs::create_dir(dir).unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
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
        let recovery_point = watched.log.as_ref().map_or(0, |log| log.recovery_point());
        for draw in 0..self.draws {
            let seed = watched.calls * DRAWS as u64 + draw as u64;
            let name = path.file_name().unwrap_or_default().display();
            let call = format!("seed {seed} at {call:?} {name}");
            let draw = watched.draw(&mut StdRng::seed_from_u64(seed), recovery_point, &call);
            watched.draws.push(draw);
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

/// The content of a log whose epochs are known from `epochs_from` on.
fn state(test: &TestLog, epochs_from: Offset) -> State {
    let start = test.log.log_start_offset();
    State {
        start,
        content: content(test, start.max(epochs_from)),
    }
}

/// Recovers a log and runs a script on it. Returns what a power loss at each call would leave.
fn live(
    config: &LogConfig,
    from: &Wreck,
    script: &[Step],
    draws: usize,
    (written, clock): (&mut Written, &mut i64),
) -> Vec<Wreck> {
    let root = testing::root();
    let disk = Disk::with(&from.files, root.path().join("t-0"), draws);
    let fs = Fs::with_faults(Arc::clone(&disk) as Arc<dyn Faults>);
    let test = TestLog::open(root, config.clone(), from.opening, fs)
        .unwrap_or_else(|error| panic!("{}: {error}", from.case));
    let mut wrecks = Vec::new();
    for draw in disk.take_draws() {
        wrecks.push(Wreck {
            files: draw.files,
            case: format!("{}; {} of its recovery", from.case, draw.call),
            ..from.clone()
        });
    }
    disk.watched.lock().log = Some(Arc::clone(&test.log));
    let mut before = state(&test, from.epochs_from);
    for step in single(script) {
        let recovery_point = test.log.recovery_point();
        take(&test, step, clock).unwrap();
        let after = match step {
            Step::Close => before.clone(),
            _ => state(&test, from.epochs_from),
        };
        for (offset, timestamp) in &after.content {
            written.entry(*offset).or_default().insert(*timestamp);
        }
        let start = before.start.max(after.start);
        for draw in disk.take_draws() {
            // The checkpoint may be as new as the recovery point, older, or as old as the log.
            let checkpointed = [draw.recovery_point, recovery_point, 0][wrecks.len() % 3];
            let is_promised = |(offset, timestamp): (&Offset, &i64)| {
                let is_flushed = *offset < draw.recovery_point || from.promised.contains_key(offset);
                is_flushed && after.content.get(offset) == Some(timestamp)
            };
            let kept = before.content.range(start..);
            let promised = kept.filter(|record| is_promised(*record));
            wrecks.push(Wreck {
                promised: promised
                    .map(|(offset, timestamp)| (*offset, *timestamp))
                    .collect(),
                opening: Opening {
                    recovery_point: Some(checkpointed),
                    ..UNCLEAN
                },
                epochs_from: start.max(from.epochs_from),
                case: format!(
                    "{}; {}, in {step:?}, recovery point {checkpointed}",
                    from.case, draw.call
                ),
                files: draw.files,
            });
        }
        before = after;
    }
    // The log holds the disk, so the disk must not hold the log.
    disk.watched.lock().log = None;
    wrecks
}

/// Runs a script and recovers what a power loss at each call of it would leave. Returns how many states that were. From
/// some of them the log gets another life, only to lose power again during its recovery or soon after.
fn fail_everywhere(config: &LogConfig, script: &[Step]) -> usize {
    let nothing = Wreck {
        files: Files::new(),
        opening: UNCLEAN,
        promised: Content::new(),
        epochs_from: 0,
        case: String::new(),
    };
    let (mut written, mut clock) = (Written::new(), NOW_MS);
    let wrecks = live(config, &nothing, script, DRAWS, (&mut written, &mut clock));
    let mut count = wrecks.len();
    for (i, wreck) in wrecks.into_iter().enumerate() {
        check_wreck(config, &wreck, &written);
        if i % SURVIVOR == 0 {
            count += fail_again(config, wreck, i as u64, (written.clone(), clock));
        }
    }
    count
}

fn fail_again(config: &LogConfig, mut wreck: Wreck, seed: u64, past: (Written, i64)) -> usize {
    use Step::*;
    let (mut written, mut clock) = past;
    let mut random = StdRng::seed_from_u64(seed);
    let mut count = 0;
    for epoch in 10..10 + LIVES {
        let script = [Follow(epoch, 2), Lead(epoch, 1), Flush, Follow(epoch, 1)];
        let mut wrecks = live(config, &wreck, &script, 1, (&mut written, &mut clock));
        wrecks
            .iter()
            .for_each(|wreck| check_wreck(config, wreck, &written));
        count += wrecks.len();
        wreck = wrecks.swap_remove(random.random_range(0..wrecks.len()));
    }
    count
}

fn check_wreck(config: &LogConfig, wreck: &Wreck, written: &Written) {
    let case = &wreck.case;
    let root = testing::root();
    write_files(&wreck.files, &root.path().join("t-0"));
    let test = TestLog::open(root, config.clone(), wreck.opening, Fs::default())
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    let read = || content(&test, wreck.epochs_from);
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read))
        .unwrap_or_else(|_| panic!("{case}: unreadable"));
    for (offset, timestamp) in &wreck.promised {
        assert_eq!(
            found.get(offset),
            Some(timestamp),
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
