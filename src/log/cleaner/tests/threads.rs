//! Tests of the cleaner within a log manager, with threads and a running clock.

use std::path::Path;

use super::*;
use crate::common::clock::SystemClock;
use crate::config::BrokerConfig;
use crate::log::LogManager;
use crate::log::testing::batch;
use crate::log::unified_log::UnifiedLog;

fn open(dir: &Path, adjust: impl FnOnce(&mut BrokerConfig)) -> Arc<LogManager> {
    open_with(dir, adjust, &Registry::default())
}

fn open_with(dir: &Path, adjust: impl FnOnce(&mut BrokerConfig), metrics: &Registry) -> Arc<LogManager> {
    let mut config = BrokerConfig::for_test(1, dir);
    config.log_cleaner_backoff_ms = 5;
    config.log_cleaner_dedupe_buffer_size = 4 << 20;
    adjust(&mut config);
    let manager = LogManager::open(&config, &|_| compacted(), SystemClock::shared(), metrics);
    let manager = manager.unwrap();
    manager.start_background();
    manager
}

/// A log in which one key was written ten times and which was then rolled.
fn filled(manager: &LogManager, topic: &str) -> Arc<UnifiedLog> {
    let partition = TopicPartition::new(topic, 0);
    let log = manager
        .get_or_create_log(&partition, None, true, compacted())
        .unwrap();
    write(&log, 10);
    log
}

fn write(log: &UnifiedLog, count: usize) {
    for _ in 0..count {
        log.append_as_leader(batch(1, NOW_MS, 100), 0, AppendOrigin::Client)
            .unwrap();
    }
    log.maybe_increment_high_watermark(Offset::MAX);
    log.roll().unwrap();
}

fn wait_until(condition: impl Fn() -> bool) {
    for _ in 0..6000 {
        if condition() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("not within 30 s");
}

fn checkpointed(manager: &LogManager, log: &UnifiedLog) -> Option<Offset> {
    manager.cleaner().manager().checkpointed(log.topic_partition())
}

fn checkpoint_file(dir: &Path) -> String {
    std::fs::read_to_string(dir.join(CLEANER_OFFSET_FILE)).unwrap()
}

#[test]
fn threads_clean_what_is_dirty_and_the_checkpoint_follows_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let manager = open(dir.path(), |_| {});
    let (a, b) = (filled(&manager, "a"), filled(&manager, "b"));
    wait_until(|| checkpointed(&manager, &a) == Some(10) && checkpointed(&manager, &b) == Some(10));
    assert!(a.size() < 300 && b.size() < 300, "{} {}", a.size(), b.size());
    assert_eq!(checkpoint_file(dir.path()), "0\n2\na 0 10\nb 0 10\n");
    // More threads and smaller buffers, while they run.
    let mut config = CleanerConfig {
        threads: 3,
        dedupe_buffer_bytes: 6 << 20,
        backoff_ms: 5,
        ..CONFIG
    };
    manager.cleaner().reconfigure(config.clone());
    assert_eq!(manager.cleaner().last_rounds().len(), 3);
    write(&a, 10);
    wait_until(|| checkpointed(&manager, &a) == Some(20));
    config.threads = 2;
    manager.cleaner().reconfigure(config);
    assert_eq!(
        (
            manager.cleaner().last_rounds().len(),
            manager.cleaner().dead_threads()
        ),
        (2, 0)
    );
    // A truncation lowers the checkpoint, a deletion removes its entry.
    manager.cleaner().stop();
    assert!(a.truncate_to(15).unwrap());
    let active = a.active_segment_base_offset();
    assert!(active <= 15 && checkpointed(&manager, &a) == Some(active));
    manager.delete_log(b.topic_partition()).unwrap();
    assert_eq!(checkpoint_file(dir.path()), format!("0\n1\na 0 {active}\n"));
    manager.shutdown();
    drop(manager);
    let manager = open(dir.path(), |_| {});
    let a = manager.get_log(a.topic_partition()).unwrap();
    a.maybe_increment_high_watermark(Offset::MAX);
    write(&a, 5);
    let end = a.log_end_offset();
    wait_until(|| checkpointed(&manager, &a) == Some(end));
    manager.shutdown();
}

#[test]
fn a_log_is_deleted_and_made_again_under_the_cleaners_hands() {
    let dir = tempfile::tempdir().unwrap();
    let manager = open(dir.path(), |config| {
        config.log_cleaner_backoff_ms = 0;
        config.log_cleaner_threads = 2;
    });
    for _ in 0..30 {
        let log = filled(&manager, "a");
        assert_eq!(log.log_end_offset(), 10, "a new log");
        manager.delete_log(log.topic_partition()).unwrap();
    }
    let log = filled(&manager, "a");
    wait_until(|| checkpointed(&manager, &log) == Some(10));
    let names = std::fs::read_dir(log.path()).unwrap();
    let names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().all(|name| !name.contains(".cleaned")), "{names:?}");
    assert!(manager.cleaner().manager().uncleanable_partitions().is_empty());
    assert_eq!(manager.live_log_dirs().len(), 1);
    manager.shutdown();
}

#[test]
fn without_a_cleaner_nothing_is_cleaned() {
    let dir = tempfile::tempdir().unwrap();
    let manager = open(dir.path(), |config| config.log_cleaner_enable = false);
    let log = filled(&manager, "a");
    manager
        .cleaner()
        .reconfigure(CleanerConfig { threads: 4, ..CONFIG });
    assert!(manager.cleaner().last_rounds().is_empty());
    assert_eq!(checkpointed(&manager, &log), None);
    manager.shutdown();
}

/// The value of the cleaner metric with this name and labels in `/metrics`.
fn shown(metrics: &Registry, name: &str) -> Option<f64> {
    let text = metrics.exposition();
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn the_figures_have_kafkas_names_and_meaning() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = Registry::default();
    // Space for ten keys; the only key fills a tenth of it.
    let small = |config: &mut BrokerConfig| config.log_cleaner_dedupe_buffer_size = 240;
    let manager = open_with(dir.path(), small, &metrics);
    let cleaner = |name: &str| shown(&metrics, &format!("kafka_log_logcleaner_{name} "));
    let of_manager = |name: &str| shown(&metrics, &format!("kafka_log_logcleanermanager_{name}"));
    assert_eq!(cleaner("cleaner_recopy_percent"), Some(0.0));
    let log = filled(&manager, "a");
    wait_until(|| cleaner("cleaner_recopy_percent") == Some(10.0));
    assert_eq!(checkpointed(&manager, &log), Some(10));
    assert_eq!(cleaner("max_buffer_utilization_percent"), Some(10.0));
    assert_eq!(cleaner("max_clean_time_secs"), Some(0.0));
    assert_eq!(
        cleaner("max_compaction_delay_secs"),
        Some(0.0),
        "nobody asked for it"
    );
    assert_eq!(cleaner("deadthreadcount"), Some(0.0));
    wait_until(|| of_manager("max_dirty_percent ") == Some(0.0));
    assert!(of_manager("time_since_last_run_ms ").is_some_and(|ms| (0.0..30_000.0).contains(&ms)));
    assert_eq!(of_manager("uncleanable_partitions_count{"), Some(0.0));
    assert_eq!(of_manager("uncleanable_bytes{"), Some(0.0));

    // A log that has waited too long and cannot be cleaned: one byte of its second segment is corrupt.
    manager.cleaner().stop();
    write(&log, 10);
    let segment = log.path().join(format!("{:020}.log", 10));
    let good = std::fs::read(&segment).unwrap();
    let mut bad = good.clone();
    bad[good.len() - 1] ^= 1;
    std::fs::write(&segment, &bad).unwrap();
    let late = LogConfig {
        max_compaction_lag_ms: 1000,
        ..compacted()
    };
    manager.update_topic_config("a", &|_| late.clone());
    manager.cleaner().start();
    wait_until(|| of_manager("uncleanable_partitions_count{") == Some(1.0));
    assert_eq!(of_manager("uncleanable_bytes{"), Some(good.len() as f64));
    assert!(of_manager("uncleanable_partition{topic=\"a\",partition=\"0\"") == Some(1.0));
    wait_until(|| cleaner("max_compaction_delay_secs") > Some(1000.0));
    assert_eq!(cleaner("deadthreadcount"), Some(0.0));

    // After the repair the cleaner does not try the log again before the pause ends, unless its configuration changes.
    std::fs::write(&segment, &good).unwrap();
    manager.update_topic_config("a", &|_| compacted());
    wait_until(|| checkpointed(&manager, &log) == Some(20));
    wait_until(|| of_manager("uncleanable_partitions_count{") == Some(0.0));
    assert_eq!(of_manager("uncleanable_partition{"), None);
    manager.shutdown();
}
