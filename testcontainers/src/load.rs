//! Writes numbered records, remembers which of them were acknowledged, reads everything back and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};

use crate::parity::stored_records;
use crate::wait::wait_for;

/// The client setting for the number of requests that a producer sends before the first one is answered.
pub const IN_FLIGHT: &str = "max.in.flight.requests.per.connection";

/// A running load.
pub struct Load {
    stop: Arc<AtomicBool>,
    paused: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<Written>,
}

/// The result of a load.
#[derive(Debug, Default)]
pub struct Written {
    /// The numbers of the acknowledged records.
    pub acknowledged: BTreeSet<u64>,
    /// The numbers of the records that were refused or timed out. Such a record may or may not be in the log.
    pub failed: BTreeSet<u64>,
    /// The longest time without any acknowledgement.
    pub longest_gap: Duration,
}

impl Load {
    /// Writes records `n:padding` to `topic`, keyed by number, `window` at a time, until stopped.
    ///
    /// An idempotent producer has one request in flight, unless `client` says otherwise in [`IN_FLIGHT`]. With more
    /// requests in flight, a new leader may refuse a batch and then the batch behind it, and librdkafka begins a new
    /// epoch because of the second one. Other partitions may have appended batches that are not yet acknowledged.
    /// librdkafka sends these batches again in the new epoch, and no broker can recognise them as duplicates
    /// (librdkafka's issue 4953): see [`assert_nothing_twice_in_an_epoch`].
    pub fn start(client: &ClientConfig, topic: &str, window: usize, idempotent: bool) -> Result<Self> {
        let mut config = client.clone();
        if idempotent && config.get(IN_FLIGHT).is_none() {
            config.set(IN_FLIGHT, "1");
        }
        let producer: FutureProducer = config
            .set("acks", "all")
            .set("enable.idempotence", idempotent.to_string())
            .set("message.timeout.ms", "60000")
            .set("request.timeout.ms", "5000")
            .set("retry.backoff.ms", "50")
            .set("linger.ms", "1")
            .create()?;
        let (stop, paused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let flags = [stop.clone(), paused.clone()];
        let (topic, counter) = (topic.to_owned(), acknowledged.clone());
        let task = tokio::spawn(async move { write(producer, &topic, window, &flags, &counter).await });
        Ok(Self {
            stop,
            paused,
            acknowledged,
            task,
        })
    }

    /// Waits until `records` more records are acknowledged.
    pub async fn wait_for_more(&self, records: usize) -> Result<()> {
        let before = self.acknowledged.load(Ordering::Relaxed);
        wait_for(
            &format!("{records} acknowledgements"),
            Duration::from_secs(60),
            || async { (self.acknowledged.load(Ordering::Relaxed) >= before + records).then_some(()) },
        )
        .await
    }

    /// Writes no new records until [`Self::resume`].
    pub fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    /// Continues after [`Self::pause`].
    pub fn resume(&self) {
        self.paused.store(false, Ordering::Relaxed);
    }

    /// Stops writing and waits for the requests in flight.
    pub async fn stop(self) -> Result<Written> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}

async fn write(
    producer: FutureProducer,
    topic: &str,
    window: usize,
    [stop, paused]: &[Arc<AtomicBool>; 2],
    acknowledged: &AtomicUsize,
) -> Written {
    let mut written = Written::default();
    let mut flying = tokio::task::JoinSet::new();
    let mut next = 0;
    let mut last_acknowledged = Instant::now();
    let padding = "x".repeat(100);
    loop {
        let is_idle = || stop.load(Ordering::Relaxed) || paused.load(Ordering::Relaxed);
        while flying.len() < window && !is_idle() {
            let (number, payload) = (next, format!("{next}:{padding}"));
            // The record is handed over here, so that the producer gets the records in the order of their numbers.
            let key = number.to_string();
            let record = FutureRecord::to(topic).key(&key).payload(&payload);
            let sent = producer.send_result(record).map_err(|(error, _)| error);
            flying.spawn(async move {
                let delivered = match sent {
                    Ok(delivery) => matches!(delivery.await, Ok(Ok(_))),
                    Err(_) => false,
                };
                (number, delivered)
            });
            next += 1;
        }
        match flying.join_next().await {
            Some(Ok((number, true))) => {
                written.longest_gap = written.longest_gap.max(last_acknowledged.elapsed());
                last_acknowledged = Instant::now();
                written.acknowledged.insert(number);
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Some(Ok((number, false))) => {
                written.failed.insert(number);
            }
            Some(Err(_)) => {}
            None if stop.load(Ordering::Relaxed) => return written,
            None => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                last_acknowledged = Instant::now();
            }
        }
    }
}

/// The records of a topic: partition → values in the order of their offsets.
pub type Contents = BTreeMap<i32, Vec<(i64, Vec<u8>)>>;

/// Reads a whole topic, from its beginning to its end at the time of the call.
pub async fn read_all(client: &ClientConfig, topic: &str) -> Result<Contents> {
    let (mut config, topic) = (client.clone(), topic.to_owned());
    config
        .set("group.id", "read-all")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error");
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        let timeout = Duration::from_secs(20);
        let metadata = consumer.fetch_metadata(Some(&topic), timeout)?;
        let partitions: Vec<i32> = metadata.topics()[0].partitions().iter().map(|p| p.id()).collect();
        let mut contents = Contents::new();
        for partition in partitions {
            let (low, high) = watermarks(&consumer, &topic, partition)?;
            let mut assignment = TopicPartitionList::new();
            assignment.add_partition_offset(&topic, partition, Offset::Offset(low))?;
            consumer.assign(&assignment)?;
            let records = contents.entry(partition).or_default();
            let deadline = Instant::now() + Duration::from_secs(60);
            let mut position = low;
            while position < high {
                ensure!(
                    Instant::now() < deadline,
                    "{topic}-{partition}: stuck at {position} of {high}"
                );
                if let Some(message) = consumer.poll(Duration::from_millis(200)) {
                    let message = message?;
                    ensure!(
                        message.offset() >= position,
                        "{topic}-{partition}: offsets go back"
                    );
                    position = message.offset() + 1;
                    records.push((message.offset(), message.payload().unwrap_or_default().to_vec()));
                }
            }
        }
        Ok(contents)
    })
    .await?
}

/// The first and the next offset of a partition. After an election the client does not look for the new leader by
/// itself, so this function asks again.
fn watermarks(consumer: &BaseConsumer, topic: &str, partition: i32) -> Result<(i64, i64)> {
    let timeout = Duration::from_secs(20);
    let deadline = Instant::now() + timeout;
    loop {
        match consumer.fetch_watermarks(topic, partition, timeout) {
            Ok(watermarks) => return Ok(watermarks),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => {
                consumer.fetch_metadata(Some(topic), timeout)?;
            }
        }
    }
}

/// The number of a record of a [`Load`].
fn number(value: &[u8]) -> Option<u64> {
    String::from_utf8_lossy(value).split(':').next()?.parse().ok()
}

/// How often each number of a [`Load`] occurs in a topic.
pub fn occurrences(contents: &Contents) -> BTreeMap<u64, usize> {
    let mut count = BTreeMap::new();
    for (_, value) in contents.values().flatten() {
        if let Some(number) = number(value) {
            *count.entry(number).or_default() += 1;
        }
    }
    count
}

/// Fails if acknowledged records are missing; the error names them.
pub fn assert_nothing_lost(written: &Written, contents: &Contents) -> Result<()> {
    let found = occurrences(contents);
    let lost: Vec<_> = written
        .acknowledged
        .iter()
        .filter(|n| !found.contains_key(n))
        .collect();
    ensure!(
        lost.is_empty(),
        "{} of {} acknowledged records are lost: {lost:?}",
        lost.len(),
        written.acknowledged.len()
    );
    Ok(())
}

/// Fails if a record occurs more than once; the error names such records. Records of an idempotent producer must not
/// occur twice.
pub fn assert_nothing_twice(contents: &Contents) -> Result<()> {
    let mut found = occurrences(contents);
    found.retain(|_, count| *count > 1);
    ensure!(found.is_empty(), "there more than once: {found:?}");
    Ok(())
}

/// Fails if records were appended more than once in the same epoch of their producer; the error names them. A broker
/// guarantees this much to a producer with several requests in flight. Reads a broker's files.
pub fn assert_nothing_twice_in_an_epoch(log_dir: &Path, topic: &str, partitions: i32) -> Result<()> {
    let mut offsets: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    let mut epochs = BTreeSet::new();
    for partition in 0..partitions {
        for record in stored_records(&log_dir.join(format!("{topic}-{partition}")))? {
            let producer = (record.producer_id, record.producer_epoch);
            let number = record.value.as_deref().and_then(number);
            epochs.insert(producer);
            offsets
                .entry((number, partition, producer))
                .or_default()
                .push(record.offset);
        }
    }
    eprintln!("producers and their epochs: {epochs:?}");
    offsets.retain(|_, offsets| offsets.len() > 1);
    ensure!(
        offsets.is_empty(),
        "more than once, as (number, partition, (producer, epoch)): {offsets:?}"
    );
    Ok(())
}

/// Fails if a number comes after a higher one in its partition; the error names the first. With an idempotent producer
/// this must not happen, unless the producer gave up one of its records.
pub fn assert_in_order(contents: &Contents) -> Result<()> {
    for (partition, records) in contents {
        let numbers: Vec<u64> = records.iter().filter_map(|(_, value)| number(value)).collect();
        if let Some(pair) = numbers.windows(2).find(|pair| pair[0] >= pair[1]) {
            anyhow::bail!("partition {partition}: {} comes after {}", pair[1], pair[0]);
        }
    }
    Ok(())
}
