//! Tests bad input on real connections: it never stops a broker and never disturbs a well-behaved connection.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::load::{Load, assert_nothing_lost, read_all};
use barnabas_testcontainers::raw::{Bytes, Raw, i16_at};
use barnabas_testcontainers::{Broker, Cluster, Kind, ZooKeeper};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::util::Timeout;

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const LIST_OFFSETS: i16 = 2;
const METADATA: i16 = 3;
const OFFSET_FETCH: i16 = 9;
const DESCRIBE_GROUPS: i16 = 15;
const API_VERSIONS: i16 = 18;
const CREATE_TOPICS: i16 = 19;
const DELETE_TOPICS: i16 = 20;

const NONE: i16 = 0;
const CORRUPT_MESSAGE: i16 = 2;
const UNSUPPORTED_VERSION: i16 = 35;
const INVALID_RECORD: i16 = 87;

const MEGABYTE: u64 = 1 << 20;
const TOPIC: &str = "orders";

/// A batch with one record that a Kafka user has published: format 2, CreateTime, CRC-32C at byte 17.
const BATCH: &str = "00000000000000000000004600000000021b0d893f0000000000000000017e1fecc2a00000017e1fecc2a0\
                     ffffffffffffffffffffffffffff0000000128000000011c204669727374206d65737361676500";

/// A broker, a client that uses it all the time, and a connection that is opened first and used only at the end.
struct Witnesses {
    cluster: Cluster,
    load: Load,
    untouched: Raw,
}

impl Witnesses {
    async fn gather() -> Result<Self> {
        let small = |broker: Broker| broker.with("socket.request.max.bytes", 60_000_000);
        let cluster = Cluster::start_with(ZooKeeper::single().await?, &[Kind::under_test()], small).await?;
        cluster.create_topic(TOPIC, 1, 1, &[]).await?;
        cluster.create_topic("bad", 1, 1, &[]).await?;
        let untouched = Raw::connect(&cluster.brokers[0].address()).await?;
        let load = Load::start(&cluster.client(), TOPIC, 5, true)?;
        load.wait_for_more(100).await?;
        Ok(Self {
            cluster,
            load,
            untouched,
        })
    }

    async fn connect(&self) -> Result<Raw> {
        Raw::connect(&self.cluster.brokers[0].address()).await
    }

    /// Sends one request on a new connection.
    async fn ask(&self, request: &Bytes) -> Result<Option<Vec<u8>>> {
        let mut raw = self.connect().await?;
        raw.request(request).await;
        raw.answer().await
    }

    /// Checks everything that must hold after any input.
    async fn testify(mut self) -> Result<()> {
        self.load.wait_for_more(100).await?;
        let written = self.load.stop().await?;
        ensure!(written.failed.is_empty(), "{} failed", written.failed.len());
        assert_nothing_lost(&written, &read_all(&self.cluster.client(), TOPIC).await?)?;
        self.untouched.request(&Bytes::request(API_VERSIONS, 0)).await;
        let answer = self.untouched.answer().await?;
        let answer = answer.context("the untouched connection was closed")?;
        ensure!(i16_at(&answer, 4)? == NONE, "{answer:?}");
        let broker = &mut self.cluster.brokers[0];
        ensure!(broker.process().exit_status().is_none(), "the broker is gone");
        let output = broker.output();
        ensure!(!output.contains("panicked"), "{output}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_lying_sizes_end_their_own_connection_only() -> Result<()> {
    let witnesses = Witnesses::gather().await?;
    for size in [i32::MIN, -1, i32::MAX, 60_000_001] {
        let mut raw = witnesses.connect().await?;
        raw.send(&Bytes::default().i32(size).plain(b"something").0).await;
        ensure!(raw.answer().await?.is_none(), "size {size} got an answer");
    }
    // Frames of pseudorandom bytes, and the first bytes of other protocols.
    let mut state = 0x2545_f491_4f6c_dd1du64;
    for length in 0..200 {
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        let bytes: Vec<u8> = (0..length).map(|_| noise()).collect();
        let mut raw = witnesses.connect().await?;
        raw.send(&Bytes::default().bytes(&bytes).0).await;
        raw.answer().await.with_context(|| format!("noise {bytes:?}"))?;
    }
    for greeting in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"srvr\n",
    ] {
        let mut raw = witnesses.connect().await?;
        raw.send(greeting).await;
        drop(raw);
    }
    // A valid request, cut after every byte.
    let whole = Bytes::request(METADATA, 1).i32(1).string(TOPIC);
    for length in 0..whole.0.len() {
        let cut = Bytes(whole.0[..length].to_vec());
        ensure!(
            witnesses.ask(&cut).await?.is_none(),
            "{length} bytes of Metadata got an answer"
        );
    }
    ensure!(witnesses.ask(&whole).await?.is_some(), "the whole got none");
    witnesses.testify().await
}

/// The APIs, by key, that only brokers and controllers of a KRaft cluster support. A broker with ZooKeeper does not
/// advertise them. It answers such a request by closing the connection, without an error.
const KRAFT_ONLY: [(i16, &str); 22] = [
    (52, "Vote"),
    (53, "BeginQuorumEpoch"),
    (54, "EndQuorumEpoch"),
    (55, "DescribeQuorum"),
    (59, "FetchSnapshot"),
    (62, "BrokerRegistration"),
    (63, "BrokerHeartbeat"),
    (64, "UnregisterBroker"),
    (70, "ControllerRegistration"),
    (71, "GetTelemetrySubscriptions"),
    (72, "PushTelemetry"),
    (73, "AssignReplicasToDirs"),
    (74, "ListClientMetricsResources"),
    (75, "DescribeTopicPartitions"),
    (76, "ShareGroupHeartbeat"),
    (77, "ShareGroupDescribe"),
    (78, "ShareFetch"),
    (79, "ShareAcknowledge"),
    (80, "AddRaftVoter"),
    (81, "RemoveRaftVoter"),
    (82, "UpdateRaftVoter"),
    (83, "a key that nobody has"),
];

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_kraft_clusters_end_their_own_connection_only() -> Result<()> {
    let witnesses = Witnesses::gather().await?;
    let answer = witnesses.ask(&Bytes::request(API_VERSIONS, 0)).await?;
    let advertised = answer.context("an answer to ApiVersions")?;
    // The answer: correlation id, error, and an array of key, lowest and highest version.
    let keys: Vec<i16> = (0..)
        .map_while(|i| i16_at(&advertised, 4 + 2 + 4 + 6 * i).ok())
        .collect();
    ensure!(keys.contains(&PRODUCE) && keys.contains(&68), "{keys:?}");
    for (key, name) in KRAFT_ONLY {
        ensure!(!keys.contains(&key), "{name} is advertised");
        let answer = witnesses.ask(&Bytes::request(key, 0).bytes(&[0; 64])).await?;
        ensure!(answer.is_none(), "{name} got an answer: {answer:?}");
    }
    witnesses.testify().await
}

#[tokio::test(flavor = "multi_thread")]
async fn arrays_that_promise_two_billion_elements_cost_nothing() -> Result<()> {
    let mut witnesses = Witnesses::gather().await?;
    let many = |request: Bytes| request.i32(i32::MAX);
    let fetch = Bytes::request(FETCH, 4).i32(-1).i32(0).i32(0).i32(1000).i8(0);
    let lies = [
        many(Bytes::request(METADATA, 1)),
        many(Bytes::request(PRODUCE, 3).i16(-1).i16(1).i32(1000)),
        many(
            Bytes::request(PRODUCE, 3)
                .i16(-1)
                .i16(1)
                .i32(1000)
                .i32(1)
                .string(TOPIC),
        ),
        many(fetch),
        many(Bytes::request(LIST_OFFSETS, 1).i32(-1)),
        many(Bytes::request(OFFSET_FETCH, 1).string("group")),
        many(Bytes::request(DESCRIBE_GROUPS, 0)),
        many(Bytes::request(CREATE_TOPICS, 0)),
        many(Bytes::request(DELETE_TOPICS, 1)),
        // A flexible version: an empty tag section ends the header. The count is a varint of 2³¹-1, plus one.
        Bytes::request(METADATA, 9)
            .i8(0)
            .plain(&[0x80, 0x80, 0x80, 0x80, 0x08]),
        // The count of tagged fields is 2³¹-1.
        Bytes::request(METADATA, 9).plain(&[0xff, 0xff, 0xff, 0xff, 0x07]),
    ];
    for lie in &lies {
        let answer = witnesses.ask(lie).await?;
        ensure!(answer.is_none(), "{lie:?} got {answer:?}");
    }
    let resident = witnesses.cluster.brokers[0].process().resident_bytes()?;
    ensure!(resident < 150 * MEGABYTE, "{} MB resident", resident / MEGABYTE);
    witnesses.testify().await
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_promises_of_fifty_megabytes_take_no_memory() -> Result<()> {
    let mut witnesses = Witnesses::gather().await?;
    let before = witnesses.cluster.brokers[0].process().resident_bytes()?;
    let mut promises = Vec::new();
    for _ in 0..500 {
        let mut raw = witnesses.connect().await?;
        let start = Bytes::request(PRODUCE, 3)
            .i16(-1)
            .i16(1)
            .i32(1000)
            .i32(1)
            .string(TOPIC);
        raw.send(&Bytes::default().i32(50_000_000).plain(&start.0).0)
            .await;
        promises.push(raw);
    }
    // After 500 more records the broker has read the bytes that were sent first.
    witnesses.load.wait_for_more(500).await?;
    let after = witnesses.cluster.brokers[0].process().resident_bytes()?;
    eprintln!(
        "resident: {} MB before, {} MB with 500 promises",
        before / MEGABYTE,
        after / MEGABYTE
    );
    ensure!(after < 150 * MEGABYTE, "{} MB resident", after / MEGABYTE);
    drop(promises);
    witnesses.testify().await
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_apis_and_versions_are_refused() -> Result<()> {
    let witnesses = Witnesses::gather().await?;
    for (api_key, version) in [(9999, 0), (-1, 0), (METADATA, 100), (METADATA, -1), (PRODUCE, 99)] {
        let answer = witnesses.ask(&Bytes::request(api_key, version)).await?;
        ensure!(answer.is_none(), "API {api_key} version {version} got {answer:?}");
    }
    // A client that is newer than the broker gets version 0 of the answer, because every client understands it. The
    // header of this request has tagged fields; here there are none.
    let answer = witnesses.ask(&Bytes::request(API_VERSIONS, 99).i8(0)).await?;
    let answer = answer.context("ApiVersions 99 got no answer")?;
    ensure!(answer[..4] == 7i32.to_be_bytes(), "{answer:?}");
    ensure!(i16_at(&answer, 4)? == UNSUPPORTED_VERSION, "{answer:?}");
    ensure!(
        answer[6..10] == 1i32.to_be_bytes() && answer.len() == 16,
        "{answer:?}"
    );
    ensure!(i16_at(&answer, 10)? == API_VERSIONS, "{answer:?}");
    witnesses.testify().await
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_batches_are_refused_by_their_error_and_leave_nothing_behind() -> Result<()> {
    let witnesses = Witnesses::gather().await?;
    let whole = from_hex(BATCH)?;
    let flipped = |at: usize| {
        let mut batch = whole.clone();
        batch[at] ^= 1;
        batch
    };
    let produce = |batch: &[u8]| {
        let topics = Bytes::request(PRODUCE, 3)
            .i16(-1)
            .i16(1)
            .i32(5000)
            .i32(1)
            .string("bad");
        topics.i32(1).i32(0).bytes(batch)
    };
    let cases = [
        ("whole", whole.clone(), NONE),
        ("a flipped byte of the record", flipped(70), CORRUPT_MESSAGE),
        ("a flipped byte of the CRC", flipped(17), CORRUPT_MESSAGE),
        (
            "one byte less than was summed",
            [&whole[..11], &[0x45], &whole[12..81]].concat(),
            CORRUPT_MESSAGE,
        ),
        (
            "a length below the least",
            [&[0; 11][..], &[1], &whole[12..]].concat(),
            CORRUPT_MESSAGE,
        ),
        ("cut off", whole[..70].to_vec(), INVALID_RECORD),
        ("whole again", whole.clone(), NONE),
    ];
    for (what, batch, error) in cases {
        let answer = witnesses.ask(&produce(&batch)).await?;
        let answer = answer.with_context(|| format!("{what}: the connection was closed"))?;
        // The answer: correlation id, one topic, its name, one partition, its number.
        let found = i16_at(&answer, 4 + 4 + 2 + "bad".len() + 4 + 4)?;
        ensure!(found == error, "{what}: error {found} instead of {error}");
    }
    let contents = read_all(&witnesses.cluster.client(), "bad").await?;
    let values: Vec<_> = contents[&0].iter().map(|(_, value)| value.as_slice()).collect();
    ensure!(values == [b" First message"; 2], "{contents:?}");
    witnesses.testify().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_impossible_is_refused_by_name() -> Result<()> {
    let witnesses = Witnesses::gather().await?;
    let mut client = witnesses.cluster.client();
    let producer: FutureProducer = client.set("message.max.bytes", "20000000").create()?;
    let large = vec![b'x'; 10_000_000];
    let sent = producer
        .send(FutureRecord::<(), _>::to("bad").payload(&large), Timeout::Never)
        .await;
    let error = sent.err().map(|(error, _)| error.rdkafka_error_code());
    ensure!(
        error == Some(Some(RDKafkaErrorCode::MessageSizeTooLarge)),
        "{error:?}"
    );

    let admin: AdminClient<DefaultClientContext> = client.create()?;
    let long = "x".repeat(250);
    let cases = [
        ("..", 1, RDKafkaErrorCode::InvalidTopic),
        ("a b", 1, RDKafkaErrorCode::InvalidTopic),
        ("a/b", 1, RDKafkaErrorCode::InvalidTopic),
        (&long, 1, RDKafkaErrorCode::InvalidTopic),
        ("ambitious", 2, RDKafkaErrorCode::InvalidReplicationFactor),
    ];
    for (name, factor, expected) in cases {
        let topic = NewTopic::new(name, 1, TopicReplication::Fixed(factor));
        let results = admin.create_topics([&topic], &AdminOptions::new()).await?;
        let error = results
            .into_iter()
            .next()
            .and_then(|result| result.err())
            .map(|(_, error)| error);
        ensure!(error == Some(expected), "{name}: {error:?}");
    }
    // A Metadata request with such a name does not create the topic either.
    let answer = witnesses
        .ask(&Bytes::request(METADATA, 1).i32(1).string("a b"))
        .await?;
    ensure!(answer.is_some(), "Metadata for an invalid name got no answer");
    let metadata = witnesses.cluster.metadata_from(0).await?;
    let mut names: Vec<_> = metadata.topics().iter().map(|topic| topic.name()).collect();
    names.sort_unstable();
    ensure!(names == ["bad", TOPIC], "{names:?}");
    tokio::time::timeout(Duration::from_secs(60), witnesses.testify()).await?
}

fn from_hex(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<_> = text.bytes().collect();
    let byte = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    digits.chunks(2).map(byte).collect()
}
