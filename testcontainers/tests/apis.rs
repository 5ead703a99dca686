//! Sends every API in every version to both kinds of broker: both give the same answers and close the same connections.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::tools::{java, run};
use barnabas_testcontainers::{Cluster, Kind, ZooKeeper, repository, transactions};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(90);

/// Requests for which Apache Kafka waits without end for answers that do not come. barnabas answers them at once.
const UNANSWERED: [&str; 4] = [
    "OffsetFetch 8",
    "OffsetFetch 9",
    "AddPartitionsToTxn 4",
    "AddPartitionsToTxn 5",
];

/// The APIs of client quotas. barnabas does not have them and does not advertise these APIs.
const NOT_BUILT: [&str; 2] = ["DescribeClientQuotas", "AlterClientQuotas"];
const KEYS_NOT_BUILT: std::ops::RangeInclusive<i64> = 48..=49;

/// An API whose texts name classes of Scala. This test compares only its codes; `answers_parity` compares its texts.
const OTHER_WORDS: [&str; 1] = ["AlterPartitionReassignments"];

/// The answer to each request, by its name.
async fn answers(kind: Kind) -> Result<BTreeMap<String, String>> {
    let cluster = Cluster::start_with(ZooKeeper::single().await?, &[kind], |broker| {
        broker
            // Not 0: requests that are full of zeros name broker 0.
            .with("broker.id", 5)
            .with("auto.create.topics.enable", false)
            .with("offsets.topic.num.partitions", 1)
            .with("transaction.state.log.num.partitions", 1)
    })
    .await?;
    transactions::wake_coordinators(cluster.client(), "x").await?;

    let driver = repository().join("testcontainers/kafka/Sweep.java");
    let mut command = java(&driver.display().to_string(), "256m", "WARN");
    let port = cluster.brokers[0].port.to_string();
    command.args(["127.0.0.1", &port]);
    if kind == Kind::ApacheKafka {
        command.args(UNANSWERED);
    }
    let printed = run(command, "", LIMIT).await?.ok()?;
    let mut answers = BTreeMap::new();
    for line in printed.lines() {
        let (request, answer) = line.split_once(": ").context("a request and its answer")?;
        let api = request.split(' ').next().unwrap_or(request);
        let answer = match serde_json::from_str(answer) {
            Ok(json) => comparable(api, json).to_string(),
            Err(_) => answer.to_owned(),
        };
        let folder = cluster.folder().display().to_string();
        answers.insert(
            request.to_owned(),
            answer.replace(&port, "PORT").replace(&folder, "DIR"),
        );
    }
    Ok(answers)
}

/// An answer without the parts that differ between clusters, with its arrays sorted.
fn comparable(api: &str, json: Value) -> Value {
    match json {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                let value = match &*name {
                    "clusterId" | "usableBytes" | "totalBytes" => Value::Null,
                    "errorMessage" if OTHER_WORDS.contains(&api) => Value::Null,
                    "producerId" | "producerIdStart" => Value::Bool(value.as_i64() > Some(-1)),
                    _ => comparable(api, value),
                };
                (name, value)
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => {
            let is_built = |item: &Value| {
                let key = item.get("apiKey").and_then(Value::as_i64);
                !(api == "ApiVersions" && key.is_some_and(|key| KEYS_NOT_BUILT.contains(&key)))
            };
            let kept = items.into_iter().filter(is_built);
            let mut items: Vec<_> = kept.map(|item| comparable(api, item)).collect();
            items.sort_by_cached_key(Value::to_string);
            Value::Array(items)
        }
        other => other,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_api_answers_the_same_in_every_version() -> Result<()> {
    let (ours, kafkas) = tokio::try_join!(answers(Kind::under_test()), answers(Kind::ApacheKafka))?;
    ensure!(kafkas.len() > 800, "{} answers", kafkas.len());
    let mut differences = Vec::new();
    for (request, kafkas) in &kafkas {
        let ours = ours.get(request).with_context(|| request.clone())?;
        let api = request.split(' ').next().unwrap_or(request);
        if ours != kafkas && !NOT_BUILT.contains(&api) {
            differences.push(format!("{request}\n  barnabas: {ours}\n  Apache Kafka: {kafkas}"));
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    for request in UNANSWERED {
        let is_answered = ours.get(request).is_some_and(|answer| answer.starts_with('{'));
        ensure!(
            is_answered || Kind::under_test() == Kind::ApacheKafka,
            "{request}"
        );
    }
    Ok(())
}
