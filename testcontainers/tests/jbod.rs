//! Tests brokers with several log dirs. Replicas move between dirs with Kafka's own tools: under load, through a kill
//! -9, and while the cleaner cleans them. Records are deleted from the start of a log. A dir fails while the others
//! serve.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barnabas::parts::{RecordBatches, RecordReader};
use barnabas_testcontainers::cluster::Cluster;
use barnabas_testcontainers::load::{Load, assert_nothing_lost, assert_nothing_twice, read_all};
use barnabas_testcontainers::tools::{DUMP_LOG_SEGMENTS, kafka_tool};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Broker, Kind, ZooKeeper};
use rdkafka::producer::{FutureProducer, FutureRecord};

const LOG_DIRS_COMMAND: &str = "org.apache.kafka.tools.LogDirsCommand";
const REASSIGN_COMMAND: &str = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
const DELETE_RECORDS_COMMAND: &str = "org.apache.kafka.tools.DeleteRecordsCommand";
const GET_OFFSET_COMMAND: &str = "org.apache.kafka.tools.GetOffsetShell";

/// Log dir `index` of a broker.
fn log_dir(broker: &Broker, index: usize) -> PathBuf {
    broker.dir.join(format!("disk-{index}"))
}

async fn start(brokers: usize) -> Result<Cluster> {
    let zookeeper = ZooKeeper::single().await?;
    Cluster::start_with(zookeeper, &Kind::times(brokers), |broker| {
        let dirs: Vec<_> = (0..2)
            .map(|i| log_dir(&broker, i).display().to_string())
            .collect();
        broker
            .with("log.dirs", dirs.join(","))
            .with("log.flush.offset.checkpoint.interval.ms", 1000)
            .with("log.initial.task.delay.ms", 500)
            .with("log.retention.check.interval.ms", 500)
            .with("log.cleaner.backoff.ms", 100)
    })
    .await
}

/// The directories of a partition in a log dir.
fn found(dir: &Path, partition: &str) -> Vec<String> {
    let names = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| name == partition || name.starts_with(&format!("{partition}.")))
        .collect()
}

/// The log dir of a broker that has the log of a partition.
fn dir_of(broker: &Broker, partition: &str) -> Option<usize> {
    (0..2).find(|&i| log_dir(broker, i).join(partition).is_dir())
}

async fn wait_until_in(broker: &Broker, partition: &str, dir: usize) -> Result<()> {
    wait_for(
        &format!("{partition} of broker {} in dir {dir} alone", broker.id),
        Duration::from_secs(60),
        || async {
            let there = found(&log_dir(broker, dir), partition) == [partition];
            let elsewhere = found(&log_dir(broker, 1 - dir), partition);
            (there && elsewhere.iter().all(|name| name.ends_with("-delete"))).then_some(())
        },
    )
    .await
    .map_err(|error| broker.explain(&error))
}

/// A reassignment of one partition to the same brokers, with a log dir for each of them.
fn reassignment(cluster: &Cluster, topic: &str, replicas: &[i32], dir: usize) -> Result<String> {
    let dirs = replicas
        .iter()
        .map(|&id| log_dir(&cluster.brokers[id as usize], dir));
    let json = serde_json::json!({
        "version": 1,
        "partitions": [{
            "topic": topic, "partition": 0, "replicas": replicas,
            "log_dirs": dirs.map(|dir| dir.display().to_string()).collect::<Vec<_>>(),
        }],
    });
    let file = cluster.folder().join("reassignment.json");
    std::fs::write(&file, json.to_string())?;
    Ok(file.display().to_string())
}

async fn reassign(cluster: &Cluster, file: &str, arguments: &[&str]) -> Result<String> {
    let bootstrap = cluster.bootstrap();
    let mut all = vec!["--bootstrap-server", &bootstrap, "--reassignment-json-file", file];
    all.extend(arguments);
    kafka_tool(REASSIGN_COMMAND, &all).await?.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_moves_between_log_dirs_under_load() -> Result<()> {
    let cluster = start(2).await?;
    cluster
        .create_topic("moved", 1, 2, &[("segment.bytes", "1000000")])
        .await?;
    let load = Load::start(&cluster.client(), "moved", 50, true)?;
    load.wait_for_more(20_000).await?;
    for _ in 0..2 {
        let to = 1 - dir_of(&cluster.brokers[0], "moved-0").context("a log")?;
        let file = reassignment(&cluster, "moved", &[0, 1], to)?;
        let output = reassign(&cluster, &file, &["--execute"]).await?;
        ensure!(output.contains("Successfully started"), "{output}");
        for broker in &cluster.brokers {
            wait_until_in(broker, "moved-0", to).await?;
        }
        let output = reassign(&cluster, &file, &["--verify"]).await?;
        ensure!(output.contains("is completed"), "{output}");
        ensure!(!output.contains("still in progress"), "{output}");
        load.wait_for_more(1000).await?;
    }
    let written = load.stop().await?;
    ensure!(written.failed.is_empty(), "{:?}", written.failed);
    let contents = read_all(&cluster.client(), "moved").await?;
    assert_nothing_lost(&written, &contents)?;
    assert_nothing_twice(&contents)?;
    logs_are_equal(&cluster, "moved-0").await?;
    describe_log_dirs(&cluster, "moved").await
}

/// The written records: offset to key and value.
type Written = BTreeMap<i64, (Vec<u8>, Option<Vec<u8>>)>;

/// Writes the same keys repeatedly, with some tombstones, until told to stop.
async fn write_keys(cluster: &Cluster, stop: Arc<AtomicBool>, count: Arc<AtomicUsize>) -> Result<Written> {
    let producer: FutureProducer = cluster.client().set("enable.idempotence", "true").create()?;
    let mut written = Written::new();
    let mut in_flight = VecDeque::new();
    for n in 0_usize.. {
        let is_stopped = stop.load(Ordering::Relaxed);
        if !is_stopped {
            let key = format!("key {}", n * 7919 % 500).into_bytes();
            let value = (n % 17 != 0).then(|| format!("{n} {}", "v".repeat(n % 300)).into_bytes());
            let mut record = FutureRecord::to("compacted").key(&key);
            record.payload = value.as_ref();
            let sent = producer.send_result(record).map_err(|(error, _)| error)?;
            in_flight.push_back((sent, key, value));
        }
        if is_stopped || in_flight.len() > 300 {
            let Some((sent, key, value)) = in_flight.pop_front() else {
                break;
            };
            let delivery = sent.await?.map_err(|(error, _)| error)?;
            written.insert(delivery.offset, (key, value));
            count.store(written.len(), Ordering::Relaxed);
        }
    }
    Ok(written)
}

/// All records in a partition's directory: offset to key and value.
fn records_in(dir: &Path) -> Result<Written> {
    let mut found = Written::new();
    for (name, bytes) in segments(dir)? {
        for batch in RecordBatches::new(&bytes) {
            let batch = batch?;
            ensure!(batch.is_valid_crc(), "{name}: offset {}", batch.base_offset());
            let mut records = RecordReader::new(&batch, 1 << 20)?;
            while let Some(record) = records.next()? {
                let (key, value) = (record.key.context("a key")?, record.value);
                let twice = found.insert(record.offset, (key.to_vec(), value.map(<[u8]>::to_vec)));
                ensure!(twice.is_none(), "{name}: offset {} twice", record.offset);
            }
        }
    }
    Ok(found)
}

/// The latest record of each key.
fn latest(records: &Written) -> BTreeMap<&[u8], (i64, Option<&[u8]>)> {
    let mut latest = BTreeMap::new();
    for (offset, (key, value)) in records {
        latest.insert(key.as_slice(), (*offset, value.as_deref()));
    }
    latest
}

/// The first dirty offset of the partition in a log dir's checkpoint.
fn cleaned_to(broker: &Broker, dir: usize) -> Option<i64> {
    let text = std::fs::read_to_string(log_dir(broker, dir).join("cleaner-offset-checkpoint")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("compacted 0 "))?;
    line.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_partition_moves_under_load_while_it_is_cleaned() -> Result<()> {
    let cluster = start(2).await?;
    let config = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "100000"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("file.delete.delay.ms", "1000"),
    ];
    cluster.create_topic("compacted", 1, 2, &config).await?;
    let (stop, count): (Arc<AtomicBool>, Arc<AtomicUsize>) = Default::default();
    let (written, ()) = tokio::try_join!(write_keys(&cluster, stop.clone(), count.clone()), async {
        let moved = move_back_and_forth(&cluster, &count).await;
        stop.store(true, Ordering::Relaxed);
        moved
    })?;
    for broker in &cluster.brokers {
        let dir = log_dir(broker, dir_of(broker, "compacted-0").context("a log")?).join("compacted-0");
        // While the cleaner works, files appear and disappear.
        let what = format!("broker {} has the latest record of each key", broker.id);
        let found = wait_for(&what, Duration::from_secs(20), || async {
            let found = records_in(&dir).ok()?;
            (latest(&found) == latest(&written)).then_some(found)
        });
        let found = found.await.map_err(|error| broker.explain(&error))?;
        for (offset, record) in &found {
            ensure!(
                written.get(offset) == Some(record),
                "offset {offset} was never written"
            );
        }
        let (found, written) = (found.len(), written.len());
        ensure!(found < written / 2, "{found} of {written} records are left");
    }
    Ok(())
}

/// Moves the replicas to the other log dir twice, each time after both replicas have been cleaned in their present dir.
async fn move_back_and_forth(cluster: &Cluster, count: &AtomicUsize) -> Result<()> {
    for _ in 0..2 {
        let from = dir_of(&cluster.brokers[0], "compacted-0").context("a log")?;
        until_cleaned(cluster, count.load(Ordering::Relaxed)).await?;
        let file = reassignment(cluster, "compacted", &[0, 1], 1 - from)?;
        reassign(cluster, &file, &["--execute"]).await?;
        for broker in &cluster.brokers {
            wait_until_in(broker, "compacted-0", 1 - from).await?;
            ensure!(
                cleaned_to(broker, from).is_none(),
                "the old dir's checkpoint is still there"
            );
        }
    }
    until_cleaned(cluster, count.load(Ordering::Relaxed)).await
}

/// Waits until both brokers have cleaned all records that are written so far.
async fn until_cleaned(cluster: &Cluster, records: usize) -> Result<()> {
    for broker in &cluster.brokers {
        let dir = dir_of(broker, "compacted-0").context("a log")?;
        let what = format!("broker {} cleans {records} records in dir {dir}", broker.id);
        let cleaned = wait_for(&what, Duration::from_secs(60), || async {
            cleaned_to(broker, dir).filter(|&offset| offset > records as i64 + 1000)
        });
        cleaned.await.map_err(|error| broker.explain(&error))?;
    }
    Ok(())
}

/// Compares the output of `kafka-log-dirs` with the files on disk.
async fn describe_log_dirs(cluster: &Cluster, topic: &str) -> Result<()> {
    let bootstrap = cluster.bootstrap();
    let arguments = [
        "--bootstrap-server",
        &bootstrap,
        "--describe",
        "--topic-list",
        topic,
    ];
    let output = kafka_tool(LOG_DIRS_COMMAND, &arguments).await?.ok()?;
    let line = output
        .lines()
        .find(|line| line.starts_with('{'))
        .context("JSON")?;
    let json: serde_json::Value = serde_json::from_str(line)?;
    let brokers = json["brokers"].as_array().context("brokers")?;
    ensure!(brokers.len() == cluster.brokers.len(), "{line}");
    for described in brokers {
        let broker = &cluster.brokers[described["broker"].as_u64().context("an id")? as usize];
        for described in described["logDirs"].as_array().context("log dirs")? {
            let dir = PathBuf::from(described["logDir"].as_str().context("a path")?);
            ensure!((0..2).any(|i| log_dir(broker, i) == dir), "{line}");
            ensure!(described["error"].is_null(), "{line}");
            for partition in described["partitions"].as_array().context("partitions")? {
                let name = partition["partition"].as_str().context("a name")?;
                let size = segments(&dir.join(name))?
                    .iter()
                    .map(|(_, bytes)| bytes.len())
                    .sum::<usize>();
                ensure!(partition["size"].as_u64() == Some(size as u64), "{line}: {size}");
                ensure!(
                    partition["offsetLag"] == 0 && partition["isFuture"] == false,
                    "{line}"
                );
            }
        }
    }
    Ok(())
}

/// The segments of a partition's directory, in order: name and bytes.
fn segments(dir: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "log") {
            let name = path.file_name().context("a name")?.to_string_lossy().into_owned();
            segments.push((name, std::fs::read(path)?));
        }
    }
    segments.sort();
    Ok(segments)
}

/// Checks that the replicas of a partition have the same records and that Kafka's tool finds no fault in the files.
async fn logs_are_equal(cluster: &Cluster, partition: &str) -> Result<()> {
    let replica = |broker: &Broker| -> Result<Vec<u8>> {
        let dir = log_dir(broker, dir_of(broker, partition).context("a log")?);
        let segments = segments(&dir.join(partition))?;
        Ok(segments.into_iter().flat_map(|(_, bytes)| bytes).collect())
    };
    wait_for("equal replicas", Duration::from_secs(20), || async {
        let replicas: Vec<_> = cluster.brokers.iter().map(|b| replica(b).ok()).collect();
        replicas
            .iter()
            .all(|r| r.is_some() && *r == replicas[0])
            .then_some(())
    })
    .await?;
    for broker in &cluster.brokers {
        let dir = log_dir(broker, dir_of(broker, partition).context("a log")?).join(partition);
        let files = segments(&dir)?
            .into_iter()
            .map(|(name, _)| dir.join(name).display().to_string());
        let files = files.collect::<Vec<_>>().join(",");
        let output = kafka_tool(DUMP_LOG_SEGMENTS, &["--files", &files]).await?.ok()?;
        ensure!(!output.contains("isvalid: false"), "{output}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_survives_a_kill_and_can_be_throttled() -> Result<()> {
    let mut cluster = start(1).await?;
    cluster
        .create_topic("killed", 1, 1, &[("segment.bytes", "1000000")])
        .await?;
    let load = Load::start(&cluster.client(), "killed", 50, true)?;
    load.wait_for_more(30_000).await?;
    let to = 1 - dir_of(&cluster.brokers[0], "killed-0").context("a log")?;
    let file = reassignment(&cluster, "killed", &[0], to)?;
    let throttle = ["--execute", "--replica-alter-log-dirs-throttle", "100000"];
    reassign(&cluster, &file, &throttle).await?;
    let future = |broker: &Broker| {
        let names = found(&log_dir(broker, to), "killed-0");
        let copy = names.into_iter().find(|name| name.ends_with("-future"))?;
        let dir = log_dir(broker, to).join(copy);
        Some(
            segments(&dir)
                .ok()?
                .iter()
                .map(|(_, bytes)| bytes.len())
                .sum::<usize>(),
        )
    };
    let broker = &cluster.brokers[0];
    wait_for("half a copy", Duration::from_secs(30), || async {
        (future(broker)? > 500_000).then_some(())
    })
    .await
    .map_err(|error| broker.explain(&error))?;
    cluster.brokers[0].kill()?;
    let copied = future(&cluster.brokers[0]).context("the copy is still there")?;
    let connect = cluster.zookeeper_connect();
    wait_for("the old session to expire", Duration::from_secs(30), || async {
        let node = barnabas_testcontainers::tools::zk_get(&connect, "/brokers/ids/0").await;
        node.ok()?.is_none().then_some(())
    })
    .await?;
    cluster.brokers[0].start().await?;
    load.wait_for_more(1000).await?;
    let broker = &cluster.brokers[0];
    ensure!(
        dir_of(broker, "killed-0") == Some(1 - to),
        "the throttle was forgotten"
    );
    let now = future(broker).context("the copy goes on")?;
    ensure!(now + 200_000 >= copied, "{now} of {copied} are left");
    let output = reassign(&cluster, &file, &["--verify", "--preserve-throttles"]).await?;
    ensure!(output.contains("is still in progress"), "{output}");
    // Without a throttle the move ends soon.
    let fast = [
        "--execute",
        "--additional",
        "--replica-alter-log-dirs-throttle",
        "1000000000",
    ];
    reassign(&cluster, &file, &fast).await?;
    wait_until_in(broker, "killed-0", to).await?;
    let output = reassign(&cluster, &file, &["--verify"]).await?;
    ensure!(output.contains("Clearing broker-level throttles"), "{output}");
    load.wait_for_more(1000).await?;
    let written = load.stop().await?;
    let contents = read_all(&cluster.client(), "killed").await?;
    assert_nothing_lost(&written, &contents)?;
    assert_nothing_twice(&contents)
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_deleted_on_all_replicas() -> Result<()> {
    let mut cluster = start(2).await?;
    let config = [("segment.bytes", "100000"), ("file.delete.delay.ms", "0")];
    cluster.create_topic("cut", 1, 2, &config).await?;
    let load = Load::start(&cluster.client(), "cut", 50, true)?;
    load.wait_for_more(10_000).await?;
    load.stop().await?;
    let file = cluster.folder().join("offsets.json");
    let delete = async |offset: i64| -> Result<String> {
        let json = serde_json::json!({
            "version": 1,
            "partitions": [{"topic": "cut", "partition": 0, "offset": offset}],
        });
        std::fs::write(&file, json.to_string())?;
        let (bootstrap, file) = (cluster.bootstrap(), file.display().to_string());
        let arguments = ["--bootstrap-server", &bootstrap, "--offset-json-file", &file];
        kafka_tool(DELETE_RECORDS_COMMAND, &arguments).await?.ok()
    };
    let output = delete(6_000).await?;
    ensure!(output.contains("low_watermark: 6000"), "{output}");
    let output = delete(1_000_000).await?;
    ensure!(output.contains("OffsetOutOfRangeException"), "{output}");
    let bootstrap = cluster.bootstrap();
    let arguments = [
        "--bootstrap-server",
        &bootstrap,
        "--topic",
        "cut",
        "--time",
        "earliest",
    ];
    let output = kafka_tool(GET_OFFSET_COMMAND, &arguments).await?.ok()?;
    ensure!(output.contains("cut:0:6000"), "{output}");
    let contents = read_all(&cluster.client(), "cut").await?;
    ensure!(contents[&0].first().map(|(offset, _)| *offset) == Some(6_000));
    for broker in &cluster.brokers {
        let dir = log_dir(broker, dir_of(broker, "cut-0").context("a log")?);
        let checkpoint = dir.join("log-start-offset-checkpoint");
        wait_for(
            "the start of the log on disk",
            Duration::from_secs(90),
            || async {
                let text = std::fs::read_to_string(&checkpoint).ok()?;
                let gone = segments(&dir.join("cut-0"))
                    .ok()?
                    .first()?
                    .0
                    .parse::<u64>()
                    .is_err();
                (text.contains("cut 0 6000") && gone).then_some(())
            },
        )
        .await?;
    }
    // The state survives a kill -9.
    cluster.brokers[0].kill()?;
    cluster.wait_for_isr(1, "cut", 1, Duration::from_secs(30)).await?;
    cluster.brokers[0].start().await?;
    cluster.wait_for_isr(0, "cut", 2, Duration::from_secs(30)).await?;
    let contents = read_all(&cluster.client(), "cut").await?;
    ensure!(contents[&0].first().map(|(offset, _)| *offset) == Some(6_000));
    Ok(())
}

/// A separate small file system for a log dir. Dropping this unmounts it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` if this test is not allowed to mount file systems.
    fn mount(dir: &Path, bytes: u64) -> Result<Option<Self>> {
        std::fs::create_dir_all(dir)?;
        let size = format!("size={bytes}");
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir)
            .status();
        Ok(mount
            .is_ok_and(|status| status.success())
            .then(|| Self(dir.to_owned())))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmount = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
        if !unmount.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.0.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_dir_goes_offline_and_the_others_serve() -> Result<()> {
    let mut cluster = start(2).await?;
    cluster.brokers[0].stop().await?;
    let full = log_dir(&cluster.brokers[0], 1);
    std::fs::remove_dir_all(&full)?;
    let Some(_disk) = SmallDisk::mount(&full, 15_000_000)? else {
        eprintln!("a_full_dir_goes_offline_and_the_others_serve is skipped: it may not mount a tmpfs");
        return Ok(());
    };
    cluster.brokers[0].start().await?;
    cluster.wait_until_ready(2).await?;
    // The partitions are spread over both dirs of each broker.
    cluster
        .create_topic("spread", 4, 2, &[("segment.bytes", "1000000")])
        .await?;
    let on_full: Vec<i32> = (0..4)
        .filter(|p| full.join(format!("spread-{p}")).is_dir())
        .collect();
    ensure!(!on_full.is_empty() && on_full.len() < 4, "{on_full:?}");
    let load = Load::start(&cluster.client(), "spread", 100, true)?;
    wait_for("the full dir to go offline", Duration::from_secs(240), || async {
        let partitions = cluster.partitions(1, "spread").await.ok()?;
        let (gone, there): (Vec<_>, Vec<_>) = partitions.into_iter().partition(|p| on_full.contains(&p.id));
        let gone = gone.iter().all(|p| p.leader == 1 && !p.isr.contains(&0));
        (gone && there.iter().all(|p| p.isr.contains(&0))).then_some(())
    })
    .await
    .with_context(|| cluster.outputs())?;
    load.wait_for_more(1_000).await?;
    let written = load.stop().await?;
    ensure!(written.failed.is_empty(), "{:?}", written.failed);
    let contents = read_all(&cluster.client(), "spread").await?;
    assert_nothing_lost(&written, &contents)?;
    assert_nothing_twice(&contents)?;
    let bootstrap = cluster.brokers[0].address();
    let arguments = [
        "--bootstrap-server",
        &bootstrap,
        "--describe",
        "--broker-list",
        "0",
    ];
    let output = kafka_tool(LOG_DIRS_COMMAND, &arguments).await?.ok()?;
    let line = output
        .lines()
        .find(|line| line.starts_with('{'))
        .context("JSON")?;
    let json: serde_json::Value = serde_json::from_str(line)?;
    for described in json["brokers"][0]["logDirs"].as_array().context("log dirs")? {
        let is_full = described["logDir"] == full.display().to_string();
        ensure!(described["error"].is_null() != is_full, "{line}");
    }
    Ok(())
}
