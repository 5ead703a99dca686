//! The partitions that a cleaner thread is cleaning, and those that it must not clean. Kafka 3.9: the states and the
//! condition of `LogCleanerManager`.
//!
//! The deletion and the move of a log pause its cleaning. They tell a running clean to abort and wait for it, at most
//! for the time of one buffer or one fsync. No other clean begins until the pause is over. Several pauses of one
//! partition are counted.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::common::ids::TopicPartition;

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// A thread is cleaning the partition.
    busy: bool,
    /// That thread has to stop.
    abort: bool,
    /// Number of pauses.
    pauses: usize,
}

/// The partitions that are being cleaned or paused.
#[derive(Default)]
pub struct CleaningStates {
    states: Mutex<HashMap<TopicPartition, State>>,
    /// Signals that a thread has released a partition.
    left: Condvar,
}

impl CleaningStates {
    /// Takes a partition for a thread. Returns false if another thread has it or it is paused.
    pub fn try_begin(&self, partition: &TopicPartition) -> bool {
        let mut states = self.states.lock();
        if states.contains_key(partition) {
            return false;
        }
        let state = State {
            busy: true,
            ..State::default()
        };
        states.insert(partition.clone(), state);
        true
    }

    /// Releases a partition.
    pub fn end(&self, partition: &TopicPartition) {
        let mut states = self.states.lock();
        if let Some(state) = states.get_mut(partition) {
            (state.busy, state.abort) = (false, false);
            if state.pauses == 0 {
                states.remove(partition);
            }
        }
        self.left.notify_all();
    }

    /// Whether the thread that cleans a partition has to stop.
    pub fn is_aborted(&self, partition: &TopicPartition) -> bool {
        self.states.lock().get(partition).is_some_and(|state| state.abort)
    }

    /// Whether a thread is cleaning a partition, or the partition is paused.
    pub fn is_taken(&self, partition: &TopicPartition) -> bool {
        self.states.lock().contains_key(partition)
    }

    /// Tells the thread that may be cleaning a partition to stop, without waiting for it.
    pub fn abort(&self, partition: &TopicPartition) {
        if let Some(state) = self.states.lock().get_mut(partition) {
            state.abort = state.busy;
        }
    }

    /// Keeps the cleaner away from a partition until the returned value is dropped. Returns when no thread is cleaning
    /// it. The caller must hold no lock of a log.
    pub fn abort_and_pause(self: &Arc<Self>, partition: &TopicPartition) -> Paused {
        let mut states = self.states.lock();
        states.entry(partition.clone()).or_default().pauses += 1;
        while let Some(state) = states.get_mut(partition).filter(|state| state.busy) {
            state.abort = true;
            self.left.wait(&mut states);
        }
        Paused {
            states: Arc::clone(self),
            partition: partition.clone(),
        }
    }
}

/// A partition that the cleaner keeps away from.
#[must_use = "the pause is over when this is dropped"]
pub struct Paused {
    states: Arc<CleaningStates>,
    partition: TopicPartition,
}

impl Drop for Paused {
    fn drop(&mut self) {
        let mut states = self.states.states.lock();
        if let Some(state) = states.get_mut(&self.partition) {
            state.pauses -= 1;
            if state.pauses == 0 && !state.busy {
                states.remove(&self.partition);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::limit::Limit;

    #[test]
    fn a_pause_waits_for_the_thread_and_keeps_others_away() {
        let states: Arc<CleaningStates> = Arc::default();
        let partition = TopicPartition::new("t", 0);
        assert!(states.try_begin(&partition));
        assert!(!states.try_begin(&partition));
        let pausing = std::thread::spawn({
            let (states, partition) = (states.clone(), partition.clone());
            move || states.abort_and_pause(&partition)
        });
        let _limit = Limit::start();
        while !states.is_aborted(&partition) {
            std::thread::yield_now();
        }
        states.end(&partition);
        let paused = pausing.join().unwrap();
        assert!(!states.try_begin(&partition) && !states.is_aborted(&partition));
        let again = states.abort_and_pause(&partition);
        drop(paused);
        assert!(!states.try_begin(&partition), "paused twice");
        drop(again);
        assert!(states.try_begin(&partition));
        states.abort(&partition);
        assert!(states.is_aborted(&partition));
        states.end(&partition);
        assert!(!states.is_taken(&partition));
        states.abort(&partition);
        assert!(
            states.try_begin(&partition) && !states.is_aborted(&partition),
            "nothing to abort"
        );
    }
}
