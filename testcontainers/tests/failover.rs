//! Tests crashes of brokers: another controller takes over, no acknowledged record is lost, the killed brokers return.

use std::time::Duration;

use anyhow::{Result, ensure};
use barnabas_testcontainers::load::{Load, assert_nothing_lost, assert_nothing_twice, read_all};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Cluster, Kind};

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_and_leader_is_killed_under_load_and_nothing_acknowledged_is_lost() -> Result<()> {
    let mut cluster = Cluster::start(&Kind::times(3)).await?;
    cluster
        .create_topic("orders", 6, 3, &[("min.insync.replicas", "2")])
        .await?;
    cluster
        .wait_for_isr(0, "orders", 3, Duration::from_secs(20))
        .await?;
    let controller = cluster.controller().await?;
    let leads = cluster
        .partitions(0, "orders")
        .await?
        .iter()
        .filter(|p| p.leader == controller)
        .count();
    ensure!(leads > 0, "the controller leads nothing");

    // The producer is not idempotent, so each acknowledgement must hold by itself.
    let load = Load::start(&cluster.client(), "orders", 200, false)?;
    load.wait_for_more(1000).await?;
    cluster.brokers[controller as usize].kill()?;
    let successor = wait_for("another controller", Duration::from_secs(20), || async {
        cluster.controller().await.ok().filter(|&c| c != controller)
    })
    .await?;
    let survivor = successor as usize;
    cluster
        .wait_for_isr(survivor, "orders", 2, Duration::from_secs(20))
        .await?;
    load.wait_for_more(1000).await?;
    let written = load.stop().await?;
    eprintln!(
        "{} acknowledged, longest gap {:?}",
        written.acknowledged.len(),
        written.longest_gap
    );
    ensure!(
        written.acknowledged.len() > 1000,
        "only {} acknowledged",
        written.acknowledged.len()
    );
    assert_nothing_lost(&written, &read_all(&cluster.client(), "orders").await?)?;

    cluster.brokers[controller as usize].start().await?;
    cluster
        .wait_for_isr(survivor, "orders", 3, Duration::from_secs(30))
        .await?;
    cluster.wait_until_ready(3).await?;
    // All replicas are in sync again, the returned broker's too. No acknowledged record is missing.
    assert_nothing_lost(&written, &read_all(&cluster.client(), "orders").await?)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_brokers_are_killed_at_once_and_come_back_with_everything() -> Result<()> {
    let mut cluster = Cluster::start(&Kind::times(3)).await?;
    cluster.create_topic("orders", 3, 3, &[]).await?;
    cluster
        .wait_for_isr(0, "orders", 3, Duration::from_secs(20))
        .await?;
    let load = Load::start(&cluster.client(), "orders", 100, true)?;
    load.wait_for_more(1000).await?;
    for broker in &mut cluster.brokers {
        broker.freeze()?;
    }
    for broker in &mut cluster.brokers {
        broker.kill()?;
    }
    // Kafka refuses to start while its registration from the previous run exists in ZooKeeper. So the test waits until
    // the sessions expire.
    let connect = cluster.zookeeper_connect();
    wait_for("the old sessions to expire", Duration::from_secs(30), || async {
        let tree = barnabas_testcontainers::tools::zk_tree(&connect).await.ok()?;
        (!tree
            .iter()
            .any(|(path, _, ephemeral)| *ephemeral && path.starts_with("/brokers/ids/")))
        .then_some(())
    })
    .await?;
    for broker in &mut cluster.brokers {
        broker.start().await?;
    }
    cluster
        .wait_for_isr(0, "orders", 3, Duration::from_secs(40))
        .await?;
    let written = load.stop().await?;
    ensure!(written.failed.is_empty(), "{} failed", written.failed.len());
    let contents = read_all(&cluster.client(), "orders").await?;
    assert_nothing_lost(&written, &contents)?;
    assert_nothing_twice(&contents)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_leader_is_replaced_and_changes_nothing_when_it_thaws() -> Result<()> {
    let mut cluster = Cluster::start(&Kind::times(3)).await?;
    cluster
        .create_topic("orders", 3, 3, &[("min.insync.replicas", "2")])
        .await?;
    cluster
        .wait_for_isr(0, "orders", 3, Duration::from_secs(20))
        .await?;
    let controller = cluster.controller().await?;
    let load = Load::start(&cluster.client(), "orders", 100, true)?;
    load.wait_for_more(1000).await?;
    cluster.brokers[controller as usize].freeze()?;
    let successor = wait_for("another controller", Duration::from_secs(30), || async {
        cluster.controller().await.ok().filter(|&c| c != controller)
    })
    .await?;
    cluster
        .wait_for_isr(successor as usize, "orders", 2, Duration::from_secs(30))
        .await?;
    cluster.brokers[controller as usize].thaw()?;
    cluster
        .wait_for_isr(successor as usize, "orders", 3, Duration::from_secs(40))
        .await?;
    ensure!(
        cluster.controller().await? == successor,
        "the old controller came back as controller"
    );
    let written = load.stop().await?;
    let contents = read_all(&cluster.client(), "orders").await?;
    assert_nothing_lost(&written, &contents)?;
    assert_nothing_twice(&contents)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controlled_shutdown_moves_leadership_away_first() -> Result<()> {
    let mut cluster = Cluster::start(&Kind::times(3)).await?;
    cluster
        .create_topic("orders", 6, 3, &[("min.insync.replicas", "2")])
        .await?;
    cluster
        .wait_for_isr(0, "orders", 3, Duration::from_secs(20))
        .await?;
    let load = Load::start(&cluster.client(), "orders", 100, true)?;
    for broker in 0..3 {
        load.wait_for_more(500).await?;
        let status = cluster.brokers[broker].stop().await?;
        // A JVM that SIGTERM ends returns the exit status 143.
        ensure!(
            status.success() || status.code() == Some(143),
            "broker {broker} exited with {status}"
        );
        let other = (broker + 1) % 3;
        cluster
            .wait_for_isr(other, "orders", 2, Duration::from_secs(20))
            .await?;
        cluster.brokers[broker].start().await?;
        cluster
            .wait_for_isr(other, "orders", 3, Duration::from_secs(30))
            .await?;
    }
    let written = load.stop().await?;
    eprintln!(
        "rolling restart: {} acknowledged, longest gap {:?}",
        written.acknowledged.len(),
        written.longest_gap
    );
    ensure!(written.failed.is_empty(), "{} failed", written.failed.len());
    let contents = read_all(&cluster.client(), "orders").await?;
    assert_nothing_lost(&written, &contents)?;
    Ok(())
}
