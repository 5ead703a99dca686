//! Tests brokers on an ensemble of three ZooKeeper servers while some or all servers are down.

use std::time::Duration;

use anyhow::{Result, ensure};
use barnabas_testcontainers::load::{Load, assert_nothing_lost, read_all};
use barnabas_testcontainers::zookeeper::four_letter_word;
use barnabas_testcontainers::{Cluster, Kind, ZooKeeper};

#[tokio::test(flavor = "multi_thread")]
async fn a_zookeeper_server_dies_and_nobody_notices() -> Result<()> {
    let zookeeper = ZooKeeper::ensemble(3).await?;
    let mut cluster = Cluster::start_with(zookeeper, &Kind::times(3), |broker| broker).await?;
    cluster
        .create_topic("orders", 3, 3, &[("min.insync.replicas", "2")])
        .await?;
    let controller = cluster.controller().await?;
    let load = Load::start(&cluster.client(), "orders", 50, true)?;
    for server in 0..2 {
        cluster.zookeeper.stop(server).await?;
        // Long enough for the brokers to find another server, shorter than the session timeout.
        tokio::time::sleep(Duration::from_secs(3)).await;
        cluster
            .create_topic(&format!("after-{server}"), 2, 3, &[])
            .await?;
        if !cluster.zookeeper.in_containers() {
            break;
        }
        cluster.zookeeper.restart(server).await?;
    }
    let written = load.stop().await?;
    ensure!(written.failed.is_empty(), "{} failed", written.failed.len());
    assert_nothing_lost(&written, &read_all(&cluster.client(), "orders").await?)?;
    ensure!(
        cluster.controller().await? == controller,
        "the controller changed"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_zookeeper_writing_goes_on_and_administration_comes_back_with_it() -> Result<()> {
    let zookeeper = ZooKeeper::single().await?;
    if !zookeeper.in_containers() {
        eprintln!("skipped: needs a container that can be stopped and started again");
        return Ok(());
    }
    let mut cluster = Cluster::start_with(zookeeper, &Kind::times(3), |broker| broker).await?;
    cluster.create_topic("orders", 3, 3, &[]).await?;
    cluster
        .wait_for_isr(0, "orders", 3, Duration::from_secs(20))
        .await?;
    let load = Load::start(&cluster.client(), "orders", 50, true)?;
    // The first producer id comes from ZooKeeper. After that the load does not need ZooKeeper.
    load.wait_for_more(500).await?;
    cluster.zookeeper.stop(0).await?;
    // Longer than the session timeout.
    tokio::time::sleep(Duration::from_secs(9)).await;
    cluster.zookeeper.restart(0).await?;
    cluster.controller().await?;
    cluster
        .wait_for_isr(0, "orders", 3, Duration::from_secs(40))
        .await?;
    let written = load.stop().await?;
    ensure!(
        written.longest_gap < Duration::from_secs(4),
        "nothing was acknowledged for {:?}",
        written.longest_gap
    );
    ensure!(written.failed.is_empty(), "{} failed", written.failed.len());
    assert_nothing_lost(&written, &read_all(&cluster.client(), "orders").await?)?;
    cluster.create_topic("afterwards", 3, 3, &[]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_read_many_znodes_at_once_is_asked_one_by_one() -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(30);
    let Some(zookeeper) = ZooKeeper::oldest().await? else {
        return Ok(());
    };
    let version = four_letter_word(zookeeper.port(), "srvr").await?;
    ensure!(version.contains("version: 3.5."), "{version}");
    let mut cluster = Cluster::start_with(zookeeper, &Kind::times(2), |broker| broker).await?;
    // More partitions than a broker reads from ZooKeeper at a time.
    cluster.create_topic("orders", 250, 2, &[]).await?;
    cluster.wait_for_isr(0, "orders", 2, LIMIT).await?;
    let controller = cluster.controller().await? as usize;
    let successor = 1 - controller;
    cluster.brokers[controller].kill()?;
    cluster.wait_for_isr(successor, "orders", 1, LIMIT).await?;
    let partitions = cluster.partitions(successor, "orders").await?;
    ensure!(
        partitions.len() == 250 && partitions.iter().all(|p| p.leader == successor as i32),
        "{partitions:?}"
    );
    cluster.create_topic("afterwards", 1, 1, &[]).await
}

/// Tests the test library: one of two joined futures drops a ZooKeeper, and the other future is still woken.
#[tokio::test(flavor = "multi_thread")]
async fn a_zookeeper_that_goes_leaves_the_others_awake() -> Result<()> {
    let zookeeper = ZooKeeper::single().await?;
    let others = async {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let goes = async { drop(zookeeper) };
    tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(others, goes) }).await?;
    Ok(())
}
