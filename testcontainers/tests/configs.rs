//! Tests topic configurations: Kafka's tools set them, ZooKeeper stores them, every broker applies them at once.

use std::time::Duration;

use anyhow::{Result, ensure};
use barnabas_testcontainers::load::{Load, read_all};
use barnabas_testcontainers::tools::{CONFIG_COMMAND, TOPIC_COMMAND, kafka_tool, kcat, zk_get};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Cluster, Kind};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

#[tokio::test(flavor = "multi_thread")]
async fn kafka_configs_changes_a_topic_on_every_broker() -> Result<()> {
    let cluster = Cluster::start(&Kind::times(3)).await?;
    let bootstrap = cluster.bootstrap();
    let at = ["--bootstrap-server", &bootstrap];
    let create = [
        "--create",
        "--topic",
        "tuned",
        "--partitions",
        "1",
        "--replication-factor",
        "3",
        "--config",
        "retention.ms=60000",
    ];
    kafka_tool(TOPIC_COMMAND, &[&at[..], &create].concat())
        .await?
        .ok()?;
    let entity = ["--entity-type", "topics", "--entity-name", "tuned"];
    let alter = [
        "--alter",
        "--add-config",
        "max.message.bytes=2000,segment.bytes=20000",
    ];
    kafka_tool(CONFIG_COMMAND, &[&at[..], &entity, &alter].concat())
        .await?
        .ok()?;
    let described = kafka_tool(CONFIG_COMMAND, &[&at[..], &entity, &["--describe"]].concat())
        .await?
        .ok()?;
    for pair in [
        "max.message.bytes=2000",
        "segment.bytes=20000",
        "retention.ms=60000",
    ] {
        ensure!(described.contains(pair), "{pair} is not in\n{described}");
    }
    let znode = zk_get(&cluster.zookeeper_connect(), "/config/topics/tuned")
        .await?
        .unwrap_or_default();
    let znode: serde_json::Value = serde_json::from_slice(&znode)?;
    ensure!(
        znode["config"]["max.message.bytes"] == "2000" && znode["version"] == 1,
        "{znode}"
    );

    // The broker refuses a record that is now too large and accepts a smaller one.
    let producer: FutureProducer = cluster.client().set("message.timeout.ms", "10000").create()?;
    let large = "x".repeat(3000);
    wait_for("the new limit", Duration::from_secs(10), || async {
        let sent = producer
            .send(FutureRecord::<(), _>::to("tuned").payload(&large), Timeout::Never)
            .await;
        let refused = rdkafka::types::RDKafkaErrorCode::MessageSizeTooLarge;
        matches!(sent, Err((e, _)) if e.rdkafka_error_code() == Some(refused)).then_some(())
    })
    .await?;
    producer
        .send(
            FutureRecord::<(), _>::to("tuned").payload("small"),
            Timeout::Never,
        )
        .await
        .map_err(|(e, _)| e)?;

    let delete = ["--alter", "--delete-config", "max.message.bytes"];
    kafka_tool(CONFIG_COMMAND, &[&at[..], &entity, &delete].concat())
        .await?
        .ok()?;
    wait_for("the old limit", Duration::from_secs(10), || async {
        producer
            .send(FutureRecord::<(), _>::to("tuned").payload(&large), Timeout::Never)
            .await
            .ok()
    })
    .await?;
    let bad = ["--alter", "--add-config", "retention.ms=soon"];
    let refused = kafka_tool(CONFIG_COMMAND, &[&at[..], &entity, &bad].concat()).await?;
    ensure!(
        !refused.success && refused.stderr.contains("retention.ms"),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_added_and_topics_deleted_with_their_files() -> Result<()> {
    let cluster = Cluster::start_with(
        barnabas_testcontainers::ZooKeeper::single().await?,
        &Kind::times(3),
        |broker| {
            broker
                .with("log.segment.delete.delay.ms", 500)
                .with("log.initial.task.delay.ms", 500)
        },
    )
    .await?;
    let bootstrap = cluster.bootstrap();
    let at = ["--bootstrap-server", &bootstrap, "--topic", "growing"];
    cluster.create_topic("growing", 1, 2, &[]).await?;
    kafka_tool(
        TOPIC_COMMAND,
        &[&at[..], &["--alter", "--partitions", "4"]].concat(),
    )
    .await?
    .ok()?;
    wait_for("four partitions", Duration::from_secs(10), || async {
        let partitions = cluster.partitions(1, "growing").await.ok()?;
        (partitions.len() == 4 && partitions.iter().all(|p| p.leader >= 0 && p.isr.len() == 2)).then_some(())
    })
    .await?;
    let load = Load::start(&cluster.client(), "growing", 20, true)?;
    load.wait_for_more(1000).await?;
    let written = load.stop().await?;
    let contents = read_all(&cluster.client(), "growing").await?;
    barnabas_testcontainers::load::assert_nothing_lost(&written, &contents)?;
    ensure!(
        contents.values().all(|records| !records.is_empty()),
        "a partition is empty"
    );

    let fewer = kafka_tool(
        TOPIC_COMMAND,
        &[&at[..], &["--alter", "--partitions", "2"]].concat(),
    )
    .await?;
    ensure!(!fewer.success, "{fewer:?}");

    kafka_tool(TOPIC_COMMAND, &[&at[..], &["--delete"]].concat())
        .await?
        .ok()?;
    let connect = cluster.zookeeper_connect();
    wait_for("the topic's end", Duration::from_secs(20), || async {
        for path in [
            "/brokers/topics/growing",
            "/config/topics/growing",
            "/admin/delete_topics/growing",
        ] {
            if zk_get(&connect, path).await.ok()?.is_some() {
                return None;
            }
        }
        for broker in &cluster.brokers {
            for entry in std::fs::read_dir(broker.log_dir()).ok()?.flatten() {
                if entry.file_name().to_string_lossy().starts_with("growing-") {
                    return None;
                }
            }
        }
        Some(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_made_when_somebody_writes_to_it_and_bad_ones_are_refused() -> Result<()> {
    let cluster = Cluster::start(&Kind::times(1)).await?;
    let bootstrap = cluster.bootstrap();
    kcat(&["-P", "-b", &bootstrap, "-t", "made.on.demand"], "hello\n")
        .await?
        .ok()?;
    let read = kcat(&["-C", "-b", &bootstrap, "-t", "made.on.demand", "-e", "-q"], "")
        .await?
        .ok()?;
    ensure!(read == "hello\n", "{read:?}");

    let create = |name: &'static str, partitions: &'static str, factor: &'static str| {
        let bootstrap = bootstrap.clone();
        async move {
            let arguments = [
                "--bootstrap-server",
                &bootstrap,
                "--create",
                "--topic",
                name,
                "--partitions",
                partitions,
                "--replication-factor",
                factor,
            ];
            kafka_tool(TOPIC_COMMAND, &arguments).await
        }
    };
    for (name, partitions, factor, reason) in [
        ("too-many-replicas", "1", "2", "InvalidReplicationFactorException"),
        ("what?", "1", "1", "InvalidTopicException"),
        ("made.on.demand", "1", "1", "already exists"),
        ("made_on_demand", "1", "1", "collide"),
    ] {
        let refused = create(name, partitions, factor).await?;
        let said = format!("{}{}", refused.stdout, refused.stderr);
        ensure!(!refused.success && said.contains(reason), "{name}: {said}");
    }
    Ok(())
}
