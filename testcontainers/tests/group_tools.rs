//! Tests Apache Kafka's tools for consumer groups and offsets, and its performance tools: they print the same with both
//! kinds of broker.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::tools::{
    CONSOLE_CONSUMER, CONSUMER_GROUP_COMMAND, CONSUMER_PERFORMANCE, KafkaTools, PRODUCER_PERFORMANCE,
    ToolOutput, ensure_same_steps, kcat,
};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Cluster, Kind, ZooKeeper};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

const GET_OFFSETS: &str = "org.apache.kafka.tools.GetOffsetShell";
const END_TO_END_LATENCY: &str = "org.apache.kafka.tools.EndToEndLatency";
const VERIFIABLE_PRODUCER: &str = "org.apache.kafka.tools.VerifiableProducer";
const VERIFIABLE_CONSUMER: &str = "org.apache.kafka.tools.VerifiableConsumer";
const LIMIT: Duration = Duration::from_secs(60);

/// 2024-01-01T00:00:00Z, the time of the first record. Each later record is a second younger.
const FIRST_RECORD_MS: i64 = 1_704_067_200_000;

/// The output of the tools on one cluster, step by step.
struct Transcript {
    cluster: Cluster,
    tools: KafkaTools,
    bootstrap: String,
    steps: Vec<(String, String)>,
}

impl Transcript {
    /// Starts two brokers with two topics of ten records in each partition, and an empty topic.
    async fn start(kind: Kind) -> Result<Self> {
        let zookeeper = ZooKeeper::single().await?;
        let cluster = Cluster::start_with(zookeeper, &[kind; 2], |broker| {
            broker.with("auto.create.topics.enable", false)
        })
        .await?;
        for (topic, partitions) in [("jobs", 3), ("notes", 2), ("void", 1), ("perf", 1)] {
            // The records are old, so retention must not delete them.
            let kept = [("retention.ms", "-1")];
            cluster.create_topic(topic, partitions, 2, &kept).await?;
        }
        let producer: BaseProducer = cluster.client().create()?;
        for (topic, partitions) in [("jobs", 3), ("notes", 2)] {
            for (partition, number) in (0..partitions).flat_map(|p| (0..10).map(move |n| (p, n))) {
                let value = format!("{topic} {partition} {number}");
                let record: BaseRecord<'_, (), str> = BaseRecord::to(topic)
                    .partition(partition)
                    .timestamp(FIRST_RECORD_MS + number * 1000)
                    .payload(&value);
                producer.send(record).map_err(|(error, _)| error)?;
            }
        }
        producer.flush(LIMIT)?;
        Ok(Self {
            bootstrap: cluster.bootstrap(),
            tools: KafkaTools::start()?,
            steps: Vec::new(),
            cluster,
        })
    }

    fn note(&mut self, step: String, printed: String) {
        let folder = self.cluster.folder().display().to_string();
        let step = step.replace(&folder, "DIR").replace(&self.bootstrap, "BROKERS");
        self.steps.push((step, printed));
    }

    /// Runs a tool once and keeps its comparable output.
    async fn tool(&mut self, class: &str, arguments: &[&str], normalize: fn(&str) -> String) -> Result<()> {
        let output = self.tools.run(class, arguments).await?;
        let printed = normalize(&without_places(&self.cluster, &output));
        let name = class.rsplit('.').next().unwrap_or(class);
        let step = format!("{name} {}", arguments.join(" "));
        self.note(step, format!("success: {}\n{printed}", output.success));
        Ok(())
    }

    /// Runs `kafka-consumer-groups` with these arguments, separated by blanks.
    async fn groups(&mut self, arguments: &str) -> Result<()> {
        let bootstrap = self.bootstrap.clone();
        let mut all = vec!["--bootstrap-server", &bootstrap];
        all.extend(arguments.split(' '));
        // The tool and the broker take groups, members and partitions from hash maps, so the lines have no order.
        self.tool(CONSUMER_GROUP_COMMAND, &all, sorted).await
    }

    /// Runs `kafka-get-offsets`.
    async fn offsets(&mut self, arguments: &str) -> Result<()> {
        let bootstrap = self.bootstrap.clone();
        let mut all = vec!["--bootstrap-server", &bootstrap];
        all.extend(arguments.split(' ').filter(|argument| !argument.is_empty()));
        self.tool(GET_OFFSETS, &all, sorted).await
    }

    fn file(&self, name: &str, content: &str) -> Result<String> {
        let path = self.cluster.folder().join(name);
        std::fs::write(&path, content)?;
        Ok(path.display().to_string())
    }
}

/// The output without the parts that differ between clusters: addresses, coordinators, folders, ids, times.
fn without_places(cluster: &Cluster, output: &ToolOutput) -> String {
    let mut lines = Vec::new();
    let printed = output.stdout.lines().chain(output.stderr.lines());
    // Lines of a stack trace are left out: they show from inside the client why it repeated a call that timed out.
    let is_trace = |line: &str| line.starts_with("\t") || line.starts_with("Caused by: ");
    for line in printed.filter(|line| !is_trace(line) && !line.trim().is_empty()) {
        let mut line = line.replace(&cluster.folder().display().to_string(), "DIR");
        for broker in &cluster.brokers {
            let (address, id) = (broker.address(), broker.id);
            line = line
                .replace(&format!("{address}  ({id})"), "COORDINATOR")
                .replace(&format!("{address} ({id})"), "COORDINATOR")
                .replace(&address, "BROKER");
        }
        lines.push(without_ids(&without_attempts(without_time(&line))));
    }
    lines.join("\n")
}

/// A line of the log without its time.
fn without_time(line: &str) -> &str {
    match line.split_once("] ") {
        Some((time, rest)) if time.starts_with("[20") => rest,
        _ => line,
    }
}

/// The line without the number and duration of attempts before a timeout: these differ between runs.
fn without_attempts(line: &str) -> String {
    match line.split_once("TimeoutException: ") {
        Some((before, _)) => format!("{before}TimeoutException"),
        None => line.to_owned(),
    }
}

/// `ID` instead of every UUID.
fn without_ids(line: &str) -> String {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_id = |text: &str| {
        let mut groups = text.split('-');
        let fits = |length: usize, group: &str| {
            group.len() == length && group.bytes().all(|b| b.is_ascii_hexdigit())
        };
        GROUPS
            .iter()
            .all(|&length| groups.next().is_some_and(|group| fits(length, group)))
    };
    let (mut kept, mut rest) = (String::new(), line);
    while let Some(first) = rest.chars().next() {
        match rest.get(..36) {
            Some(id) if is_id(id) => {
                kept.push_str("ID");
                rest = &rest[36..];
            }
            _ => {
                kept.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    kept
}

fn sorted(printed: &str) -> String {
    let mut lines: Vec<_> = printed.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Replaces every number and returns each distinct line once, sorted. The number of lines, and which of a tool's
/// threads prints first, depend on time.
fn figures(printed: &str) -> String {
    let mut lines = std::collections::BTreeSet::new();
    for line in printed.lines() {
        let mut kept = String::new();
        for c in line.chars() {
            match c {
                '0'..='9' | '.' if kept.ends_with('N') => {}
                '0'..='9' => kept.push('N'),
                _ => kept.push(c),
            }
        }
        // Numbers with an exponent, and NaN for a value that does not exist yet.
        lines.insert(kept.replace("NEN", "N").replace("NE-N", "N").replace("NaN", "N"));
    }
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

/// A group member that polls until it is dropped and does not commit offsets.
struct Member {
    consumer: Arc<BaseConsumer>,
    ends: Arc<AtomicBool>,
    polls: Option<std::thread::JoinHandle<()>>,
}

impl Member {
    fn join(
        cluster: &Cluster,
        group: &str,
        topic: &str,
        client_id: &str,
        instance: Option<&str>,
    ) -> Result<Self> {
        let mut config = cluster.client();
        config
            .set("group.id", group)
            .set("client.id", client_id)
            .set("enable.auto.commit", "false");
        if let Some(instance) = instance {
            config.set("group.instance.id", instance);
        }
        let consumer: Arc<BaseConsumer> = Arc::new(config.create()?);
        consumer.subscribe(&[topic])?;
        let ends = Arc::new(AtomicBool::new(false));
        let (polled, until) = (Arc::clone(&consumer), Arc::clone(&ends));
        let polls = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let _ = polled.poll(Duration::from_millis(50));
            }
        });
        Ok(Self {
            consumer,
            ends,
            polls: Some(polls),
        })
    }

    async fn wait_for_partitions(&self, count: usize) -> Result<()> {
        let assigned = || async { (self.consumer.assignment().ok()?.count() == count).then_some(()) };
        wait_for(&format!("an assignment of {count} partitions"), LIMIT, assigned).await
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(polls) = self.polls.take() {
            let _ = polls.join();
        }
    }
}

/// Groups without members: how they are created, and every way to reset their offsets.
async fn reset_offsets(at: &mut Transcript) -> Result<()> {
    at.groups("--list").await?;
    at.groups("--describe --group nobody").await?;
    at.groups("--describe --group nobody --members").await?;
    at.groups("--describe --group nobody --state").await?;
    at.groups("--describe --all-groups").await?;
    at.groups("--delete --group nobody").await?;
    at.groups("--delete-offsets --group nobody --topic jobs").await?;

    let reset = "--reset-offsets --group sleepers";
    for arguments in [
        "--topic jobs --to-earliest",
        "--topic jobs --to-earliest --dry-run",
        "--topic jobs --to-current --dry-run",
        "--topic jobs --to-earliest --execute",
        "--topic notes --to-latest --execute",
        "--topic jobs:0,1 --to-offset 4 --execute",
        "--topic jobs:2 --to-offset 99 --dry-run",
        "--topic jobs --shift-by 3 --execute",
        "--topic jobs --shift-by -100 --dry-run",
        "--topic jobs --shift-by 100 --dry-run",
        "--topic jobs --to-datetime 2024-01-01T00:00:05.000 --dry-run",
        "--topic jobs --to-datetime 2024-01-01T00:00:05.000Z --export --dry-run",
        "--topic jobs --to-datetime 2100-01-01T00:00:00.000 --dry-run",
        "--topic jobs --to-datetime yesterday --dry-run",
        "--topic jobs --by-duration PT1H --dry-run",
        "--topic jobs --by-duration P30000D --dry-run",
        "--topic jobs --by-duration anhour --dry-run",
        "--all-topics --to-current --export",
        "--all-topics --to-current --execute",
        "--all-topics --shift-by -1 --dry-run",
        "--topic jobs --topic notes:1 --to-latest --dry-run",
        "--topic void --to-latest --execute",
        "--topic nowhere --to-latest --dry-run",
        "--topic jobs:9 --to-latest --dry-run",
        "--topic jobs:x --to-latest --dry-run",
        "--topic jobs --dry-run",
        "--to-latest --dry-run",
    ] {
        at.groups(&format!("{reset} {arguments}")).await?;
    }
    let one = at.file("one.csv", "jobs,0,2\nnotes,1,7\n")?;
    let many = at.file("many.csv", "dreamers,jobs,1,5\nsleepers,jobs,1,6\n")?;
    let torn = at.file("torn.csv", "jobs,zero,2\n")?;
    at.groups(&format!("{reset} --from-file {one} --dry-run")).await?;
    at.groups(&format!("{reset} --from-file {one} --execute")).await?;
    at.groups(&format!("{reset} --from-file {torn} --execute"))
        .await?;
    at.groups(&format!("{reset} --group dreamers --from-file {many} --execute"))
        .await?;
    at.groups("--reset-offsets --all-groups --topic jobs:1 --to-current --export")
        .await?;
    at.groups("--reset-offsets --all-groups --all-topics --shift-by 1 --dry-run")
        .await?;
    at.groups("--describe --group sleepers").await?;
    at.groups("--describe --group sleepers --offsets --verbose")
        .await?;
    at.groups("--describe --group sleepers --members").await?;
    at.groups("--describe --group sleepers --state").await?;
    at.groups("--list --state").await
}

/// A group with active members: what the tools show, and what they refuse to do.
async fn at_work(at: &mut Transcript) -> Result<()> {
    at.groups("--reset-offsets --group workers --topic jobs --to-offset 4 --execute")
        .await?;
    let a = Member::join(&at.cluster, "workers", "jobs", "a", None)?;
    a.wait_for_partitions(3).await?;
    let b = Member::join(&at.cluster, "workers", "jobs", "b", Some("static"))?;
    let alone = Member::join(&at.cluster, "alone", "notes", "c", Some("lonely"))?;
    a.wait_for_partitions(2).await?;
    b.wait_for_partitions(1).await?;
    alone.wait_for_partitions(2).await?;
    let command = at.file("static.properties", "client.id=b\ngroup.instance.id=static\n")?;
    for arguments in [
        "--describe --group workers",
        "--describe --group workers --offsets",
        "--describe --group workers --offsets --verbose",
        "--describe --group workers --members",
        "--describe --group workers --members --verbose",
        "--describe --group workers --state",
        "--describe --group workers --state --verbose",
        "--describe --group alone",
        "--describe --group alone --members --verbose",
        "--describe --all-groups",
        "--describe --all-groups --members --verbose",
        "--describe --all-groups --state",
        "--describe --group workers --group sleepers --group nobody --state",
        "--describe --group workers --members --state",
        "--list",
        "--list --state",
        "--list --state Stable",
        "--list --state stable,empty",
        "--list --state Dead",
        "--list --state Sleeping",
        "--list --type",
        "--list --type classic",
        "--list --type consumer",
        "--list --type Other",
        "--list --state empty --type classic",
        "--reset-offsets --group workers --topic jobs --to-earliest --execute",
        "--reset-offsets --group workers --topic jobs --to-earliest --dry-run",
        "--delete --group workers",
        "--delete --group workers --group nobody",
        "--delete-offsets --group workers --topic jobs",
        "--delete-offsets --group workers --topic jobs:1",
        "--delete-offsets --group workers --topic notes",
        "--delete-offsets --group workers --topic nowhere",
        "--delete-offsets --group workers --topic jobs:7",
        "--delete-offsets --group workers",
    ] {
        at.groups(arguments).await?;
    }
    at.groups(&format!(
        "--describe --group workers --members --command-config {command}"
    ))
    .await
}

/// A group whose members have left. Static members stay until their sessions expire.
async fn after_work(at: &mut Transcript) -> Result<()> {
    let bootstrap = at.bootstrap.clone();
    let read = [
        &["--bootstrap-server", &*bootstrap, "--topic", "notes"][..],
        &["--group", "readers", "--from-beginning", "--max-messages", "20"],
    ]
    .concat();
    at.tool(CONSOLE_CONSUMER, &read, sorted).await?;
    let arguments = [
        "-b",
        &bootstrap,
        "-G",
        "cats",
        "-c",
        "30",
        "-q",
        "-X",
        "auto.offset.reset=earliest",
        "jobs",
    ];
    let printed = sorted(&kcat(&arguments, "").await?.ok()?);
    at.note("kcat -G".into(), printed);
    for arguments in [
        "--describe --group readers",
        "--describe --group cats",
        "--describe --group cats --state",
        "--delete-offsets --group cats --topic jobs:0",
        "--delete-offsets --group cats --topic jobs:0",
        "--delete-offsets --group cats --topic notes",
        "--delete-offsets --group cats --topic nowhere",
        "--describe --group cats",
        "--delete-offsets --group sleepers --topic jobs --topic notes:0",
        "--delete-offsets --group sleepers --topic void:0",
        "--describe --group sleepers",
        "--delete --group cats",
        "--delete --group cats",
        "--delete --group readers --group dreamers",
        "--delete --group sleepers --group workers",
        "--delete --group sleepers --all-groups",
        "--list --state",
    ] {
        at.groups(arguments).await?;
    }
    Ok(())
}

async fn get_offsets(at: &mut Transcript) -> Result<()> {
    at.offsets("").await?;
    for time in [
        "earliest",
        "latest",
        "max-timestamp",
        "earliest-local",
        "latest-tiered",
        "-1",
        "-2",
        "-3",
        "-4",
        "-5",
        "-6",
        "1704067205000",
        "1704067205500",
        "4102444800000",
        "soon",
    ] {
        at.offsets(&format!("--topic jobs --time {time}")).await?;
    }
    for arguments in [
        "--topic void",
        "--topic void --time max-timestamp",
        "--topic void --time 0",
        "--topic nowhere",
        "--topic jobs --partitions 0,2",
        "--topic jobs --partitions 7",
        "--topic-partitions jobs:1-,notes:0",
        "--topic jo.* --exclude-internal-topics",
        "--exclude-internal-topics",
    ] {
        at.offsets(arguments).await?;
    }
    Ok(())
}

/// Tools that measure performance, or print what clients see.
async fn performance(at: &mut Transcript) -> Result<()> {
    let bootstrap = at.bootstrap.clone();
    let properties = format!("bootstrap.servers={bootstrap}");
    let produce = [
        "--topic",
        "perf",
        "--num-records",
        "500",
        "--record-size",
        "100",
        "--throughput",
    ];
    let plain = [&produce[..], &["-1", "--producer-props", &properties]].concat();
    at.tool(PRODUCER_PERFORMANCE, &plain, figures).await?;
    let within = [
        "500",
        "--transactional-id",
        "perf",
        "--transaction-duration-ms",
        "100",
    ];
    let transactional = [&produce[..], &within, &["--producer-props", &properties]].concat();
    at.tool(PRODUCER_PERFORMANCE, &transactional, figures).await?;
    at.tool(PRODUCER_PERFORMANCE, &transactional, figures).await?;
    let committed = at.file("committed.properties", "isolation.level=read_committed\n")?;
    let consume = [
        "--bootstrap-server",
        &bootstrap,
        "--topic",
        "perf",
        "--messages",
        "1500",
    ];
    at.tool(CONSUMER_PERFORMANCE, &consume, figures).await?;
    let consume = [
        &consume[..],
        &["--group", "perf", "--consumer.config", &committed],
    ]
    .concat();
    at.tool(CONSUMER_PERFORMANCE, &consume, figures).await?;
    at.groups("--describe --group perf --state").await?;

    let verifiable = [
        "--bootstrap-server",
        &bootstrap,
        "--topic",
        "void",
        "--max-messages",
        "20",
    ];
    at.tool(VERIFIABLE_PRODUCER, &verifiable, figures).await?;
    let alone = ["--group-id", "verifiable", "--reset-policy", "earliest"];
    at.tool(VERIFIABLE_CONSUMER, &[&verifiable[..], &alone].concat(), figures)
        .await?;
    let instance = [
        "--group-id",
        "instances",
        "--group-instance-id",
        "first",
        "--reset-policy",
        "earliest",
    ];
    at.tool(
        VERIFIABLE_CONSUMER,
        &[&verifiable[..], &instance].concat(),
        figures,
    )
    .await?;
    at.groups("--describe --group verifiable").await?;
    at.groups("--describe --group instances --members").await?;
    at.offsets("--topic void").await?;
    at.tool(
        END_TO_END_LATENCY,
        &[&*bootstrap, "notes", "20", "all", "100"],
        figures,
    )
    .await?;
    at.tool(
        END_TO_END_LATENCY,
        &[&*bootstrap, "notes", "20", "0", "100"],
        figures,
    )
    .await
}

async fn transcript(kind: Kind) -> Result<Vec<(String, String)>> {
    let mut at = Transcript::start(kind).await?;
    get_offsets(&mut at).await?;
    reset_offsets(&mut at).await?;
    at_work(&mut at).await?;
    after_work(&mut at).await?;
    performance(&mut at).await?;
    if let Some(folder) = std::env::var_os("BARNABAS_TRANSCRIPTS") {
        let text: String = at
            .steps
            .iter()
            .map(|(step, printed)| format!("== {step}\n{printed}\n"))
            .collect();
        std::fs::write(Path::new(&folder).join(format!("{kind:?}")), text)?;
    }
    Ok(at.steps)
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_group_tools_print_the_same_for_both_kinds() -> Result<()> {
    let (ours, kafkas) = tokio::try_join!(transcript(Kind::under_test()), transcript(Kind::ApacheKafka))?;
    ensure_same_steps(&ours, &kafkas)?;
    ensure!(ours.len() > 100, "{} steps", ours.len());
    let described = ours
        .iter()
        .find(|(step, _)| step.ends_with("--describe --group workers"));
    let (_, described) = described.context("a group at work was described")?;
    ensure!(described.contains("static-ID"), "{described}");
    Ok(())
}
