//! A disk for simulations: real files in a directory, of which a loss of power leaves what was fsynced and a part of
//! the rest, and which may fail at any write.
//!
//! What a loss of power can do to the small files beside the segments is not simulated here: `crash_tests` cuts
//! the work of a log off at every single call.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rand::Rng;

use super::LogManager;
use super::error::LogDirsError;
use super::fs::{Call, Faults, Fs, Verdict};
use crate::common::clock::SharedClock;
use crate::config::{BrokerConfig, LogConfig};

/// The disk of one broker, through all the lives of its process.
#[derive(Default)]
pub struct SimulatedDisk {
    /// How much of each segment would survive.
    synced: Arc<Mutex<HashMap<PathBuf, u64>>>,
}

/// The disk as one process sees it.
pub struct Mount {
    synced: Arc<Mutex<HashMap<PathBuf, u64>>>,
    is_gone: AtomicBool,
    /// The next write leaves so many bytes, then the disk is dead for this process.
    cut: Mutex<Option<usize>>,
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

impl SimulatedDisk {
    /// The view of a new process.
    pub fn mount(&self) -> Arc<Mount> {
        Arc::new(Mount {
            synced: self.synced.clone(),
            is_gone: AtomicBool::new(false),
            cut: Mutex::new(None),
        })
    }

    /// The power fails: of what was not fsynced, each segment below `dir` keeps nothing, something, or something with
    /// zeros behind it. No process may have the disk mounted.
    pub fn lose_power(&self, dir: &Path, random: &mut impl Rng) {
        let mut synced = self.synced.lock();
        for segment in segments_below(dir) {
            let length = length(&segment);
            let safe = synced.get(&segment).copied().unwrap_or(0).min(length);
            let kept = match random.random_range(0..3) {
                0 => safe,
                _ => random.random_range(safe..=length),
            };
            let has_zeros = random.random_bool(0.3);
            let file = OpenOptions::new()
                .write(true)
                .open(&segment)
                .expect("it was listed");
            file.set_len(kept).expect("a file can be cut");
            if has_zeros {
                let zeros = vec![0; (length - kept) as usize];
                file.write_all_at(&zeros, kept).expect("a file can be written");
            }
            synced.insert(segment, if has_zeros { length } else { kept });
        }
    }
}

fn segments_below(dir: &Path) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![dir.to_owned()], Vec::new());
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).expect("the dir is there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if is_segment(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

impl Mount {
    /// The process is gone: whatever it still tries comes to nothing.
    pub fn unmount(&self) {
        self.is_gone.store(true, Ordering::SeqCst);
    }

    /// The next write leaves `kept` bytes, and no later call succeeds.
    pub fn fail_at_next_write(&self, kept: usize) {
        *self.cut.lock() = Some(kept);
    }

    /// Opens the logs of a broker on this disk.
    pub fn open_logs(
        self: &Arc<Self>,
        config: &BrokerConfig,
        topic_config: &LogConfig,
        clock: SharedClock,
    ) -> Result<Arc<LogManager>, LogDirsError> {
        LogManager::open_on(Fs::with_faults(self.clone()), config, topic_config, clock)
    }

    fn note(&self, call: Call, path: &Path) {
        if !is_segment(path) {
            return;
        }
        let mut synced = self.synced.lock();
        match call {
            Call::Sync => drop(synced.insert(path.to_owned(), length(path))),
            // It may have been cut since it was fsynced.
            Call::Write(_) => {
                if let Some(safe) = synced.get_mut(path) {
                    *safe = (*safe).min(length(path));
                }
            }
            _ => {}
        }
    }
}

impl Faults for Mount {
    fn before(&self, call: Call, path: &Path) -> Verdict {
        let dead = || io::Error::other("simulated");
        if self.is_gone.load(Ordering::SeqCst) {
            return Verdict::Fail(dead());
        }
        if let Call::Write(_) = call
            && let Some(kept) = self.cut.lock().take()
        {
            self.unmount();
            return Verdict::Cut(kept, dead());
        }
        self.note(call, path);
        Verdict::Proceed
    }
}
