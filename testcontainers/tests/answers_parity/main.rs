//! Compares the answers of barnabas with those of Apache Kafka: the error codes and texts of every response that
//! carries a text, and the answers of old request versions to values that only newer versions know.

mod cluster;
mod configs;
mod produce;
mod reading;
mod support;
mod topics;

use anyhow::Result;
use barnabas::parts::SystemClock;
use barnabas_testcontainers::parity::{BetterWords, Pair};

/// The texts that barnabas words better, each with the reason.
const BETTER_WORDS: &[BetterWords] = &[
    BetterWords {
        kafka: "ArrayBuffer(*)",
        barnabas: "[*]",
        reason: "a class of Scala's",
    },
    BetterWords {
        kafka: "live broker list: Set(*)",
        barnabas: "live broker list: [*]",
        reason: "a class of Scala's",
    },
    BetterWords {
        kafka: "Duplicate replica assignment found: HashMap(0 -> *)",
        barnabas: "Duplicate replica assignment found: {0: *}",
        reason: "a class of Scala's",
    },
    BetterWords {
        kafka: "\"/ by zero\"",
        barnabas: "\"Invalid value 0 for configuration log.cleaner.threads: value must be at least 1: \
                   log.cleaner.enable switches the cleaner off\"",
        reason: "a failure within the broker",
    },
    BetterWords {
        kafka: "Invalid value org.apache.kafka.common.config.ConfigException: * \
                for configuration Invalid dynamic configuration",
        barnabas: "*",
        reason: "a class of Java's, and a key that is none",
    },
    BetterWords {
        kafka: "Unexpected node id. Expected 0, but received 0",
        barnabas: "Unexpected node id. Expected 0, but received 1",
        reason: "the id that was received is another",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_what_apache_kafka_tells_them() -> Result<()> {
    let mut pair = Pair::start(support::configure)
        .await?
        .with_better_words(BETTER_WORDS);
    pair.play("preparation", support::prepare).await;
    // The same time is in the records of both clusters.
    let now_ms = SystemClock::shared().wall_ms();
    tokio::join!(
        pair.play("creating", topics::creating),
        pair.play("adding partitions", topics::adding_partitions),
        pair.play("deleting", topics::deleting),
        pair.play("describing configurations", configs::describing),
        pair.play("altering configurations", configs::altering),
        pair.play("producing", |story| produce::refusals(story, now_ms)),
        pair.play("offsets", reading::offsets),
        pair.play("fetching", reading::fetching),
        pair.play("metadata", reading::metadata),
        pair.play("cluster", cluster::of_the_cluster),
        pair.play("coordinators", cluster::coordinators),
        pair.play("access", cluster::access),
    );
    pair.play(
        "elections and reassignments",
        cluster::elections_and_reassignments,
    )
    .await;
    pair.restart(|broker| {
        broker.set("delete.topic.enable", false);
        broker.set("auto.create.topics.enable", true);
    })
    .await?;
    pair.play("forbidden", topics::deleting_is_forbidden).await;
    pair.finish()
}
