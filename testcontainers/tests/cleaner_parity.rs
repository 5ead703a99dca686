//! Compares the log cleaner with Apache Kafka's on a thousand random logs, cleaned twice. The same records must stay
//! whichever cleaner cleans a directory, also when each cleaner continues on the directory that the other one has
//! cleaned.
//!
//! The test writes the logs as files while no broker runs, in the state that a killed broker leaves. So each broker
//! recovers them first. The test creates the topics in ZooKeeper before it starts a broker.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use barnabas::parts::{
    BatchBuilder, Compression, ControlRecordType, EndTransactionMarker, RecordBatch, RecordBatches,
    RecordReader,
};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Broker, Kind, ZooKeeper};
use zookeeper_client::{Acls, Client, CreateMode};

/// The partitions of a topic; each has a different random log.
const PARTITIONS: usize = 200;
/// The configurations of the topics.
const TOPICS: [&[(&str, &str)]; 5] = [
    &[("delete.retention.ms", "0"), ("segment.bytes", "3000")],
    &[("delete.retention.ms", "0"), ("segment.bytes", "1000000")],
    &[("delete.retention.ms", "86400000"), ("segment.bytes", "3000")],
    &[("cleanup.policy", "compact,delete"), ("delete.retention.ms", "0")],
    &[
        ("delete.retention.ms", "0"),
        ("segment.index.bytes", "60"),
        ("index.interval.bytes", "100"),
    ],
];
const COMMON: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("min.cleanable.dirty.ratio", "0.0"),
    ("retention.ms", "-1"),
    ("segment.index.bytes", "4096"),
];
const LIMIT: Duration = Duration::from_secs(180);
const UNPACKED_BYTES_MAX: usize = 1 << 20;

/// Numbers that are the same in every run (xorshift).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// A producer that writes to a random log.
struct Producer {
    id: i64,
    epoch: i16,
    sequence: i32,
    transactional: bool,
    /// The offset at which its open transaction begins.
    open: Option<i64>,
    /// The age of its records. Brokers forget a producer after a day.
    age_ms: i64,
}

/// A random log while it is being written.
struct RandomLog {
    random: Seeded,
    now_ms: i64,
    next_offset: i64,
    producers: Vec<Producer>,
    /// Base offsets of all segments.
    bases: Vec<i64>,
}

impl RandomLog {
    fn new(seed: u64, now_ms: i64) -> Self {
        let mut random = Seeded(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let next_offset = [0, 0, 7, 5_000_000_000][random.below(4)];
        let producers = (0..random.below(5) as i64).map(|id| Producer {
            id: 1000 + id,
            epoch: 0,
            sequence: 0,
            transactional: !random.one_in(3),
            open: None,
            age_ms: if random.one_in(4) { 3 * 86_400_000 } else { 0 },
        });
        let producers = producers.collect();
        Self {
            random,
            now_ms,
            next_offset,
            producers,
            bases: Vec::new(),
        }
    }

    /// A segment of `batches` more batches, after all others.
    fn segment(&mut self, batches: usize) -> (i64, Vec<u8>) {
        self.bases.push(self.next_offset);
        let mut bytes = Vec::new();
        for _ in 0..batches {
            if self.random.one_in(10) {
                // A gap, as an earlier clean leaves it.
                self.next_offset += 1 + self.random.below(4) as i64;
            }
            match self.random.below(self.producers.len() + 2).checked_sub(2) {
                None => bytes.extend(self.data(None)),
                Some(who) => {
                    let producer = &self.producers[who];
                    let ends = producer.open.is_some() && self.random.one_in(2);
                    // A transaction may end in a log where it wrote nothing, or where all its records are gone.
                    let ends = ends || producer.transactional && self.random.one_in(12);
                    bytes.extend(if ends {
                        self.marker(who)
                    } else {
                        self.data(Some(who))
                    });
                }
            }
        }
        (self.bases[self.bases.len() - 1], bytes)
    }

    fn data(&mut self, who: Option<usize>) -> Vec<u8> {
        let random = &mut self.random;
        let count = if random.one_in(3) { 1 } else { 1 + random.below(6) };
        let codec = if random.one_in(2) {
            Compression::None
        } else {
            Compression::ALL[random.below(5)]
        };
        let mut builder = BatchBuilder::new(self.next_offset)
            .compression(codec, None)
            .partition_leader_epoch(0);
        let mut age_ms = 0;
        if let Some(who) = who {
            let producer = &mut self.producers[who];
            age_ms = producer.age_ms;
            builder = builder.producer(producer.id, producer.epoch, producer.sequence);
            producer.sequence += count as i32;
            if producer.transactional {
                builder = builder.transactional(true);
                producer.open = producer.open.or(Some(self.next_offset));
            }
        }
        if random.one_in(5) {
            builder = builder.log_append_time(Some(self.now_ms - age_ms - random.below(100_000) as i64));
        }
        for _ in 0..count {
            let timestamp = self.now_ms - age_ms - random.below(3_600_000) as i64;
            let key = "k".repeat(random.below(8));
            let length = match random.below(60) {
                0 => 40_000,
                1..20 => random.below(300),
                _ => random.below(12),
            };
            let value: Vec<u8> = (0..length).map(|_| random.below(64) as u8).collect();
            let header_value = b"value".as_slice();
            let headers = [("first", Some(header_value)), ("", None), ("first", Some(&[]))];
            let headers = &headers[..if random.one_in(4) { random.below(4) } else { 0 }];
            let value = (!random.one_in(5)).then_some(&value[..]);
            builder.append(timestamp, Some(key.as_bytes()), value, headers);
        }
        self.next_offset += count as i64;
        builder.build().to_vec()
    }

    fn marker(&mut self, who: usize) -> Vec<u8> {
        let control_type = match self.random.one_in(2) {
            true => ControlRecordType::Commit,
            false => ControlRecordType::Abort,
        };
        let marker = EndTransactionMarker {
            control_type,
            coordinator_epoch: 0,
        };
        let producer = &mut self.producers[who];
        producer.open = None;
        let timestamp = self.now_ms - producer.age_ms;
        let bytes = BatchBuilder::end_transaction_marker(marker, producer.id, producer.epoch, timestamp);
        if self.random.one_in(6) {
            (producer.epoch, producer.sequence) = (producer.epoch + 1, 0);
        }
        let batch = RecordBatch::parse(&bytes)
            .expect("a batch")
            .expect("a whole batch");
        let mut header = batch.header();
        header.set_base_offset(self.next_offset);
        header.set_partition_leader_epoch(0);
        self.next_offset += 1;
        [&header.encode()[..], batch.records()].concat()
    }

    /// The end of the range to clean: the base offset of the segment with the first open transaction, or of the active
    /// segment.
    fn cleanable_end(&self) -> i64 {
        let open = self.producers.iter().filter_map(|producer| producer.open);
        let bound = open.chain(self.bases.last().copied()).min().unwrap_or(0);
        self.bases
            .iter()
            .rfind(|base| **base <= bound)
            .copied()
            .unwrap_or(0)
    }
}

/// A broker on its own chroot, and its log dir.
struct Side {
    broker: Broker,
    log_dir: PathBuf,
}

impl Side {
    async fn new(kind: Kind, zookeeper: &ZooKeeper, folder: &Path) -> Result<Self> {
        let chroot = format!("/{kind:?}");
        let client = Client::connect(&zookeeper.connect_string()).await?;
        create_znodes(&client, &chroot).await?;
        let connect = format!("{}{chroot}", zookeeper.connect_string());
        let broker = Broker::new(kind, 0, &connect, &folder.join(&chroot[1..]))
            .with("num.recovery.threads.per.data.dir", 2)
            .with("log.cleaner.threads", 2)
            .with("log.cleaner.dedupe.buffer.size", 16 << 20)
            .with("log.cleaner.backoff.ms", 200);
        let log_dir = broker.log_dir();
        std::fs::create_dir_all(&log_dir)?;
        Ok(Self { broker, log_dir })
    }

    /// Waits until the broker has cleaned everything that may be cleaned.
    async fn clean(&mut self, expected: &BTreeMap<String, i64>) -> Result<()> {
        self.broker.start().await?;
        let late = || -> Vec<String> {
            let cleaned = checkpoint(&self.log_dir).unwrap_or_default();
            let late = expected.iter().filter(|(log, end)| cleaned.get(*log) < Some(end));
            late.map(|(log, end)| format!("{log} to {end}: {:?}", cleaned.get(log)))
                .collect()
        };
        wait_for("all logs to be clean", LIMIT, || async {
            // Each look takes processor time that the brokers need.
            tokio::time::sleep(Duration::from_millis(300)).await;
            late().is_empty().then_some(())
        })
        .await
        .with_context(|| {
            let (late, output) = (late(), self.broker.output());
            let tail: Vec<_> = output.lines().rev().take(40).collect();
            format!(
                "{} logs: {:?}\n{tail:#?}",
                late.len(),
                &late[..late.len().min(20)]
            )
        })?;
        self.broker.stop().await?;
        Ok(())
    }

    /// The content of each log.
    fn contents(&self) -> Result<BTreeMap<String, Vec<String>>> {
        let mut contents = BTreeMap::new();
        for log in names() {
            let mut lines = Vec::new();
            for (name, bytes) in segments(&self.log_dir.join(&log))? {
                describe(&name, &bytes, &mut lines).with_context(|| format!("{log}/{name}"))?;
            }
            contents.insert(log, lines);
        }
        Ok(contents)
    }
}

/// Creates the topics in ZooKeeper, so that the broker knows at its start that their partitions belong to it.
async fn create_znodes(client: &Client, chroot: &str) -> Result<()> {
    let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
    for path in [
        "",
        "/cluster",
        "/brokers",
        "/brokers/topics",
        "/config",
        "/config/topics",
    ] {
        client.create(&format!("{chroot}{path}"), b"", &options).await?;
    }
    let cluster = br#"{"version":"1","id":"cleanersAAAAAAAAAAAAAA"}"#;
    client
        .create(&format!("{chroot}/cluster/id"), cluster, &options)
        .await?;
    for (number, configs) in TOPICS.iter().enumerate() {
        let partitions: HashMap<String, [i32; 1]> = (0..PARTITIONS).map(|p| (p.to_string(), [0])).collect();
        let topic = serde_json::json!({
            "version": 3, "topic_id": format!("topic{number}AAAAAAAAAAAAAAAA"), "partitions": partitions,
            "adding_replicas": {}, "removing_replicas": {},
        });
        let config: HashMap<_, _> = COMMON.iter().chain(*configs).copied().collect();
        let config = serde_json::json!({"version": 1, "config": config});
        for (kind, json) in [("brokers", topic), ("config", config)] {
            let path = format!("{chroot}/{kind}/topics/t{number}");
            client
                .create(&path, json.to_string().as_bytes(), &options)
                .await?;
        }
    }
    Ok(())
}

fn names() -> impl Iterator<Item = String> {
    (0..TOPICS.len()).flat_map(|topic| (0..PARTITIONS).map(move |partition| format!("t{topic}-{partition}")))
}

/// The cleaner's checkpoint: log → first offset that is not cleaned.
fn checkpoint(log_dir: &Path) -> Option<HashMap<String, i64>> {
    let text = std::fs::read_to_string(log_dir.join("cleaner-offset-checkpoint")).ok()?;
    let entries = text.lines().skip(2).map(|line| {
        let (log, offset) = line.rsplit_once(' ')?;
        Some((log.replace(' ', "-"), offset.parse().ok()?))
    });
    entries.collect()
}

/// The names and bytes of a log's segments, in order.
fn segments(dir: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut segments = BTreeMap::new();
    for entry in std::fs::read_dir(dir)? {
        let (path, name) = (
            entry.as_ref().map(|e| e.path()).unwrap_or_default(),
            entry?.file_name(),
        );
        let name = name.to_string_lossy().into_owned();
        ensure!(
            !name.ends_with(".cleaned") && !name.ends_with(".swap"),
            "{}",
            path.display()
        );
        if name.ends_with(".log") {
            segments.insert(name, std::fs::read(path)?);
        }
    }
    Ok(segments)
}

/// A line for each batch and record with all its fields, except the delete horizon of tombstones: that depends on the
/// time of the clean.
fn describe(name: &str, bytes: &[u8], lines: &mut Vec<String>) -> Result<()> {
    const HORIZON_BIT: i16 = 0x40;
    lines.push(name.to_owned());
    for batch in RecordBatches::new(bytes) {
        let batch = batch?;
        batch.ensure_valid_crc()?;
        lines.push(format!(
            "batch {}..{} attributes {:#x} horizon {} producer {} {} {} epoch {} max {} count {:?}",
            batch.base_offset(),
            batch.last_offset(),
            batch.attributes() & !HORIZON_BIT,
            batch.delete_horizon_ms().is_some(),
            batch.producer_id(),
            batch.producer_epoch(),
            batch.base_sequence(),
            batch.partition_leader_epoch(),
            batch.max_timestamp(),
            batch.count(),
        ));
        let mut records = RecordReader::new(&batch, UNPACKED_BYTES_MAX)?;
        while let Some(record) = records.next()? {
            let headers: Vec<_> = record.headers.iter().collect();
            let mut all = DefaultHasher::new();
            (record.key, record.value, headers).hash(&mut all);
            let (key, value) = (
                record.key.map(String::from_utf8_lossy),
                record.value.map(<[u8]>::len),
            );
            let (offset, timestamp, all) = (record.offset, record.timestamp, all.finish());
            lines.push(format!(
                "{offset} at {timestamp} {key:?} {value:?} bytes, {all:x}"
            ));
        }
    }
    Ok(())
}

/// Adds segments to the logs of both sides. Returns the new end of the range to clean for each log in which it has
/// moved.
fn write(
    logs: &mut BTreeMap<String, RandomLog>,
    sides: &[Side],
    segments: usize,
) -> Result<BTreeMap<String, i64>> {
    let mut expected = BTreeMap::new();
    for (name, log) in logs {
        let before = if log.bases.is_empty() {
            log.next_offset
        } else {
            log.cleanable_end()
        };
        for _ in 0..segments {
            let batches = 1 + log.random.below(6);
            let (base, bytes) = log.segment(batches);
            for side in sides {
                let dir = side.log_dir.join(name);
                std::fs::create_dir_all(&dir)?;
                std::fs::write(dir.join(format!("{base:020}.log")), &bytes)?;
            }
        }
        let end = log.cleanable_end();
        if end > before {
            expected.insert(name.clone(), end);
        }
    }
    for side in sides {
        // The state after a crash: segments have no indexes, and the high watermark is unknown until there is a leader.
        for file in [".kafka_cleanshutdown", "replication-offset-checkpoint"] {
            let _ = std::fs::remove_file(side.log_dir.join(file));
        }
    }
    Ok(expected)
}

/// A temporary folder, in memory where possible: on a disk, so many small files take minutes.
fn in_memory() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())
}

/// The total number of bytes of all segments.
fn size(log_dir: &Path) -> Result<usize> {
    let mut size = 0;
    for log in names() {
        size += segments(&log_dir.join(log))?
            .values()
            .map(Vec::len)
            .sum::<usize>();
    }
    Ok(size)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_random_logs_are_cleaned_alike() -> Result<()> {
    let zookeeper = ZooKeeper::single().await?;
    let folder = in_memory()?;
    let mut sides = [
        Side::new(Kind::ApacheKafka, &zookeeper, folder.path()).await?,
        Side::new(Kind::Barnabas, &zookeeper, folder.path()).await?,
    ];
    let now_ms = SystemTime::UNIX_EPOCH.elapsed()?.as_millis() as i64;
    let seeded = |(seed, name)| (name, RandomLog::new(seed, now_ms));
    let mut logs: BTreeMap<_, _> = (1..).zip(names()).map(seeded).collect();
    // In the second round each broker continues on the logs of the other. Tombstones that were new in the first round
    // are old now.
    for (round, segments) in [("first", 4), ("second", 3)] {
        let expected = write(&mut logs, &sides, segments)?;
        ensure!(
            expected.len() > logs.len() / 2,
            "{} logs to clean",
            expected.len()
        );
        let before = size(&sides[0].log_dir)?;
        let [one, other] = &mut sides;
        tokio::try_join!(one.clean(&expected), other.clean(&expected))?;
        let (kafkas, ours) = (sides[0].contents()?, sides[1].contents()?);
        let after = size(&sides[0].log_dir)?;
        ensure!(after < before * 4 / 5, "{after} of {before} bytes are left");
        for (log, kafkas) in &kafkas {
            let ours = &ours[log];
            let differs = kafkas.iter().zip(ours).position(|(a, b)| a != b);
            let at = differs.unwrap_or(kafkas.len().min(ours.len()));
            ensure!(
                kafkas == ours,
                "{round} round, {log} from line {at}:\nKafka's {:#?}\nours {:#?}",
                &kafkas[at.saturating_sub(3)..kafkas.len().min(at + 3)],
                &ours[at.saturating_sub(3)..ours.len().min(at + 3)]
            );
        }
        sides[0].broker.become_kind(Kind::Barnabas);
        sides[1].broker.become_kind(Kind::ApacheKafka);
    }
    Ok(())
}
