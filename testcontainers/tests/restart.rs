//! Tests stops and restarts under bad conditions: an old session still exists, ZooKeeper is down, replicas are down,
//! the machine has two names.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use barnabas_testcontainers::broker::binary;
use barnabas_testcontainers::process::Process;
use barnabas_testcontainers::tools::{java, kafka_libs, run};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Cluster, Kind};

const LIMIT: Duration = Duration::from_secs(30);
/// `zookeeper.session.timeout.ms` of the tests' brokers.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// In this situation Apache Kafka exits within a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_starts_before_its_session_has_expired() -> Result<()> {
    let mut cluster = Cluster::start(&[Kind::Barnabas]).await?;
    cluster.create_topic("kept", 1, 1, &[]).await?;
    cluster.brokers[0].kill()?;
    cluster.brokers[0].start().await?;
    let said = "waits for the registration to go";
    cluster.brokers[0].process().wait_for_output(said, LIMIT).await?;
    cluster.wait_until_ready(1).await?;
    ensure!(cluster.controller().await? == 0, "it is the controller again");
    ensure!(cluster.partitions(0, "kept").await?[0].leader == 0);
    ensure!(
        cluster.brokers[0].output().matches(said).count() == 1,
        "says so once: {}",
        cluster.brokers[0].output()
    );
    Ok(())
}

/// In this situation Apache Kafka takes minutes (KAFKA-9189).
#[tokio::test(flavor = "multi_thread")]
async fn without_zookeeper_a_broker_stops_within_the_session_timeout() -> Result<()> {
    let mut cluster = Cluster::start(&[Kind::Barnabas, Kind::Barnabas]).await?;
    cluster.create_topic("orders", 2, 2, &[]).await?;
    cluster.zookeeper.stop(0).await?;
    for broker in &mut cluster.brokers {
        let started = Instant::now();
        let status = broker.stop().await?;
        ensure!(
            status.success() && started.elapsed() < SESSION_TIMEOUT,
            "stopped with {status} after {:?}:\n{}",
            started.elapsed(),
            broker.output()
        );
        ensure!(
            broker.log_dir().join(".kafka_cleanshutdown").exists(),
            "the logs were closed cleanly"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_partitions_nobody_else_can_lead_asks_once() -> Result<()> {
    let mut cluster = Cluster::start(&[Kind::Barnabas, Kind::Barnabas]).await?;
    cluster.create_topic("orders", 2, 2, &[]).await?;
    cluster.brokers[1].kill()?;
    cluster.wait_until_ready(1).await?;
    cluster.wait_for_isr(0, "orders", 1, LIMIT).await?;
    ensure!(cluster.brokers[0].stop().await?.success());
    let output = cluster.brokers[0].output();
    ensure!(
        output.contains("partitions that have no other live replica"),
        "{output}"
    );
    ensure!(!output.contains("controlled shutdown failed"), "{output}");
    Ok(())
}

/// A shell script that gives a process a separate network, host name and hosts file, as in a pod of Kubernetes.
const POD: &str = "\
set -e
mount --bind $DIR/hosts /etc/hosts
mount --bind $DIR/nsswitch.conf /etc/nsswitch.conf
hostname kafka-0
ip link set lo up
ip address add 10.1.2.3/32 dev lo
java -Xmx128m -cp \"$LIBS/*\" org.apache.zookeeper.server.quorum.QuorumPeerMain $DIR/zoo.cfg >$DIR/zookeeper.log 2>&1 &
until (exec 3<>/dev/tcp/127.0.0.1/2181) 2>/dev/null; do sleep 0.1; done
exec \"$@\"
";

#[tokio::test(flavor = "multi_thread")]
async fn in_a_pod_the_canonical_host_name_is_advertised() -> Result<()> {
    // The end of unshare ends the pod's first process, and with it every process of the pod, the ZooKeeper too.
    let namespaces = ["--net", "--uts", "--mount", "--pid", "--fork", "--kill-child"];
    let can_unshare = Command::new("unshare")
        .args(namespaces)
        .args(["ip", "link"])
        .output();
    if !can_unshare.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: namespaces cannot be made here (root and iproute2 are needed)");
        return Ok(());
    }
    let cases = [
        // The hosts file has both names, as Kubernetes writes them.
        (
            "10.1.2.3 kafka-0.kafka-svc.default.svc.cluster.local kafka-0\n",
            "kafka-0.kafka-svc.default.svc.cluster.local",
        ),
        // The hosts file has only the short name.
        ("10.1.2.3 kafka-0\n", "kafka-0"),
    ];
    for (hosts, expected) in cases {
        let folder = tempfile::tempdir()?;
        let dir = folder.path();
        std::fs::write(dir.join("hosts"), format!("127.0.0.1 localhost\n{hosts}"))?;
        std::fs::write(dir.join("nsswitch.conf"), "hosts: files\n")?;
        let zoo = format!(
            "tickTime=500\ndataDir={}/zookeeper\nclientPort=2181\nadmin.enableServer=false\n",
            dir.display()
        );
        std::fs::write(dir.join("zoo.cfg"), zoo)?;
        let properties = format!(
            "broker.id=0\nlisteners=PLAINTEXT://:9093\nlog.dirs={}/logs\nzookeeper.connect=127.0.0.1:2181\n",
            dir.display()
        );
        let file = dir.join("server.properties");
        std::fs::write(&file, properties)?;
        let broker = match Kind::under_test() {
            Kind::Barnabas => {
                let mut command = Command::new(binary());
                command.arg("broker");
                command
            }
            Kind::ApacheKafka => java("kafka.Kafka", "512m", "INFO"),
        };
        let mut command = Command::new("unshare");
        command.args(namespaces).args(["bash", "-c", POD, "pod"]);
        command
            .arg(broker.get_program())
            .args(broker.get_args())
            .arg(&file);
        command.env("DIR", dir).env("LIBS", kafka_libs());
        let process = Process::start(&mut command, &dir.join("output"))?;
        let children = format!("/proc/{0}/task/{0}/children", process.id());
        let registered = wait_for("the registration", LIMIT, || async {
            let pod = std::fs::read_to_string(&children).ok()?.trim().to_owned();
            let mut dump = Command::new("nsenter");
            dump.args(["--target", &pod, "--net"]).arg(binary());
            dump.args(["zk", "dump", "--zookeeper", "127.0.0.1:2181"]);
            let output = run(dump, "", LIMIT).await.ok()?;
            let line = output.stdout.lines().find(|line| line.contains("endpoints"))?;
            Some(line.to_owned())
        });
        let registered = registered.await.map_err(|error| process.explain(&error))?;
        ensure!(
            registered.contains(&format!("PLAINTEXT://{expected}:9093")),
            "{expected}: {registered}"
        );
        if Kind::under_test() == Kind::Barnabas {
            let advertised = format!("advertises PLAINTEXT://{expected}:9093");
            ensure!(process.output().contains(&advertised), "{}", process.output());
        }
    }
    Ok(())
}
