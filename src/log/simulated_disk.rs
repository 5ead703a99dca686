//! A disk for simulations: real files in a directory. A power loss keeps fsynced data and a part of the rest
//! ([`power_loss`](super::power_loss)), and any write may fail.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rand::Rng;

use super::LogManager;
use super::error::LogDirsError;
use super::fs::{Call, Faults, Fs, Verdict};
use super::power_loss::Durability;
use crate::common::clock::SharedClock;
use crate::config::{BrokerConfig, LogConfig};

/// The disk of one broker, for all lives of its process.
pub struct SimulatedDisk {
    dir: PathBuf,
    durability: Arc<Mutex<Durability>>,
}

/// The disk as one process sees it.
pub struct Mount {
    durability: Arc<Mutex<Durability>>,
    is_gone: AtomicBool,
    /// The next write stores this many bytes; then the disk is dead for this process.
    cut: Mutex<Option<usize>>,
}

impl SimulatedDisk {
    /// A disk with the content of `dir`.
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            durability: Arc::new(Mutex::new(Durability::of(dir))),
        }
    }

    /// The disk for a new process.
    pub fn mount(&self) -> Arc<Mount> {
        Arc::new(Mount {
            durability: self.durability.clone(),
            is_gone: AtomicBool::new(false),
            cut: Mutex::new(None),
        })
    }

    /// Simulates a power loss. No process may have the disk mounted.
    pub fn lose_power(&self, random: &mut impl Rng) {
        let mut durability = self.durability.lock();
        durability.draw(random).write(&self.dir);
        *durability = Durability::of(&self.dir);
    }
}

impl Mount {
    /// Ends the process's access: its later calls have no effect.
    pub fn unmount(&self) {
        self.is_gone.store(true, Ordering::SeqCst);
    }

    /// Makes the next write store `kept` bytes, and every later call fail.
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
        self.durability.lock().before(call, path);
        Verdict::Proceed
    }
}
