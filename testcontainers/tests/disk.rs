//! What is on disk: Kafka's bytes, there again after a clean stop and after kill -9.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::load::{Load, assert_nothing_lost, read_all};
use barnabas_testcontainers::tools::{DUMP_LOG_SEGMENTS, kafka_tool};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Cluster, Kind};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

/// A segment that a Kafka user once published.
const PUBLISHED: &str = "00000000000000000000004600000000021b0d893f0000000000000000017e1fecc2a00000017e1fecc2a0\
                         ffffffffffffffffffffffffffff0000000128000000011c204669727374206d65737361676500";

#[tokio::test(flavor = "multi_thread")]
async fn a_published_segment_comes_out_byte_for_byte() -> Result<()> {
    let mut cluster = Cluster::start(&Kind::times(1)).await?;
    cluster.create_topic("published", 1, 1, &[]).await?;
    let producer: FutureProducer = cluster.client().create()?;
    let record = FutureRecord::<(), _>::to("published")
        .payload(" First message")
        .timestamp(1_641_213_117_088);
    producer
        .send(record, Timeout::Never)
        .await
        .map_err(|(error, _)| error)?;
    let contents = read_all(&cluster.client(), "published").await?;
    ensure!(contents[&0] == [(0, b" First message".to_vec())], "{contents:?}");
    let segment = cluster.brokers[0]
        .log_dir()
        .join("published-0/00000000000000000000.log");
    let hex: String = std::fs::read(&segment)?
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ensure!(hex == PUBLISHED, "{hex}");
    cluster.brokers[0].stop().await?;
    let hex: String = std::fs::read(&segment)?
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ensure!(hex == PUBLISHED, "after the stop: {hex}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_survive_a_clean_stop_and_kill_9_and_kafkas_own_tool_reads_them() -> Result<()> {
    let mut cluster = Cluster::start(&Kind::times(1)).await?;
    // Small segments and indexes, so that there are many.
    let config = [("segment.bytes", "20000"), ("index.interval.bytes", "500")];
    cluster.create_topic("kept", 2, 1, &config).await?;
    let load = Load::start(&cluster.client(), "kept", 50, true)?;
    load.wait_for_more(1000).await?;
    let written = load.stop().await?;
    ensure!(
        written.acknowledged.len() > 1000,
        "only {} records",
        written.acknowledged.len()
    );

    for clean in [true, false, true] {
        if clean {
            cluster.brokers[0].stop().await?;
            dump_log_segments(&cluster).await?;
        } else {
            cluster.brokers[0].kill()?;
            let connect = cluster.zookeeper_connect();
            wait_for("the old session to expire", Duration::from_secs(30), || async {
                let node = barnabas_testcontainers::tools::zk_get(&connect, "/brokers/ids/0")
                    .await
                    .ok()?;
                node.is_none().then_some(())
            })
            .await?;
        }
        cluster.brokers[0].start().await?;
        cluster
            .wait_for_isr(0, "kept", 1, Duration::from_secs(20))
            .await?;
        let contents = read_all(&cluster.client(), "kept").await?;
        assert_nothing_lost(&written, &contents)?;
        for (partition, records) in &contents {
            for (expected, (offset, _)) in records.iter().enumerate() {
                ensure!(
                    *offset == expected as i64,
                    "kept-{partition}: {offset} where {expected} was expected"
                );
            }
        }
    }
    Ok(())
}

/// Every segment and index of the topic, through `DumpLogSegments`.
async fn dump_log_segments(cluster: &Cluster) -> Result<()> {
    let mut files = Vec::new();
    for partition in 0..2 {
        for entry in std::fs::read_dir(cluster.brokers[0].log_dir().join(format!("kept-{partition}")))? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|e| e == "log" || e == "index" || e == "timeindex")
            {
                files.push(path.display().to_string());
            }
        }
    }
    ensure!(files.len() > 12, "only {} files", files.len());
    files.sort();
    let output = kafka_tool(
        DUMP_LOG_SEGMENTS,
        &["--deep-iteration", "--files", &files.join(",")],
    )
    .await?;
    let text = output.ok().context("DumpLogSegments")?;
    ensure!(!text.contains("isvalid: false"), "{text}");
    for complaint in [
        "Mismatches in",
        "don't have message",
        "Found timestamp mismatch",
        "out of order",
        "Skipping",
    ] {
        ensure!(!text.contains(complaint), "{complaint}:\n{text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_directory_moves_between_kafka_and_barnabas_and_back() -> Result<()> {
    let mut cluster = Cluster::start(&[Kind::ApacheKafka]).await?;
    cluster
        .create_topic("moved", 1, 1, &[("segment.bytes", "50000")])
        .await?;
    let mut all = Vec::new();
    for kind in [Kind::Barnabas, Kind::ApacheKafka, Kind::Barnabas] {
        let load = Load::start(&cluster.client(), "moved", 20, true)?;
        load.wait_for_more(1000).await?;
        let written = load.stop().await?;
        ensure!(written.failed.is_empty());
        all.push(written.acknowledged.len());
        cluster.brokers[0].stop().await?;
        cluster.brokers[0].become_kind(kind);
        cluster.brokers[0].start().await?;
        cluster
            .wait_for_isr(0, "moved", 1, Duration::from_secs(30))
            .await?;
        let contents = read_all(&cluster.client(), "moved").await?;
        let count = contents[&0].len();
        ensure!(
            count == all.iter().sum::<usize>(),
            "{kind:?} has {count} records of {all:?}"
        );
    }
    Ok(())
}
