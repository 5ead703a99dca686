//! Tests five client libraries in four languages. Each produces, and consumes in a group whose members come and go.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use barnabas_testcontainers::clients::{Language, Member};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Cluster, Kind};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

const LIMIT: Duration = Duration::from_secs(60);
const PARTITIONS: i32 = 6;
const RECORDS: usize = 600;

#[tokio::test(flavor = "multi_thread")]
async fn the_java_client_shares_a_topic_in_a_group() -> Result<()> {
    members_come_and_go(Language::Java).await
}

#[tokio::test(flavor = "multi_thread")]
async fn confluent_kafka_shares_a_topic_in_a_group() -> Result<()> {
    members_come_and_go(Language::PythonConfluent).await
}

#[tokio::test(flavor = "multi_thread")]
async fn aiokafka_shares_a_topic_in_a_group() -> Result<()> {
    members_come_and_go(Language::PythonAio).await
}

#[tokio::test(flavor = "multi_thread")]
async fn franz_go_shares_a_topic_in_a_group() -> Result<()> {
    members_come_and_go(Language::Go).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkajs_shares_a_topic_in_a_group() -> Result<()> {
    members_come_and_go(Language::Node).await
}

/// One member gets all partitions; a second member joins and gets a share; the first member leaves. The group reads
/// every record once and commits all offsets.
async fn members_come_and_go(language: Language) -> Result<()> {
    let cluster = Cluster::start(&Kind::times(3)).await?;
    let bootstrap = cluster.bootstrap();
    cluster.create_topic("jobs", PARTITIONS, 3, &[]).await?;
    if !language.produce(&bootstrap, "jobs", RECORDS).await? {
        return Ok(());
    }
    let join = |name: &str| language.join(&bootstrap, "jobs", "workers", &cluster.folder().join(name));

    let mut first = join("first")?;
    wait_for_shares(&[&first]).await?;
    wait_for_records(&[&first], RECORDS).await?;
    let mut second = join("second")?;
    wait_for_shares(&[&first, &second]).await?;
    language.produce(&bootstrap, "jobs", RECORDS).await?;
    wait_for_records(&[&first, &second], 2 * RECORDS).await?;
    ensure!(
        !second.records().is_empty(),
        "the second member read nothing: {}",
        second.output()
    );

    first.leave().await?;
    wait_for_shares(&[&second]).await?;
    language.produce(&bootstrap, "jobs", RECORDS).await?;
    wait_for_records(&[&first, &second], 3 * RECORDS).await?;
    second.leave().await?;

    let read: Vec<_> = [first.records(), second.records()].concat();
    let different: BTreeSet<_> = read.iter().copied().collect();
    ensure!(
        different.len() == read.len(),
        "{} of {} records were read twice",
        read.len() - different.len(),
        read.len()
    );
    let committed = committed(&cluster)?;
    ensure!(
        committed == 3 * RECORDS as i64,
        "{committed} records are committed of {}",
        3 * RECORDS
    );
    Ok(())
}

/// Waits until every member has partitions, and each partition has exactly one member.
async fn wait_for_shares(members: &[&Member]) -> Result<()> {
    let shared = wait_for("a complete assignment", LIMIT, || async {
        let shares: Vec<_> = members.iter().map(|m| m.assigned()).collect::<Option<_>>()?;
        let all: BTreeSet<i32> = shares.iter().flatten().copied().collect();
        let count: usize = shares.iter().map(BTreeSet::len).sum();
        let fair = shares.iter().all(|s| !s.is_empty());
        (fair && count == PARTITIONS as usize && all.len() == count).then_some(())
    });
    shared.await.map_err(|e| e.context(outputs(members)))
}

async fn wait_for_records(members: &[&Member], count: usize) -> Result<()> {
    let what = format!("{count} records");
    let read = wait_for(&what, LIMIT, || async {
        let different: BTreeSet<_> = members.iter().flat_map(|m| m.records()).collect();
        (different.len() >= count).then_some(())
    });
    read.await.map_err(|e| e.context(outputs(members)))
}

/// The output of the members without their records.
fn outputs(members: &[&Member]) -> String {
    let all: Vec<String> = members.iter().map(|m| m.output()).collect();
    let said: Vec<_> = all
        .iter()
        .flat_map(|o| o.lines())
        .filter(|l| !l.starts_with("record "))
        .collect();
    said.join(
        "
",
    )
}

/// The sum of the group's committed offsets.
fn committed(cluster: &Cluster) -> Result<i64> {
    let consumer: BaseConsumer = cluster.client().set("group.id", "workers").create()?;
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_range("jobs", 0, PARTITIONS - 1);
    let offsets = consumer.committed_offsets(wanted, LIMIT)?;
    Ok(offsets
        .elements()
        .iter()
        .map(|e| match e.offset() {
            Offset::Offset(offset) => offset,
            _ => 0,
        })
        .sum())
}
