//! Helpers for the tests of coordinators: transactional producers, and readers with an isolation level.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

/// The time limit for one call.
pub const CALL: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(60);

/// A producer with this transactional id. It has fenced all earlier producers of the id.
pub fn producer(client: &ClientConfig, transactional_id: &str) -> Result<BaseProducer> {
    producer_with_timeout(client, transactional_id, 60_000)
}

/// Does the same as [`producer`], with a time limit for transactions.
pub fn producer_with_timeout(
    client: &ClientConfig,
    transactional_id: &str,
    timeout_ms: u32,
) -> Result<BaseProducer> {
    let mut config = client.clone();
    config
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", timeout_ms.to_string())
        .set("linger.ms", "0")
        .set_log_level(RDKafkaLogLevel::Emerg);
    let producer: BaseProducer = config.create()?;
    producer.init_transactions(CALL)?;
    Ok(producer)
}

/// Waits until both coordinators are ready. Their answers before that depend on how fast they are.
pub async fn wake_coordinators(client: ClientConfig, topic: &'static str) -> Result<()> {
    tokio::task::spawn_blocking(move || {
        producer(&client, "first")?;
        let mut config = client.clone();
        let consumer: BaseConsumer = config.set("group.id", "first").create()?;
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition(topic, 0);
        consumer.committed_offsets(partitions, CALL)?;
        Ok(())
    })
    .await?
}

/// All records of a topic that a consumer with this isolation level sees, up to the end that it sees.
pub fn read(client: &ClientConfig, topic: &str, isolation: &str) -> Result<Vec<String>> {
    let mut config = client.clone();
    config
        .set("group.id", "reader")
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create()?;
    let metadata = consumer.fetch_metadata(Some(topic), CALL)?;
    let partitions = metadata.topics()[0].partitions();
    let mut assignment = TopicPartitionList::new();
    for partition in partitions {
        assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let (mut values, mut ended) = (Vec::new(), std::collections::BTreeSet::new());
    let deadline = Instant::now() + LIMIT;
    while ended.len() < partitions.len() {
        ensure!(
            Instant::now() < deadline,
            "{topic}: no end after {} records",
            values.len()
        );
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                values.push(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned());
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            Some(Err(error)) => eprintln!("reading {topic}: {error}"),
            None => {}
        }
    }
    values.sort();
    Ok(values)
}

/// Gives a record to a producer.
pub fn send(producer: &BaseProducer, topic: &str, partition: i32, value: &str) -> Result<()> {
    let record: BaseRecord<'_, (), str> = BaseRecord::to(topic).partition(partition).payload(value);
    producer.send(record).map_err(|(error, _)| error)?;
    Ok(())
}
