//! Tests that the znodes of a working cluster match `zk-schema/`, and that `barnabas zk dump` shows them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::broker::binary;
use barnabas_testcontainers::load::Load;
use barnabas_testcontainers::tools::{CONFIG_COMMAND, CONSOLE_CONSUMER, kafka_tool, run, zk_get, zk_tree};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Cluster, Kind, repository};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;

/// The files of `zk-schema/`, read as any other program reads them.
struct Schemas {
    znodes: Vec<Value>,
    validators: BTreeMap<String, jsonschema::Validator>,
}

impl Schemas {
    fn load() -> Result<Self> {
        let read = |name: &str| -> Result<Value> {
            let path = repository().join("zk-schema").join(name);
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            Ok(serde_json::from_str(&text)?)
        };
        let index = read("index.json")?;
        let znodes = index["znodes"]
            .as_array()
            .context("the index lists znodes")?
            .clone();
        let mut validators = BTreeMap::new();
        for name in znodes.iter().filter_map(|znode| znode["schema"].as_str()) {
            let validator = jsonschema::validator_for(&read(name)?)?;
            validators.insert(name.to_owned(), validator);
        }
        Ok(Self { znodes, validators })
    }

    /// The description with the fewest placeholders that fits a path.
    fn description(&self, path: &str) -> Option<&Value> {
        let pattern = |znode: &&Value| znode["path"].as_str().unwrap_or_default().to_owned();
        let fitting = self.znodes.iter().filter(|znode| fits(&pattern(znode), path));
        fitting.min_by_key(|znode| pattern(znode).matches('{').count())
    }

    /// The violation of the schema by a znode, if there is one.
    fn violation(&self, path: &str, data: &[u8], ephemeral: bool) -> Option<String> {
        let Some(znode) = self.description(path) else {
            return Some("no pattern of the index fits".into());
        };
        if ephemeral != (znode["kind"] == "ephemeral") {
            return Some(format!("it should be {}", znode["kind"]));
        }
        let may_be_empty = znode["data"] == "none" || znode["nullable"] == true;
        if data.is_empty() {
            return (!may_be_empty).then(|| "it has no data".into());
        }
        match znode["data"].as_str() {
            Some("text") => None,
            Some("decimal") => {
                let text = String::from_utf8_lossy(data);
                text.parse::<i64>().err().map(|error| error.to_string())
            }
            Some("json") => match serde_json::from_slice(data) {
                Err(error) => Some(error.to_string()),
                Ok(json) => {
                    let validator = znode["schema"]
                        .as_str()
                        .and_then(|name| self.validators.get(name));
                    match validator {
                        None => Some("the index names no schema".into()),
                        Some(validator) => validator.validate(&json).err().map(|error| error.to_string()),
                    }
                }
            },
            _ => Some("it should have no data".into()),
        }
    }
}

/// Whether a path fits a pattern such as `/config/changes/config_change_{sequence}`.
fn fits(pattern: &str, path: &str) -> bool {
    let (patterns, parts): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    let part_fits = |(pattern, part): (&&str, &&str)| match pattern.split_once('{') {
        None => pattern == part,
        Some((prefix, _)) => part.len() > prefix.len() && part.starts_with(prefix),
    };
    patterns.len() == parts.len() && patterns.iter().zip(&parts).all(part_fits)
}

/// Uses the features that write znodes: topics, their configuration, idempotence, a group, a deletion, an election.
async fn live(cluster: &mut Cluster) -> Result<()> {
    cluster
        .create_topic("kept", 3, 3, &[("retention.ms", "60000")])
        .await?;
    cluster.create_topic("deleted", 1, 2, &[]).await?;
    let load = Load::start(&cluster.client(), "kept", 10, true)?;
    load.wait_for_more(100).await?;
    load.stop().await?;
    let bootstrap = cluster.bootstrap();
    let at = ["--bootstrap-server", &bootstrap];
    let consume = [
        "--topic",
        "kept",
        "--group",
        "readers",
        "--from-beginning",
        "--max-messages",
        "100",
    ];
    let consumed = kafka_tool(
        CONSOLE_CONSUMER,
        &[&at[..], &consume, &["--timeout-ms", "30000"]].concat(),
    )
    .await?;
    ensure!(consumed.ok()?.lines().count() == 100, "a group reads");
    let alter = [
        "--entity-type",
        "topics",
        "--entity-name",
        "kept",
        "--alter",
        "--add-config",
        "segment.bytes=20000",
    ];
    kafka_tool(CONFIG_COMMAND, &[&at[..], &alter].concat())
        .await?
        .ok()?;
    let admin: AdminClient<DefaultClientContext> = cluster.client().create()?;
    for result in admin.delete_topics(&["deleted"], &AdminOptions::new()).await? {
        result.map_err(|(topic, error)| anyhow::anyhow!("deleting {topic}: {error}"))?;
    }
    let connect = cluster.zookeeper_connect();
    wait_for("the deletion", Duration::from_secs(20), || async {
        let gone = zk_get(&connect, "/brokers/topics/deleted").await.ok()?.is_none();
        let done = zk_get(&connect, "/admin/delete_topics/deleted")
            .await
            .ok()?
            .is_none();
        (gone && done).then_some(())
    })
    .await?;
    let controller = cluster.controller().await? as usize;
    cluster.brokers[controller].stop().await?;
    cluster.brokers[controller].start().await?;
    let observer = (controller + 1) % 3;
    cluster
        .wait_for_isr(observer, "kept", 3, Duration::from_secs(30))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_znode_of_a_cluster_that_has_lived_fits_the_schemas() -> Result<()> {
    let mut cluster = Cluster::start(&Kind::times(3)).await?;
    live(&mut cluster).await?;
    let schemas = Schemas::load()?;
    let connect = cluster.zookeeper_connect();
    let tree = zk_tree(&connect).await?;
    let describe = |(path, data, ephemeral): &(String, Vec<u8>, bool)| {
        let wrong = schemas.violation(path, data, *ephemeral)?;
        Some(format!("{path}: {wrong}: {}", String::from_utf8_lossy(data)))
    };
    let violations: Vec<_> = tree.iter().filter_map(describe).collect();
    ensure!(violations.is_empty(), "{}", violations.join("\n"));

    let has = |path: &str| tree.iter().any(|(found, ..)| found == path);
    let pre_created = schemas.znodes.iter().filter(|znode| znode["preCreated"] == true);
    let pre_created: Vec<_> = pre_created.filter_map(|znode| znode["path"].as_str()).collect();
    ensure!(pre_created.len() > 10, "{pre_created:?}");
    let mut expected = pre_created;
    expected.extend([
        "/brokers/ids/0",
        "/brokers/ids/1",
        "/brokers/ids/2",
        "/brokers/topics/kept/partitions/2/state",
        "/brokers/topics/__consumer_offsets/partitions/4/state",
        "/cluster/id",
        "/config/topics/kept",
        "/config/topics/__consumer_offsets",
        "/config/changes/config_change_0000000000",
        "/controller",
        "/controller_epoch",
        "/feature",
    ]);
    let missing: Vec<_> = expected.iter().filter(|path| !has(path)).collect();
    ensure!(missing.is_empty(), "missing: {missing:?}");
    for gone in [
        "/brokers/topics/deleted",
        "/config/topics/deleted",
        "/admin/delete_topics/deleted",
    ] {
        ensure!(!has(gone), "{gone} is still there");
    }
    let block = zk_get(&connect, "/latest_producer_id_block")
        .await?
        .unwrap_or_default();
    let block: Value = serde_json::from_slice(&block)?;
    ensure!(block["block_end"].is_string() && block["version"] == 1, "{block}");

    let mut dump = std::process::Command::new(binary());
    dump.args(["zk", "dump", "--zookeeper", &connect]);
    let dumped = run(dump, "", Duration::from_secs(30)).await?.ok()?;
    for (path, data, ephemeral) in &tree {
        let line = dumped
            .lines()
            .find(|line| line.split('\t').next() == Some(path.as_str()));
        let line = line.with_context(|| format!("{path} is not in\n{dumped}"))?;
        let columns: Vec<_> = line.splitn(4, '\t').collect();
        ensure!(columns.len() == 4 && (columns[2] != "-") == *ephemeral, "{line}");
        // Sequential znodes change meanwhile. The data of all others must be shown as it is.
        let text = String::from_utf8_lossy(data);
        ensure!(
            path.starts_with("/config/") || columns[3] == text,
            "{line}\ninstead of {text}"
        );
    }
    Ok(())
}
