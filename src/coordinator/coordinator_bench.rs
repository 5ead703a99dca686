//! `cargo bench --bench coordinator [-- GROUPS OFFSETS]`: measures the CPU time of the group coordinator alone, with a
//! log in memory.
//!
//! 1. A round of 1,000 groups of 5 members. Every member sends a heartbeat and a commit, rejoins and asks for its
//!    assignment. This is the cost of one second if each group rebalances and commits every second.
//! 2. Loading 1,000,000 committed offsets: the seconds, and the bytes of memory per offset.
//!
//! It calls the coordinator directly, because over the network nearly all of the time is network time. Kafka 3.9 has no
//! such benchmark.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use barnabas::parts::BrokerConfig;
use barnabas::parts::CommitRequest;
use barnabas::parts::ErrorCode;
use barnabas::parts::Registry;
use barnabas::parts::SystemClock;
use barnabas::parts::VerificationGuard;
use barnabas::parts::{AppendOptions, CoordinatorLog, TransactionalProducer};
use barnabas::parts::{BatchBuilder, RecordBatches};
use barnabas::parts::{
    GroupCoordinator, JoinRequest, OffsetAndMetadata, Protocol, SyncRequest, group_log as log,
};
use barnabas::parts::{Offset, TopicPartition};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all, ready};

#[path = "../common/bench_process.rs"]
mod bench_process;
use bench_process::cpu_seconds;

// The same allocator as in the broker.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MEMBERS: usize = 5;
const ROUNDS: usize = 10;
/// Offsets in a commit.
const COMMITTED_TOGETHER: usize = 10;
const OFFSETS_A_GROUP: usize = 1000;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter_map(|a| a.parse().ok());
    let groups = arguments.next().unwrap_or(1000);
    let offsets = arguments.next().unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let cpu = rebalance(groups).await?;
        let requests = groups * MEMBERS * 4;
        println!("round of {groups} groups of {MEMBERS}: {:.1} ms CPU", cpu * 1e3);
        println!("a request: {:.2} us CPU", cpu * 1e6 / requests as f64);
        let (seconds, bytes) = load(offsets).await?;
        println!(
            "loading {offsets} offsets: {seconds:.2} s, {:.0} bytes each",
            bytes / offsets as f64
        );
        Ok(())
    })
}

/// A log that appends and replicates immediately. It may be filled before the test.
#[derive(Default)]
struct Log {
    bytes: Bytes,
    /// The start position of the batch at each multiple of [`COMMITTED_TOGETHER`].
    positions: Vec<usize>,
}

impl CoordinatorLog for Log {
    fn append(&self, _: i32, _: Bytes, _: AppendOptions) -> BoxFuture<'static, Result<Offset, ErrorCode>> {
        ready(Ok(0)).boxed()
    }

    fn verify_transaction(
        &self,
        _: i32,
        _: TransactionalProducer,
    ) -> BoxFuture<'static, Result<Option<VerificationGuard>, ErrorCode>> {
        ready(Ok(None)).boxed()
    }

    fn bounds(&self, _: i32) -> Result<(Offset, Offset), ErrorCode> {
        Ok((0, (self.positions.len() * COMMITTED_TOGETHER) as i64))
    }

    fn read(&self, _: i32, offset: Offset, max_bytes: usize) -> Result<Bytes, ErrorCode> {
        let from = self.positions[offset as usize / COMMITTED_TOGETHER];
        let first_beyond = self.positions.partition_point(|&p| p <= from + max_bytes);
        let to = match first_beyond < self.positions.len() {
            true => {
                self.positions[first_beyond - 1].max(self.positions[offset as usize / COMMITTED_TOGETHER + 1])
            }
            false => self.bytes.len(),
        };
        // Copied, like bytes from a file.
        Ok(Bytes::copy_from_slice(&self.bytes[from..to]))
    }
}

fn coordinator(log: Log) -> anyhow::Result<Arc<GroupCoordinator>> {
    let folder = tempfile::tempdir()?;
    let mut config = BrokerConfig::for_test(1, folder.path());
    config.group_initial_rebalance_delay_ms = 500;
    let clock = SystemClock::shared();
    let coordinator = GroupCoordinator::new((&config).into(), 1, Arc::new(log), clock, &Registry::default());
    coordinator.start();
    coordinator.on_election(0, 0);
    Ok(coordinator)
}

async fn until_loaded(coordinator: &GroupCoordinator) {
    while coordinator.describe_group("") == Err(ErrorCode::CoordinatorLoadInProgress) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The CPU seconds of a round.
async fn rebalance(groups: usize) -> anyhow::Result<f64> {
    let coordinator = coordinator(Log::default())?;
    until_loaded(&coordinator).await;
    let groups: Vec<String> = (0..groups).map(|n| format!("group-{n}")).collect();
    let first = groups
        .iter()
        .map(|group| join(&coordinator, group, vec!["".into(); MEMBERS]));
    let mut members = join_all(first).await;
    let mut cpu = 0.0;
    for round in 0..=ROUNDS {
        let before = cpu_seconds()?;
        for (group, members) in groups.iter().zip(&mut members) {
            play(&coordinator, group, members, round as i32 + 1).await?;
        }
        // The first round is the warm-up.
        if round > 0 {
            cpu += cpu_seconds()? - before;
        }
    }
    Ok(cpu / ROUNDS as f64)
}

/// Joins the members of a group. Returns their ids, the leader's first.
async fn join(coordinator: &GroupCoordinator, group: &str, members: Vec<Arc<str>>) -> Vec<Arc<str>> {
    let requests = members.into_iter().map(|member_id| JoinRequest {
        member_id,
        group_instance_id: None,
        require_known_member_id: false,
        supports_skipping_assignment: false,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout_ms: 60_000,
        session_timeout_ms: 45_000,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol {
            name: "range".into(),
            metadata: Bytes::from_static(&[0; 60]),
        }],
        reason: None,
        uuid: uuid::Uuid::new_v4(),
    });
    let joined = join_all(requests.map(|request| coordinator.join_group(group, request))).await;
    let leader = joined.iter().find_map(|j| j.leader.clone()).unwrap_or_default();
    let mut members: Vec<Arc<str>> = joined.into_iter().map(|j| j.member_id).collect();
    members.sort_by_key(|id| *id != leader);
    members
}

/// Runs one round for the members of a group.
async fn play(
    coordinator: &GroupCoordinator,
    group: &str,
    members: &mut Vec<Arc<str>>,
    generation_id: i32,
) -> anyhow::Result<()> {
    let assignments = |is_leader: bool| -> Vec<(Arc<str>, Bytes)> {
        let all = members.iter().filter(|_| is_leader);
        all.map(|id| (id.clone(), Bytes::from_static(&[0; 60]))).collect()
    };
    let synced = members.iter().enumerate().map(|(n, member_id)| {
        let request = SyncRequest {
            generation_id,
            member_id: member_id.clone(),
            group_instance_id: None,
            protocol_type: None,
            protocol_name: None,
            assignments: assignments(n == 0).into_iter().collect(),
        };
        coordinator.sync_group(group, request)
    });
    for synced in join_all(synced).await {
        ensure!(synced.error == ErrorCode::None, "sync: {}", synced.error);
    }
    for (n, member_id) in members.iter().enumerate() {
        let alive = coordinator.heartbeat(group, member_id, None, generation_id);
        ensure!(alive == ErrorCode::None, "heartbeat: {alive}");
        let committed = coordinator.commit_offsets(CommitRequest {
            group_id: group.into(),
            member_id: member_id.clone(),
            group_instance_id: None,
            generation_id,
            offsets: vec![(
                TopicPartition::new("topic", n as i32),
                offset(generation_id.into()),
            )],
        });
        ensure!(committed.await == [ErrorCode::None], "commit");
    }
    *members = join(coordinator, group, std::mem::take(members)).await;
    Ok(())
}

fn offset(offset: i64) -> OffsetAndMetadata {
    OffsetAndMetadata {
        offset,
        leader_epoch: 3,
        metadata: "".into(),
        commit_timestamp_ms: 1_700_000_000_000,
        expire_timestamp_ms: None,
    }
}

/// The seconds of loading, and the bytes by which the process has grown.
async fn load(offsets: usize) -> anyhow::Result<(f64, f64)> {
    let mut log = Log::default();
    let mut bytes = Vec::new();
    for first in (0..offsets).step_by(COMMITTED_TOGETHER) {
        log.positions.push(bytes.len());
        bytes.extend(batch(first..first + COMMITTED_TOGETHER)?);
    }
    log.bytes = bytes.into();
    let (begun, before) = (Instant::now(), resident_bytes()?);
    let coordinator = coordinator(log)?;
    until_loaded(&coordinator).await;
    let took = begun.elapsed().as_secs_f64();
    let bytes = resident_bytes()? - before;
    let group = format!("group-{}", (offsets - 1) / OFFSETS_A_GROUP);
    let found = coordinator.fetch_offsets(&group, false, None);
    ensure!(
        found.is_ok_and(|found| found.len() == OFFSETS_A_GROUP.min(offsets)),
        "not all are there"
    );
    Ok((took, bytes))
}

fn batch(offsets: Range<usize>) -> anyhow::Result<Vec<u8>> {
    let base = offsets.start;
    let mut builder = BatchBuilder::new(0);
    for n in offsets {
        let group = format!("group-{}", n / OFFSETS_A_GROUP);
        let within = n % OFFSETS_A_GROUP;
        let topic = format!("a-topic-with-a-name-{}", within / 100);
        let key = log::offset_key(&group, &topic, (within % 100) as i32)?;
        let value = log::offset_value(&offset(n as i64))?;
        builder.append(1_700_000_000_000, Some(&key), Some(&value), &[]);
    }
    let mut bytes = builder.build().to_vec();
    bytes[..8].copy_from_slice(&(base as i64).to_be_bytes());
    debug_assert!(RecordBatches::new(&bytes).all(|batch| batch.is_ok()));
    Ok(bytes)
}

fn resident_bytes() -> anyhow::Result<f64> {
    const PAGE: f64 = 4096.0;
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm
        .split_whitespace()
        .nth(1)
        .context("no pages in /proc/self/statm")?;
    Ok(pages.parse::<f64>()? * PAGE)
}
