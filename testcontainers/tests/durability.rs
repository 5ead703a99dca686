//! Tests that acknowledged records survive replaced disks, diverged logs, network partitions and repeated crashes of
//! brokers. Each test reads everything back and compares the replicas byte for byte.

use std::time::Duration;

use anyhow::{Result, ensure};
use barnabas_testcontainers::load::{
    IN_FLIGHT, Load, Written, assert_in_order, assert_nothing_lost, assert_nothing_twice,
    assert_nothing_twice_in_an_epoch, occurrences, read_all,
};
use barnabas_testcontainers::proxy::{self, Proxy};
use barnabas_testcontainers::replicas::assert_equal_replicas;
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Cluster, Kind, ZooKeeper, free_port};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

const LIMIT: Duration = Duration::from_secs(40);
const TOPIC: &str = "orders";
/// The topic of a producer with several requests in flight.
const PIPELINED: &str = "pipelined";

/// Starts three brokers and a topic with `min.insync.replicas` 2.
async fn start(partitions: i32, config: &[(&str, &str)]) -> Result<Cluster> {
    let cluster = Cluster::start(&Kind::times(3)).await?;
    cluster.create_topic(TOPIC, partitions, 3, config).await?;
    cluster.wait_for_isr(0, TOPIC, 3, LIMIT).await?;
    Ok(cluster)
}

/// Fails unless the topic has every acknowledged record once and in order, and all replicas are equal.
async fn assert_whole(cluster: &Cluster, written: &Written, partitions: i32) -> Result<()> {
    eprintln!(
        "{} acknowledged, longest gap {:?}",
        written.acknowledged.len(),
        written.longest_gap
    );
    let contents = read_all(&cluster.client(), TOPIC).await?;
    assert_nothing_lost(written, &contents)?;
    assert_nothing_twice(&contents)?;
    if written.failed.is_empty() {
        assert_in_order(&contents)?;
    }
    assert_equal_replicas(cluster, TOPIC, partitions).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_with_an_empty_disk_gets_everything_again() -> Result<()> {
    let mut cluster = start(3, &[("min.insync.replicas", "2"), ("segment.bytes", "65536")]).await?;
    let load = Load::start(&cluster.client(), TOPIC, 100, true)?;
    load.wait_for_more(1000).await?;
    cluster.brokers[2].stop().await?;
    load.wait_for_more(5000).await?;
    std::fs::remove_dir_all(cluster.brokers[2].log_dir())?;
    cluster.brokers[2].start().await?;
    cluster.wait_for_isr(0, TOPIC, 3, LIMIT).await?;
    load.wait_for_more(1000).await?;
    assert_whole(&cluster, &load.stop().await?, 3).await
}

/// Makes one partition whose leader has a record that no other replica has: the record is written with acks=1 while the
/// two followers are frozen. Then the leader is killed.
async fn a_leader_dies_with_a_record_of_its_own(config: &[(&str, &str)]) -> Result<(Cluster, usize)> {
    let mut cluster = start(1, config).await?;
    let before = Load::start(&cluster.client(), TOPIC, 10, true)?;
    before.wait_for_more(100).await?;
    before.stop().await?;
    let leader = cluster.partitions(0, TOPIC).await?[0].leader as usize;
    for broker in (0..3).filter(|&b| b != leader) {
        cluster.brokers[broker].freeze()?;
    }
    let mut client = cluster.client();
    client
        .set("bootstrap.servers", cluster.brokers[leader].address())
        .set("acks", "1");
    tokio::task::spawn_blocking(move || -> Result<()> {
        let producer: BaseProducer = client.create()?;
        let record = BaseRecord::<str, str>::to(TOPIC)
            .partition(0)
            .payload("1000000:lost");
        producer.send(record).map_err(|(error, _)| error)?;
        Ok(producer.flush(Duration::from_secs(5))?)
    })
    .await??;
    cluster.brokers[leader].kill()?;
    Ok((cluster, leader))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longer_log_than_the_new_leaders_is_cut() -> Result<()> {
    let (mut cluster, old) = a_leader_dies_with_a_record_of_its_own(&[]).await?;
    for broker in (0..3).filter(|&b| b != old) {
        cluster.brokers[broker].thaw()?;
    }
    let survivor = (old + 1) % 3;
    cluster.wait_for_isr(survivor, TOPIC, 2, LIMIT).await?;
    let load = Load::start(&cluster.client(), TOPIC, 10, true)?;
    load.wait_for_more(100).await?;
    cluster.brokers[old].start().await?;
    cluster.wait_for_isr(survivor, TOPIC, 3, LIMIT).await?;
    load.stop().await?;
    let contents = read_all(&cluster.client(), TOPIC).await?;
    ensure!(
        !occurrences(&contents).contains_key(&1_000_002),
        "a record that only the dead leader had is back"
    );
    assert_equal_replicas(&cluster, TOPIC, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unclean_election_happens_when_it_is_allowed_and_not_before() -> Result<()> {
    let mut cluster = start(1, &[]).await?;
    // Two replicas leave the ISR, then the last replica in the ISR is killed.
    let leader = cluster.partitions(0, TOPIC).await?[0].leader as usize;
    let others: Vec<usize> = (0..3).filter(|&b| b != leader).collect();
    let load = Load::start(&cluster.client(), TOPIC, 10, true)?;
    load.wait_for_more(100).await?;
    for &broker in &others {
        cluster.brokers[broker].stop().await?;
    }
    cluster.wait_for_isr(leader, TOPIC, 1, LIMIT).await?;
    load.wait_for_more(100).await?;
    let written = load.stop().await?;
    cluster.brokers[leader].stop().await?;
    for &broker in &others {
        cluster.brokers[broker].start().await?;
    }
    let observer = others[0];
    wait_for("a partition without a leader", LIMIT, || async {
        let partitions = cluster.partitions(observer, TOPIC).await.ok()?;
        (partitions.first()?.leader == -1).then_some(())
    })
    .await?;
    cluster.wait_until_ready(2).await?;
    // The controller has had time for an election, because it has created another topic. There is still no leader.
    cluster.create_topic("later", 1, 2, &[]).await?;
    ensure!(
        cluster.partitions(observer, TOPIC).await?[0].leader == -1,
        "a leader out of the ISR was elected"
    );

    let bootstrap = cluster.bootstrap();
    barnabas_testcontainers::tools::kafka_tool(
        barnabas_testcontainers::tools::CONFIG_COMMAND,
        &[
            "--bootstrap-server",
            &bootstrap,
            "--alter",
            "--entity-type",
            "topics",
            "--entity-name",
            TOPIC,
            "--add-config",
            "unclean.leader.election.enable=true",
        ],
    )
    .await?
    .ok()?;
    wait_for("an unclean leader", LIMIT, || async {
        let partitions = cluster.partitions(observer, TOPIC).await.ok()?;
        (partitions.first()?.leader >= 0).then_some(())
    })
    .await?;
    cluster.brokers[leader].start().await?;
    cluster.wait_for_isr(observer, TOPIC, 3, LIMIT).await?;
    assert_equal_replicas(&cluster, TOPIC, 1).await?;
    // As documented, the records that only the old leader had are lost. They are gone from the old leader as well.
    let contents = read_all(&cluster.client(), TOPIC).await?;
    ensure!(
        assert_nothing_lost(&written, &contents).is_err(),
        "nothing was lost: the election was not unclean"
    );
    assert_nothing_twice(&contents)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_splits_two_brokers_costs_nothing() -> Result<()> {
    let mut proxies = Vec::new();
    let mut ports = Vec::new();
    for _ in 0..3 {
        let peers = free_port();
        proxies.push(Proxy::start(peers).await?);
        ports.push(peers);
    }
    let cluster = Cluster::start_with(ZooKeeper::single().await?, &Kind::times(3), |broker| {
        let index = broker.id as usize;
        let listeners = proxy::listeners(broker.port, ports[index], &proxies[index]);
        listeners
            .into_iter()
            .fold(broker, |broker, (key, value)| broker.with(key, value))
            .with("replica.lag.time.max.ms", 2000)
            .with("replica.socket.timeout.ms", 2000)
    })
    .await?;
    cluster
        .create_topic(TOPIC, 3, 3, &[("min.insync.replicas", "2")])
        .await?;
    cluster.wait_for_isr(0, TOPIC, 3, LIMIT).await?;
    let load = Load::start(&cluster.client(), TOPIC, 100, true)?;
    load.wait_for_more(1000).await?;

    // Brokers 1 and 2 cannot reach each other. Both reach broker 0 and ZooKeeper.
    proxies[1].cut(2);
    proxies[2].cut(1);
    wait_for("the ISRs to shrink", LIMIT, || async {
        let partitions = cluster.partitions(0, TOPIC).await.ok()?;
        let shrunk = |p: &barnabas_testcontainers::cluster::PartitionView| match p.leader {
            1 => p.isr.len() == 2 && !p.isr.contains(&2),
            2 => p.isr.len() == 2 && !p.isr.contains(&1),
            _ => p.isr.len() == 3,
        };
        partitions.iter().all(shrunk).then_some(())
    })
    .await
    .map_err(|e| e.context(cluster.outputs()))?;
    load.wait_for_more(1000).await?;
    for proxy in &proxies {
        proxy.heal();
    }
    cluster.wait_for_isr(0, TOPIC, 3, LIMIT).await?;
    load.wait_for_more(1000).await?;
    assert_whole(&cluster, &load.stop().await?, 3).await
}

/// `BARNABAS_TEST_ROUNDS` sets the number of rounds (a round takes about ten seconds), `BARNABAS_TEST_SEED` the choice
/// of brokers.
#[tokio::test(flavor = "multi_thread")]
async fn brokers_die_again_and_again() -> Result<()> {
    let number = |name: &str, default| {
        std::env::var(name)
            .ok()
            .and_then(|v| v.parse().ok())
            .unwrap_or(default)
    };
    let (rounds, seed): (u64, u64) = (number("BARNABAS_TEST_ROUNDS", 4), number("BARNABAS_TEST_SEED", 1));
    let mut cluster = start(6, &[("min.insync.replicas", "2")]).await?;
    cluster
        .create_topic(PIPELINED, 6, 3, &[("min.insync.replicas", "2")])
        .await?;
    let load = Load::start(&cluster.client(), TOPIC, 100, true)?;
    let mut several = cluster.client();
    several.set(IN_FLIGHT, "5");
    let pipelined = Load::start(&several, PIPELINED, 100, true)?;
    for round in 0..rounds {
        load.wait_for_more(500).await?;
        pipelined.wait_for_more(500).await?;
        // A fixed sequence of brokers and of ways to stop them, different for each seed.
        let draw = ((seed << 32) + round + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let victim = (draw % 3) as usize;
        let other = (victim + 1) % 3;
        eprintln!("round {round}: broker {victim}");
        if draw / 3 % 3 == 0 {
            cluster.brokers[victim].stop().await?;
        } else {
            cluster.brokers[victim].kill()?;
        }
        cluster.wait_for_isr(other, TOPIC, 2, LIMIT).await?;
        load.wait_for_more(200).await?;
        pipelined.wait_for_more(200).await?;
        cluster.brokers[victim].start().await?;
        cluster.wait_for_isr(other, TOPIC, 3, LIMIT).await?;
        cluster.wait_for_isr(other, PIPELINED, 3, LIMIT).await?;
    }
    let (written, pipelined) = (load.stop().await?, pipelined.stop().await?);
    for written in [&written, &pipelined] {
        ensure!(written.failed.is_empty(), "{} failed", written.failed.len());
    }
    assert_whole(&cluster, &written, 6).await?;
    assert_nothing_lost(&pipelined, &read_all(&cluster.client(), PIPELINED).await?)?;
    assert_equal_replicas(&cluster, PIPELINED, 6).await?;
    assert_nothing_twice_in_an_epoch(&cluster.brokers[0].log_dir(), PIPELINED, 6)
}
