//! Tests of the selection: which logs, when, and which operations may interrupt a clean.

use super::*;

const DELETE_TOO: CleanupPolicy = CleanupPolicy {
    delete: true,
    compact: true,
};

fn filled(config: LogConfig) -> Cleaning {
    let cleaning = Cleaning::new(config);
    for i in 0..20u8 {
        cleaning.put(&[i % 4], Some(&[i]));
    }
    cleaning.test.commit();
    cleaning.test.log.roll().unwrap();
    cleaning
}

#[test]
fn a_log_that_is_not_dirty_enough_waits_for_the_lag() {
    let mut cleaning = filled(LogConfig {
        min_cleanable_dirty_ratio: 0.5,
        ..compacted()
    });
    assert!(cleaning.clean().cleaned);
    cleaning.put(b"\0", Some(b"new"));
    assert!(!cleaning.roll_and_clean().cleaned);
    let ratio = cleaning.manager.dirtiest_ratio();
    assert!((0.1..0.5).contains(&ratio), "{ratio}");
    let config = LogConfig {
        min_cleanable_dirty_ratio: 0.5,
        max_compaction_lag_ms: 5000,
        ..compacted()
    };
    cleaning.test.log.update_config(Arc::new(config));
    cleaning.test.clock.advance(5000);
    assert!(!cleaning.clean().cleaned);
    cleaning.test.clock.advance(700);
    let round = cleaning.clean();
    assert!(round.cleaned);
    let pre_clean = round.pre_clean.unwrap();
    assert_eq!(
        (pre_clean.max_compaction_delay_ms, pre_clean.delayed_partitions),
        (700, 1)
    );
}

#[test]
fn young_records_are_left_alone() {
    let mut cleaning = filled(LogConfig {
        min_compaction_lag_ms: 1000,
        ..compacted()
    });
    assert!(!cleaning.clean().cleaned);
    cleaning.test.clock.advance(900);
    cleaning.put(b"\0", Some(b"young"));
    cleaning.test.commit();
    cleaning.test.log.roll().unwrap();
    cleaning.test.clock.advance(100);
    assert!(cleaning.clean().cleaned);
    assert_eq!(cleaning.offsets(), [16, 17, 18, 19, 20]);
    assert!(!cleaning.clean().cleaned);
    cleaning.test.clock.advance(900);
    assert!(cleaning.clean().cleaned);
    assert_eq!(cleaning.offsets(), [17, 18, 19, 20]);
}

#[test]
fn a_log_with_both_policies_is_cleaned_and_deleted() {
    let mut cleaning = filled(LogConfig {
        cleanup_policy: DELETE_TOO,
        retention_ms: 10_000,
        ..compacted()
    });
    assert!(cleaning.clean().cleaned);
    assert_eq!(cleaning.offsets(), [16, 17, 18, 19]);
    cleaning.test.clock.advance(10_001);
    cleaning.put(b"\0", Some(b"new"));
    cleaning.test.commit();
    cleaning.clean();
    assert_eq!(cleaning.offsets(), [20]);
    assert_eq!(cleaning.test.log.log_start_offset(), 20);
    // The checkpoint follows the start.
    cleaning.put(b"\0", Some(b"newer"));
    assert!(cleaning.roll_and_clean().cleaned);
    assert_eq!(cleaning.offsets(), [21]);
}

#[test]
fn a_checkpoint_beyond_the_end_is_not_believed() {
    let mut cleaning = filled(compacted());
    assert!(cleaning.clean().cleaned);
    cleaning.test.log.truncate_to(17).unwrap();
    assert_eq!(cleaning.offsets(), [16]);
    cleaning.put(b"\0", Some(b"again"));
    assert!(cleaning.roll_and_clean().cleaned);
    assert_eq!(cleaning.offsets(), [17]);
}

/// Does something to the log at the n-th check during the work.
struct At<'a> {
    calls: std::cell::Cell<usize>,
    action: &'a dyn Fn(),
}

impl Worker for At<'_> {
    fn is_stopped(&self) -> bool {
        false
    }

    fn throttle(&self, _bytes: usize) -> i64 {
        let left = self.calls.get().checked_sub(1);
        self.calls.set(left.unwrap_or(usize::MAX));
        if left == Some(0) {
            (self.action)();
        }
        0
    }

    fn nap(&self, _ms: i64) {}
}

#[test]
fn a_truncation_at_any_moment_wins() {
    let mut aborted = 0;
    for n in 1.. {
        let mut cleaning = filled(LogConfig {
            segment_bytes: 300,
            ..compacted()
        });
        let log = cleaning.test.log.clone();
        // The same steps as in the log manager.
        let checkpoint = Arc::clone(&cleaning.manager.dirs()[0].checkpoint);
        let truncate = || {
            assert!(log.truncate_to(10).unwrap());
            let active = log.active_segment_base_offset();
            checkpoint.truncate(log.topic_partition(), active).unwrap();
        };
        let worker = At {
            calls: n.into(),
            action: &truncate,
        };
        let round = cleaning.manager.clean_once(&mut cleaning.cleaner, 0, &worker);
        assert_eq!(cleaning.quarantine_reason(), None);
        assert!(
            cleaning.unfinished_files().is_empty(),
            "{:?}",
            cleaning.test.files()
        );
        if log.log_end_offset() > 10 {
            // The clean ended earlier.
            break;
        }
        aborted += usize::from(!round.cleaned);
        assert!(cleaning.offsets().iter().all(|offset| *offset < 10), "step {n}");
        // Other records take the same offsets.
        for i in 0..10u8 {
            cleaning.put(&[i % 4], Some(b"other"));
        }
        let round = cleaning.roll_and_clean();
        assert!(round.cleaned, "step {n}");
        assert_eq!(cleaning.offsets(), [16, 17, 18, 19], "step {n}");
    }
    assert!(aborted > 10, "{aborted}");
}

#[test]
fn a_paused_or_aborted_partition_is_left_alone() {
    let mut cleaning = filled(compacted());
    let partition = TopicPartition::new("t", 0);
    let paused = cleaning.manager.abort_and_pause(&partition);
    assert!(!cleaning.clean().cleaned);
    drop(paused);
    let manager = &cleaning.manager;
    let abort = || manager.on_topic_config_change("t", &[TopicPartition::new("t", 0)]);
    let worker = At {
        calls: 3.into(),
        action: &abort,
    };
    assert!(!manager.clean_once(&mut cleaning.cleaner, 0, &worker).cleaned);
    assert!(cleaning.unfinished_files().is_empty());
    assert_eq!(cleaning.quarantine_reason(), None);
    assert!(cleaning.clean().cleaned);
}

/// A disk so slow that the throttle always applies.
struct Throttled<'a>(&'a dyn Fn());

impl Worker for Throttled<'_> {
    fn is_stopped(&self) -> bool {
        false
    }

    fn throttle(&self, bytes: usize) -> i64 {
        i64::from(bytes > 0) * 1_000_000_000
    }

    fn nap(&self, ms: i64) {
        assert!(ms <= 100);
        (self.0)();
    }
}

#[test]
fn a_throttled_clean_is_aborted_at_once() {
    let mut cleaning = filled(compacted());
    let naps = std::cell::Cell::new(0);
    let manager = &cleaning.manager;
    let abort_at_the_third = || {
        naps.set(naps.get() + 1);
        if naps.get() == 3 {
            manager.on_topic_config_change("t", &[TopicPartition::new("t", 0)]);
        }
    };
    let worker = Throttled(&abort_at_the_third);
    assert!(!manager.clean_once(&mut cleaning.cleaner, 0, &worker).cleaned);
    assert_eq!(naps.get(), 3);
}
