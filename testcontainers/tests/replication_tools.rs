//! Tests replication as an operator sees it: a throttled reassignment, consumers that read in their own rack, and
//! Kafka's own tool that compares replicas.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::cluster::Cluster;
use barnabas_testcontainers::load::{Load, assert_nothing_lost, assert_nothing_twice, read_all};
use barnabas_testcontainers::process::Process;
use barnabas_testcontainers::tools::{java, kafka_tool};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Broker, Kind, ZooKeeper};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

const REASSIGN_COMMAND: &str = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
const REPLICA_VERIFICATION_TOOL: &str = "org.apache.kafka.tools.ReplicaVerificationTool";

async fn start(configure: impl Fn(Broker) -> Broker) -> Result<Cluster> {
    Cluster::start_with(ZooKeeper::single().await?, &Kind::times(3), configure).await
}

/// The size in bytes of a partition's segments on a broker.
fn size(broker: &Broker, partition: &str) -> u64 {
    let entries = std::fs::read_dir(broker.log_dir().join(partition))
        .into_iter()
        .flatten()
        .flatten();
    let logs = entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "log"));
    logs.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reassignment_is_throttled_and_in_sync_replicas_are_not() -> Result<()> {
    let cluster = start(|broker| broker.with("replica.lag.time.max.ms", 60_000)).await?;
    cluster.create_topic("moved", 1, 2, &[]).await?;
    let load = Load::start(&cluster.client(), "moved", 50, true)?;
    load.wait_for_more(30_000).await?;
    let before = cluster.partitions(0, "moved").await?.remove(0);
    let new = (0..3)
        .find(|id| !before.replicas.contains(id))
        .context("a third broker")?;
    let replicas = [before.leader, new];
    let json = serde_json::json!({
        "version": 1,
        "partitions": [{"topic": "moved", "partition": 0, "replicas": replicas}],
    });
    let file = cluster.folder().join("reassignment.json");
    std::fs::write(&file, json.to_string())?;
    let (file, bootstrap) = (file.display().to_string(), cluster.bootstrap());
    let reassign = async |arguments: &[&str]| -> Result<String> {
        let mut all = vec![
            "--bootstrap-server",
            &bootstrap,
            "--reassignment-json-file",
            &file,
        ];
        all.extend(arguments);
        kafka_tool(REASSIGN_COMMAND, &all).await?.ok()
    };
    const RATE: u64 = 200_000;
    // Bytes sent to in-sync replicas also count for the throttle. Under full load, no quota would be left for the new
    // replica.
    load.pause();
    let begun = Instant::now();
    reassign(&["--execute", "--throttle", &RATE.to_string()]).await?;
    let broker = &cluster.brokers[new as usize];
    wait_for("the first bytes", Duration::from_secs(30), || async {
        (size(broker, "moved-0") > 0).then_some(())
    })
    .await?;
    // The replicas in sync serve producers at full speed.
    load.resume();
    load.wait_for_more(5_000).await?;
    load.pause();
    wait_for("three seconds' worth", Duration::from_secs(60), || async {
        (size(broker, "moved-0") > 3 * RATE).then_some(())
    })
    .await?;
    let (copied, elapsed) = (size(broker, "moved-0"), begun.elapsed());
    let allowed = (elapsed.as_secs_f64() + 2.0) * RATE as f64 + 2_500_000.0;
    ensure!((copied as f64) < allowed, "{copied} bytes in {elapsed:?}");
    let full = size(&cluster.brokers[before.leader as usize], "moved-0");
    ensure!(copied < full, "{copied} of {full}: nothing was left to throttle");
    let output = reassign(&["--verify"]).await?;
    ensure!(output.contains("is still in progress"), "{output}");
    reassign(&["--execute", "--additional", "--throttle", "1000000000"]).await?;
    load.resume();
    wait_for("the reassignment to end", Duration::from_secs(60), || async {
        let partition = cluster.partitions(0, "moved").await.ok()?.remove(0);
        (partition.replicas.len() == 2 && partition.isr.contains(&new)).then_some(())
    })
    .await
    .with_context(|| cluster.outputs())?;
    let output = reassign(&["--verify"]).await?;
    ensure!(output.contains("Clearing topic-level throttles"), "{output}");
    let written = load.stop().await?;
    ensure!(written.failed.is_empty());
    let contents = read_all(&cluster.client(), "moved").await?;
    assert_nothing_lost(&written, &contents)?;
    assert_nothing_twice(&contents)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_reads_from_the_replica_in_its_rack() -> Result<()> {
    let cluster = start(|broker| {
        let rack = format!("rack-{}", broker.id);
        broker.with("broker.rack", rack).with(
            "replica.selector.class",
            "org.apache.kafka.common.replica.RackAwareReplicaSelector",
        )
    })
    .await?;
    cluster.create_topic("near", 1, 3, &[]).await?;
    let load = Load::start(&cluster.client(), "near", 50, true)?;
    load.wait_for_more(5_000).await?;
    let written = load.stop().await?;
    let leader = cluster.partitions(0, "near").await?[0].leader;
    let follower = (0..3).find(|&id| id != leader).context("a follower")?;
    let mut config = cluster.client();
    config
        .set("group.id", "near")
        .set("client.rack", format!("rack-{follower}"))
        .set("statistics.interval.ms", "100")
        .set("auto.offset.reset", "error");
    let expected = written.acknowledged.len();
    let read_from = ReadFrom::default();
    let seen = read_from.0.clone();
    let consumer: BaseConsumer<ReadFrom> = config.create_with_context(read_from)?;
    let read = tokio::task::spawn_blocking(move || -> Result<usize> {
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset("near", 0, Offset::Beginning)?;
        consumer.assign(&assignment)?;
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut read = 0;
        while read < expected || !seen.lock().unwrap().contains(&follower) {
            let brokers = seen.lock().unwrap().clone();
            ensure!(Instant::now() < deadline, "{read} of {expected} from {brokers:?}");
            if let Some(message) = consumer.poll(Duration::from_millis(200)) {
                message?;
                read += 1;
            }
        }
        Ok(read)
    });
    ensure!(read.await?? == expected);
    Ok(())
}

/// The brokers that a consumer has read from, as its statistics report.
#[derive(Clone, Default)]
struct ReadFrom(Arc<Mutex<BTreeSet<i32>>>);

impl ClientContext for ReadFrom {
    fn stats(&self, statistics: Statistics) {
        let topics = statistics.topics.values();
        let partition = topics.filter_map(|topic| topic.partitions.get(&0));
        self.0
            .lock()
            .unwrap()
            .extend(partition.map(|partition| partition.broker));
    }
}

impl ConsumerContext for ReadFrom {}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_tool_finds_no_difference_between_replicas() -> Result<()> {
    let mut cluster = start(|broker| broker).await?;
    cluster
        .create_topic("verified", 3, 3, &[("segment.bytes", "500000")])
        .await?;
    let load = Load::start(&cluster.client(), "verified", 50, true)?;
    load.wait_for_more(5_000).await?;
    // Leaders change under load, once by a clean stop and once by a kill.
    cluster.brokers[1].stop().await?;
    load.wait_for_more(2_000).await?;
    cluster.brokers[1].start().await?;
    cluster
        .wait_for_isr(0, "verified", 3, Duration::from_secs(60))
        .await?;
    cluster.brokers[2].kill()?;
    load.wait_for_more(2_000).await?;
    cluster.brokers[2].start().await?;
    cluster
        .wait_for_isr(0, "verified", 3, Duration::from_secs(60))
        .await?;
    let written = load.stop().await?;
    let contents = read_all(&cluster.client(), "verified").await?;
    assert_nothing_lost(&written, &contents)?;

    let mut tool = java(REPLICA_VERIFICATION_TOOL, "256m", "WARN");
    let bootstrap = cluster.bootstrap();
    tool.args(["--broker-list", &bootstrap, "--topics-include", "verified"])
        .args(["--report-interval-ms", "1000"]);
    let tool = Process::start(&mut tool, &cluster.folder().join("verification"))?;
    tool.wait_for_output("verification process is started", Duration::from_secs(60))
        .await?;
    wait_for(
        "a report that nothing is left",
        Duration::from_secs(60),
        || async { tool.output().contains("max lag is 0 ").then_some(()) },
    )
    .await
    .map_err(|error| tool.explain(&error))?;
    let output = tool.output();
    for complaint in ["unmatched checksum", "doesn't match", "Exception"] {
        ensure!(!output.contains(complaint), "{output}");
    }
    Ok(())
}
