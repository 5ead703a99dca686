//! Tests the main use: three brokers on a real ZooKeeper, used with Kafka's own tools and with kcat.

use anyhow::{Result, ensure};
use barnabas_testcontainers::tools::{
    CONSOLE_CONSUMER, CONSOLE_PRODUCER, CONSUMER_PERFORMANCE, PRODUCER_PERFORMANCE, TOPIC_COMMAND,
    kafka_tool, kafka_tool_with_input, kcat, zk_cli,
};
use barnabas_testcontainers::{Cluster, Kind};

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_own_tools_and_kcat_work_against_three_brokers() -> Result<()> {
    let cluster = Cluster::start(&Kind::times(3)).await?;
    let bootstrap = cluster.bootstrap();
    let at = ["--bootstrap-server", &bootstrap];

    let create = [
        "--create",
        "--topic",
        "orders",
        "--partitions",
        "3",
        "--replication-factor",
        "3",
    ];
    let created = kafka_tool(TOPIC_COMMAND, &[&at[..], &create].concat())
        .await?
        .ok()?;
    ensure!(created.contains("Created topic orders."), "{created}");
    let described = kafka_tool(
        TOPIC_COMMAND,
        &[&at[..], &["--describe", "--topic", "orders"]].concat(),
    )
    .await?
    .ok()?;
    ensure!(
        described.contains("PartitionCount: 3\tReplicationFactor: 3"),
        "{described}"
    );
    cluster
        .wait_for_isr(0, "orders", 3, std::time::Duration::from_secs(20))
        .await?;

    let lines: String = (0..100).map(|n| format!("order {n}\n")).collect();
    kafka_tool_with_input(
        CONSOLE_PRODUCER,
        &[&at[..], &["--topic", "orders"]].concat(),
        &lines,
    )
    .await?
    .ok()?;
    let consume = [
        "--topic",
        "orders",
        "--from-beginning",
        "--max-messages",
        "100",
        "--timeout-ms",
        "30000",
    ];
    let consumed = kafka_tool(CONSOLE_CONSUMER, &[&at[..], &consume].concat())
        .await?
        .ok()?;
    ensure!(
        sorted(&consumed) == sorted(&lines),
        "console consumer read\n{consumed}"
    );

    kcat(&["-P", "-b", &bootstrap, "-t", "orders", "-K", ":"], "a:1\nb:2\n")
        .await?
        .ok()?;
    let read = kcat(
        &["-C", "-b", &bootstrap, "-t", "orders", "-e", "-q", "-f", "%s\n"],
        "",
    )
    .await?
    .ok()?;
    ensure!(
        sorted(&read) == sorted(&format!("{lines}1\n2\n")),
        "kcat read\n{read}"
    );

    let produce = [
        "--topic",
        "orders",
        "--num-records",
        "20000",
        "--record-size",
        "1000",
        "--throughput",
        "-1",
    ];
    let server = format!("bootstrap.servers={bootstrap}");
    let produce = [&produce[..], &["--producer-props", &server, "acks=all"]].concat();
    let report = kafka_tool(PRODUCER_PERFORMANCE, &produce).await?.ok()?;
    ensure!(report.contains("20000 records sent"), "{report}");
    let consume = ["--topic", "orders", "--messages", "20102", "--timeout", "30000"];
    let report = kafka_tool(CONSUMER_PERFORMANCE, &[&at[..], &consume].concat())
        .await?
        .ok()?;
    ensure!(report.contains(", 20102, "), "{report}");

    kafka_tool(
        TOPIC_COMMAND,
        &[&at[..], &["--delete", "--topic", "orders"]].concat(),
    )
    .await?
    .ok()?;
    let listed = kafka_tool(TOPIC_COMMAND, &[&at[..], &["--list"]].concat())
        .await?
        .ok()?;
    ensure!(!listed.contains("orders"), "{listed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn zookeepers_own_shell_shows_the_cluster() -> Result<()> {
    let cluster = Cluster::start(&Kind::times(1)).await?;
    cluster.create_topic("seen", 1, 1, &[]).await?;
    let connect = cluster.zookeeper_connect();
    let tree = zk_cli(&connect, &["ls", "-R", "/"]).await?.ok()?;
    for path in [
        "/brokers/ids/0",
        "/brokers/topics/seen/partitions/0/state",
        "/controller",
        "/cluster/id",
    ] {
        ensure!(tree.lines().any(|line| line == path), "{path} is not in\n{tree}");
    }
    let state = zk_cli(&connect, &["get", "/brokers/topics/seen/partitions/0/state"])
        .await?
        .ok()?;
    ensure!(
        state.contains(r#"{"controller_epoch":1,"leader":0,"version":1,"leader_epoch":0,"isr":[0]}"#),
        "{state}"
    );
    Ok(())
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}
