//! Runs the same blocking work for many items on several threads: a file system does many fsyncs at once in the time of
//! one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

/// Runs `work` for each item on up to `threads` threads, including this one. Returns the results in the order of the
/// items. Passes a panic in `work` on.
pub fn map<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    map_numbered(items, threads, |_, item| work(item))
}

/// Like [`map`], but passes the number of the thread, from 0 on, to `work`.
pub fn map_numbered<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(usize, &T) -> R + Sync,
) -> Vec<R> {
    // A simulation has one thread.
    #[cfg(test)]
    let threads = if super::seeded::is_seeded() { 1 } else { threads };
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let take_turns = |thread: usize| {
        while let Some((i, item)) = {
            let i = next.fetch_add(1, Ordering::Relaxed);
            items.get(i).map(|item| (i, item))
        } {
            let result = work(thread, item);
            results.lock().push((i, result));
        }
    };
    thread::scope(|scope| {
        for thread in 1..threads.min(items.len()) {
            let take_turns = &take_turns;
            scope.spawn(move || take_turns(thread));
        }
        take_turns(0);
    });
    let mut results = results.into_inner();
    results.sort_unstable_by_key(|(i, _)| *i);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items_and_threads_work_at_once() {
        assert_eq!(map(&[0_u8; 0], 8, |byte| *byte), [0; 0]);
        let items: Vec<usize> = (0..1000).collect();
        assert_eq!(
            map(&items, 7, |i| i * 2),
            items.iter().map(|i| i * 2).collect::<Vec<_>>()
        );
        // The barrier opens only if four threads are in `work` at the same time.
        let barrier = Barrier::new(4);
        map(&items[..4], 4, |_| barrier.wait().is_leader());
    }
}
