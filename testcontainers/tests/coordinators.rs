//! Tests that move coordinators to other brokers while groups and transactions run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::tools::kafka_tool;
use barnabas_testcontainers::transactions::{CALL, producer, read, send};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Cluster, Kind, ZooKeeper};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer;
use rdkafka::{Offset, TopicPartitionList};

const REASSIGN: &str = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
const LIMIT: Duration = Duration::from_secs(60);
const TOPIC: &str = "t";
const INTERNAL: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

/// The work that the clients have done, and whether they continue.
#[derive(Default)]
struct Progress {
    stop: AtomicBool,
    commits: AtomicUsize,
    transactions: AtomicUsize,
}

impl Progress {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Waits until each kind of work has progressed.
    async fn wait_for_more(&self, cluster: &Cluster) -> Result<()> {
        let counts = || [&self.commits, &self.transactions].map(|c| c.load(Ordering::Relaxed));
        let before = counts();
        let further = || async {
            counts()
                .iter()
                .zip(before)
                .all(|(now, then)| *now > then + 20)
                .then_some(())
        };
        let waited = wait_for("more commits and transactions", LIMIT, further).await;
        waited.with_context(|| cluster.outputs())
    }
}

/// Commits increasing offsets in a group until told to stop, and reads back the committed offset. Returns the last
/// acknowledged offset.
fn commit(client: &ClientConfig, group: &str, progress: &Progress) -> Result<i64> {
    let mut config = client.clone();
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set_log_level(RDKafkaLogLevel::Emerg);
    let consumer: BaseConsumer = config.create()?;
    let (mut acknowledged, mut next) = (0, 1);
    while progress.goes_on() || acknowledged == 0 {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(TOPIC, 0, Offset::Offset(next))?;
        // A commit that fails may have taken effect: perhaps only the answer was lost.
        if consumer.commit(&offsets, CommitMode::Sync).is_ok() {
            acknowledged = next;
            progress.commits.fetch_add(1, Ordering::Relaxed);
        }
        if next % 10 == 0
            && let Some(found) = committed(&consumer)
        {
            ensure!(
                found >= acknowledged,
                "{group}: {acknowledged} was committed, {found} is there"
            );
        }
        next += 1;
        // The test loads the coordinators, not the whole machine.
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(acknowledged)
}

/// The committed offset of a group; `None` if its coordinator does not answer.
fn committed(consumer: &BaseConsumer) -> Option<i64> {
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition(TOPIC, 0);
    let found = consumer.committed_offsets(wanted, CALL).ok()?;
    match found.elements().first()?.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => Some(-1),
    }
}

/// How the transactions of one producer ended.
#[derive(Default)]
struct Outcomes {
    committed: BTreeSet<String>,
    aborted: BTreeSet<String>,
    /// Transactions whose producer had to be replaced. They may have been committed.
    unknown: BTreeSet<String>,
}

/// Runs transactions with a record for each of three partitions until told to stop. The transactions contain no
/// offsets: if the group coordinator leaves the cluster, librdkafka may wait in `send_offsets_to_transaction` without
/// end (its issues 5456 and 5511).
fn transact(client: &ClientConfig, id: &str, progress: &Progress) -> Result<Outcomes> {
    let mut outcomes = Outcomes::default();
    let mut writer = producer(client, id)?;
    for n in 1_i64.. {
        if !progress.goes_on() && !outcomes.committed.is_empty() {
            break;
        }
        let value = format!("{id}-{n}");
        let attempt = || -> Result<(), KafkaError> {
            writer.begin_transaction()?;
            for partition in 0..3 {
                send(&writer, TOPIC, partition, &value).map_err(|_| KafkaError::Canceled)?;
            }
            if n % 5 == 0 {
                writer.flush(CALL)?;
                return Err(KafkaError::Canceled);
            }
            finish(|| writer.commit_transaction(CALL))
        };
        match attempt() {
            Ok(()) => {
                outcomes.committed.insert(value);
                progress.transactions.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) if finish(|| writer.abort_transaction(CALL)).is_ok() => {
                outcomes.aborted.insert(value);
            }
            Err(error) => {
                eprintln!("{value}: {error}, going on with another producer");
                outcomes.unknown.insert(value);
                writer = producer(client, id)?;
            }
        }
    }
    Ok(outcomes)
}

/// Tries again while the client reports a retriable error, but only a few times.
fn finish(end: impl Fn() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    let mut tries = 3;
    loop {
        tries -= 1;
        match end() {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && tries > 0 => {}
            result => return result,
        }
    }
}

/// A reassignment of each partition of a topic to the two brokers that do not lead it now.
async fn moved(cluster: &Cluster, topic: &str) -> Result<Vec<String>> {
    let partitions = cluster.partitions(0, topic).await?;
    let json = partitions.iter().map(|partition| {
        let others: Vec<i32> = (0..3).filter(|id| *id != partition.leader).collect();
        format!(
            r#"{{"topic":"{topic}","partition":{},"replicas":{others:?}}}"#,
            partition.id
        )
    });
    Ok(json.collect())
}

async fn leaders(cluster: &Cluster) -> Result<BTreeMap<(&'static str, i32), i32>> {
    let mut leaders = BTreeMap::new();
    for topic in INTERNAL {
        for partition in cluster.partitions(0, topic).await? {
            leaders.insert((topic, partition.id), partition.leader);
        }
    }
    Ok(leaders)
}

/// Moves every coordinator to another broker with Kafka's own tool.
async fn reassign(cluster: &Cluster, folder: &Path) -> Result<()> {
    let before = leaders(cluster).await?;
    let mut partitions = Vec::new();
    for topic in INTERNAL {
        partitions.append(&mut moved(cluster, topic).await?);
    }
    let file = folder.join("reassignment.json");
    let json = format!(r#"{{"version":1,"partitions":[{}]}}"#, partitions.join(","));
    std::fs::write(&file, json)?;
    let (bootstrap, file) = (cluster.bootstrap(), file.display().to_string());
    let arguments = [
        "--bootstrap-server",
        &bootstrap,
        "--reassignment-json-file",
        &file,
        "--execute",
    ];
    kafka_tool(REASSIGN, &arguments).await?.ok()?;
    let done = || async {
        let now = leaders(cluster).await.ok()?;
        now.iter()
            .all(|(partition, leader)| *leader >= 0 && before[partition] != *leader)
            .then_some(())
    };
    wait_for("other leaders everywhere", LIMIT, done)
        .await
        .with_context(|| cluster.outputs())?;
    for topic in INTERNAL {
        cluster.wait_for_isr(0, topic, 2, LIMIT).await?;
    }
    Ok(())
}

fn assert_all_or_nothing(outcomes: &[Outcomes], found: &[String]) -> Result<()> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for value in found {
        *count.entry(value).or_default() += 1;
    }
    for outcome in outcomes {
        for value in &outcome.committed {
            ensure!(count.remove(&**value) == Some(3), "{value} was committed");
        }
        for value in &outcome.unknown {
            let times = count.remove(&**value).unwrap_or(0);
            ensure!(times == 0 || times == 3, "{value} is there {times} times");
        }
        ensure!(!outcome.aborted.is_empty(), "nothing was aborted");
    }
    ensure!(count.is_empty(), "not committed, or not once: {count:?}");
    Ok(())
}

/// Reassigns the coordinators, restarts each broker in turn and adds partitions to the coordinators' topics. The
/// clients work all the time.
async fn disturb(cluster: &mut Cluster, progress: &Progress, folder: &Path) -> Result<()> {
    progress.wait_for_more(cluster).await?;
    reassign(cluster, folder).await?;
    progress.wait_for_more(cluster).await?;
    for broker in 0..3 {
        cluster.brokers[broker].stop().await?;
        progress.wait_for_more(cluster).await?;
        cluster.brokers[broker].start().await?;
        for topic in INTERNAL {
            cluster.wait_for_isr((broker + 1) % 3, topic, 2, LIMIT).await?;
        }
    }
    progress.wait_for_more(cluster).await?;
    // More partitions do not change anything for running brokers.
    let admin: AdminClient<DefaultClientContext> = cluster.client().create()?;
    let more = INTERNAL.map(|topic| NewPartitions::new(topic, 8));
    for result in admin.create_partitions(&more, &AdminOptions::new()).await? {
        result.map_err(|(topic, error)| anyhow::anyhow!("{topic}: {error}"))?;
    }
    progress.wait_for_more(cluster).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn coordinators_move_and_no_offset_and_no_commit_is_lost() -> Result<()> {
    let mut cluster = Cluster::start_with(ZooKeeper::single().await?, &Kind::times(3), |broker| {
        broker
            .with("offsets.topic.replication.factor", 2)
            .with("transaction.state.log.replication.factor", 2)
            .with("transaction.state.log.min.isr", 1)
            .with("transaction.state.log.num.partitions", 5)
    })
    .await?;
    let folder = tempfile::tempdir()?;
    cluster.create_topic(TOPIC, 3, 3, &[]).await?;
    let progress = Arc::new(Progress::default());
    let names = |kind: &str| (0..5).map(|n| format!("{kind}-{n}")).collect::<Vec<_>>();
    let committers = names("group").into_iter().map(|group| {
        let (client, progress) = (cluster.client(), progress.clone());
        tokio::task::spawn_blocking(move || {
            Ok::<_, anyhow::Error>((commit(&client, &group, &progress)?, group))
        })
    });
    let committers: Vec<_> = committers.collect();
    let writers = names("writer").into_iter().map(|id| {
        let (client, progress) = (cluster.client(), progress.clone());
        tokio::task::spawn_blocking(move || transact(&client, &id, &progress))
    });
    let writers: Vec<_> = writers.collect();
    let disturbed = disturb(&mut cluster, &progress, folder.path()).await;
    // This runs even after an error: the clients are threads, and only this flag ends them.
    progress.stop.store(true, Ordering::Relaxed);
    disturbed?;
    for committer in committers {
        let (acknowledged, group) = committer.await??;
        let mut config = cluster.client();
        config.set("group.id", &group);
        let found = tokio::task::spawn_blocking(move || committed(&config.create().ok()?)).await?;
        ensure!(
            found >= Some(acknowledged),
            "{group}: {acknowledged} was committed, {found:?} is there"
        );
    }
    let mut outcomes = Vec::new();
    for writer in writers {
        outcomes.push(writer.await??);
    }
    let client = cluster.client();
    let found = tokio::task::spawn_blocking(move || read(&client, TOPIC, "read_committed")).await??;
    assert_all_or_nothing(&outcomes, &found)?;
    eprintln!(
        "{} commits, {} transactions, {} of unknown end",
        progress.commits.load(Ordering::Relaxed),
        progress.transactions.load(Ordering::Relaxed),
        outcomes.iter().map(|o| o.unknown.len()).sum::<usize>()
    );
    Ok(())
}
