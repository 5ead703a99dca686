//! Tests of whole log dirs, those written by Apache Kafka 3.9.1 and barnabas's own.

use std::collections::BTreeMap;

use super::*;
use crate::common::clock::ManualClock;
use crate::common::ids::uuid_to_base64;
use crate::common::limit::Limit;
use crate::config::BrokerConfig;
use crate::log::FetchIsolation;
use crate::log::checkpoint::clean_shutdown;
use crate::log::error::LogDirsError;
use crate::log::testing::{NOW_MS, batch, captured, copy_dir};
use crate::log::unified_log::AppendOrigin;
use crate::record::RecordBatches;

fn open_with(
    dirs: &[&Path],
    clock: SharedClock,
    adjust: impl FnOnce(&mut BrokerConfig),
) -> Result<Arc<LogManager>, LogDirsError> {
    let mut config = BrokerConfig::for_test(1, dirs[0]);
    config.log_dirs = dirs.iter().map(|dir| dir.to_path_buf()).collect();
    // The captured producers never expire.
    config.producer_id_expiration_ms = i64::MAX;
    adjust(&mut config);
    let topic_config = |_: &str| LogConfig {
        retention_ms: -1,
        ..LogConfig::default()
    };
    LogManager::open(&config, &topic_config, clock, &Registry::default())
}

fn open(dirs: &[&Path]) -> Result<Arc<LogManager>, LogDirsError> {
    open_with(dirs, ManualClock::at(NOW_MS), |_| {})
}

fn append(log: &UnifiedLog, count: usize) {
    for _ in 0..count {
        log.append_as_leader(batch(1, NOW_MS, 10), 0, AppendOrigin::Client)
            .unwrap();
    }
}

/// Start, end, number of producers, first unstable offset, latest epoch and topic id of every log.
fn facts(manager: &LogManager) -> BTreeMap<String, String> {
    let fact = |log: &Arc<UnifiedLog>| {
        let text = format!(
            "start {} end {} epoch {:?} producers {:?} stable {} id {}",
            log.log_start_offset(),
            log.log_end_offset(),
            log.latest_epoch(),
            log.active_producers()
                .iter()
                .map(|p| (p.producer_id, p.producer_epoch, p.last_sequence))
                .collect::<Vec<_>>(),
            log.last_stable_offset(),
            log.topic_id().map(uuid_to_base64).unwrap_or_default(),
        );
        (log.topic_partition().to_string(), text)
    };
    manager.all_logs().iter().map(fact).collect()
}

/// Every batch of a log, as bytes.
fn content(log: &UnifiedLog) -> Vec<u8> {
    let (mut offset, mut bytes) = (log.log_start_offset(), Vec::new());
    while let Some(slice) = log
        .read(offset, 1 << 20, FetchIsolation::LogEnd, true)
        .unwrap()
        .records
    {
        let read = slice.read().unwrap();
        offset = RecordBatches::new(&read).last().unwrap().unwrap().next_offset();
        bytes.extend(read);
    }
    bytes
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            for (file, bytes) in files(&entry.path()) {
                found.insert(format!("{name}/{file}"), bytes);
            }
        } else {
            found.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    found
}

#[test]
fn a_dir_of_kafka_is_the_same_after_a_clean_and_an_unclean_start() {
    for name in ["broker1", "broker2"] {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(&captured(name), dir.path());
        clean_shutdown::write(&Default::default(), dir.path()).unwrap();
        let manager = open(&[dir.path()]).unwrap();
        assert!(!dir.path().join(clean_shutdown::FILE_NAME).exists());
        let clean = facts(&manager);
        let contents: BTreeMap<_, _> = manager
            .all_logs()
            .iter()
            .map(|log| (log.topic_partition().clone(), content(log)))
            .collect();
        drop(manager);
        assert!(
            clean["orders-0"].starts_with("start 40 end 100 epoch Some(0)"),
            "{clean:?}"
        );
        assert!(
            clean["orders-0"].ends_with("id mZJDz3pZQ-OQQbw_-HYL_Q"),
            "{clean:?}"
        );
        assert!(
            clean["orders-1"].starts_with("start 0 end 24 epoch Some(0)"),
            "{clean:?}"
        );
        assert_eq!(clean["orders-0"].matches(", 0, ").count(), 5, "{clean:?}");

        let dir = tempfile::tempdir().unwrap();
        copy_dir(&captured(name), dir.path());
        let _ = std::fs::remove_file(dir.path().join(clean_shutdown::FILE_NAME));
        std::fs::remove_file(dir.path().join(RECOVERY_POINT_FILE)).unwrap();
        let manager = open(&[dir.path()]).unwrap();
        assert_eq!(facts(&manager), clean, "{name}");
        for log in manager.all_logs() {
            assert_eq!(
                content(&log),
                contents[log.topic_partition()],
                "{name} {}",
                log.topic_partition()
            );
            log.check_indexes_thoroughly().unwrap();
        }
    }
}

#[test]
fn rebuilt_indexes_are_those_kafka_wrote() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&captured("broker1"), dir.path());
    let _ = std::fs::remove_file(dir.path().join(clean_shutdown::FILE_NAME));
    let before = files(dir.path());
    for (name, _) in before.iter().filter(|(name, _)| name.contains("index")) {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    std::fs::remove_file(dir.path().join(RECOVERY_POINT_FILE)).unwrap();
    open(&[dir.path()]).unwrap().shutdown();
    let after = files(dir.path());
    for (name, bytes) in &before {
        if name.ends_with("index") || name.ends_with(".log") {
            assert_eq!(after.get(name), Some(bytes), "{name}");
        }
    }
}

#[test]
fn a_clean_start_and_stop_changes_next_to_nothing() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&captured("broker1"), dir.path());
    let before = files(dir.path());
    open(&[dir.path()]).unwrap().shutdown();
    let after = files(dir.path());
    let changed: Vec<_> = before
        .iter()
        .filter(|(name, bytes)| after.get(*name) != Some(bytes) && !name.ends_with(".deleted"))
        .map(|(name, _)| name.as_str())
        .collect();
    // Kafka writes the recovery points in the order of its hash maps, barnabas by name.
    assert_eq!(changed, ["recovery-point-offset-checkpoint"]);
    let added: Vec<_> = after.keys().filter(|name| !before.contains_key(*name)).collect();
    assert_eq!(added, [".lock"]);
}

#[test]
fn logs_are_created_closed_and_found_again() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dirs = [a.path(), b.path()];
    let manager = open(&dirs).unwrap();
    let id = crate::common::ids::random_uuid();
    for partition in 0..6 {
        let partition = TopicPartition::new("t", partition);
        let log = manager
            .get_or_create_log(&partition, Some(id), true, LogConfig::default())
            .unwrap();
        append(&log, 3);
        log.maybe_increment_high_watermark(2);
    }
    assert_eq!(manager.partitions_in(a.path()).len(), 3);
    let high_watermarks = (0..6).map(|p| (TopicPartition::new("t", p), 2)).collect();
    manager.checkpoint_high_watermarks(&high_watermarks);
    let before = facts(&manager);
    manager.shutdown();
    drop(manager);
    for dir in dirs {
        assert!(dir.join(clean_shutdown::FILE_NAME).exists());
    }
    let manager = open(&dirs).unwrap();
    assert_eq!(facts(&manager).len(), 6);
    let t3 = TopicPartition::new("t", 3);
    assert_eq!(manager.checkpointed_high_watermark(&t3), Some(2));
    let log = manager.get_log(&t3).unwrap();
    assert_eq!(
        (log.log_end_offset(), log.recovery_point(), log.topic_id()),
        (3, 3, Some(id))
    );
    log.update_high_watermark(2);
    assert_eq!(facts(&manager)["t-3"], before["t-3"]);

    let other = crate::common::ids::random_uuid();
    let error = manager
        .get_or_create_log(&t3, Some(other), false, LogConfig::default())
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, LogError::InconsistentTopicId { .. }), "{error}");

    // Fact 31: a broker that has not heard of its partitions yet erases nothing.
    manager.checkpoint_high_watermarks(&HashMap::new());
    assert_eq!(manager.checkpointed_high_watermark(&t3), Some(2));
}

#[test]
fn a_kill_loses_nothing_that_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let manager = open(&[dir.path()]).unwrap();
    let partition = TopicPartition::new("t", 0);
    let log = manager
        .get_or_create_log(&partition, None, true, LogConfig::default())
        .unwrap();
    append(&log, 100);
    let written = content(&log);
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copy.path());
    let manager = open(&[copy.path()]).unwrap();
    let log = manager.get_log(&partition).unwrap();
    assert_eq!((log.log_end_offset(), log.recovery_point()), (100, 0));
    assert!(content(&log) == written);
    log.check_indexes_thoroughly().unwrap();
}

#[test]
fn a_deleted_log_is_renamed_at_once_and_removed_later() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(NOW_MS);
    let manager = open_with(&[dir.path()], clock.clone(), |_| {}).unwrap();
    let (gone, kept) = (TopicPartition::new("gone", 0), TopicPartition::new("kept", 0));
    for partition in [&gone, &kept] {
        let log = manager
            .get_or_create_log(partition, None, true, LogConfig::default())
            .unwrap();
        append(&log, 3);
    }
    manager.checkpoint_high_watermarks(&HashMap::from([(gone.clone(), 1), (kept.clone(), 1)]));
    let log = manager.get_log(&gone).unwrap();
    let read = log.read(0, 1000, FetchIsolation::LogEnd, true).unwrap();
    manager.delete_log(&gone).unwrap();
    manager.delete_log(&gone).unwrap();
    assert!(manager.get_log(&gone).is_none() && !dir.path().join("gone-0").exists());
    assert!(
        !read.records.unwrap().read().unwrap().is_empty(),
        "readers may finish"
    );
    let error = log
        .append_as_leader(batch(1, NOW_MS, 1), 0, AppendOrigin::Client)
        .unwrap_err();
    assert_eq!(error.code, crate::common::error::ErrorCode::KafkaStorageError);
    drop(log.flush());
    let content = files(dir.path());
    for name in [RECOVERY_POINT_FILE, HIGH_WATERMARK_FILE] {
        let text = String::from_utf8_lossy(&content[name]);
        assert!(
            text.contains("kept 0") && !text.contains("gone"),
            "{name}: {text}"
        );
    }
    let deleted = || {
        let names = crate::log::fs::Fs::default().list(dir.path()).unwrap();
        names.iter().filter(|n| n.ends_with("-delete")).count()
    };
    assert_eq!(deleted(), 1);
    // A new log of the same name works.
    let log = manager
        .get_or_create_log(&gone, None, true, LogConfig::default())
        .unwrap();
    assert_eq!(log.log_end_offset(), 0);
    clock.advance(LogConfig::default().file_delete_delay_ms);
    manager.scheduler.run_due();
    assert_eq!(deleted(), 0);
    assert!(manager.take_failed_dirs().is_empty());
}

#[test]
fn leftovers_of_a_deletion_are_removed_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let name = "t-0.0123456789abcdef0123456789abcdef-delete";
    std::fs::create_dir(dir.path().join(name)).unwrap();
    let clock = ManualClock::at(NOW_MS);
    let manager = open_with(&[dir.path()], clock.clone(), |_| {}).unwrap();
    assert!(manager.all_logs().is_empty());
    clock.advance(60_000);
    manager.scheduler.run_due();
    assert!(!dir.path().join(name).exists());
}

#[test]
fn what_a_broker_cannot_start_with_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |dirs: &[&Path]| open(dirs).map(drop).unwrap_err().to_string();
    let running = open(&[dir.path()]).unwrap();
    assert!(refused(&[dir.path()]).contains("in use by another broker"));
    running.shutdown();
    drop(running);
    let dotted = dir.path().join(".");
    assert!(refused(&[dir.path(), &dotted]).contains("twice"));
    std::fs::create_dir(dir.path().join("lost+found")).unwrap();
    assert!(refused(&[dir.path()]).contains("lost+found"));
    std::fs::remove_dir(dir.path().join("lost+found")).unwrap();
    let other = tempfile::tempdir().unwrap();
    for root in [dir.path(), other.path()] {
        std::fs::create_dir(root.join("t-0")).unwrap();
    }
    assert!(refused(&[dir.path(), other.path()]).contains("remove the one"));
}

#[test]
fn one_bad_dir_leaves_the_others_working() {
    let (good, bad) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(bad.path().join("t-0")).unwrap();
    std::fs::write(bad.path().join("t-0/leader-epoch-checkpoint"), "torn").unwrap();
    let manager = open(&[good.path(), bad.path()]).unwrap();
    assert_eq!(manager.live_log_dirs(), [good.path()]);
    assert_eq!(manager.take_failed_dirs(), [bad.path()]);
    assert!(manager.take_failed_dirs().is_empty());
    // Fact 15: the log may be in the dir that is offline.
    let partition = TopicPartition::new("t", 0);
    let create = |is_new| manager.get_or_create_log(&partition, None, is_new, LogConfig::default());
    assert!(matches!(create(false), Err(LogError::Storage { .. })));
    assert_eq!(create(true).unwrap().log_dir().path(), good.path());
    let error = open(&[bad.path()]).map(drop).unwrap_err();
    assert!(error.to_string().contains("no log dir works"), "{error}");
}

#[test]
fn a_dir_that_fails_is_reported_and_let_go_of() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let manager = open(&[a.path(), b.path()]).unwrap();
    for partition in 0..4 {
        let partition = TopicPartition::new("t", partition);
        manager
            .get_or_create_log(&partition, None, true, LogConfig::default())
            .unwrap();
    }
    let notified = manager.failure_notification();
    let log = manager.all_logs().remove(0);
    let (failed, other) = match log.log_dir().path() == a.path() {
        true => (a.path(), b.path()),
        false => (b.path(), a.path()),
    };
    log.log_dir().fail(&std::io::Error::other("broken"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(notified.notified());
    assert_eq!(manager.take_failed_dirs(), [failed]);
    assert_eq!(manager.all_logs().len(), 2);
    manager.shutdown();
    assert!(!failed.join(clean_shutdown::FILE_NAME).exists());
    assert!(other.join(clean_shutdown::FILE_NAME).exists());
}

#[test]
fn background_jobs_run_and_stop() {
    let dir = tempfile::tempdir().unwrap();
    let clock = crate::common::clock::SystemClock::shared();
    let manager = open_with(&[dir.path()], clock, |config| {
        config.log_initial_task_delay_ms = 0;
        config.log_flush_offset_checkpoint_interval_ms = 1;
    })
    .unwrap();
    manager.start_background();
    let partition = TopicPartition::new("t", 0);
    let log = manager
        .get_or_create_log(&partition, None, true, LogConfig::default())
        .unwrap();
    append(&log, 3);
    log.flush().unwrap();
    let path = dir.path().join(RECOVERY_POINT_FILE);
    let written = || std::fs::read_to_string(&path).is_ok_and(|text| text.contains("t 0 3"));
    let _limit = Limit::start();
    while !written() {
        std::thread::yield_now();
    }
    manager.shutdown();
    manager.shutdown();
}

/// A log dir with everything that may lie beside a good log.
#[test]
fn what_lies_beside_a_good_log_does_not_take_the_dir_offline() {
    let dir = tempfile::tempdir().unwrap();
    let partition = TopicPartition::new("t", 0);
    let first = open(&[dir.path()]).unwrap();
    append(
        &first
            .get_or_create_log(&partition, None, true, LogConfig::default())
            .unwrap(),
        3,
    );
    first.shutdown();
    drop(first);
    let copy = dir.path().join("t-0.0123456789abcdef0123456789abcdef-future");
    let torn_copy = dir.path().join("t-1.0123456789abcdef0123456789abcdef-future");
    copy_dir(&dir.path().join("t-0"), &copy);
    copy_dir(&dir.path().join("t-0"), &torn_copy);
    std::fs::write(torn_copy.join("leader-epoch-checkpoint"), "torn").unwrap();
    for directory in [
        "t-0/00000000000000000007.log",
        "t-0/00000000000000000005.snapshot",
        "t-0/00000000000000000000.index.deleted",
        "t-0/00000000000000000000.log.swap",
        "t-0/00000000000000000000.log.cleaned",
    ] {
        std::fs::create_dir_all(dir.path().join(directory).join("inside")).unwrap();
    }
    std::fs::write(dir.path().join("t-2"), "a file").unwrap();

    let manager = open(&[dir.path()]).unwrap();
    let log = manager.get_log(&partition).unwrap();
    assert_eq!(log.log_end_offset(), 3);
    append(&log, 1);
    assert!(manager.all_future_logs().is_empty());
    let create = |index| {
        let partition = TopicPartition::new("t", index);
        manager.get_or_create_log(&partition, None, true, LogConfig::default())
    };
    create(1).unwrap();
    assert!(create(2).map(drop).unwrap_err().to_string().contains("t-2"));
    assert!(manager.take_failed_dirs().is_empty());
    assert!(
        copy.is_dir() && torn_copy.is_dir(),
        "only a person may delete them"
    );
    manager.shutdown();
}

#[test]
fn a_copy_is_given_up_when_the_log_is_created_beside_it() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["t-0.0a-future", "t-0.0b-future"] {
        std::fs::create_dir(one.path().join(name)).unwrap();
    }
    std::fs::create_dir(two.path().join("t-0.0c-future")).unwrap();
    let manager = open(&[one.path(), two.path()]).unwrap();
    // Of several copies one remains.
    assert_eq!(manager.all_future_logs().len(), 1);
    let partition = TopicPartition::new("t", 0);
    manager.prefer_log_dir(&partition, manager.log_dir(one.path()).unwrap());
    let log = manager
        .get_or_create_log(&partition, None, true, LogConfig::default())
        .unwrap();
    assert_eq!(log.log_dir().path(), one.path());
    assert!(manager.all_future_logs().is_empty());
    assert!(manager.take_failed_dirs().is_empty());
}

#[test]
fn the_rest_of_a_deleted_log_that_cannot_be_removed_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let rest = dir.path().join("t-0.0123456789abcdef0123456789abcdef-delete");
    std::fs::create_dir(&rest).unwrap();
    let clock = ManualClock::at(NOW_MS);
    let manager = open_with(&[dir.path()], clock.clone(), |_| {}).unwrap();
    // Something else has taken its name; unlike a missing permission this also stops root.
    std::fs::remove_dir(&rest).unwrap();
    std::fs::write(&rest, "no directory").unwrap();
    clock.advance(60_000);
    manager.scheduler.run_due();
    assert!(manager.take_failed_dirs().is_empty());
    assert!(rest.exists());
}

/// A log that lost a part of its first segment to a power loss, and still has the rest.
#[test]
fn a_log_that_is_newer_than_the_checkpoint_ends_where_it_has_a_hole() {
    let root = crate::log::testing::root();
    let dir = root.path().join("logs");
    let partition = TopicPartition::new("t", 0);
    let config = LogConfig {
        segment_bytes: 300,
        retention_ms: -1,
        ..LogConfig::default()
    };
    let manager = open(&[&dir]).unwrap();
    let log = manager.get_or_create_log(&partition, None, true, config).unwrap();
    append(&log, 10);
    // The same as at the end of the process.
    manager
        .dirs
        .iter()
        .for_each(|managed| drop(managed.lock.lock().take()));
    let checkpoint = dir.join(RECOVERY_POINT_FILE);
    for (what, checkpoint_left, end) in [
        ("the log is not in the file", Some("0\n0\n"), 0),
        ("Kafka has made the file, and written nothing to it", Some(""), 0),
        ("nothing was flushed", Some("0\n1\nt 0 0\n"), 0),
        ("nobody knows: the hole may be a cleaner's", None, 10),
        ("nobody can read it", Some("?"), 10),
    ] {
        let copy = root.path().join("copy");
        copy_dir(&dir, &copy);
        std::fs::write(copy.join("t-0/00000000000000000000.log"), "").unwrap();
        match checkpoint_left {
            Some(text) => std::fs::write(copy.join(RECOVERY_POINT_FILE), text).unwrap(),
            None => std::fs::remove_file(copy.join(RECOVERY_POINT_FILE)).unwrap(),
        }
        let found = open(&[&copy]).unwrap().get_log(&partition).unwrap();
        assert_eq!(
            (found.log_start_offset(), found.log_end_offset()),
            (0, end),
            "{what}"
        );
        std::fs::remove_dir_all(&copy).unwrap();
    }
    assert!(checkpoint.exists(), "made when the dir was opened");
}
