//! Compares `barnabas dump-log` with Apache Kafka's `DumpLogSegments`: both print the same lines for the same files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use barnabas_testcontainers::broker::binary;
use barnabas_testcontainers::tools::{self, DUMP_LOG_SEGMENTS, KafkaTools, ToolOutput};
use barnabas_testcontainers::{Cluster, Kind, repository};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

const LIMIT: Duration = Duration::from_secs(90);
/// The suffixes of the files that both tools read.
const SUFFIXES: [&str; 5] = ["log", "index", "timeindex", "txnindex", "snapshot"];

/// The files of a partition, or of all partitions whose name starts with `topic`.
fn files(log_dir: &Path, topic: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in std::fs::read_dir(log_dir)? {
        let dir = dir?;
        if !dir.file_type()?.is_dir() || !dir.file_name().to_string_lossy().starts_with(topic) {
            continue;
        }
        for file in std::fs::read_dir(dir.path())? {
            let path = file?.path();
            let suffix = path.extension().unwrap_or_default().to_string_lossy();
            if SUFFIXES.contains(&&*suffix) {
                found.push(path);
            }
        }
    }
    found.sort();
    ensure!(!found.is_empty(), "no files of {topic} in {}", log_dir.display());
    Ok(found)
}

fn arguments(flags: &[&str], files: &[PathBuf]) -> Vec<String> {
    let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    let flags = flags.iter().map(|flag| (*flag).to_owned());
    flags.chain(["--files".to_owned(), files.join(",")]).collect()
}

async fn kafkas(tools: &mut KafkaTools, flags: &[&str], files: &[PathBuf]) -> Result<ToolOutput> {
    let arguments = arguments(flags, files);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    tools.run(DUMP_LOG_SEGMENTS, &arguments).await
}

async fn ours(flags: &[&str], files: &[PathBuf]) -> Result<ToolOutput> {
    let mut command = Command::new(binary());
    command.arg("dump-log").args(arguments(flags, files));
    tools::run(command, "", LIMIT).await
}

/// Fails if a line differs; the error shows the first such line.
fn ensure_same_lines(what: &str, ours: &str, kafkas: &str) -> Result<()> {
    let mut lines = (ours.lines(), kafkas.lines());
    for number in 1.. {
        match (lines.0.next(), lines.1.next()) {
            (None, None) => break,
            (ours, kafkas) => ensure!(
                ours == kafkas,
                "{what}, line {number}:\nours   {ours:?}\nkafkas {kafkas:?}"
            ),
        }
    }
    Ok(())
}

/// Dumps valid files with both tools. Every line of both outputs must be the same. Returns the lines.
async fn compare(tools: &mut KafkaTools, flags: &[&str], files: &[PathBuf]) -> Result<String> {
    let (kafkas, ours) = (kafkas(tools, flags, files).await?, ours(flags, files).await?);
    ensure!(
        kafkas.success,
        "{flags:?}: Kafka's tool failed\n{}",
        kafkas.stderr
    );
    ensure!(ours.success, "{flags:?}: ours failed\n{}", ours.stderr);
    ensure_same_lines(&format!("{flags:?}"), &ours.stdout, &kafkas.stdout)?;
    ensure_same_lines(
        &format!("{flags:?}, standard error"),
        &ours.stderr,
        &kafkas.stderr,
    )?;
    Ok(ours.stdout)
}

/// A copy of the captured files of an Apache Kafka 3.9.1 broker. A copy, because Kafka's tool may write to the files
/// that it reads.
fn captured(broker: &str, to: &Path) -> Result<PathBuf> {
    let from = repository().join("src/log/testdata").join(broker);
    let copy = to.join(broker);
    copy_dir(&from, &copy)?;
    Ok(copy)
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn captured_directories_are_dumped_alike() -> Result<()> {
    let mut tools = KafkaTools::start()?;
    let folder = tempfile::tempdir()?;
    for broker in ["broker1", "broker2"] {
        let dir = captured(broker, folder.path())?;
        let all = files(&dir, "")?;
        for flags in [
            &[][..],
            &["--deep-iteration"],
            &["--print-data-log"],
            &["--print-data-log", "--skip-record-metadata"],
            &["--deep-iteration", "--skip-record-metadata"],
            &["--index-sanity-check"],
            &["--verify-index-only"],
            &["--max-bytes", "500", "--deep-iteration"],
            &[
                "--value-decoder-class",
                "org.apache.kafka.tools.api.StringDecoder",
            ],
        ] {
            compare(&mut tools, flags, &all).await?;
        }
        if broker == "broker1" {
            let groups = compare(
                &mut tools,
                &["--offsets-decoder"],
                &files(&dir, "__consumer_offsets")?,
            )
            .await?;
            ensure!(groups.contains("\"protocolType\":\"consumer\""), "{groups}");
            let flags = ["--transaction-log-decoder"];
            let transactions = compare(&mut tools, &flags, &files(&dir, "__transaction_state")?).await?;
            ensure!(transactions.contains("state=CompleteAbort"), "{transactions}");
        }
    }
    Ok(())
}

/// Numbers that are the same in every run (xorshift).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Flips a bit, cuts off the end, or overwrites some bytes with zeros.
fn damage(bytes: &mut Vec<u8>, random: &mut Seeded) -> String {
    let at = random.below(bytes.len());
    match random.below(5) {
        0 => {
            bytes.truncate(at);
            format!("cut at byte {at}")
        }
        1 => {
            let end = bytes.len().min(at + 1 + random.below(40));
            bytes[at..end].fill(0);
            format!("bytes {at} to {end} zeroed")
        }
        _ => {
            bytes[at] ^= 1 << random.below(8);
            format!("a bit of byte {at} flipped")
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_dumped_alike_as_far_as_kafka_gets_and_never_called_sound() -> Result<()> {
    let mut tools = KafkaTools::start()?;
    let folder = tempfile::tempdir()?;
    let dir = captured("broker1", folder.path())?;
    let sound: Vec<_> = files(&dir, "")?
        .into_iter()
        .filter(|file| file.metadata().is_ok_and(|file| file.len() > 0))
        .collect();
    let mut random = Seeded(0x5eed_ba5e);
    for case in 0..40 {
        let file = &sound[random.below(sound.len())];
        let original = std::fs::read(file)?;
        let mut bytes = original.clone();
        let what = damage(&mut bytes, &mut random);
        let what = format!("case {case}, {}: {what}", file.display());
        std::fs::write(file, &bytes)?;
        let flags = [&["--deep-iteration"][..], &["--print-data-log"]][random.below(2)];
        let one = std::slice::from_ref(file);
        let (kafkas, ours) = (kafkas(&mut tools, flags, one).await?, ours(flags, one).await?);
        std::fs::write(file, &original)?;

        // If Kafka's tool fails in the middle of a line, ours still ends the line.
        ensure_same_lines(&what, &ours.stdout, &kafkas.stdout)?;
        ensure!(!ours.stderr.contains("panicked"), "{what}: {}", ours.stderr);
        let complains = !kafkas.success || kafkas.stdout.contains("isvalid: false");
        if complains {
            let named = ours.stderr.contains(&format!("{}: byte ", file.display()));
            ensure!(named, "{what}: the byte is not named\n{}", ours.stderr);
            // A running broker may have allocated the zeros at the end of a last segment. Ours prints a remark about
            // them and does not fail.
            let is_room = ours
                .stderr
                .contains("zeros that no batch has been written to yet");
            ensure!(!ours.success || is_room, "{what}: {}", ours.stderr);
        }
    }
    Ok(())
}

/// Writes every kind of content: codecs, headers, nulls, both kinds of timestamps, several segments, a group.
async fn write_everything(cluster: &Cluster) -> Result<()> {
    let small = [("segment.bytes", "20000"), ("index.interval.bytes", "300")];
    cluster.create_topic("written", 2, 1, &small).await?;
    let stamped = [small[0], small[1], ("message.timestamp.type", "LogAppendTime")];
    cluster.create_topic("stamped", 1, 1, &stamped).await?;
    for (codec, idempotent) in [("none", false), ("gzip", true), ("snappy", false), ("lz4", true)] {
        let producer: FutureProducer = cluster
            .client()
            .set("compression.type", codec)
            .set("enable.idempotence", idempotent.to_string())
            .set("linger.ms", "5")
            .set("batch.size", "4000")
            .create()?;
        let mut flying = Vec::new();
        for number in 0..300 {
            let (key, value) = (format!("k{}", number % 17), "gr\u{fc}n ".repeat(number % 40));
            let header = Header {
                key: "h\u{e9}",
                value: (number % 3 == 0).then_some("1"),
            };
            for topic in ["written", "stamped"] {
                let mut record = FutureRecord::to(topic);
                if number % 5 != 0 {
                    record = record.key(&key);
                }
                if number % 7 != 0 {
                    record = record.payload(&value);
                }
                if number % 4 == 0 {
                    record = record.headers(OwnedHeaders::new().insert(header.clone()));
                }
                let sent = producer.send_result(record);
                flying.push(sent.map_err(|(error, _)| error)?);
            }
        }
        for sent in flying {
            sent.await?.map_err(|(error, _)| error)?;
        }
        // A batch with one record.
        let record = FutureRecord::<(), _>::to("written").payload("alone");
        producer
            .send(record, Timeout::Never)
            .await
            .map_err(|(error, _)| error)?;
    }
    let client = cluster.client();
    tokio::task::spawn_blocking(move || commit_offsets(client)).await?
}

fn commit_offsets(mut client: rdkafka::ClientConfig) -> Result<()> {
    let consumer: BaseConsumer = client
        .set("group.id", "readers")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()?;
    consumer.subscribe(&["written", "stamped"])?;
    // A poll also returns without a record when the group changes.
    let deadline = Instant::now() + Duration::from_secs(40);
    let first = loop {
        match consumer.poll(Duration::from_millis(500)) {
            Some(first) => break first?,
            None => ensure!(Instant::now() < deadline, "no record"),
        }
    };
    consumer.commit_message(&first, CommitMode::Sync)?;
    drop(first);
    Ok(())
}

/// Both tools print the same for the files of one kind of broker, while it runs and after it has stopped.
async fn written_by(kind: Kind) -> Result<()> {
    let mut tools = KafkaTools::start()?;
    let mut cluster = Cluster::start(&[kind]).await?;
    write_everything(&cluster).await?;
    let log_dir = cluster.brokers[0].log_dir();
    for topic in ["written", "stamped", "__consumer_offsets"] {
        // Kafka's tool fails on the preallocated space after the entries of an index in use; ours does not.
        let all = files(&log_dir, topic)?;
        let live = ours(&["--index-sanity-check"], &all).await?;
        ensure!(live.success, "{topic} while {kind:?} runs: {}", live.stderr);
        let logs: Vec<_> = all
            .iter()
            .filter(|file| file.extension().is_some_and(|suffix| suffix == "log"))
            .cloned()
            .collect();
        compare(&mut tools, &["--print-data-log"], &logs).await?;
    }

    cluster.brokers[0].stop().await?;
    let all = files(&log_dir, "")?;
    ensure!(all.len() > 30, "only {} files", all.len());
    for flags in [
        &["--print-data-log"][..],
        &["--deep-iteration", "--verify-index-only"],
    ] {
        let lines = compare(&mut tools, flags, &all).await?;
        ensure!(!lines.contains("isvalid: false") && lines.contains("isvalid: true"));
    }
    let sane = compare(&mut tools, &["--index-sanity-check"], &all).await?;
    for file in all.iter().filter(|file| {
        let suffix = file.extension().unwrap_or_default();
        suffix == "index" || suffix == "timeindex"
    }) {
        let file = file.display();
        let passed = sane.contains(&format!("{file} passed sanity check."));
        ensure!(passed || sane.contains(&format!("{file} is empty.")), "{file}");
    }
    let groups = compare(
        &mut tools,
        &["--offsets-decoder"],
        &files(&log_dir, "__consumer_offsets")?,
    )
    .await?;
    ensure!(
        groups.contains("\"group\":\"readers\",\"topic\":"),
        "no commit in {groups}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_barnabas_writes_is_dumped_alike() -> Result<()> {
    written_by(Kind::under_test()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_writes_is_dumped_alike() -> Result<()> {
    written_by(Kind::ApacheKafka).await
}
