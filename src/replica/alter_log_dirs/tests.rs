//! Tests moves between the dirs of one broker: the copy becomes the log, whatever happens to the log meanwhile.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::copy;
use crate::cluster::LeadershipDecision;
use crate::common::clock::ManualClock;
use crate::common::error::ErrorCode;
use crate::common::ids::{Offset, TopicId, TopicPartition};
use crate::common::leader_and_isr::{LeaderAndIsr, ReplicaAssignment};
use crate::config::{BrokerConfig, LogConfig};
use crate::log::testing::{NOW_MS, batch, leader_batch};
use crate::log::{AppendOrigin, FetchIsolation, LogManager, UnifiedLog};
use crate::metadata::MetadataCache;
use crate::metrics::Registry;
use crate::network::ChannelBuilder;
use crate::replica::{LeaderAndIsrUpdate, PartitionUpdate, ReplicaManager};

const TOPIC_ID: TopicId = TopicId::from_u128(7);

fn name() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// The log dirs of a broker that a test can start several times.
struct Dirs(Vec<TempDir>);

struct Broker {
    replicas: Arc<ReplicaManager>,
    logs: Arc<LogManager>,
}

impl Dirs {
    fn new(count: usize) -> Self {
        Self((0..count).map(|_| TempDir::new().unwrap()).collect())
    }

    fn path(&self, dir: usize) -> PathBuf {
        self.0[dir].path().to_owned()
    }

    /// The names in a log dir that belong to the partition.
    fn names(&self, dir: usize) -> Vec<String> {
        let names = std::fs::read_dir(self.path(dir)).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("t-0")).collect()
    }

    fn checkpoint(&self, dir: usize, file: &str) -> String {
        std::fs::read_to_string(self.path(dir).join(file)).unwrap_or_default()
    }

    fn start(&self, adjust: impl FnOnce(&mut BrokerConfig)) -> Broker {
        let mut config = BrokerConfig::for_test(1, &self.path(0));
        config.log_dirs = (0..self.0.len()).map(|dir| self.path(dir)).collect();
        config.replica_fetch_backoff_ms = 20;
        adjust(&mut config);
        let log_config = LogConfig {
            segment_bytes: 20_000,
            ..LogConfig::default()
        };
        let clock = ManualClock::at(NOW_MS);
        let metrics = Registry::default();
        let logs = LogManager::open(&config, &|_| log_config.clone(), clock.clone(), &metrics).unwrap();
        let replicas = ReplicaManager::new(
            Arc::new(config),
            &ChannelBuilder::plaintext(),
            logs.clone(),
            Arc::new(MetadataCache::default()),
            clock,
            Arc::new(move |_: &str| log_config.clone()),
            Arc::new(|| 1),
            &metrics,
        );
        replicas.start();
        Broker { replicas, logs }
    }

    /// Starts a broker that leads the partition, with its log in the first dir.
    async fn start_leading(&self, adjust: impl FnOnce(&mut BrokerConfig)) -> Broker {
        let broker = self.start(adjust);
        broker.alter(&self.path(0)).await;
        broker.lead().await;
        assert_eq!(broker.dir_of_log(), self.path(0));
        broker
    }
}

/// Copies one batch at a time, so that copying takes as long as writing.
fn as_fast_as_its_producer(config: &mut BrokerConfig) {
    config.replica_fetch_max_bytes = 1;
}

/// Copies a kilobyte, then stops: the test's clock does not advance.
fn slow(config: &mut BrokerConfig) {
    config.replica_fetch_max_bytes = 1_000;
    config.replica_alter_log_dirs_io_max_bytes_per_second = 1;
}

impl Broker {
    async fn lead(&self) {
        let decision = LeadershipDecision {
            controller_epoch: 1,
            leader_and_isr: LeaderAndIsr::initial(1, vec![1]),
            assignment: ReplicaAssignment {
                replicas: vec![1],
                ..ReplicaAssignment::default()
            },
            is_new: true,
        };
        let update = LeaderAndIsrUpdate {
            controller_epoch: 1,
            partitions: vec![PartitionUpdate {
                topic_partition: name(),
                topic_id: Some(TOPIC_ID),
                decision,
            }],
        };
        let codes = self.replicas.become_leader_or_follower(update).await.unwrap();
        assert_eq!(codes, [(name(), ErrorCode::None)]);
    }

    async fn alter(&self, dir: &Path) -> ErrorCode {
        let altered = self
            .replicas
            .alter_replica_log_dirs(vec![(name(), dir.to_owned())]);
        altered.await[0].1
    }

    async fn append(&self, count: usize) {
        for _ in 0..count {
            let entries = vec![(name(), batch(1, NOW_MS, 100))];
            let timeout = Duration::from_secs(1);
            let results = self
                .replicas
                .append_records(timeout, -1, AppendOrigin::Client, false, entries)
                .await;
            results[0].1.as_ref().unwrap();
        }
    }

    fn log(&self) -> Arc<UnifiedLog> {
        self.replicas.partition(&name()).unwrap().leader_log().unwrap()
    }

    fn dir_of_log(&self) -> PathBuf {
        self.log().log_dir().path().to_owned()
    }

    async fn until_in(&self, dir: &Path) {
        eventually("the log is in the other dir", || self.dir_of_log() == dir).await;
    }

    async fn stop(self) {
        self.replicas.shutdown().await;
        self.logs.shutdown();
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: not within ten seconds");
}

fn bytes(log: &UnifiedLog) -> Vec<u8> {
    let mut segments: Vec<_> = std::fs::read_dir(log.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    segments.sort();
    segments
        .iter()
        .flat_map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_moves_while_it_is_written_and_read() {
    moves_while_it_is_written(|_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_moves_while_it_is_written_as_fast_as_it_is_copied() {
    moves_while_it_is_written(as_fast_as_its_producer).await;
}

async fn moves_while_it_is_written(adjust: impl FnOnce(&mut BrokerConfig)) {
    let dirs = Dirs::new(2);
    let broker = dirs.start_leading(adjust).await;
    broker.append(500).await;
    for to in [1, 0, 1] {
        assert_eq!(broker.alter(&dirs.path(to)).await, ErrorCode::None);
        while broker.dir_of_log() != dirs.path(to) {
            broker.append(1).await;
        }
        broker.append(50).await;
    }
    let log = broker.log();
    let end = log.log_end_offset();
    assert_eq!((log.high_watermark(), log.latest_epoch()), (end, Some(0)));
    assert_eq!(log.topic_id(), Some(TOPIC_ID));
    let read = log.read(end - 1, 1 << 20, FetchIsolation::HighWatermark, true);
    assert!(read.unwrap().records.is_some());
    assert_eq!(dirs.names(1).iter().filter(|name| *name == "t-0").count(), 1);
    assert!(
        dirs.names(0).iter().all(|name| name.ends_with("-delete")),
        "{:?}",
        dirs.names(0)
    );
    assert!(broker.logs.all_future_logs().is_empty());
    for file in [
        "recovery-point-offset-checkpoint",
        "replication-offset-checkpoint",
    ] {
        assert!(!dirs.checkpoint(0, file).contains("t 0"), "{file}");
    }
    let before = bytes(&log);
    broker.stop().await;
    assert!(
        dirs.checkpoint(1, "replication-offset-checkpoint")
            .contains(&format!("t 0 {end}"))
    );
    let broker = dirs.start(|_| {});
    assert_eq!(bytes(&broker.logs.get_log(&name()).unwrap()), before);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_goes_on_after_a_restart_and_can_be_given_up() {
    let dirs = Dirs::new(3);
    let broker = dirs.start_leading(slow).await;
    broker.append(100).await;
    let size = broker.log().size();
    broker.alter(&dirs.path(1)).await;
    let has_begun = |broker: &Broker| {
        let copy = broker.logs.future_log(&name());
        copy.is_some_and(|copy| copy.log_end_offset() > 0)
    };
    eventually("the copy has begun", || has_begun(&broker)).await;
    assert!(dirs.names(1)[0].ends_with("-future"));
    let describe = |broker: &Broker| {
        let mut seen = Vec::new();
        for (index, dir) in broker.replicas.describe_log_dirs(None).into_iter().enumerate() {
            for replica in dir.contents.unwrap().replicas {
                seen.push((index, replica.is_future, replica.size == size, replica.offset_lag));
            }
        }
        seen
    };
    let lag = 100 - broker.logs.future_log(&name()).unwrap().log_end_offset();
    assert_eq!(describe(&broker), [(0, false, true, 0), (1, true, false, lag)]);
    broker.stop().await;

    let broker = dirs.start(slow);
    let copied = broker.logs.future_log(&name()).unwrap().log_end_offset();
    assert_eq!(copied, 100 - lag);
    broker.lead().await;
    // The replica is moved to another dir instead.
    assert_eq!(broker.alter(&dirs.path(2)).await, ErrorCode::None);
    assert!(
        dirs.names(1).iter().all(|name| name.ends_with("-delete")),
        "{:?}",
        dirs.names(1)
    );
    let copy = broker.logs.future_log(&name()).unwrap();
    assert_eq!(copy.log_dir().path(), dirs.path(2));
    // The move is cancelled.
    assert_eq!(broker.alter(&dirs.path(0)).await, ErrorCode::None);
    assert!(broker.logs.all_future_logs().is_empty());
    assert_eq!(describe(&broker), [(0, false, true, 0)]);
    assert_eq!(broker.alter(&dirs.path(2)).await, ErrorCode::None);
    broker.stop().await;

    let broker = dirs.start(|_| {});
    broker.lead().await;
    broker.until_in(&dirs.path(2)).await;
    assert_eq!((broker.log().log_end_offset(), broker.log().size()), (100, size));
    broker.stop().await;
}

#[tokio::test]
async fn what_cannot_be_moved_is_refused_and_a_replica_to_come_is_remembered() {
    let dirs = Dirs::new(2);
    let broker = dirs.start(|_| {});
    assert_eq!(
        broker.alter(Path::new("/nowhere")).await,
        ErrorCode::LogDirNotFound
    );
    let long = TopicPartition::new("x".repeat(240), 0);
    let refused = broker
        .replicas
        .alter_replica_log_dirs(vec![(long, dirs.path(1))])
        .await;
    assert_eq!(refused[0].1, ErrorCode::InvalidTopicException);
    // The broker does not know this topic yet.
    assert_eq!(
        broker.alter(&dirs.path(1)).await,
        ErrorCode::UnknownTopicOrPartition
    );
    broker.lead().await;
    assert_eq!(broker.dir_of_log(), dirs.path(1));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dir_of_the_copy_fails_and_the_log_goes_on() {
    let dirs = Dirs::new(2);
    let broker = dirs.start_leading(slow).await;
    broker.append(100).await;
    broker.alter(&dirs.path(1)).await;
    let copy = broker.logs.future_log(&name()).unwrap();
    copy.log_dir().fail(&std::io::Error::other("injected"));
    eventually("the copy is dropped", || broker.logs.all_future_logs().is_empty()).await;
    eventually("the partition knows", || {
        broker.replicas.partition(&name()).unwrap().future_log().is_none()
    })
    .await;
    broker.append(10).await;
    assert_eq!(broker.alter(&dirs.path(1)).await, ErrorCode::KafkaStorageError);
    let offline = broker.replicas.describe_log_dirs(None).remove(1);
    assert_eq!(offline.contents, Err(ErrorCode::KafkaStorageError));
    broker.stop().await;
}

#[tokio::test]
async fn a_copy_of_another_topic_of_this_name_is_deleted() {
    let dirs = Dirs::new(2);
    let broker = dirs.start_leading(slow).await;
    broker.append(1).await;
    broker.stop().await;
    let broker = dirs.start(|_| {});
    let other = Some(TopicId::from_u128(8));
    let target = broker.logs.log_dir(&dirs.path(1)).unwrap().clone();
    broker
        .logs
        .create_future_log(&name(), other, &target, LogConfig::default())
        .unwrap();
    broker.lead().await;
    assert!(broker.logs.all_future_logs().is_empty());
    assert_eq!(broker.dir_of_log(), dirs.path(0));
    broker.stop().await;
}

/// A log and a copy, without a thread that copies.
fn pair(dirs: &Dirs) -> (Broker, Arc<UnifiedLog>, Arc<UnifiedLog>) {
    let broker = dirs.start(|_| {});
    let first = broker.logs.log_dir(&dirs.path(0)).unwrap().clone();
    broker.logs.prefer_log_dir(&name(), &first);
    let config = LogConfig {
        segment_bytes: 20_000,
        ..LogConfig::default()
    };
    let log = broker
        .logs
        .get_or_create_log(&name(), Some(TOPIC_ID), true, config.clone())
        .unwrap();
    let second = broker.logs.log_dir(&dirs.path(1)).unwrap().clone();
    let copy = broker
        .logs
        .create_future_log(&name(), Some(TOPIC_ID), &second, config)
        .unwrap();
    (broker, log, copy)
}

fn append_as_follower(log: &UnifiedLog, offset: Offset, count: usize, epoch: i32) {
    log.append_as_follower(leader_batch(offset, count, epoch), epoch)
        .unwrap();
    log.update_high_watermark(log.log_end_offset());
}

fn copy_all(log: &UnifiedLog, copy: &UnifiedLog) {
    while copy::step(log, copy, 300).unwrap() > 0 {}
    assert!(copy::is_complete(log, copy).unwrap());
    assert_eq!(bytes(log), bytes(copy));
    assert_eq!(copy.log_start_offset(), log.log_start_offset());
    assert_eq!(copy.high_watermark(), log.high_watermark());
    assert_eq!(copy.latest_epoch(), log.latest_epoch());
}

#[tokio::test]
async fn a_copy_follows_a_log_that_is_cut() {
    let dirs = Dirs::new(2);
    let (broker, log, copy) = pair(&dirs);
    for offset in 0..10 {
        append_as_follower(&log, offset * 3, 3, 1);
    }
    copy_all(&log, &copy);
    // The copy's records in epoch 1 from offset 12 on were never committed; epoch 3 starts there.
    log.truncate_to(12).unwrap();
    append_as_follower(&log, 12, 30, 3);
    assert!(
        !copy::is_complete(&log, &copy).unwrap(),
        "as long as the log, but another one"
    );
    copy_all(&log, &copy);
    // An epoch without records.
    log.assign_epoch_start_offset(5, log.log_end_offset()).unwrap();
    copy_all(&log, &copy);
    // The log starts at another offset and has other epochs.
    log.truncate_fully_and_start_at(1_000).unwrap();
    append_as_follower(&log, 1_000, 2, 6);
    copy_all(&log, &copy);
    broker.stop().await;
}

#[tokio::test]
async fn a_copy_follows_the_start_of_the_log() {
    let dirs = Dirs::new(2);
    let (broker, log, copy) = pair(&dirs);
    for offset in 0..10 {
        append_as_follower(&log, offset * 3, 3, 1);
    }
    copy::step(&log, &copy, 1).unwrap();
    assert_eq!(copy.log_end_offset(), 3);
    // The new start is within a batch, and beyond all records of the copy.
    log.maybe_increment_log_start_offset(16).unwrap();
    while copy::step(&log, &copy, 300).unwrap() > 0 {}
    assert!(copy::is_complete(&log, &copy).unwrap());
    assert_eq!((copy.log_start_offset(), copy.log_end_offset()), (16, 30));
    log.maybe_increment_log_start_offset(20).unwrap();
    assert!(copy::is_complete(&log, &copy).unwrap());
    assert_eq!(copy.log_start_offset(), 20);
    broker.stop().await;
}

#[tokio::test]
async fn a_stop_between_the_two_renames_costs_nothing() {
    let dirs = Dirs::new(2);
    let (broker, log, copy) = pair(&dirs);
    append_as_follower(&log, 0, 3, 1);
    copy_all(&log, &copy);
    let (future, current) = (copy.path(), dirs.path(1).join("t-0"));
    broker.stop().await;
    std::fs::rename(&future, &current).unwrap();
    let broker = dirs.start(|_| {});
    assert_eq!(broker.logs.get_log(&name()).unwrap().log_end_offset(), 3);
    let names = [dirs.names(0), dirs.names(1)].concat();
    assert_eq!(names.iter().filter(|name| *name == "t-0").count(), 1, "{names:?}");
    broker.stop().await;

    // The two logs are not the same: the operator has to choose one, as with Kafka.
    let kept = usize::from(!dirs.path(0).join("t-0").exists());
    let other = dirs.path(1 - kept).join("t-0");
    std::fs::create_dir(&other).unwrap();
    let config = BrokerConfig {
        log_dirs: vec![dirs.path(0), dirs.path(1)],
        ..BrokerConfig::for_test(1, &dirs.path(0))
    };
    let opened = LogManager::open(
        &config,
        &|_| LogConfig::default(),
        ManualClock::at(NOW_MS),
        &Registry::default(),
    );
    assert!(opened.err().unwrap().to_string().contains("remove the one"));
}
