//! The scheduler: runs a log dir's background work, so that no append waits for it: fsync after a roll, removal of
//! files, periodic jobs. Kafka 3.9: `KafkaScheduler`.
//!
//! Jobs are values in a heap, ordered by their due time. In production threads run them; a test moves its clock and
//! calls [`Scheduler::run_due`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::common::clock::SharedClock;

/// Longest sleep of a thread before it reads the clock again, and so the longest delay in noticing that the clock was
/// moved.
const SLEEP_MS_MAX: i64 = 60_000;

type Work = Box<dyn FnOnce() + Send>;

struct Job {
    due_ms: i64,
    /// Jobs due at the same time run in the order in which they were given.
    sequence: u64,
    work: Work,
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        (self.due_ms, self.sequence) == (other.due_ms, other.sequence)
    }
}

impl Eq for Job {}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Job {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due_ms, self.sequence).cmp(&(other.due_ms, other.sequence))
    }
}

#[derive(Default)]
struct Queue {
    jobs: BinaryHeap<Reverse<Job>>,
    sequence: u64,
    stopped: bool,
}

/// The pending jobs.
pub struct Scheduler {
    clock: SharedClock,
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Scheduler {
    /// An empty schedule.
    pub fn new(clock: SharedClock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            queue: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Runs `work` on a background thread after `delay_ms`. Drops it if the scheduler has stopped.
    pub fn schedule(&self, delay_ms: i64, work: impl FnOnce() + Send + 'static) {
        let mut queue = self.queue.lock();
        if queue.stopped {
            return;
        }
        queue.sequence += 1;
        let job = Job {
            due_ms: self.clock.monotonic_ms().saturating_add(delay_ms.max(0)),
            sequence: queue.sequence,
            work: Box::new(work),
        };
        queue.jobs.push(Reverse(job));
        drop(queue);
        self.changed.notify_one();
    }

    /// Runs `work` after `initial_ms`, and again `interval_ms` after the end of each run.
    pub fn repeat(
        self: &Arc<Self>,
        initial_ms: u64,
        interval_ms: u64,
        work: impl Fn() + Send + Sync + 'static,
    ) {
        fn again(
            scheduler: &Arc<Scheduler>,
            delay_ms: u64,
            interval_ms: u64,
            work: Arc<dyn Fn() + Send + Sync>,
        ) {
            let weak = Arc::downgrade(scheduler);
            let delay_ms = i64::try_from(delay_ms).unwrap_or(i64::MAX);
            scheduler.schedule(delay_ms, move || {
                guarded(&*work);
                if let Some(scheduler) = weak.upgrade() {
                    again(&scheduler, interval_ms, interval_ms, work);
                }
            });
        }
        again(self, initial_ms, interval_ms, Arc::new(work));
    }

    /// Runs everything that is due on this thread. Returns the number of jobs.
    pub fn run_due(&self) -> usize {
        let mut done = 0;
        loop {
            let now = self.clock.monotonic_ms();
            let job = {
                let mut queue = self.queue.lock();
                match queue.jobs.peek() {
                    Some(Reverse(job)) if job.due_ms <= now => queue.jobs.pop(),
                    _ => None,
                }
            };
            let Some(Reverse(job)) = job else {
                return done;
            };
            guarded(job.work);
            done += 1;
        }
    }

    /// Runs jobs when they are due until [`Self::stop`] is called: the body of a background thread.
    pub fn run(&self) {
        loop {
            self.run_due();
            let mut queue = self.queue.lock();
            if queue.stopped {
                return;
            }
            let now = self.clock.monotonic_ms();
            let due = queue.jobs.peek().map_or(i64::MAX, |Reverse(job)| job.due_ms);
            let wait = due.saturating_sub(now).clamp(0, SLEEP_MS_MAX);
            if wait > 0 {
                self.changed
                    .wait_for(&mut queue, Duration::from_millis(wait as u64));
            }
        }
    }

    /// Drops the pending jobs and lets the threads end.
    pub fn stop(&self) {
        let mut queue = self.queue.lock();
        queue.stopped = true;
        queue.jobs.clear();
        drop(queue);
        self.changed.notify_all();
    }
}

/// Runs a job. A job that panics must not end the thread, which has later jobs to run.
fn guarded(work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        tracing::error!("a background job of the log panicked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::clock::ManualClock;

    #[test]
    fn jobs_run_when_due_and_in_order() {
        let clock = ManualClock::at(0);
        let scheduler = Scheduler::new(clock.clone());
        let seen: Arc<Mutex<Vec<&str>>> = Arc::default();
        let job = |name| {
            let seen = Arc::clone(&seen);
            move || seen.lock().push(name)
        };
        scheduler.schedule(20, job("late"));
        scheduler.schedule(10, job("early"));
        scheduler.schedule(10, job("next"));
        scheduler.schedule(10, || panic!("a job may panic"));
        scheduler.repeat(5, 100, job("tick"));
        assert_eq!(scheduler.run_due(), 0);
        clock.advance(10);
        assert_eq!(scheduler.run_due(), 4);
        assert_eq!(*seen.lock(), ["tick", "early", "next"]);
        clock.advance(100);
        scheduler.run_due();
        assert_eq!(*seen.lock(), ["tick", "early", "next", "late", "tick"]);
        scheduler.stop();
        clock.advance(1000);
        assert_eq!(scheduler.run_due(), 0);
    }

    #[test]
    fn a_thread_runs_jobs_until_it_is_stopped() {
        let scheduler = Scheduler::new(crate::common::clock::SystemClock::shared());
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let scheduler = Arc::clone(&scheduler);
            move || scheduler.run()
        });
        scheduler.schedule(1, move || send.send(()).unwrap());
        receive.recv().unwrap();
        scheduler.stop();
        thread.join().unwrap();
    }
}
