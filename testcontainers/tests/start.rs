//! Tests the start of a broker: what it needs, and the message when something is missing.

use std::time::Duration;

use anyhow::{Result, ensure};
use barnabas_testcontainers::broker::binary;
use barnabas_testcontainers::tools::{run, zk_get, zk_tree};
use barnabas_testcontainers::{Broker, Cluster, Kind, ZooKeeper, free_port, free_ports};

const LIMIT: Duration = Duration::from_secs(30);

/// Starts a broker that must refuse to run. Returns its output.
async fn refusal(mut broker: Broker) -> Result<String> {
    broker.spawn()?;
    let status = broker.process().wait(LIMIT).await?;
    let output = broker.output();
    ensure!(status.code() == Some(1), "exited with {status}:\n{output}");
    ensure!(!output.contains("panicked"), "it panicked:\n{output}");
    Ok(output.lines().last().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_zookeeper_it_waits_for_the_connection_timeout_and_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let connect = format!("127.0.0.1:{}/chroot", free_port());
    let broker = Broker::new(Kind::Barnabas, 0, &connect, folder.path());
    let started = std::time::Instant::now();
    let said = refusal(broker.with("zookeeper.connection.timeout.ms", 1500)).await?;
    ensure!(
        started.elapsed() > Duration::from_millis(1400),
        "gave up after {:?}",
        started.elapsed()
    );
    ensure!(said.contains(&connect) || said.contains("ZooKeeper"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_surroundings_are_refused_with_a_reason() -> Result<()> {
    let mut cluster = Cluster::start(&[Kind::Barnabas]).await?;
    let connect = cluster.zookeeper_connect();
    let folder = tempfile::tempdir()?;
    let taken = cluster.brokers[0].port;
    let fresh = |id: i32| Broker::new(Kind::Barnabas, id, &connect, folder.path());

    let said = refusal(fresh(0)).await?;
    ensure!(said.contains("/brokers/ids/0"), "duplicate id: {said}");
    let said =
        refusal(fresh(1).with("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{taken}"))).await?;
    ensure!(said.contains(&taken.to_string()), "duplicate endpoint: {said}");
    let said = refusal(fresh(2).with("listeners", format!("PLAINTEXT://127.0.0.1:{taken}"))).await?;
    ensure!(said.contains(&taken.to_string()), "port in use: {said}");
    std::fs::write(folder.path().join("file"), "")?;
    let inside_a_file = folder.path().join("file/logs");
    let said = refusal(fresh(3).with("log.dirs", inside_a_file.display())).await?;
    ensure!(said.contains("file/logs"), "unwritable log dir: {said}");
    let same_dir = cluster.brokers[0].log_dir();
    let said = refusal(fresh(4).with("log.dirs", same_dir.display())).await?;
    ensure!(said.contains("logs"), "log dir of another broker: {said}");

    // The failed starts have not harmed the running broker.
    cluster.create_topic("unharmed", 1, 1, &[]).await?;
    ensure!(cluster.brokers[0].stop().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_configuration_names_key_value_file_and_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let connect = format!("127.0.0.1:{}", free_port());
    let fresh = |id: i32| Broker::new(Kind::Barnabas, id, &connect, folder.path());
    let said = refusal(fresh(0).with("num.partitions", "many")).await?;
    for word in ["num.partitions", "many", "server.properties:8"] {
        ensure!(said.contains(word), "{word} is not in: {said}");
    }
    let said = refusal(fresh(1).with("process.roles", "broker")).await?;
    ensure!(
        said.contains("process.roles") && said.contains("ZooKeeper"),
        "{said}"
    );
    let said = refusal(fresh(2).with("log.retention.check.interval.ms", "0")).await?;
    ensure!(said.contains("log.retention.check.interval.ms"), "{said}");

    let mut command = std::process::Command::new(binary());
    command.arg("broker");
    let output = run(command, "", LIMIT).await?;
    ensure!(!output.success && output.stderr.contains("Usage"), "{output:?}");
    let mut command = std::process::Command::new(binary());
    command.args(["broker", "/no/such/file"]);
    let output = run(command, "", LIMIT).await?;
    ensure!(
        !output.success && output.stderr.contains("/no/such/file"),
        "{output:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_an_id_gets_one_from_zookeeper_and_keeps_it() -> Result<()> {
    let zookeeper = ZooKeeper::single().await?;
    let unnumbered = |broker: Broker| broker.with("broker.id", -1);
    let mut cluster = Cluster::start_with(zookeeper, &[Kind::under_test()], unnumbered).await?;
    let connect = cluster.zookeeper_connect();
    ensure!(
        zk_get(&connect, "/brokers/ids/1001").await?.is_some(),
        "the first generated id is 1001"
    );
    let read =
        |cluster: &Cluster| std::fs::read_to_string(cluster.brokers[0].log_dir().join("meta.properties"));
    let before = read(&cluster)?;
    ensure!(
        before.contains("broker.id=1001") && before.contains("version=0"),
        "{before}"
    );
    cluster.brokers[0].stop().await?;
    ensure!(
        zk_get(&connect, "/brokers/ids/1001").await?.is_none(),
        "a stopped broker takes its znode along"
    );
    cluster.brokers[0].start().await?;
    cluster.wait_until_ready(1).await?;
    ensure!(
        zk_get(&connect, "/brokers/ids/1001").await?.is_some(),
        "the id comes from meta.properties now"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_runs_many_brokers() -> Result<()> {
    let zookeeper = ZooKeeper::single().await?;
    let connect = format!("{}/many", zookeeper.connect_string());
    let folder = tempfile::tempdir()?;
    let port = free_ports(5);
    let mut command = std::process::Command::new(binary());
    command.args([
        "cluster",
        "--brokers",
        "5",
        "--zookeeper",
        &connect,
        "--base-port",
        &port.to_string(),
    ]);
    command.arg("--dir").arg(folder.path());
    let mut process =
        barnabas_testcontainers::process::Process::start(&mut command, &folder.path().join("output"))?;
    barnabas_testcontainers::wait::wait_for("five registrations", LIMIT, || async {
        let tree = zk_tree(&connect).await.ok()?;
        let registered = tree
            .iter()
            .filter(|(path, ..)| path.starts_with("/brokers/ids/"))
            .count();
        (registered == 5).then_some(())
    })
    .await
    .map_err(|error| process.explain(&error))?;
    ensure!(process.terminate(LIMIT).await?.success(), "{}", process.output());
    let tree = zk_tree(&connect).await?;
    ensure!(
        !tree.iter().any(|(_, _, ephemeral)| *ephemeral),
        "ephemeral znodes are left: {tree:?}"
    );
    Ok(())
}
