//! Tests compaction as clients and Kafka's own tools see it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::load::read_all;
use barnabas_testcontainers::tools::{CONFIG_COMMAND, DUMP_LOG_SEGMENTS, kafka_tool};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Cluster, Kind, ZooKeeper};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// One broker whose cleaner looks for work often.
async fn one_broker() -> Result<Cluster> {
    Cluster::start_with(ZooKeeper::single().await?, &Kind::times(1), |broker| {
        broker
            .with("log.cleaner.backoff.ms", 100)
            .with("log.retention.check.interval.ms", 500)
            .with("log.initial.task.delay.ms", 500)
            .with("log.segment.delete.delay.ms", 500)
    })
    .await
}

/// Writes records one by one, so that each record is a batch and the offsets follow this order.
async fn write(cluster: &Cluster, topic: &str, records: &[(&str, Option<&str>)]) -> Result<()> {
    let producer: FutureProducer = cluster.client().set("linger.ms", "0").create()?;
    for (key, value) in records {
        let mut record = FutureRecord::to(topic).key(*key);
        record.payload = value.map(str::as_bytes);
        producer
            .send(record, Timeout::Never)
            .await
            .map_err(|(error, _)| error)?;
    }
    Ok(())
}

/// Waits until the active segment is older than `segment.ms`, then writes this record, which begins a new segment.
async fn roll(cluster: &Cluster, topic: &str, key: &str) -> Result<()> {
    tokio::time::sleep(Duration::from_millis(600)).await;
    write(cluster, topic, &[(key, Some("rolls"))]).await
}

async fn offsets(cluster: &Cluster, topic: &str) -> Result<Vec<i64>> {
    let contents = read_all(&cluster.client(), topic).await?;
    Ok(contents[&0].iter().map(|(offset, _)| *offset).collect())
}

async fn wait_for_offsets(cluster: &Cluster, topic: &str, expected: &[i64]) -> Result<()> {
    let what = format!("offsets {expected:?}");
    let reached = wait_for(&what, PATIENCE, || async {
        let found = offsets(cluster, topic).await.ok()?;
        (found == expected).then_some(())
    });
    let outcome = reached.await;
    let found = offsets(cluster, topic).await?;
    outcome.with_context(|| format!("found {found:?}\n{}", cluster.outputs()))
}

fn segments(cluster: &Cluster, topic: &str) -> Vec<PathBuf> {
    let dir = cluster.brokers[0].log_dir().join(format!("{topic}-0"));
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    paths.sort();
    paths
}

/// The records that Kafka's DumpLogSegments finds: offset to key and value.
async fn dump(cluster: &Cluster, topic: &str) -> Result<BTreeMap<i64, (String, String)>> {
    let mut found = BTreeMap::new();
    for path in segments(cluster, topic) {
        let path = path.display().to_string();
        let arguments = ["--print-data-log", "--deep-iteration", "--files", &path];
        let printed = kafka_tool(DUMP_LOG_SEGMENTS, &arguments).await?.ok()?;
        for line in printed.lines().filter(|line| line.contains("| offset:")) {
            let field = |name: &str| {
                let rest = line.split_once(name).map_or("", |(_, rest)| rest);
                rest.split_whitespace().next().unwrap_or_default().to_owned()
            };
            found.insert(
                field("| offset: ").parse()?,
                (field(" key: "), field(" payload: ")),
            );
        }
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_that_guides_show_and_settings_at_run_time() -> Result<()> {
    let cluster = one_broker().await?;
    let config = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "500"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("delete.retention.ms", "0"),
    ];
    cluster.create_topic("latest", 1, 1, &config).await?;
    let keys = ["K1", "K2", "K1", "K1", "K3", "K2", "K4", "K5", "K5", "K2", "K6"];
    let values: Vec<String> = (1..=keys.len()).map(|i| format!("V{i}")).collect();
    let records: Vec<_> = keys
        .iter()
        .zip(&values)
        .map(|(key, value)| (*key, Some(value.as_str())))
        .collect();
    write(&cluster, "latest", &records).await?;
    roll(&cluster, "latest", "active").await?;
    wait_for_offsets(&cluster, "latest", &[3, 4, 6, 8, 9, 10, 11]).await?;
    let dumped = dump(&cluster, "latest").await?;
    let expected = [
        (3, "K1", "V4"),
        (4, "K3", "V5"),
        (6, "K4", "V7"),
        (8, "K5", "V9"),
        (9, "K2", "V10"),
        (10, "K6", "V11"),
        (11, "active", "rolls"),
    ];
    let expected = expected.map(|(offset, key, value)| (offset, (key.to_owned(), value.to_owned())));
    ensure!(dumped == BTreeMap::from(expected), "{dumped:?}");

    // The cleaner's own settings change while it runs.
    let bootstrap = cluster.bootstrap();
    let broker = [
        "--bootstrap-server",
        &bootstrap,
        "--entity-type",
        "brokers",
        "--entity-default",
    ];
    let settings = "log.cleaner.threads=2,log.cleaner.dedupe.buffer.size=10000000,\
                    log.cleaner.io.max.bytes.per.second=5000000,log.cleaner.backoff.ms=50";
    let alter = ["--alter", "--add-config", settings];
    kafka_tool(CONFIG_COMMAND, &[&broker[..], &alter].concat())
        .await?
        .ok()?;
    write(&cluster, "latest", &[("K1", Some("V12")), ("K3", None)]).await?;
    roll(&cluster, "latest", "active").await?;
    // The cleaner does not look at the active segment: "active" at 11 is the last record that it may look at.
    wait_for_offsets(&cluster, "latest", &[6, 8, 9, 10, 11, 12, 13, 14]).await?;
    // That clean gave the tombstone its delete horizon. The next clean removes the tombstone.
    roll(&cluster, "latest", "other").await?;
    wait_for_offsets(&cluster, "latest", &[6, 8, 9, 10, 12, 14, 15]).await?;

    // The topic changes from compaction to retention. It then loses its old segments as a whole.
    let topic = [
        "--bootstrap-server",
        &bootstrap,
        "--entity-type",
        "topics",
        "--entity-name",
        "latest",
    ];
    let alter = ["--alter", "--add-config", "cleanup.policy=delete,retention.ms=1"];
    kafka_tool(CONFIG_COMMAND, &[&topic[..], &alter].concat())
        .await?
        .ok()?;
    wait_for_offsets(&cluster, "latest", &[]).await
}
