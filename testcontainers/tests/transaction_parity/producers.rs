//! Stories about how a partition's leader checks producers: sequences, epochs, duplicates, markers, batches that
//! clients must not send.

use anyhow::Result;
use barnabas::parts::{BatchBuilder, ControlRecordType, EndTransactionMarker};
use barnabas_testcontainers::parity::{Story, messages::*};
use bytes::Bytes;

use crate::support::*;

/// Versions of Produce: the first version in which clients get TRANSACTION_ABORTABLE, and the version before it.
const VERSIONS: [i16; 2] = [10, 11];

/// A producer without a transactional id that has not written yet.
async fn idempotent(story: &Story) -> Result<Producer> {
    let response = story.ask("a producer", 4, init(None, 0)).await?;
    Ok(Producer::of(&response))
}

/// Writes one batch, then asks for the leader's state of the producer.
async fn write(story: &Story, step: &str, partition: i32, records: Bytes) -> Result<()> {
    let request = produce(None, -1, &[("p", partition, records)]);
    story.ask(step, 9, request).await?;
    known(story, step, partition).await
}

async fn known(story: &Story, step: &str, partition: i32) -> Result<()> {
    let request = describe_producers(&[("p", &[partition])]);
    story.ask(&format!("known after {step}"), 0, request).await?;
    Ok(())
}

/// Sequence numbers and epochs without transactions.
pub async fn sequences(story: Story, now_ms: i64) -> Result<()> {
    let batch = |producer, sequence, count| batch(producer, sequence, count, false, now_ms);
    // First sequence, number of records, increase of the epoch.
    type Write = (i32, i32, i16);
    let max = i32::MAX;
    let stories: [(&str, &[Write]); 8] = [
        (
            "from 0",
            &[
                (0, 1, 0),
                (1, 2, 0),
                (1, 2, 0),
                (0, 1, 0),
                (2, 1, 0),
                (1, 1, 0),
                (5, 1, 0),
                (3, 1, 0),
            ],
        ),
        ("from 5", &[(5, 1, 0), (0, 1, 0), (7, 1, 0), (6, 1, 0)]),
        (
            "seven, and each again",
            &[
                (0, 1, 0),
                (1, 1, 0),
                (2, 1, 0),
                (3, 1, 0),
                (4, 1, 0),
                (5, 1, 0),
                (6, 1, 0),
                (6, 1, 0),
                (5, 1, 0),
                (4, 1, 0),
                (3, 1, 0),
                (2, 1, 0),
                (1, 1, 0),
                (0, 1, 0),
                (2, 2, 0),
            ],
        ),
        (
            "around the end",
            &[(max - 1, 3, 0), (max - 1, 3, 0), (1, 1, 0), (0, 1, 0), (2, 1, 0)],
        ),
        (
            "up to the end",
            &[(max, 1, 0), (1, 1, 0), (0, 1, 0), (max, 1, 0), (1, 1, 0)],
        ),
        (
            "another epoch",
            &[
                (0, 1, 1),
                (1, 1, 2),
                (0, 1, 2),
                (1, 1, 1),
                (0, 1, 0),
                (1, 1, 2),
                (0, 1, 2),
                (7, 1, 5),
                (0, 1, 5),
            ],
        ),
        ("negative", &[(-1, 1, 0), (-2, 1, 0), (i32::MIN, 1, 0), (0, 1, 0)]),
        (
            "a last epoch",
            &[(0, 1, i16::MAX), (1, 1, i16::MAX), (0, 1, 0), (0, 1, i16::MAX)],
        ),
    ];
    for (partition, (name, writes)) in (0..).zip(stories) {
        let producer = idempotent(&story).await?;
        for (sequence, count, epochs) in writes {
            let step = format!("{name}: {count} from {sequence} in epoch {epochs}");
            let records = batch(producer.later(*epochs), *sequence, *count);
            write(&story, &step, partition, records).await?;
        }
    }
    // In each version, one new batch and one duplicate.
    let producer = idempotent(&story).await?;
    for (sequence, version) in (0..).zip(3..=11) {
        for step in ["new", "the same", "with a gap"] {
            let sequence = if step == "with a gap" {
                sequence + 9
            } else {
                sequence
            };
            let records = batch(producer, sequence, 1);
            story
                .ask(step, version, produce(None, -1, &[("p", 8, records)]))
                .await?;
        }
    }
    known(&story, "all versions", 8).await?;
    for acks in [2, -2, 1, 0] {
        let records = batch(producer, 100, 1);
        let request = produce(None, acks, &[("p", 8, records)]);
        // With acks 0 there is no answer that can carry the error, so the broker closes the connection.
        story
            .client("acks")
            .ask(&format!("a gap with acks {acks}"), 9, request)
            .await?;
    }
    let producers = [idempotent(&story).await?, idempotent(&story).await?];
    let two = [
        ("p", 9, batch(producers[0], 0, 1)),
        ("p", 10, batch(producers[1], 1, 1)),
        ("p", 99, batch(producers[1], 0, 1)),
        ("nowhere", 0, batch(producers[1], 0, 1)),
        ("__consumer_offsets", 0, batch(producers[1], 0, 1)),
    ];
    for version in [3, 8, 11] {
        story
            .ask("two producers", version, produce(None, -1, &two))
            .await?;
    }
    known(&story, "two producers", 9).await
}

/// Batches that no client library sends.
pub async fn forgeries(story: Story, now_ms: i64) -> Result<()> {
    let producer = idempotent(&story).await?;
    let builder =
        |producer: Producer, sequence| BatchBuilder::new(0).producer(producer.id, producer.epoch, sequence);
    let with_record = |mut builder: BatchBuilder| {
        builder.append(now_ms, None, Some(b"v"), &[]);
        builder.build()
    };
    let marker = |control_type| {
        let marker = EndTransactionMarker {
            control_type,
            coordinator_epoch: 0,
        };
        BatchBuilder::end_transaction_marker(marker, producer.id, producer.epoch, now_ms)
    };
    let plain = with_record(builder(producer, 0));
    let twice = Bytes::from([plain.to_vec(), plain.to_vec()].concat());
    let cases: [(&str, Bytes); 13] = [
        ("a commit marker", marker(ControlRecordType::Commit)),
        ("an abort marker", marker(ControlRecordType::Abort)),
        ("a control batch", with_record(builder(producer, 0).control())),
        (
            "a transactional control batch",
            with_record(builder(producer, 0).control().transactional(true)),
        ),
        (
            "a transaction of nobody",
            with_record(builder(Producer::new(-1, -1), -1).transactional(true)),
        ),
        (
            "an id without epoch",
            with_record(builder(Producer::new(producer.id, -1), 0)),
        ),
        (
            "an id without epoch and sequence",
            with_record(builder(Producer::new(producer.id, -1), -1)),
        ),
        (
            "an epoch without id",
            with_record(builder(Producer::new(-1, 3), 0)),
        ),
        ("an id below all", with_record(builder(Producer::new(-7, 0), 0))),
        (
            "an epoch below all",
            with_record(builder(Producer::new(producer.id, -7), 0)),
        ),
        (
            "a sequence without id",
            with_record(builder(Producer::new(-1, -1), 5)),
        ),
        ("nothing", Bytes::new()),
        ("two batches", twice),
    ];
    for (partition, (name, records)) in (11..).zip(cases) {
        for (version, id) in [(9, None), (9, Some("forger")), (11, Some("forger"))] {
            let request = produce(id, -1, &[("p", partition, records.clone())]);
            story.ask(&format!("{name} as {id:?}"), version, request).await?;
        }
        known(&story, name, partition).await?;
    }
    Ok(())
}

/// Batches of transactions that are open, have not begun, have ended, or belong to another producer.
pub async fn transactional(story: Story, now_ms: i64) -> Result<()> {
    let id = "writer";
    let producer = bring(&story, id, "Empty").await?;
    let batch = |producer, sequence| batch(producer, sequence, 1, true, now_ms);
    let outside = |producer, sequence| crate::support::batch(producer, sequence, 1, false, now_ms);
    let at = |partition: i32, producer, sequence| ("p", partition, batch(producer, sequence));
    for version in VERSIONS {
        let cases = [
            ("not begun", Some(id), producer),
            ("without its id", None, producer),
            ("with another id", Some("nobody"), producer),
            ("of a stranger", Some(id), Producer::new(STRANGER, 0)),
            ("of an old epoch", Some(id), producer.later(-1)),
            ("of a future epoch", Some(id), producer.later(1)),
        ];
        for (name, id, producer) in cases {
            let request = produce(id, -1, &[at(24, producer, 0)]);
            story
                .ask(&format!("a transaction {name}"), version, request)
                .await?;
        }
        known(&story, "transactions that were refused", 24).await?;
    }
    // The leader verifies the first batch of a transaction. The batches before it in the partition decide which
    // sequence may follow.
    story
        .ask("begins", 3, add(id, 3, producer, &[("p", &[24, 25])]))
        .await?;
    for version in VERSIONS {
        for (step, partition, sequence) in [
            ("the first record", 24, 0),
            ("the first record again", 24, 0),
            ("the next", 24, 1),
            ("a gap", 24, 5),
            ("not in it", 26, 0),
            ("another first one", 25, 3),
        ] {
            let request = produce(Some(id), -1, &[at(partition, producer, sequence)]);
            story.ask(step, version, request).await?;
        }
        let some = [at(24, producer, 2), at(26, producer, 0), at(99, producer, 0)];
        story
            .ask("in it and not in it", version, produce(Some(id), -1, &some))
            .await?;
        let two = [at(24, producer, 3), at(25, Producer::new(STRANGER, 0), 0)];
        story
            .ask("two producers", version, produce(Some(id), -1, &two))
            .await?;
        let mixed = [at(24, producer, 3), ("p", 27, outside(producer, 0))];
        story
            .ask(
                "and one without transaction",
                version,
                produce(Some(id), -1, &mixed),
            )
            .await?;
        let request = produce(Some(id), -1, &[("p", 24, outside(producer, 4))]);
        story.ask("outside of the open one", version, request).await?;
        let zombie = produce(Some(id), -1, &[at(24, producer.later(-1), 9)]);
        story.ask("a zombie", version, zombie).await?;
    }
    for partition in 24..=27 {
        known(&story, "the open transaction", partition).await?;
        let request = committed_end("p", partition);
        story.ask("the last stable offset", 7, request).await?;
    }
    story.ask("commits", 3, end(id, producer, true)).await?;
    until(&story, id, "CompleteCommit").await?;
    for version in VERSIONS {
        for (step, sequence) in [("the last one again", 3), ("one more", 4)] {
            let request = produce(Some(id), -1, &[at(24, producer, sequence)]);
            story.ask(&format!("{step}, too late"), version, request).await?;
        }
    }
    known(&story, "the commit", 24).await?;
    story
        .ask("begins again", 3, add(id, 3, producer, &[("p", &[24])]))
        .await?;
    story
        .ask("goes on", 11, produce(Some(id), -1, &[at(24, producer, 4)]))
        .await?;
    // A new producer of the id aborts the transaction.
    story.ask("another begins", 4, init(Some(id), LONG_MS)).await?;
    until(&story, id, "CompleteAbort").await?;
    let next = Producer::of(&story.ask("another begins", 4, init(Some(id), LONG_MS)).await?);
    for version in VERSIONS {
        let request = produce(Some(id), -1, &[at(24, producer, 5)]);
        story.ask("the fenced one goes on", version, request).await?;
    }
    known(&story, "the abort", 24).await?;
    story
        .ask("the new one", 3, add(id, 3, next, &[("p", &[24])]))
        .await?;
    for sequence in [7, 0, 1] {
        let request = produce(Some(id), -1, &[at(24, next, sequence)]);
        story
            .ask(&format!("the new one from {sequence}"), 11, request)
            .await?;
    }
    story.ask("aborts", 3, end(id, next, false)).await?;
    until(&story, id, "CompleteAbort").await?;
    known(&story, "the end", 24).await
}

/// Valid markers as coordinators send them, and markers that no client may send.
pub async fn markers_of_all_kinds(story: Story, now_ms: i64) -> Result<()> {
    // Opens a transaction with two records in the partition.
    let open = async |name: &str, partition: i32| -> Result<Producer> {
        let producer = bring(&story, name, "Empty").await?;
        let add = add(name, 3, producer, &[("p", &[partition])]);
        story.ask("an open transaction", 3, add).await?;
        let records = batch(producer, 0, 2, true, now_ms);
        let request = produce(Some(name), -1, &[("p", partition, records)]);
        story.ask("an open transaction", 9, request).await?;
        Ok(producer)
    };
    for version in 0..=1 {
        let partition = 28 + i32::from(version);
        let place: [i32; 1] = [partition];
        let here: Partitions = &[("p", &place)];
        let producer = open(&format!("marked-{version}"), partition).await?;
        // Increase of the producer's epoch, coordinator's epoch, commit.
        let cases = [
            ("an old epoch", -1, 0, true),
            ("an old coordinator", 0, -1, true),
            ("an abort", 0, 5, false),
            ("an abort again", 0, 5, false),
            ("a commit of nothing", 0, 5, true),
            ("an older coordinator", 0, 4, true),
            ("a newer coordinator", 0, 6, true),
            ("a newer epoch", 1, 6, false),
            ("the epoch before", 0, 7, false),
            ("a newer epoch of an older coordinator", 2, 5, false),
        ];
        for (name, epochs, coordinator_epoch, commit) in cases {
            let marker = marker(producer.later(epochs), commit, coordinator_epoch, here);
            story.ask(name, version, markers(vec![marker])).await?;
            known(&story, name, partition).await?;
        }
        let elsewhere: Partitions = &[("p", &[99, -1]), ("nowhere", &[0]), ("__transaction_state", &[7])];
        let stranger = Producer::new(STRANGER, 3);
        let nowhere: Partitions = &[];
        for (name, some) in [
            ("nowhere", vec![marker(producer, true, 9, elsewhere)]),
            ("nothing", vec![]),
            ("no partition", vec![marker(producer, true, 9, nowhere)]),
            ("a stranger", vec![marker(stranger, true, 9, here)]),
            (
                "several",
                vec![
                    marker(stranger, true, 9, elsewhere),
                    marker(producer.later(1), true, 9, &[("p", &[30]), ("nowhere", &[1])]),
                    marker(producer.later(1), false, 9, here),
                ],
            ),
        ] {
            story.ask(name, version, markers(some)).await?;
            known(&story, name, partition).await?;
        }
    }
    known(&story, "several", 30).await?;
    let topics: Partitions = &[
        ("p", &[0, 99, -1]),
        ("nowhere", &[0]),
        ("", &[0]),
        ("a b", &[0]),
        ("..", &[1]),
    ];
    story
        .ask("producers of strange topics", 0, describe_producers(topics))
        .await?;
    // The leader refuses the coordinator's marker, so the coordinator cannot end the transaction.
    let producer = open("refused", 31).await?;
    let newer = marker(producer.later(5), false, 0, &[("p", &[31])]);
    story
        .ask("a marker of the future", 1, markers(vec![newer]))
        .await?;
    story.ask("ends", 3, end("refused", producer, true)).await?;
    for version in 0..=4 {
        story
            .ask("is ending", version, end("refused", producer, true))
            .await?;
        story
            .ask("is ending", version, init(Some("refused"), LONG_MS))
            .await?;
    }
    story.ask("is ending", 0, describe(&["refused"])).await?;
    Ok(())
}

/// Blocks of producer ids for brokers that do not exist, or with an old broker epoch.
pub async fn blocks(story: Story) -> Result<()> {
    for (broker, epoch) in [(0, -1), (0, 0), (7, 0), (-1, -1)] {
        let request = AllocateProducerIdsRequest::default()
            .with_broker_id(BrokerId(broker))
            .with_broker_epoch(epoch);
        story
            .ask(&format!("a block for {broker} of {epoch}"), 0, request)
            .await?;
    }
    Ok(())
}
