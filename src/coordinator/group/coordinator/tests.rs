//! Tests the group coordinator with a log in memory. The submodules test membership, offsets and ownership.

use std::sync::atomic::AtomicI64;

use futures::FutureExt;

use super::*;
use crate::common::clock::{Clock, ManualClock};
use crate::common::coordinator_key::partition_for;
use crate::common::ids::TopicPartition;
use crate::coordinator::group::commit::CommitRequest;
use crate::coordinator::group::join::JoinRequest;
use crate::coordinator::group::liveness::LeavingMember;
use crate::coordinator::group::offsets::OffsetAndMetadata;
use crate::coordinator::group::requests::FetchedOffset;
use crate::coordinator::group::state::GroupState;
use crate::coordinator::group::test_support::*;
use crate::record::{RecordBatches, RecordReader};

mod membership;
mod offsets;
mod ownership;

const PARTITIONS: i32 = 3;
/// The group that Kafka puts into partition 2 of 3.
const GROUP: &str = "g1";
const GROUP_PARTITION: i32 = 2;

fn config() -> GroupCoordinatorConfig {
    GroupCoordinatorConfig {
        limits: LIMITS,
        min_session_timeout_ms: 6000,
        max_session_timeout_ms: 1_800_000,
        offset_metadata_max_size: 10,
        load_buffer_size: 4096,
        required_acks: -1,
        commit_timeout: Duration::from_secs(5),
        offsets_retention_ms: 3_600_000,
        offsets_retention_check_interval_ms: 600_000,
        compression: Compression::None,
    }
}

/// A coordinator of all partitions with a log in memory and a paused clock.
struct World {
    coordinator: Arc<GroupCoordinator>,
    log: MemoryLog,
    clock: Arc<ManualClock>,
    metrics: Registry,
}

impl World {
    async fn new() -> Self {
        Self::on(MemoryLog::new()).await
    }

    /// A sample of the coordinator's metrics.
    fn metric(&self, name: &str) -> String {
        let (text, family) = (
            self.metrics.exposition(),
            "kafka_server_group_coordinator_metrics",
        );
        let sample = format!("{family}_{name} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&sample));
        value.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
    }

    async fn on(log: MemoryLog) -> Self {
        Self::configured(log, config()).await
    }

    async fn configured(log: MemoryLog, config: GroupCoordinatorConfig) -> Self {
        let clock = ManualClock::at(1_700_000_000_000);
        let metrics = Registry::new(clock.clone());
        let coordinator =
            GroupCoordinator::new(config, PARTITIONS, Arc::new(log.clone()), clock.clone(), &metrics);
        coordinator.is_active.store(true, Ordering::SeqCst);
        let world = Self {
            coordinator,
            log,
            clock,
            metrics,
        };
        for partition in 0..PARTITIONS {
            world.coordinator.on_election(partition, 0);
        }
        world.loaded().await;
        world
    }

    async fn loaded(&self) {
        until(|| !self.coordinator.is_loading()).await;
    }

    /// Advances the time in steps and runs the tasks that become ready.
    async fn pass(&self, ms: i64) {
        for _ in 0..ms / 1000 {
            self.clock.advance(1000);
            self.coordinator.tick();
            until_idle().await;
        }
    }

    /// Adds one member that has its assignment. Returns its id.
    async fn stable_member(&self) -> Arc<str> {
        let joining = self.coordinator.join_group(GROUP, consumer());
        let (joined, ()) = tokio::join!(joining, self.pass(INITIAL_DELAY_MS));
        assert_eq!(joined.error, ErrorCode::None);
        let request = sync_request(
            &joined.member_id,
            joined.generation_id,
            &[(&joined.member_id, b"all")],
        );
        let synced = self.coordinator.sync_group(GROUP, request).await;
        assert_eq!(
            (synced.error, &synced.assignment[..]),
            (ErrorCode::None, &b"all"[..])
        );
        joined.member_id
    }

    async fn commit(&self, group: &str, offsets: &[(i32, i64)]) -> Vec<ErrorCode> {
        self.coordinator
            .commit_offsets(simple_commit(group, offsets))
            .await
    }

    fn fetch(&self, group: &str, partition: i32, require_stable: bool) -> Result<Option<i64>, ErrorCode> {
        let partitions = Some(vec![TopicPartition::new("t", partition)]);
        let fetched = self
            .coordinator
            .fetch_offsets(group, require_stable, partitions)?;
        match &fetched[0].1 {
            FetchedOffset::Committed(offset) => Ok(Some(offset.offset)),
            FetchedOffset::None => Ok(None),
            FetchedOffset::Unstable => Err(ErrorCode::UnstableOffsetCommit),
        }
    }

    /// Number of records with and without value in the group's partition of the log.
    fn records(&self) -> (usize, usize) {
        let bytes = self.log.bytes(GROUP_PARTITION);
        let (mut values, mut tombstones) = (0, 0);
        for batch in RecordBatches::new(&bytes).map(Result::unwrap) {
            let mut reader = RecordReader::new(&batch, 1 << 20).unwrap();
            while let Some(record) = reader.next().unwrap() {
                match record.value {
                    Some(_) => values += 1,
                    None => tombstones += 1,
                }
            }
        }
        (values, tombstones)
    }
}

fn simple_commit(group: &str, offsets: &[(i32, i64)]) -> CommitRequest {
    let offset = |&(partition, offset): &(i32, i64)| {
        let value = OffsetAndMetadata {
            offset,
            leader_epoch: -1,
            metadata: "".into(),
            commit_timestamp_ms: 1_700_000_000_000,
            expire_timestamp_ms: None,
        };
        (TopicPartition::new("t", partition), value)
    };
    CommitRequest {
        group_id: group.into(),
        member_id: "".into(),
        group_instance_id: None,
        generation_id: -1,
        offsets: offsets.iter().map(offset).collect(),
    }
}

/// Runs every task that is ready.
async fn until_idle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Waits for a condition that other threads make true.
async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .expect("it never came to pass");
}

#[test]
fn ids_are_hashed_as_java_does() {
    let cases = [
        ("g1", 3, 2),
        ("", 50, 0),
        ("Aa", 1000, 112),
        ("BB", 1000, 112),
        // The hash is -2147483648, which has no absolute value in 32 bits.
        ("polygenelubricants", 50, 0),
        // One character, two UTF-16 units.
        ("\u{1f600}", 1_000_000, 772_899),
    ];
    for (id, count, expected) in cases {
        assert_eq!(partition_for(id, count), expected, "{id}");
    }
}

#[test]
fn failures_to_write_a_group_are_told_as_kafka_does() {
    use ErrorCode::*;
    let cases = [
        (UnknownTopicOrPartition, CoordinatorNotAvailable),
        (NotEnoughReplicas, CoordinatorNotAvailable),
        (NotEnoughReplicasAfterAppend, CoordinatorNotAvailable),
        (NotLeaderOrFollower, NotCoordinator),
        (KafkaStorageError, NotCoordinator),
        (RequestTimedOut, RebalanceInProgress),
        (MessageTooLarge, UnknownServerError),
        (CorruptMessage, CorruptMessage),
    ];
    for (error, expected) in cases {
        assert_eq!(group_store_error(error), expected, "{error}");
    }
}

/// Tokio's paused clock. It jumps to the next timer when no task is ready.
struct PausedClock(tokio::time::Instant, AtomicI64);

impl Clock for PausedClock {
    fn wall_ms(&self) -> i64 {
        self.1.load(Ordering::Relaxed) + self.0.elapsed().as_millis() as i64
    }
    fn monotonic_ms(&self) -> i64 {
        self.wall_ms()
    }
}

#[tokio::test(start_paused = true)]
async fn a_running_coordinator_watches_the_time_by_itself() {
    let clock = Arc::new(PausedClock(
        tokio::time::Instant::now(),
        AtomicI64::new(1_000_000),
    ));
    let coordinator = GroupCoordinator::new(
        config(),
        PARTITIONS,
        Arc::new(MemoryLog::new()),
        clock.clone(),
        &Registry::default(),
    );
    assert_eq!(
        coordinator.heartbeat(GROUP, "m", None, 1),
        ErrorCode::CoordinatorNotAvailable
    );
    coordinator.start();
    coordinator.on_election(GROUP_PARTITION, 0);
    until(|| !coordinator.is_loading()).await;

    let start_ms = clock.monotonic_ms();
    let joined = coordinator.join_group(GROUP, consumer()).await;
    assert_eq!(joined.error, ErrorCode::None);
    assert_eq!(
        clock.monotonic_ms() - start_ms,
        INITIAL_DELAY_MS,
        "neither earlier nor later"
    );

    let state = || coordinator.describe_group(GROUP).unwrap().state;
    let start_ms = clock.monotonic_ms();
    until_state(&state, GroupState::Empty).await;
    let silence_ms = clock.monotonic_ms() - start_ms;
    assert!(
        (0..=50).contains(&(silence_ms - i64::from(SESSION_MS))),
        "{silence_ms} ms"
    );

    let waiting = tokio::spawn({
        let coordinator = coordinator.clone();
        async move { coordinator.join_group(GROUP, consumer()).await }
    });
    until_idle().await;
    coordinator.shutdown();
    assert_eq!(waiting.await.unwrap().error, ErrorCode::NotCoordinator);
    assert_eq!(
        coordinator.heartbeat(GROUP, "m", None, 1),
        ErrorCode::CoordinatorNotAvailable
    );
}

async fn until_state(state: &impl Fn() -> GroupState, expected: GroupState) {
    for _ in 0..100_000 {
        if state() == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still {:?}", state());
}
