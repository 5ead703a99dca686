//! Tests the broker settings that change at run time: Kafka's own tool sets them, and the tests observe the brokers'
//! behaviour.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::tools::{CONFIG_COMMAND, KafkaTools, TOPIC_COMMAND, ToolOutput, kafka_tool};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Broker, Cluster, Kind, ZooKeeper};
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Timestamp;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::util::Timeout;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(30);
const TOPIC: &str = "observed";

/// A cluster and Kafka's tools.
struct Scene {
    cluster: Cluster,
    tools: KafkaTools,
}

impl Scene {
    async fn start(brokers: usize, configure: impl Fn(Broker) -> Broker) -> Result<Self> {
        let cluster =
            Cluster::start_with(ZooKeeper::single().await?, &Kind::times(brokers), configure).await?;
        let tools = KafkaTools::start()?;
        Ok(Self { cluster, tools })
    }

    /// Runs `kafka-configs` for one entity; without a name, for the default of all entities.
    async fn configs(&mut self, kind: &str, name: Option<&str>, what: &[&str]) -> Result<ToolOutput> {
        let bootstrap = self.cluster.bootstrap();
        let mut arguments = vec!["--bootstrap-server", &bootstrap, "--entity-type", kind];
        match name {
            Some(name) => arguments.extend(["--entity-name", name]),
            None => arguments.push("--entity-default"),
        }
        arguments.extend(what);
        self.tools.run(CONFIG_COMMAND, &arguments).await
    }

    /// Sets or removes a setting of broker 0 or of all brokers.
    async fn set(&mut self, name: Option<&str>, key: &str, value: Option<&str>) -> Result<()> {
        let pair = value.map_or_else(|| key.to_owned(), |value| format!("{key}={value}"));
        let operation = value.map_or("--delete-config", |_| "--add-config");
        let altered = self
            .configs("brokers", name, &["--alter", operation, &pair])
            .await?;
        altered
            .ok()
            .map(drop)
            .with_context(|| format!("{name:?} {operation} {pair}"))
    }

    /// Waits until the tool shows this text for a broker or for the default of all brokers.
    async fn described(&mut self, name: Option<&str>, text: &str) -> Result<()> {
        let begun = std::time::Instant::now();
        loop {
            let described = self.configs("brokers", name, &["--describe"]).await?.ok()?;
            if described.contains(text) {
                return Ok(());
            }
            ensure!(begun.elapsed() < LIMIT, "{text} is not in\n{described}");
        }
    }

    async fn leader(&self, topic: &str, seen_by: usize) -> Option<i32> {
        let partitions = self.cluster.partitions(seen_by, topic).await.ok()?;
        Some(partitions.first()?.leader)
    }
}

fn failed_with(error: &KafkaError, code: Code) -> bool {
    error.rdkafka_error_code() == Some(code)
}

/// The file says true and the cluster's default false, so no record is lost. Then the default becomes true, and the
/// partitions without a leader get one at once. The exception is a topic that sets false itself.
#[tokio::test(flavor = "multi_thread")]
async fn unclean_elections_follow_the_default_of_the_moment() -> Result<()> {
    let mut scene = Scene::start(3, |broker| broker.with("unclean.leader.election.enable", true)).await?;
    let key = "unclean.leader.election.enable";
    scene.set(None, key, Some("false")).await?;
    let controller = scene.cluster.controller().await?;
    let [last, first] = [0, 1, 2]
        .into_iter()
        .filter(|id| *id != controller)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|ids| anyhow::anyhow!("{ids:?}"))?;
    let bootstrap = scene.cluster.bootstrap();
    let replicas = format!("{first}:{last}");
    for (topic, own) in [
        ("inherits", None),
        ("careful", Some("unclean.leader.election.enable=false")),
    ] {
        let mut arguments = vec![
            "--bootstrap-server",
            &bootstrap,
            "--create",
            "--topic",
            topic,
            "--replica-assignment",
            &replicas,
        ];
        arguments.extend(own.into_iter().flat_map(|own| ["--config", own]));
        kafka_tool(TOPIC_COMMAND, &arguments).await?.ok()?;
    }
    let seen_by = controller as usize;
    scene.cluster.wait_for_isr(seen_by, "inherits", 2, LIMIT).await?;
    scene.cluster.wait_for_isr(seen_by, "careful", 2, LIMIT).await?;
    // An unclean election would lose the records that only the last in-sync replica has.
    scene.cluster.brokers[last as usize].kill()?;
    scene.cluster.wait_for_isr(seen_by, "inherits", 1, LIMIT).await?;
    scene.cluster.wait_for_isr(seen_by, "careful", 1, LIMIT).await?;
    scene.cluster.brokers[first as usize].kill()?;
    let leaderless = async |scene: &Scene, topic: &str| {
        wait_for(&format!("{topic} without a leader"), LIMIT, || async {
            (scene.leader(topic, seen_by).await? == -1).then_some(())
        })
        .await
    };
    leaderless(&scene, "inherits").await?;
    leaderless(&scene, "careful").await?;
    scene.cluster.brokers[last as usize].start().await?;
    scene.cluster.wait_until_ready(2).await?;
    // The replica is back and the cluster knows it. The election for its return has taken place.
    let back = wait_for("the replica that is back", LIMIT, || async {
        let partitions = scene.cluster.partitions(last as usize, "inherits").await.ok()?;
        Some(partitions.first()?.leader)
    })
    .await?;
    ensure!(
        back == -1,
        "broker {back} leads by the file's true, against the default's false"
    );
    scene.set(None, key, Some("true")).await?;
    let elected = wait_for("an election at once", Duration::from_secs(10), || async {
        scene
            .leader("inherits", seen_by)
            .await
            .filter(|leader| *leader >= 0)
    })
    .await?;
    ensure!(elected == last, "{elected} leads, not {last}");
    ensure!(
        scene.leader("careful", seen_by).await == Some(-1),
        "the topic's own setting wins"
    );
    Ok(())
}

/// Whether a setting is in force, as a client observes it.
async fn in_force(scene: &Scene, key: &str) -> Result<bool> {
    let producer: FutureProducer = scene
        .cluster
        .client()
        .set("message.timeout.ms", "3000")
        .set("acks", "all")
        .create()?;
    let record = FutureRecord::<str, _>::to(TOPIC);
    let large = "x".repeat(5000);
    let record = match key {
        "message.max.bytes" => record.key("k").payload(large.as_str()),
        "log.cleanup.policy" => record.payload("no key"),
        "log.message.timestamp.before.max.ms" => record.key("k").payload("old").timestamp(1),
        _ => record.key("k").payload("v"),
    };
    let sent = producer
        .send(record, Timeout::Never)
        .await
        .map_err(|(error, _)| error);
    match key {
        "message.max.bytes" => refused_with(sent.map(drop), &[Code::MessageSizeTooLarge]),
        "log.cleanup.policy" => refused_with(sent.map(drop), &[Code::InvalidRecord]),
        "log.message.timestamp.before.max.ms" => refused_with(sent.map(drop), &[Code::InvalidTimestamp]),
        "log.message.timestamp.type" => {
            let delivery = sent?;
            let scene = scene.cluster.client();
            tokio::task::spawn_blocking(move || is_stamped(scene, delivery.offset)).await?
        }
        "max.connections.per.ip.overrides" | "max.connections.per.ip" => is_crowded(scene).await,
        _ => anyhow::bail!("nothing is known to observe of {key}"),
    }
}

fn refused_with(sent: Result<(), KafkaError>, codes: &[Code]) -> Result<bool> {
    match sent {
        Ok(()) => Ok(false),
        Err(error) if codes.iter().any(|code| failed_with(&error, *code)) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Whether the broker has set the record's timestamp.
fn is_stamped(mut client: rdkafka::ClientConfig, offset: i64) -> Result<bool> {
    let consumer: BaseConsumer = client.set("group.id", "reader").create()?;
    let mut partitions = rdkafka::TopicPartitionList::new();
    partitions.add_partition_offset(TOPIC, 0, rdkafka::Offset::Offset(offset))?;
    consumer.assign(&partitions)?;
    let message = consumer.poll(LIMIT).context("a record")??;
    Ok(matches!(message.timestamp(), Timestamp::LogAppendTime(_)))
}

/// Whether the broker closes some of many connections from this machine.
async fn is_crowded(scene: &Scene) -> Result<bool> {
    let mut streams = Vec::new();
    for _ in 0..40 {
        streams.push(TcpStream::connect(scene.cluster.brokers[0].address()).await?);
    }
    let mut closed = 0;
    for stream in &mut streams {
        let end = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut [0])).await;
        closed += usize::from(end.is_ok());
    }
    Ok(closed > 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_brokers_act_while_they_run() -> Result<()> {
    let mut scene = Scene::start(1, |broker| broker).await?;
    scene.cluster.create_topic(TOPIC, 1, 1, &[]).await?;
    let settings = [
        ("message.max.bytes", "2000"),
        ("log.cleanup.policy", "compact"),
        ("log.message.timestamp.before.max.ms", "100000"),
        ("log.message.timestamp.type", "LogAppendTime"),
        ("max.connections.per.ip", "25"),
        ("max.connections.per.ip.overrides", "127.0.0.1:25"),
    ];
    for (key, value) in settings {
        ensure!(
            !in_force(&scene, key).await?,
            "{key} is in force before it is set"
        );
        for name in [None, Some("0")] {
            scene.set(name, key, Some(value)).await?;
            wait_for(&format!("{key}={value} of {name:?}"), LIMIT, || async {
                in_force(&scene, key).await.ok()?.then_some(())
            })
            .await?;
            scene.set(name, key, None).await?;
            wait_for(&format!("{key} of {name:?} taken away"), LIMIT, || async {
                (!in_force(&scene, key).await.ok()?).then_some(())
            })
            .await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn replication_goes_on_with_another_number_of_fetchers() -> Result<()> {
    let mut scene = Scene::start(2, |broker| broker).await?;
    scene
        .cluster
        .create_topic(TOPIC, 8, 2, &[("min.insync.replicas", "2")])
        .await?;
    let producer: FutureProducer = scene
        .cluster
        .client()
        .set("acks", "all")
        .set("message.timeout.ms", "20000")
        .create()?;
    let mut sent = 0;
    for fetchers in ["2", "4", "3", "2", "1"] {
        scene.set(None, "num.replica.fetchers", Some(fetchers)).await?;
        for _ in 0..50 {
            let record = FutureRecord::<(), _>::to(TOPIC).payload("v").partition(sent % 8);
            let delivered = producer.send(record, Timeout::Never).await;
            delivered
                .map_err(|(error, _)| error)
                .with_context(|| scene.cluster.outputs())?;
            sent += 1;
        }
    }
    scene.cluster.wait_for_isr(0, TOPIC, 2, LIMIT).await?;
    let too_many = scene
        .configs(
            "brokers",
            None,
            &["--alter", "--add-config", "num.replica.fetchers=3"],
        )
        .await?;
    ensure!(!too_many.success, "{too_many:?}");
    barnabas_testcontainers::replicas::assert_equal_replicas(&scene.cluster, TOPIC, 8).await
}

#[tokio::test(flavor = "multi_thread")]
async fn loggers_are_described_and_changed_by_kafkas_tool() -> Result<()> {
    let mut scene = Scene::start(1, |broker| broker).await?;
    let described = scene
        .configs("broker-loggers", Some("0"), &["--describe"])
        .await?
        .ok()?;
    for logger in [
        "root=",
        "kafka.controller.KafkaController=",
        "kafka.server.ReplicaManager=",
        "state.change.logger=",
    ] {
        ensure!(described.contains(logger), "{logger} is not in\n{described}");
    }
    // A logger that logs each request.
    let set = ["--alter", "--add-config", "kafka.request.logger=DEBUG"];
    scene.configs("broker-loggers", Some("0"), &set).await?.ok()?;
    let described = scene
        .configs("broker-loggers", Some("0"), &["--describe"])
        .await?
        .ok()?;
    ensure!(described.contains("kafka.request.logger=DEBUG"), "{described}");
    wait_for("requests in the log", LIMIT, || async {
        scene.cluster.metadata_from(0).await.ok()?;
        let log = scene.cluster.brokers[0].output().to_lowercase();
        (log.contains("debug") && log.contains("metadata")).then_some(())
    })
    .await?;
    let unset = ["--alter", "--delete-config", "kafka.request.logger"];
    scene.configs("broker-loggers", Some("0"), &unset).await?.ok()?;
    for (change, words) in [
        (
            ["--add-config", "no.such.logger=INFO"],
            "Invalid broker logger(s): no.such.logger",
        ),
        (
            ["--add-config", "root=LOUD"],
            "Cannot set the log level of root to LOUD as it is not a supported log level",
        ),
        (
            ["--delete-config", "root"],
            "Removing the log level of the root logger is not allowed",
        ),
        (["--delete-config", "no.such.logger"], "no.such.logger"),
    ] {
        let refused = scene
            .configs("broker-loggers", Some("0"), &[&["--alter"], &change[..]].concat())
            .await?;
        let said = format!("{}{}", refused.stdout, refused.stderr);
        ensure!(!refused.success && said.contains(words), "{change:?}: {said}");
    }
    Ok(())
}

/// Brokers accept and store keys that Kafka does not know. They show them without values, because a value may be a
/// secret.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_plugins_can_be_set_for_brokers() -> Result<()> {
    let mut scene = Scene::start(1, |broker| broker).await?;
    for name in [None, Some("0")] {
        scene.set(name, "my.own.key", Some("secret")).await?;
        scene.described(name, "my.own.key=null sensitive=true").await?;
        scene.set(name, "my.own.key", None).await?;
    }
    for (key, name) in [
        ("zookeeper.connect", Some("0")),
        ("ssl.keystore.location", None),
        ("broker.id", None),
    ] {
        ensure!(
            scene.set(name, key, Some("1")).await.is_err(),
            "{key} is taken for {name:?}"
        );
    }
    Ok(())
}
