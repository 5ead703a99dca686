//! Crash tests of a whole log dir: the disk fails at every call of checkpoints, creation and deletion of logs, and the
//! shutdown.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::{LogManager, opening};
use crate::common::clock::ManualClock;
use crate::common::ids::{Offset, TopicPartition, random_uuid};
use crate::config::{BrokerConfig, LogConfig};
use crate::log::checkpoint::clean_shutdown;
use crate::log::error::{LogDirsError, LogError};
use crate::log::fs::Fs;
use crate::log::testing::{self, Dying, NOW_MS, batch};
use crate::log::unified_log::AppendOrigin;
use crate::metrics::Registry;

/// The number of steps of [`live`].
const ALL_STEPS: usize = 7;

fn open(dir: &Path, fs: Fs) -> Result<Arc<LogManager>, LogDirsError> {
    let config = BrokerConfig::for_test(1, dir);
    let topic_config = |_: &str| LogConfig::default();
    let clock = ManualClock::at(NOW_MS);
    opening::open(&config, &topic_config, clock, &Registry::default(), fs)
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

/// Goes through the operations on a log dir. Returns how many steps completed.
fn live(manager: &LogManager) -> Result<(), usize> {
    let online = |step: usize| match manager.live_log_dirs().is_empty() {
        true => Err(step),
        false => Ok(()),
    };
    let create = |number| -> Result<(), LogError> {
        let id = Some(random_uuid());
        let log = manager.get_or_create_log(&partition(number), id, true, LogConfig::default())?;
        for _ in 0..3 {
            let appended = log.append_as_leader(batch(1, NOW_MS, 10), 0, AppendOrigin::Client);
            appended.map_err(|_| log.log_dir().error("offline"))?;
        }
        log.maybe_increment_high_watermark(3);
        Ok(())
    };
    create(0).and_then(|()| create(1)).map_err(|_| 0_usize)?;
    manager.scheduler.run_due();
    online(0)?;
    let high_watermarks = |offset| HashMap::from([(partition(0), offset), (partition(1), offset)]);
    manager.checkpoint_high_watermarks(&high_watermarks(2));
    online(1)?;
    let log = manager.get_log(&partition(0)).ok_or(1_usize)?;
    log.flush().map_err(|_| 2_usize)?;
    manager.checkpoint_recovery_points();
    online(2)?;
    log.maybe_increment_log_start_offset(1).map_err(|_| 3_usize)?;
    manager.checkpoint_log_start_offsets();
    online(3)?;
    manager.delete_log(&partition(1)).map_err(|_| 4_usize)?;
    manager.checkpoint_high_watermarks(&high_watermarks(3));
    online(5)?;
    manager.shutdown();
    online(6)
}

/// Checks the state that a start finds after so many steps.
fn check(dir: &Path, steps: usize, case: &str) {
    let was_clean = dir.join(clean_shutdown::FILE_NAME).exists();
    assert!(!was_clean || steps >= ALL_STEPS - 1, "{case}: closed in order?");
    let manager = open(dir, Fs::default()).unwrap_or_else(|error| panic!("{case}: {error}"));
    let log = manager.get_log(&partition(0));
    let Some(log) = log else {
        assert_eq!(steps, 0, "{case}: t-0 is gone");
        return;
    };
    let offsets: (Offset, Offset) = (log.log_start_offset(), log.log_end_offset());
    if steps >= 1 {
        assert_eq!(offsets.1, 3, "{case}");
        assert!(log.topic_id().is_some(), "{case}");
    }
    let high_watermark = manager.checkpointed_high_watermark(&partition(0));
    let possible: &[Option<Offset>] = match steps {
        0 | 1 => &[None, Some(2)],
        2..=5 => &[Some(2), Some(3)],
        _ => &[Some(3)],
    };
    assert!(possible.contains(&high_watermark), "{case}: {high_watermark:?}");
    assert!(log.recovery_point() <= offsets.1, "{case}");
    if steps >= 3 {
        assert_eq!(log.recovery_point(), 3, "{case}");
    }
    assert_eq!(offsets.0, if steps >= 4 { 1 } else { offsets.0.min(1) }, "{case}");
    match manager.get_log(&partition(1)) {
        Some(log) if steps >= 1 => {
            assert!(steps < 5, "{case}: t-1 is back");
            assert_eq!(log.log_end_offset(), 3, "{case}");
        }
        Some(_) => {}
        None => assert!(steps == 0 || steps >= 4, "{case}: t-1 is gone"),
    }
    manager.shutdown();
}

#[test]
fn a_log_dir_survives_death_at_any_call() {
    let mut deaths = 0;
    for cut in [0, 1, 5, 40] {
        for calls in 0.. {
            let root = testing::root();
            let dir = root.path().join("logs");
            let steps = match open(&dir, Dying::after(calls, cut)) {
                Err(_) => 0,
                Ok(manager) => {
                    let steps = live(&manager).map_or_else(|steps| steps, |()| ALL_STEPS);
                    // Pending jobs would keep the dir locked.
                    manager.scheduler.stop();
                    steps
                }
            };
            check(
                &dir,
                steps,
                &format!("{calls} calls, cut at {cut}, {steps} steps"),
            );
            if steps == ALL_STEPS {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 300, "{deaths}");
}
