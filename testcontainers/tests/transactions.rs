//! Tests transactions: all records or none, each once, whichever process is killed.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use barnabas_testcontainers::tools::{PRODUCER_PERFORMANCE, kafka_tool};
use barnabas_testcontainers::transactions::{CALL, producer, producer_with_timeout, read, send};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::{Broker, Cluster, Kind, ZooKeeper};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};

const TRANSACTIONS_COMMAND: &str = "org.apache.kafka.tools.TransactionsCommand";
const LIMIT: Duration = Duration::from_secs(60);

/// Starts brokers with a small transaction topic and the given other settings.
async fn start(kinds: &[Kind], settings: &[(&str, &str)]) -> Result<Cluster> {
    Cluster::start_with(ZooKeeper::single().await?, kinds, |mut broker| {
        broker.set("transaction.state.log.num.partitions", "5");
        for (key, value) in settings {
            broker.set(key, value);
        }
        broker
    })
    .await
}

async fn read_both(cluster: &Cluster, topic: &str) -> Result<(Vec<String>, Vec<String>)> {
    let (client, topic) = (cluster.client(), topic.to_owned());
    let both = move || {
        let committed = read(&client, &topic, "read_committed")?;
        Ok((committed, read(&client, &topic, "read_uncommitted")?))
    };
    tokio::task::spawn_blocking(both).await?
}

/// Runs one transaction with a record for each of three partitions.
fn transact(producer: &BaseProducer, topic: &str, value: &str, commit: bool) -> Result<()> {
    producer.begin_transaction()?;
    for partition in 0..3 {
        send(producer, topic, partition, &format!("{value}-{partition}"))?;
    }
    producer.flush(CALL)?;
    match commit {
        true => producer.commit_transaction(CALL)?,
        false => producer.abort_transaction(CALL)?,
    }
    Ok(())
}

fn is(error: &anyhow::Error, codes: &[RDKafkaErrorCode]) -> bool {
    let code = error
        .downcast_ref::<KafkaError>()
        .and_then(KafkaError::rdkafka_error_code);
    code.is_some_and(|code| codes.contains(&code))
}

async fn transactions_command(cluster: &Cluster, arguments: &[&str]) -> Result<String> {
    let bootstrap = cluster.bootstrap();
    let arguments = [&["--bootstrap-server", &bootstrap], arguments].concat();
    kafka_tool(TRANSACTIONS_COMMAND, &arguments).await?.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_committed_records_see_whole_transactions_and_no_aborted_ones() -> Result<()> {
    let cluster = start(&Kind::times(3), &[]).await?;
    cluster.create_topic("t", 3, 3, &[]).await?;
    let client = cluster.client();
    let work = move || {
        let producer = producer(&client, "writer")?;
        let mut times = Vec::new();
        for n in 0..20 {
            let begun = Instant::now();
            transact(&producer, "t", &format!("{n:02}"), n % 3 != 0)?;
            times.push(begun.elapsed());
        }
        times.sort();
        eprintln!(
            "median of {} transactions: {:?}",
            times.len(),
            times[times.len() / 2]
        );
        anyhow::Ok(producer)
    };
    let producer = tokio::task::spawn_blocking(work).await??;
    let expected = |commit_only: bool| -> Vec<String> {
        let numbers = (0..20).filter(move |n| !commit_only || n % 3 != 0);
        numbers
            .flat_map(|n| (0..3).map(move |p| format!("{n:02}-{p}")))
            .collect()
    };
    let (committed, uncommitted) = read_both(&cluster, "t").await?;
    assert_eq!((committed, uncommitted), (expected(true), expected(false)));

    // An open transaction holds back only the end for readers of committed records.
    producer.begin_transaction()?;
    send(&producer, "t", 0, "open")?;
    producer.flush(CALL)?;
    let (committed, uncommitted) = read_both(&cluster, "t").await?;
    assert_eq!(
        (committed.len(), uncommitted.len()),
        (expected(true).len(), expected(false).len() + 1)
    );

    let listed = transactions_command(&cluster, &["list"]).await?;
    ensure!(
        listed
            .lines()
            .any(|l| l.contains("writer") && l.contains("Ongoing")),
        "{listed}"
    );
    let described = transactions_command(&cluster, &["describe", "--transactional-id", "writer"]).await?;
    ensure!(
        described.contains("Ongoing") && described.contains("t-0"),
        "{described}"
    );
    let topic = ["describe-producers", "--topic", "t", "--partition", "0"];
    let described = transactions_command(&cluster, &topic).await?;
    let open = described
        .lines()
        .nth(1)
        .context("a producer")?
        .split_whitespace()
        .last();
    ensure!(
        open.is_some_and(|offset| offset.parse::<i64>().is_ok()),
        "{described}"
    );
    producer.commit_transaction(CALL)?;
    let (committed, _) = read_both(&cluster, "t").await?;
    assert_eq!(committed.len(), expected(true).len() + 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_producer_fences_the_old_one_and_aborts_what_it_left() -> Result<()> {
    let cluster = start(&Kind::times(3), &[]).await?;
    cluster.create_topic("t", 3, 3, &[]).await?;
    let client = cluster.client();
    let work = move || {
        let old = producer(&client, "one")?;
        transact(&old, "t", "old", true)?;
        old.begin_transaction()?;
        send(&old, "t", 0, "left")?;
        old.flush(CALL)?;
        let new = producer(&client, "one")?;
        transact(&new, "t", "new", true)?;
        let _ = send(&old, "t", 0, "zombie");
        let fenced = old.commit_transaction(CALL).map_err(anyhow::Error::from);
        let fenced = fenced.err().context("the old producer commits")?;
        use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
        ensure!(
            is(&fenced, &[Fenced, InvalidProducerEpoch, ProducerFenced]),
            "{fenced:?}"
        );
        transact(&new, "t", "newer", true)
    };
    tokio::task::spawn_blocking(work).await??;
    let (committed, _) = read_both(&cluster, "t").await?;
    let expected: Vec<_> = ["new", "newer", "old"]
        .iter()
        .flat_map(|v| (0..3).map(move |p| format!("{v}-{p}")))
        .collect();
    assert_eq!(committed, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() -> Result<()> {
    let interval = (
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "500",
    );
    let cluster = start(&Kind::times(3), &[interval]).await?;
    cluster.create_topic("t", 3, 3, &[]).await?;
    let client = cluster.client();
    let begin = move || {
        let slow = producer_with_timeout(&client, "slow", 2000)?;
        slow.begin_transaction()?;
        send(&slow, "t", 1, "late")?;
        slow.flush(CALL)?;
        anyhow::Ok(slow)
    };
    let slow = tokio::task::spawn_blocking(begin).await??;
    let aborted = || async {
        let described = transactions_command(&cluster, &["describe", "--transactional-id", "slow"]).await;
        described.ok().filter(|d| d.contains("CompleteAbort"))
    };
    wait_for("the abort", LIMIT, aborted)
        .await
        .with_context(|| cluster.outputs())?;
    let commit = tokio::task::spawn_blocking(move || slow.commit_transaction(CALL)).await?;
    ensure!(commit.is_err(), "a transaction was committed after its abort");
    let (committed, uncommitted) = read_both(&cluster, "t").await?;
    assert_eq!((committed.len(), uncommitted.len()), (0, 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_java_producer_writes_transactions_and_an_operator_aborts_a_hanging_one() -> Result<()> {
    let cluster = start(&Kind::times(3), &[]).await?;
    cluster.create_topic("t", 3, 3, &[]).await?;
    let bootstrap = format!("bootstrap.servers={}", cluster.bootstrap());
    let arguments = [
        "--topic",
        "t",
        "--num-records",
        "2000",
        "--record-size",
        "100",
        "--throughput",
        "-1",
        "--producer-props",
        &bootstrap,
        "--transactional-id",
        "java",
        "--transaction-duration-ms",
        "100",
    ];
    kafka_tool(PRODUCER_PERFORMANCE, &arguments).await?.ok()?;
    let (committed, uncommitted) = read_both(&cluster, "t").await?;
    assert_eq!((committed.len(), uncommitted.len()), (2000, 2000));

    let client = cluster.client();
    let begin = move || {
        let producer = producer(&client, "hanging")?;
        producer.begin_transaction()?;
        send(&producer, "t", 2, "hangs")?;
        producer.flush(CALL)?;
        anyhow::Ok(producer)
    };
    let hanging = tokio::task::spawn_blocking(begin).await??;
    let topic = ["describe-producers", "--topic", "t", "--partition", "2"];
    let described = transactions_command(&cluster, &topic).await?;
    let open = described
        .lines()
        .filter_map(|l| l.split_whitespace().last())
        .find_map(|offset| offset.parse::<i64>().ok())
        .with_context(|| described.clone())?
        .to_string();
    let abort = [
        "abort",
        "--topic",
        "t",
        "--partition",
        "2",
        "--start-offset",
        &open,
    ];
    transactions_command(&cluster, &abort).await?;
    let described = transactions_command(&cluster, &topic).await?;
    let is_open = described.lines().skip(1).any(|l| {
        l.split_whitespace()
            .last()
            .is_some_and(|o| o.parse::<i64>().is_ok())
    });
    ensure!(!is_open, "{described}");
    let (committed, uncommitted) = read_both(&cluster, "t").await?;
    assert_eq!((committed.len(), uncommitted.len()), (2000, 2001));
    drop(hanging);
    Ok(())
}

const WORKER: &str = "BARNABAS_ETL_WORKER";

/// This is not a test but the client that consumes, transforms and produces, as a process that a test can kill.
#[test]
#[ignore = "started by the tests of exactly-once"]
fn worker() -> Result<()> {
    let bootstrap = std::env::var(WORKER).context(WORKER)?;
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", bootstrap);
    loop {
        if let Err(error) = work(&client) {
            eprintln!("worker begins anew: {error:#}");
        }
    }
}

/// Works until an error that only a new producer can repair.
fn work(client: &ClientConfig) -> Result<()> {
    let mut config = client.clone();
    config
        .set("group.id", "etl")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", "6000")
        .set_log_level(RDKafkaLogLevel::Emerg);
    let consumer: BaseConsumer = config.create()?;
    consumer.subscribe(&["in"])?;
    let producer = producer(client, "etl")?;
    loop {
        let mut batch = Vec::new();
        let mut offsets = BTreeMap::new();
        let deadline = Instant::now() + Duration::from_millis(200);
        while batch.len() < 10 && Instant::now() < deadline {
            match consumer.poll(Duration::from_millis(50)) {
                Some(Ok(message)) => {
                    offsets.insert(message.partition(), message.offset() + 1);
                    let value = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
                    batch.push((message.partition(), value));
                }
                // The client finds another broker by itself.
                Some(Err(error)) => eprintln!("worker reads: {error}"),
                None => {}
            }
        }
        if batch.is_empty() {
            continue;
        }
        let mut positions = TopicPartitionList::new();
        for (partition, offset) in offsets {
            positions.add_partition_offset("in", partition, Offset::Offset(offset))?;
        }
        producer.begin_transaction()?;
        for (partition, value) in &batch {
            send(&producer, "out", *partition, &format!("{value} done"))?;
        }
        producer.flush(CALL)?;
        // Long enough that a kill may fall into the middle of a transaction.
        std::thread::sleep(Duration::from_millis(50));
        let group = consumer.group_metadata().context("a group")?;
        let committed = producer
            .send_offsets_to_transaction(&positions, &group, CALL)
            .and_then(|()| producer.commit_transaction(CALL));
        if let Err(error) = committed {
            // A new consumer fetches the committed offset and reads these records again.
            let _ = producer.abort_transaction(CALL);
            bail!("{error}");
        }
    }
}

fn start_worker(cluster: &Cluster) -> Result<Child> {
    let bootstrap: Vec<_> = cluster.brokers.iter().map(Broker::address).collect();
    Ok(Command::new(std::env::current_exe()?)
        .args(["--exact", "worker", "--ignored", "--nocapture"])
        .env(WORKER, bootstrap.join(","))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?)
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn out_so_far(client: &ClientConfig) -> Result<usize> {
    Ok(read(client, "out", "read_committed")?.len())
}

async fn wait_for_out(cluster: &Cluster, records: usize) -> Result<usize> {
    let arrived = || async {
        let client = cluster.client();
        let count = tokio::task::spawn_blocking(move || out_so_far(&client))
            .await
            .ok()?;
        count.ok().filter(|count| *count >= records)
    };
    wait_for(&format!("{records} records"), Duration::from_secs(180), arrived)
        .await
        .with_context(|| cluster.outputs())
}

/// Waits until the sum of the end offsets of `out` is more than `beyond`. Returns the sum.
async fn wait_for_progress(cluster: &Cluster, beyond: i64) -> Result<i64> {
    let further = || async {
        let client = cluster.client();
        let ends = move || -> Result<i64> {
            let consumer: BaseConsumer = client.create()?;
            let mut sum = 0;
            for partition in 0..3 {
                sum += consumer.fetch_watermarks("out", partition, CALL)?.1;
            }
            Ok(sum)
        };
        let sum = tokio::task::spawn_blocking(ends).await.ok()?.ok()?;
        (sum > beyond).then_some(sum)
    };
    wait_for("more records", LIMIT, further)
        .await
        .with_context(|| cluster.outputs())
}

/// Writes numbered records to `in` until told to stop, slowly enough for the worker. Returns the number of records.
fn feed(client: &ClientConfig, stop: &AtomicBool) -> Result<usize> {
    let mut config = client.clone();
    config.set("acks", "all").set("enable.idempotence", "true");
    let producer: BaseProducer = config.create()?;
    let mut fed = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..5 {
            send(&producer, "in", (fed % 3) as i32, &format!("{fed:05}"))?;
            fed += 1;
        }
        producer.poll(Duration::from_millis(100));
    }
    producer.flush(CALL)?;
    Ok(fed)
}

/// Every record of `in` is in `out` exactly once, although the test kills brokers and the client repeatedly.
async fn exactly_once(kinds: &[Kind]) -> Result<()> {
    let mut cluster = start(kinds, &[]).await?;
    let settings = [("min.insync.replicas", "2")];
    cluster.create_topic("in", 3, 3, &settings).await?;
    cluster.create_topic("out", 3, 3, &settings).await?;
    let (client, stop) = (cluster.client(), Arc::new(AtomicBool::new(false)));
    let stopped = stop.clone();
    let feeder = tokio::task::spawn_blocking(move || feed(&client, &stopped));
    let mut worker = Killed(start_worker(&cluster)?);
    let mut done = 0;
    for (round, broker) in [0, 1, 2, 0].into_iter().enumerate() {
        done = wait_for_progress(&cluster, done + 100).await?;
        // The new worker fences the old worker, which is killed in the middle of its work.
        worker = Killed(start_worker(&cluster)?);
        if round % 2 == 0 {
            cluster.brokers[broker].kill()?;
        } else {
            cluster.brokers[broker].stop().await?;
        }
        done = wait_for_progress(&cluster, done + 100).await?;
        cluster.brokers[broker].start().await?;
        for topic in ["in", "out", "__transaction_state", "__consumer_offsets"] {
            cluster.wait_for_isr((broker + 1) % 3, topic, 3, LIMIT).await?;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let fed = feeder.await??;
    wait_for_out(&cluster, fed).await?;
    drop(worker);
    let (committed, uncommitted) = read_both(&cluster, "out").await?;
    let expected: Vec<_> = (0..fed).map(|n| format!("{n:05} done")).collect();
    ensure!(uncommitted.len() > committed.len(), "nothing was ever aborted");
    eprintln!("{} records were aborted", uncommitted.len() - committed.len());
    ensure!(
        committed == expected,
        "{} records, not {fed} different ones",
        committed.len()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_is_exactly_once_while_brokers_and_clients_are_killed() -> Result<()> {
    exactly_once(&Kind::times(3)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_is_exactly_once_with_apache_kafka_among_the_brokers() -> Result<()> {
    exactly_once(&[Kind::ApacheKafka, Kind::under_test(), Kind::under_test()]).await
}
