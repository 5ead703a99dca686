//! What the stories share: the clusters' configuration, their topics, and short constructors for requests.

use anyhow::Result;
use barnabas_testcontainers::parity::Story;
use barnabas_testcontainers::parity::messages::*;
use barnabas_testcontainers::{Broker, transactions};
use kafka_protocol::protocol::StrBytes;

pub fn configure(broker: Broker) -> Broker {
    broker
        .with("auto.create.topics.enable", false)
        .with("transaction.state.log.num.partitions", 1)
        .with("offsets.topic.num.partitions", 1)
        .with("max.incremental.fetch.session.cache.slots", 0)
}

pub fn text(text: &str) -> StrBytes {
    text.to_owned().into()
}

pub fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

pub fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().map(|&id| BrokerId(id)).collect()
}

/// Creates the topics that the stories need.
pub async fn prepare(story: Story) -> Result<()> {
    let cluster = story.cluster();
    cluster.create_topic("t", 2, 1, &[]).await?;
    cluster.create_topic("some_topic", 1, 1, &[]).await?;
    cluster
        .create_topic("compact", 1, 1, &[("cleanup.policy", "compact")])
        .await?;
    cluster
        .create_topic("small", 1, 1, &[("max.message.bytes", "200")])
        .await?;
    cluster
        .create_topic(
            "timely",
            1,
            1,
            &[
                ("message.timestamp.before.max.ms", "600000"),
                ("message.timestamp.after.max.ms", "600000"),
            ],
        )
        .await?;
    cluster
        .create_topic("zstd", 1, 1, &[("compression.type", "zstd")])
        .await?;
    cluster.create_topic("__share_group_state", 1, 1, &[]).await?;
    cluster.create_topic("moved", 2, 1, &[]).await?;
    transactions::wake_coordinators(cluster.client(), "t").await
}
