//! Tests the files on disk: they contain Kafka's bytes, and the broker serves them again after a clean stop and after
//! kill -9.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::load::{Load, assert_nothing_lost, assert_nothing_twice, read_all};
use barnabas_testcontainers::tools::{DUMP_LOG_SEGMENTS, kafka_tool};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Cluster, Kind};
use rdkafka::producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer};
use rdkafka::util::Timeout;

/// A segment that a Kafka user has published.
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
    // Small segments and index intervals, so that there are many segments and entries.
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
            kill(&mut cluster).await?;
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

/// Checks every segment and index of the topic with `DumpLogSegments`.
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

/// Sends SIGKILL and waits until ZooKeeper has removed the broker.
async fn kill(cluster: &mut Cluster) -> Result<()> {
    cluster.brokers[0].kill()?;
    let connect = cluster.zookeeper_connect();
    wait_for("the old session to expire", Duration::from_secs(30), || async {
        let node = barnabas_testcontainers::tools::zk_get(&connect, "/brokers/ids/0")
            .await
            .ok()?;
        node.is_none().then_some(())
    })
    .await
}

/// Appends the beginning of a batch to the last segment, as a crash may leave it.
fn tear_last_segment(cluster: &Cluster, partition: &str) -> Result<()> {
    let dir = cluster.brokers[0].log_dir().join(partition);
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|suffix| suffix == "log") {
            logs.push(path);
        }
    }
    let last = logs.iter().max().context("a partition has a segment")?;
    let mut bytes = std::fs::read(last)?;
    ensure!(bytes.len() > 100, "{} has no batch to copy", last.display());
    bytes.extend_from_within(..70);
    std::fs::write(last, bytes)?;
    Ok(())
}

/// Kills a broker of one kind while it writes and damages the end of its last segments. Then a broker of the other kind
/// starts on the same directory. It must serve all acknowledged records and leave valid indexes.
async fn takes_over_from_a_killed_broker(killed: Kind, heir: Kind) -> Result<()> {
    let mut cluster = Cluster::start(&[killed]).await?;
    let config = [("segment.bytes", "20000"), ("index.interval.bytes", "500")];
    cluster.create_topic("kept", 2, 1, &config).await?;
    let load = Load::start(&cluster.client(), "kept", 50, true)?;
    load.wait_for_more(2000).await?;
    let written = load.stop().await?;
    kill(&mut cluster).await?;
    for partition in ["kept-0", "kept-1"] {
        tear_last_segment(&cluster, partition)?;
    }
    cluster.brokers[0].become_kind(heir);
    cluster.brokers[0].start().await?;
    cluster
        .wait_for_isr(0, "kept", 1, Duration::from_secs(30))
        .await?;
    let contents = read_all(&cluster.client(), "kept").await?;
    assert_nothing_lost(&written, &contents)?;
    assert_nothing_twice(&contents)?;
    // The new broker continues where the other one stopped.
    let load = Load::start(&cluster.client(), "kept", 20, true)?;
    load.wait_for_more(500).await?;
    load.stop().await?;
    cluster.brokers[0].stop().await?;
    dump_log_segments(&cluster).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_serves_the_directory_of_a_barnabas_that_was_killed() -> Result<()> {
    takes_over_from_a_killed_broker(Kind::Barnabas, Kind::ApacheKafka).await
}

#[tokio::test(flavor = "multi_thread")]
async fn barnabas_serves_the_directory_of_a_kafka_that_was_killed() -> Result<()> {
    takes_over_from_a_killed_broker(Kind::ApacheKafka, Kind::Barnabas).await
}

/// Writes six transactions of five records each, aborts every second one, then writes a record outside a transaction.
/// Returns the committed values.
async fn write_transactions(cluster: &Cluster, round: usize) -> Result<Vec<String>> {
    let mut client = cluster.client();
    tokio::task::spawn_blocking(move || {
        let timeout = Duration::from_secs(40);
        let plain: BaseProducer = client.create()?;
        let producer: BaseProducer = client.set("transactional.id", "mover").create()?;
        producer.init_transactions(timeout)?;
        let mut committed = Vec::new();
        for transaction in 0..6 {
            producer.begin_transaction()?;
            let values: Vec<_> = (0..5)
                .map(|record| format!("{round}.{transaction}.{record}"))
                .collect();
            for value in &values {
                let record = BaseRecord::<(), _>::to("ledger").partition(0).payload(value);
                producer.send(record).map_err(|(error, _)| error)?;
            }
            producer.flush(timeout)?;
            if transaction % 2 == 0 {
                producer.commit_transaction(timeout)?;
                committed.extend(values);
            } else {
                producer.abort_transaction(timeout)?;
            }
        }
        // The reader reads up to the end of the log, so all markers must be written before it starts. The coordinator
        // accepts the next producer of this id only after all markers are written.
        let next: BaseProducer = client.create()?;
        next.init_transactions(timeout)?;
        let last = format!("{round}.end");
        let record = BaseRecord::<(), _>::to("ledger").partition(0).payload(&last);
        plain.send(record).map_err(|(error, _)| error)?;
        plain.flush(timeout)?;
        committed.push(last);
        Ok(committed)
    })
    .await?
}

/// Transactions that one kind of broker has completed read the same from the other kind, whether the first broker
/// stopped or was killed. The `writers` take turns: each writes, and the next one starts on its directory.
async fn transactions_move(writers: [Kind; 2], readers: [Kind; 2]) -> Result<()> {
    let mut cluster = Cluster::start(&[writers[0]]).await?;
    cluster.create_topic("ledger", 1, 1, &[]).await?;
    let mut expected = Vec::new();
    for (round, (writer, reader)) in writers.into_iter().zip(readers).enumerate() {
        if round > 0 {
            cluster.brokers[0].stop().await?;
            cluster.brokers[0].become_kind(writer);
            cluster.brokers[0].start().await?;
            cluster
                .wait_for_isr(0, "ledger", 1, Duration::from_secs(30))
                .await?;
        }
        expected.extend(write_transactions(&cluster, round).await?);
        match round {
            0 => drop(cluster.brokers[0].stop().await?),
            _ => kill(&mut cluster).await?,
        }
        cluster.brokers[0].become_kind(reader);
        cluster.brokers[0].start().await?;
        cluster
            .wait_for_isr(0, "ledger", 1, Duration::from_secs(30))
            .await?;
        let contents = read_all(&cluster.client(), "ledger").await?;
        let read: Vec<_> = contents[&0]
            .iter()
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect();
        ensure!(
            read == expected,
            "round {round}, {writer:?} to {reader:?}: {read:?}\ninstead of {expected:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_kafka_saw_through_are_read_from_barnabas() -> Result<()> {
    transactions_move([Kind::ApacheKafka; 2], [Kind::Barnabas; 2]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_barnabas_saw_through_are_read_from_kafka() -> Result<()> {
    transactions_move([Kind::Barnabas; 2], [Kind::ApacheKafka; 2]).await
}
