//! Starts a ZooKeeper and some brokers on it. Most tests begin with this.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::Metadata;

use crate::broker::{Broker, Kind};
use crate::wait::wait_for;
use crate::zookeeper::ZooKeeper;

/// The chroot of the test clusters in ZooKeeper.
pub const CHROOT: &str = "/kafka-test";

/// One cluster with its files in a temporary folder. `KEEP=1` in the environment keeps the folder.
pub struct Cluster {
    /// The cluster's ZooKeeper.
    pub zookeeper: ZooKeeper,
    /// The cluster's brokers; `broker.id` is the index.
    pub brokers: Vec<Broker>,
    // The last field, so that the folder is removed after the processes have ended.
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts brokers of these kinds and waits until each broker knows all brokers and a controller.
    pub async fn start(kinds: &[Kind]) -> Result<Self> {
        Self::start_with(ZooKeeper::single().await?, kinds, |broker| broker).await
    }

    /// Does the same on the caller's ZooKeeper. `configure` configures each broker.
    pub async fn start_with(
        zookeeper: ZooKeeper,
        kinds: &[Kind],
        configure: impl Fn(Broker) -> Broker,
    ) -> Result<Self> {
        let mut folder = tempfile::tempdir()?;
        if std::env::var_os("KEEP").is_some() {
            folder.disable_cleanup(true);
            eprintln!("files are kept in {}", folder.path().display());
        }
        let connect = format!("{}{CHROOT}", zookeeper.connect_string());
        let factor = kinds.len().min(3);
        let brokers = kinds.iter().enumerate().map(|(id, &kind)| {
            let broker = Broker::new(kind, id as i32, &connect, folder.path())
                .with("offsets.topic.replication.factor", factor)
                .with("transaction.state.log.replication.factor", factor)
                .with("transaction.state.log.min.isr", factor.min(2));
            configure(broker)
        });
        let mut cluster = Self {
            zookeeper,
            brokers: brokers.collect(),
            folder,
        };
        for broker in &mut cluster.brokers {
            broker.start().await?;
        }
        cluster.wait_until_ready(kinds.len()).await?;
        Ok(cluster)
    }

    /// The test's temporary folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Connect string with chroot.
    pub fn zookeeper_connect(&self) -> String {
        format!("{}{CHROOT}", self.zookeeper.connect_string())
    }

    /// `bootstrap.servers` of the brokers that were started.
    pub fn bootstrap(&self) -> String {
        let running: Vec<_> = self
            .brokers
            .iter()
            .filter(|b| b.is_running())
            .map(Broker::address)
            .collect();
        running.join(",")
    }

    /// A client configuration that contains only the bootstrap servers.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        config
    }

    /// The cluster as one broker describes it.
    pub async fn metadata_from(&self, broker: usize) -> Result<Metadata> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers[broker].address());
        config.set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
        tokio::task::spawn_blocking(move || {
            let client: BaseConsumer = config.create()?;
            Ok(client.fetch_metadata(None, Duration::from_secs(2))?)
        })
        .await?
    }

    /// Waits until every started broker knows `brokers` live brokers.
    pub async fn wait_until_ready(&self, brokers: usize) -> Result<()> {
        for (index, broker) in self.brokers.iter().enumerate().filter(|(_, b)| b.is_running()) {
            wait_for(
                &format!("broker {} to know of {brokers} brokers", broker.id),
                Duration::from_secs(30),
                || async {
                    let metadata = self.metadata_from(index).await.ok()?;
                    (metadata.brokers().len() == brokers).then_some(())
                },
            )
            .await
            .with_context(|| self.outputs())?;
        }
        Ok(())
    }

    /// Creates a topic and waits until every started broker knows a leader for each of its partitions.
    pub async fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        factor: i32,
        config: &[(&str, &str)],
    ) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(factor));
        for (key, value) in config {
            topic = topic.set(key, value);
        }
        let results = admin.create_topics([&topic], &AdminOptions::new()).await?;
        for result in results {
            result.map_err(|(topic, error)| anyhow::anyhow!("creating {topic}: {error}"))?;
        }
        for (index, _) in self.brokers.iter().enumerate().filter(|(_, b)| b.is_running()) {
            wait_for(&format!("leaders of {name}"), Duration::from_secs(20), || async {
                let metadata = self.metadata_from(index).await.ok()?;
                let topic = metadata.topics().iter().find(|t| t.name() == name)?;
                let led = topic.partitions().iter().filter(|p| p.leader() >= 0).count();
                (led == partitions as usize).then_some(())
            })
            .await?;
        }
        Ok(())
    }

    /// Leader, replicas and ISR of each partition of a topic, as one broker sees them.
    pub async fn partitions(&self, broker: usize, topic: &str) -> Result<Vec<PartitionView>> {
        let metadata = self.metadata_from(broker).await?;
        let topic = metadata
            .topics()
            .iter()
            .find(|t| t.name() == topic)
            .context("no such topic")?;
        let view = |p: &rdkafka::metadata::MetadataPartition| PartitionView {
            id: p.id(),
            leader: p.leader(),
            replicas: p.replicas().to_vec(),
            isr: p.isr().to_vec(),
        };
        let mut partitions: Vec<_> = topic.partitions().iter().map(view).collect();
        partitions.sort_by_key(|p| p.id);
        Ok(partitions)
    }

    /// Waits until every partition of a topic has `size` in-sync replicas, as one broker sees it.
    pub async fn wait_for_isr(&self, broker: usize, topic: &str, size: usize, limit: Duration) -> Result<()> {
        wait_for(&format!("{size} in-sync replicas of {topic}"), limit, || async {
            let partitions = self.partitions(broker, topic).await.ok()?;
            partitions
                .iter()
                .all(|p| p.leader >= 0 && p.isr.len() == size)
                .then_some(())
        })
        .await
        .with_context(|| self.outputs())
    }

    /// `broker.id` of the controller, read from ZooKeeper.
    pub async fn controller(&self) -> Result<i32> {
        wait_for("a controller", Duration::from_secs(30), || async {
            let data = crate::tools::zk_get(&self.zookeeper_connect(), "/controller")
                .await
                .ok()??;
            let json: serde_json::Value = serde_json::from_slice(&data).ok()?;
            Some(json["brokerid"].as_i64()? as i32)
        })
        .await
    }

    /// The last lines of each broker's output, for the message of a failing test.
    pub fn outputs(&self) -> String {
        let tail = |b: &Broker| {
            let output = b.output();
            let lines: Vec<_> = output.lines().rev().take(30).collect();
            let lines: Vec<_> = lines.into_iter().rev().collect();
            format!("--- broker {}\n{}\n", b.id, lines.join("\n"))
        };
        self.brokers.iter().map(tail).collect()
    }
}

/// One partition in the response to a Metadata request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionView {
    /// The partition's number.
    pub id: i32,
    /// `broker.id` of its leader, or -1.
    pub leader: i32,
    /// Assigned brokers.
    pub replicas: Vec<i32>,
    /// In-sync brokers.
    pub isr: Vec<i32>,
}
