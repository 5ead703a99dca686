//! Tests consumer groups: members join and leave, committed offsets stay.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::load::{Load, read_all};
use barnabas_testcontainers::tools::{CONSOLE_CONSUMER, CONSUMER_GROUP_COMMAND, kafka_tool, kcat};
use barnabas_testcontainers::{Cluster, Kind};
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::message::Message;

#[tokio::test(flavor = "multi_thread")]
async fn kcat_and_the_console_consumer_read_in_a_group_and_go_on_where_they_stopped() -> Result<()> {
    let cluster = Cluster::start(&Kind::times(3)).await?;
    let bootstrap = cluster.bootstrap();
    cluster.create_topic("jobs", 3, 3, &[]).await?;
    let lines: String = (0..50).map(|n| format!("job {n}\n")).collect();
    kcat(&["-P", "-b", &bootstrap, "-t", "jobs"], &lines)
        .await?
        .ok()?;

    let consume = [
        "--bootstrap-server",
        &bootstrap,
        "--topic",
        "jobs",
        "--group",
        "workers",
        "--from-beginning",
        "--timeout-ms",
        "15000",
        "--max-messages",
    ];
    let first = kafka_tool(CONSOLE_CONSUMER, &[&consume[..], &["20"]].concat())
        .await?
        .ok()?;
    let second = kafka_tool(CONSOLE_CONSUMER, &[&consume[..], &["30"]].concat())
        .await?
        .ok()?;
    let mut seen: Vec<_> = first.lines().chain(second.lines()).collect();
    seen.sort_unstable();
    seen.dedup();
    ensure!(
        seen.len() == 50,
        "{} different jobs in\n{first}\n{second}",
        seen.len()
    );

    let described = kafka_tool(
        CONSUMER_GROUP_COMMAND,
        &[
            "--bootstrap-server",
            &bootstrap,
            "--describe",
            "--group",
            "workers",
        ],
    )
    .await?
    .ok()?;
    for partition in 0..3 {
        let line = described.lines().find(|l| {
            let fields: Vec<_> = l.split_whitespace().collect();
            fields.len() > 5 && fields[1] == "jobs" && fields[2] == partition.to_string()
        });
        let line = line.ok_or_else(|| anyhow::anyhow!("no line for jobs-{partition} in\n{described}"))?;
        ensure!(line.split_whitespace().nth(5) == Some("0"), "lag: {line}");
    }

    kcat(&["-P", "-b", &bootstrap, "-t", "jobs"], "one more\n")
        .await?
        .ok()?;
    let arguments = ["-b", &bootstrap, "-G", "workers", "-c", "1", "-q", "jobs"];
    let more = kcat(&arguments, "").await?.ok()?;
    ensure!(more == "one more\n", "kcat read {more:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_survives_the_death_of_its_coordinator() -> Result<()> {
    let mut cluster = Cluster::start(&Kind::times(3)).await?;
    cluster.create_topic("jobs", 4, 3, &[]).await?;
    let load = Load::start(&cluster.client(), "jobs", 50, true)?;
    load.wait_for_more(1000).await?;
    let mut config = cluster.client();
    config
        .set("group.id", "workers")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false");
    config.set("session.timeout.ms", "6000");

    let consumer: StreamConsumer = config.create()?;
    consumer.subscribe(&["jobs"])?;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let message = tokio::time::timeout(Duration::from_secs(20), consumer.recv()).await??;
        seen.insert((message.partition(), message.offset()));
        consumer.commit_message(&message, CommitMode::Sync)?;
    }
    drop(consumer);

    // The coordinator of `workers` leads partition |hash| % 5 of __consumer_offsets.
    let hash = "workers"
        .chars()
        .fold(0i32, |h, c| h.wrapping_mul(31).wrapping_add(c as i32));
    let partition = hash.unsigned_abs() as i32 % 5;
    let offsets = cluster.partitions(0, "__consumer_offsets").await?;
    let coordinator = offsets[partition as usize].leader;
    cluster.brokers[coordinator as usize].kill()?;

    let format = [
        "-b",
        &cluster.bootstrap(),
        "-G",
        "workers",
        "-c",
        "1",
        "-q",
        "-f",
        "%p %o",
        "jobs",
    ];
    let first_again = kcat(&[&format[..], &["-X", "auto.offset.reset=earliest"]].concat(), "")
        .await?
        .ok()?;
    let (partition, offset) = first_again.split_once(' ').context("a partition and an offset")?;
    let first_again = (partition.parse()?, offset.parse()?);
    ensure!(
        !seen.contains(&first_again),
        "a committed record was delivered again: {first_again:?}"
    );
    let written = load.stop().await?;
    barnabas_testcontainers::load::assert_nothing_lost(
        &written,
        &read_all(&cluster.client(), "jobs").await?,
    )?;
    Ok(())
}
