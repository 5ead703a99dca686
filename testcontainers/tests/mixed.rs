//! Tests a mixed cluster of barnabas and Apache Kafka brokers: each kind leads, follows and controls the other.
//!
//! With `BARNABAS_TEST_KIND=kafka` all three brokers are Apache Kafka's. The errors that the JVM prints in that run are
//! also allowed in the mixed cluster ([`JUSTIFIED`]).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::load::{
    Contents, Load, Written, assert_nothing_lost, assert_nothing_twice, read_all,
};
use barnabas_testcontainers::replicas::assert_equal_replicas;
use barnabas_testcontainers::tools::{CONSOLE_CONSUMER, DUMP_LOG_SEGMENTS, kafka_tool, zk_get};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Broker, Cluster, Kind};

const TOPIC: &str = "orders";
const PARTITIONS: i32 = 6;
const LIMIT: Duration = Duration::from_secs(60);

/// The Apache Kafka broker. It starts first, so it is the first controller.
const JVM: usize = 0;
const OURS: [usize; 2] = [1, 2];

/// Parts of the ERROR lines, or of the exception in the line after, that three Apache Kafka brokers also print in these
/// tests.
const JUSTIFIED: [&str; 3] = [
    // A new controller handles replicas before partitions. So its first request says that the partitions of the dead
    // controller have no leader, and its next request names the new leaders.
    "cannot become follower since the new leader -1 is unavailable",
    // A leader that is alone in the ISR refuses writes that need two replicas.
    "NotEnoughReplicasException",
    // When a broker has left, Kafka's controller interrupts the thread that sends to it, at any point of its work.
    "java.lang.InterruptedException",
];

async fn start() -> Result<(Cluster, Load)> {
    let kinds = [Kind::ApacheKafka, Kind::under_test(), Kind::under_test()];
    let cluster = Cluster::start(&kinds).await?;
    cluster
        .create_topic(TOPIC, PARTITIONS, 3, &[("min.insync.replicas", "2")])
        .await?;
    for broker in 0..3 {
        cluster.wait_for_isr(broker, TOPIC, 3, LIMIT).await?;
    }
    let load = Load::start(&cluster.client(), TOPIC, 100, true)?;
    load.wait_for_more(500).await?;
    Ok((cluster, load))
}

/// Ends the load and checks everything that must hold in every test.
async fn finish(cluster: &Cluster, load: Load) -> Result<()> {
    load.wait_for_more(500).await?;
    for broker in 0..3 {
        cluster.wait_for_isr(broker, TOPIC, 3, LIMIT).await?;
    }
    let written = load.stop().await?;
    let contents = read_all(&cluster.client(), TOPIC).await?;
    assert_exactly_once(&written, &contents)?;
    assert_replicas(cluster).await?;
    assert_silent_jvm(cluster)?;
    for broker in OURS {
        let output = cluster.brokers[broker].output();
        ensure!(
            !output.contains("panicked"),
            "broker {broker} panicked:\n{output}"
        );
    }
    Ok(())
}

fn assert_exactly_once(written: &Written, contents: &Contents) -> Result<()> {
    eprintln!(
        "{} acknowledged, longest gap {:?}",
        written.acknowledged.len(),
        written.longest_gap
    );
    ensure!(written.failed.is_empty(), "{} failed", written.failed.len());
    assert_nothing_lost(written, contents)?;
    assert_nothing_twice(contents)
}

/// Checks that all replicas of each partition have the same bytes and that Kafka's own tool finds no fault in ours.
async fn assert_replicas(cluster: &Cluster) -> Result<()> {
    assert_equal_replicas(cluster, TOPIC, PARTITIONS).await?;
    let segment = cluster.brokers[OURS[0]]
        .log_dir()
        .join(format!("{TOPIC}-0/00000000000000000000.log"));
    let dumped = kafka_tool(
        DUMP_LOG_SEGMENTS,
        &["--deep-iteration", "--files", &segment.display().to_string()],
    )
    .await?
    .ok()?;
    ensure!(
        dumped.contains("isvalid: true") && !dumped.contains("isvalid: false"),
        "{dumped}"
    );
    Ok(())
}

fn assert_silent_jvm(cluster: &Cluster) -> Result<()> {
    let jvms = match Kind::under_test() {
        Kind::Barnabas => &cluster.brokers[JVM..=JVM],
        Kind::ApacheKafka => &cluster.brokers[..],
    };
    let output: String = jvms.iter().map(Broker::output).collect();
    let lines: Vec<&str> = output.lines().collect();
    let causes = lines.iter().skip(1).chain([&""]);
    let errors: Vec<_> = lines
        .iter()
        .zip(causes)
        .filter(|(line, _)| line.contains("] ERROR ") || line.contains("] FATAL "))
        .filter(|(line, cause)| {
            !JUSTIFIED
                .iter()
                .any(|part| line.contains(part) || cause.contains(part))
        })
        .map(|(line, cause)| format!("{line}\n{cause}"))
        .collect();
    ensure!(errors.is_empty(), "the JVM complains:\n{}", errors.join("\n"));
    Ok(())
}

/// Stops a broker cleanly and waits until another broker sees that its replicas are gone.
async fn stop(cluster: &mut Cluster, broker: usize, observer: usize, left: usize) -> Result<()> {
    let status = cluster.brokers[broker].stop().await?;
    // A JVM that SIGTERM ends returns the exit status 143.
    ensure!(
        status.success() || status.code() == Some(143),
        "broker {broker} exited with {status}"
    );
    cluster.wait_for_isr(observer, TOPIC, left, LIMIT).await
}

/// Sends SIGKILL to a broker. Waits until another broker sees that its replicas are gone and ZooKeeper has removed its
/// registration.
async fn kill(cluster: &mut Cluster, broker: usize, observer: usize) -> Result<()> {
    cluster.brokers[broker].kill()?;
    let (connect, path) = (cluster.zookeeper_connect(), format!("/brokers/ids/{broker}"));
    wait_for("the session of the killed to expire", LIMIT, || async {
        zk_get(&connect, &path).await.ok()?.is_none().then_some(())
    })
    .await?;
    cluster.wait_for_isr(observer, TOPIC, 2, LIMIT).await
}

async fn restart(cluster: &mut Cluster, broker: usize, observer: usize) -> Result<()> {
    cluster.brokers[broker].start().await?;
    cluster.wait_for_isr(observer, TOPIC, 3, LIMIT).await
}

async fn wait_for_controller(cluster: &Cluster, among: &[usize]) -> Result<usize> {
    wait_for(&format!("a controller among {among:?}"), LIMIT, || async {
        let controller = cluster.controller().await.ok()? as usize;
        among.contains(&controller).then_some(controller)
    })
    .await
    .with_context(|| cluster.outputs())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_follows_the_other_and_leadership_moves_by_controlled_shutdowns() -> Result<()> {
    let (mut cluster, load) = start().await?;
    let partitions = cluster.partitions(OURS[0], TOPIC).await?;
    for broker in 0..3 {
        ensure!(
            partitions.iter().any(|p| p.leader == broker),
            "broker {broker} leads nothing: {partitions:?}"
        );
    }
    for broker in [JVM, OURS[0], OURS[1], JVM] {
        let observer = (broker + 1) % 3;
        stop(&mut cluster, broker, observer, 2).await?;
        load.wait_for_more(300).await?;
        restart(&mut cluster, broker, observer).await?;
        load.wait_for_more(300).await?;
    }
    finish(&cluster, load).await
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_moves_between_the_kinds_when_brokers_are_killed() -> Result<()> {
    let (mut cluster, load) = start().await?;
    for broker in [JVM, OURS[0], JVM] {
        let observer = (broker + 1) % 3;
        kill(&mut cluster, broker, observer).await?;
        load.wait_for_more(300).await?;
        restart(&mut cluster, broker, observer).await?;
        load.wait_for_more(300).await?;
    }
    finish(&cluster, load).await
}

#[tokio::test(flavor = "multi_thread")]
async fn controllership_passes_from_the_jvm_to_us_and_back_and_both_control_the_other() -> Result<()> {
    let (mut cluster, load) = start().await?;
    ensure!(
        cluster.controller().await? == JVM as i32,
        "the first one started controls"
    );

    stop(&mut cluster, JVM, OURS[0], 2).await?;
    let ours = wait_for_controller(&cluster, &OURS).await?;
    let other = OURS[0] + OURS[1] - ours;
    // Our controller controls the Apache Kafka broker: it lets the broker join again, creates topics on it and deletes
    // them.
    restart(&mut cluster, JVM, ours).await?;
    ensure!(
        cluster.controller().await? == ours as i32,
        "a returning broker takes over"
    );
    administer(&cluster, "ours").await?;

    // The Apache Kafka broker is alone and must become the controller. Then it lets both of our brokers join again.
    stop(&mut cluster, other, ours, 2).await?;
    stop(&mut cluster, ours, JVM, 1).await?;
    wait_for_controller(&cluster, &[JVM]).await?;
    cluster.brokers[ours].start().await?;
    restart(&mut cluster, other, JVM).await?;
    load.wait_for_more(300).await?;
    administer(&cluster, "jvm").await?;

    // When the Apache Kafka controller is killed, one of our brokers becomes the controller.
    kill(&mut cluster, JVM, OURS[0]).await?;
    wait_for_controller(&cluster, &OURS).await?;
    load.wait_for_more(300).await?;
    restart(&mut cluster, JVM, OURS[0]).await?;
    let epoch = zk_get(&cluster.zookeeper_connect(), "/controller_epoch").await?;
    ensure!(
        epoch.as_deref() == Some(b"4"),
        "four controllers, but epoch {epoch:?}"
    );
    finish(&cluster, load).await
}

/// Tests the work of a controller besides elections: creates a topic on all brokers, uses it, and deletes it on all
/// brokers.
async fn administer(cluster: &Cluster, topic: &str) -> Result<()> {
    cluster.wait_until_ready(3).await?;
    cluster.create_topic(topic, 3, 3, &[]).await?;
    for broker in 0..3 {
        cluster.wait_for_isr(broker, topic, 3, LIMIT).await?;
    }
    let load = Load::start(&cluster.client(), topic, 20, true)?;
    load.wait_for_more(100).await?;
    let written = load.stop().await?;
    assert_exactly_once(&written, &read_all(&cluster.client(), topic).await?)?;

    // A group whose coordinator and offsets may be on a broker of either kind.
    let consumed = kafka_tool(
        CONSOLE_CONSUMER,
        &[
            "--bootstrap-server",
            &cluster.bootstrap(),
            "--topic",
            topic,
            "--group",
            topic,
            "--from-beginning",
            "--max-messages",
            &written.acknowledged.len().to_string(),
            "--timeout-ms",
            "30000",
        ],
    )
    .await?
    .ok()?;
    ensure!(
        consumed.lines().count() == written.acknowledged.len(),
        "a group read {} of {} records",
        consumed.lines().count(),
        written.acknowledged.len()
    );

    let admin: rdkafka::admin::AdminClient<rdkafka::client::DefaultClientContext> =
        cluster.client().create()?;
    for result in admin.delete_topics(&[topic], &Default::default()).await? {
        result.map_err(|(topic, error)| anyhow::anyhow!("deleting {topic}: {error}"))?;
    }
    let (connect, path) = (cluster.zookeeper_connect(), format!("/brokers/topics/{topic}"));
    wait_for(&format!("the end of {topic}"), LIMIT, || async {
        let gone = zk_get(&connect, &path).await.ok()?.is_none()
            && (0..3).all(|b| !cluster.brokers[b].log_dir().join(format!("{topic}-0")).exists());
        gone.then_some(())
    })
    .await
    .with_context(|| cluster.outputs())
}
