//! Owns the deadlines of all groups of a coordinator in one queue, with one entry per group instead of one per member.
//! Kafka 3.9: the timer of `DelayedOperationPurgatory`.

use std::collections::BTreeMap;
use std::sync::Weak;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A queue of deadlines in monotonic milliseconds. Each deadline has a target `T`.
pub struct Timers<T> {
    queue: Mutex<Queue<T>>,
    earlier: Notify,
}

struct Queue<T> {
    /// Sorted by deadline, then by insertion order.
    entries: BTreeMap<(i64, u64), Weak<T>>,
    next_id: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        let queue = Queue {
            entries: BTreeMap::new(),
            next_id: 0,
        };
        Self {
            queue: Mutex::new(queue),
            earlier: Notify::new(),
        }
    }
}

impl<T> Timers<T> {
    /// Adds `target`. `take_due` returns it when `deadline_ms` is reached.
    pub fn add(&self, deadline_ms: i64, target: Weak<T>) {
        let mut queue = self.queue.lock();
        let id = queue.next_id;
        queue.next_id += 1;
        queue.entries.insert((deadline_ms, id), target);
        let is_earliest = queue
            .entries
            .first_key_value()
            .is_some_and(|(&(_, first), _)| first == id);
        drop(queue);
        if is_earliest {
            self.earlier.notify_one();
        }
    }

    /// The next deadline.
    pub fn next_ms(&self) -> Option<i64> {
        self.queue
            .lock()
            .entries
            .first_key_value()
            .map(|(&(deadline_ms, _), _)| deadline_ms)
    }

    /// Removes and returns the targets whose deadline has passed, with their deadlines, in the order of the deadlines.
    pub fn take_due(&self, now_ms: i64) -> Vec<(i64, Weak<T>)> {
        let mut queue = self.queue.lock();
        let later = queue.entries.split_off(&(now_ms.saturating_add(1), 0));
        let due = std::mem::replace(&mut queue.entries, later);
        due.into_iter()
            .map(|((deadline_ms, _), target)| (deadline_ms, target))
            .collect()
    }

    /// Waits until an entry is added with a deadline earlier than all others. An entry since the last return counts
    /// too.
    pub async fn earlier(&self) {
        self.earlier.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_is_due_comes_out_in_order_and_once() {
        let timers = Timers::default();
        let targets: Vec<_> = (0..3).map(Arc::new).collect();
        for (deadline_ms, target) in [(30, &targets[0]), (10, &targets[1]), (20, &targets[2])] {
            timers.add(deadline_ms, Arc::downgrade(target));
        }
        assert_eq!(timers.next_ms(), Some(10));
        let due = |now| -> Vec<_> {
            let due = timers.take_due(now);
            due.iter()
                .map(|(at, target)| (*at, *target.upgrade().unwrap()))
                .collect()
        };
        assert_eq!(due(9), []);
        assert_eq!(due(20), [(10, 1), (20, 2)]);
        assert_eq!(due(20), []);
        assert_eq!(timers.next_ms(), Some(30));
    }
}
