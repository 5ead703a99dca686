//! Owns the requests that wait for more bytes, a high watermark, a leader or a group member. Kafka 3.9:
//! `DelayedOperationPurgatory`, `DelayedOperation`.
//!
//! In Kafka the thread that makes a change also completes the operations that wait for it, so Kafka needs rules for the
//! lock order (facts 39 and 77). Here a waiting operation is a task. The task registers the keys that it depends on
//! *before* it checks its condition. Then it checks, and sleeps until one of the keys is touched or the timeout passes.
//! A change only wakes tasks; the waiting task itself completes the operation, with no lock held. The runtime's timer
//! wheel handles the timeouts.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The waiting operations by the keys that may complete them.
pub struct Purgatory<K> {
    inner: Arc<Inner<K>>,
}

struct Inner<K> {
    watchers: Mutex<HashMap<K, Vec<Arc<Notify>>>>,
    delayed: AtomicUsize,
}

impl<K> Clone for Purgatory<K> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

impl<K: Hash + Eq + Clone> Default for Purgatory<K> {
    fn default() -> Self {
        Self {
            inner: Arc::new(Inner {
                watchers: Mutex::default(),
                delayed: AtomicUsize::new(0),
            }),
        }
    }
}

/// An operation's registration under its keys. Dropping it removes the operation from the purgatory.
pub struct Watch<K: Hash + Eq> {
    purgatory: Arc<Inner<K>>,
    keys: Vec<K>,
    notify: Arc<Notify>,
}

impl<K: Hash + Eq + Clone> Purgatory<K> {
    /// Registers an operation. The watch sees every change of its keys from now on.
    pub fn watch(&self, keys: impl IntoIterator<Item = K>) -> Watch<K> {
        let notify = Arc::new(Notify::new());
        let keys: Vec<K> = keys.into_iter().collect();
        let mut watchers = self.inner.watchers.lock();
        for key in &keys {
            watchers.entry(key.clone()).or_default().push(notify.clone());
        }
        drop(watchers);
        self.inner.delayed.fetch_add(1, Ordering::Relaxed);
        Watch {
            purgatory: self.inner.clone(),
            keys,
            notify,
        }
    }

    /// Makes every operation registered under `key` check again.
    pub fn wake(&self, key: &K) {
        if self.inner.delayed.load(Ordering::Relaxed) == 0 {
            return;
        }
        if let Some(operations) = self.inner.watchers.lock().get(key) {
            for operation in operations {
                operation.notify_one();
            }
        }
    }

    /// Makes every operation check again.
    pub fn wake_all(&self) {
        for operations in self.inner.watchers.lock().values() {
            for operation in operations {
                operation.notify_one();
            }
        }
    }

    /// The number of waiting operations (metric `PurgatorySize`).
    pub fn delayed(&self) -> usize {
        self.inner.delayed.load(Ordering::Relaxed)
    }

    /// Calls `try_complete` immediately and again each time one of `keys` is touched, until it returns a value. Returns
    /// `None` if `timeout` passes first. Two tasks never run `try_complete` at the same time, and it never runs after
    /// this function returns.
    pub async fn wait<T>(
        &self,
        keys: impl IntoIterator<Item = K>,
        timeout: Duration,
        mut try_complete: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let watch = self.watch(keys);
        if let Some(done) = try_complete() {
            return Some(done);
        }
        let deadline = tokio::time::sleep(timeout);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                biased;
                () = watch.changed() => {
                    if let Some(done) = try_complete() {
                        return Some(done);
                    }
                }
                () = &mut deadline => return try_complete(),
            }
        }
    }
}

impl<K: Hash + Eq> Watch<K> {
    /// Waits until a key is touched. A touch since the registration or since the last return counts too.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }
}

impl<K: Hash + Eq> Drop for Watch<K> {
    fn drop(&mut self) {
        let mut watchers = self.purgatory.watchers.lock();
        for key in &self.keys {
            if let Some(operations) = watchers.get_mut(key) {
                operations.retain(|o| !Arc::ptr_eq(o, &self.notify));
                if operations.is_empty() {
                    watchers.remove(key);
                }
            }
        }
        drop(watchers);
        self.purgatory.delayed.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_operation_completes_when_its_key_is_touched_and_leaves_nothing_behind() {
        let purgatory = Purgatory::<&str>::default();
        let value = Arc::new(AtomicUsize::new(0));
        let (p, v) = (purgatory.clone(), value.clone());
        let waiting = tokio::spawn(async move {
            p.wait(["a", "b"], Duration::from_secs(5), || {
                match v.load(Ordering::SeqCst) {
                    0 => None,
                    n => Some(n),
                }
            })
            .await
        });
        tokio::task::yield_now().await;
        assert_eq!(purgatory.delayed(), 1);
        purgatory.wake(&"c");
        value.store(7, Ordering::SeqCst);
        purgatory.wake(&"b");
        assert_eq!(waiting.await.unwrap(), Some(7));
        assert_eq!(purgatory.delayed(), 0);
        assert!(purgatory.inner.watchers.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_operation_whose_time_is_up_looks_a_last_time() {
        let purgatory = Purgatory::<u8>::default();
        assert_eq!(
            purgatory.wait([1], Duration::from_secs(5), || None::<()>).await,
            None
        );
        assert_eq!(purgatory.delayed(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_touch_between_registration_and_look_is_not_missed() {
        let purgatory = Purgatory::<u8>::default();
        let watch = purgatory.watch([1]);
        let changed = || tokio::time::timeout(Duration::from_secs(5), watch.changed());
        assert!(changed().await.is_err(), "nothing has happened");
        purgatory.wake(&2);
        assert!(changed().await.is_err(), "the key of another operation");
        purgatory.wake(&1);
        assert!(changed().await.is_ok());
        purgatory.wake_all();
        assert!(changed().await.is_ok());
    }
}
