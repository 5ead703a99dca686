//! Stories about offsets in transactions: unstable, committed, aborted, deleted.

use anyhow::Result;
use barnabas_testcontainers::parity::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use barnabas_testcontainers::parity::{Story, messages::*};
use barnabas_testcontainers::wait::wait_for;

use crate::offsets::offset_delete;
use crate::support::*;

/// The id and epoch of a producer.
type Producer = (i64, i16);

fn transactional(id: &str, producer: Producer, offsets: &[Committed]) -> TxnOffsetCommitRequest {
    let one = |&(name, partition, offset, note): &Committed| {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_metadata(optional(note));
        TxnOffsetCommitRequestTopic::default()
            .with_name(topic(name))
            .with_partitions(vec![partition])
    };
    TxnOffsetCommitRequest::default()
        .with_transactional_id(TransactionalId(text(id)))
        .with_group_id(group(id))
        .with_producer_id(ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_topics(offsets.iter().map(one).collect())
}

/// Starts a producer whose transactional id is the group's id.
async fn start_producer(story: &Story, id: &str) -> Result<Producer> {
    let init = || {
        InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(id))))
            .with_transaction_timeout_ms(60_000)
    };
    wait_for("a transaction coordinator", LIMIT, || async {
        let answer = story.peek(1, init()).await.ok()?;
        (answer.error_code == 0).then_some(())
    })
    .await?;
    let producer = story.ask("a producer", 1, init()).await?;
    Ok((producer.producer_id.0, producer.producer_epoch))
}

/// Begins a new transaction that includes the group's offsets.
async fn begin(story: &Story, id: &str, producer: Producer) -> Result<()> {
    let add = AddOffsetsToTxnRequest::default()
        .with_transactional_id(TransactionalId(text(id)))
        .with_producer_id(ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_group_id(group(id));
    wait_for("the transaction before to be over", LIMIT, || async {
        let answer = story.peek(1, add.clone()).await.ok()?;
        (answer.error_code == 0).then_some(())
    })
    .await
}

/// Ends the transaction and waits until the group coordinator knows it.
async fn end(story: &Story, id: &str, producer: Producer, committed: bool) -> Result<()> {
    let end = EndTxnRequest::default()
        .with_transactional_id(TransactionalId(text(id)))
        .with_producer_id(ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_committed(committed);
    story.ask("the end", 1, end).await?;
    // The next transaction cannot begin before the markers of the last one are written.
    begin(story, id, producer).await?;
    wait_for("the end to be known", LIMIT, || async {
        let stable = fetch(id, 7, Some(&[("t", &[0]), ("u", &[0])])).with_require_stable(true);
        let answer = story.peek(7, stable).await.ok()?;
        let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        partitions
            .all(|partition| partition.error_code == 0)
            .then_some(())
    })
    .await
}

/// Two transactions in every version: the first is committed, the second aborted.
pub async fn lives(story: Story) -> Result<()> {
    let offsets = [
        ("t", 0, 5, Some("note")),
        ("u", 0, 6, None),
        ("t", 9, 1, None),
        ("nowhere", 0, 1, None),
    ];
    for version in 0..=4 {
        let id = format!("transactional-{version}");
        let producer = start_producer(&story, &id).await?;
        let early = transactional(&id, producer, &offsets);
        story
            .ask("offsets that are not in the transaction", version, early)
            .await?;
        for committed in [true, false] {
            begin(&story, &id, producer).await?;
            // This step comes first: in Kafka a refused commit also removes the commits before it.
            let old = transactional(&id, (producer.0, producer.1 - 1), &offsets);
            story.ask("of an old epoch", version, old).await?;
            story
                .ask("offsets", version, transactional(&id, producer, &offsets))
                .await?;
            let long = "x".repeat(101);
            let more = [
                ("t", 1, 7, Some(long.as_str())),
                ("t", 0, 8, None),
                ("t", 0, 9, None),
            ];
            story
                .ask("more offsets", version, transactional(&id, producer, &more))
                .await?;
            strangers(&story, &id, version, producer).await?;
            while_open(&story, &id).await?;
            end(&story, &id, producer, committed).await?;
            story.ask("afterwards", 5, fetch(&id, 5, None)).await?;
        }
    }
    Ok(())
}

async fn strangers(story: &Story, id: &str, version: i16, producer: Producer) -> Result<()> {
    let offsets = [("t", 0, 50, None)];
    let other = transactional(id, (producer.0 + 1000, 0), &offsets);
    story.ask("of another producer", version, other).await?;
    let none = transactional(id, (-1, -1), &offsets);
    story.ask("of no producer", version, none).await?;
    let nobody = transactional(id, producer, &offsets).with_group_id(group(""));
    story.ask("of no group", version, nobody).await?;
    if version >= 3 {
        let member = transactional(id, producer, &offsets)
            .with_member_id(text("stranger"))
            .with_generation_id(3);
        story.ask("of a stranger", version, member).await?;
        let member = transactional(id, producer, &offsets).with_group_instance_id(optional(Some("i")));
        story.ask("of an unknown instance", version, member).await?;
    }
    Ok(())
}

async fn while_open(story: &Story, id: &str) -> Result<()> {
    let some: &[(&str, &[i32])] = &[("t", &[0, 1]), ("u", &[0])];
    for version in 1..=9 {
        story
            .ask("while it is open", version, fetch(id, version, Some(some)))
            .await?;
        if version >= 7 {
            let stable = fetch(id, version, Some(some)).with_require_stable(true);
            story
                .ask("what is stable while it is open", version, stable)
                .await?;
            let stable = fetch(id, version, None).with_require_stable(true);
            story
                .ask("all that is stable while it is open", version, stable)
                .await?;
        }
    }
    story.ask("the group", 5, describe(&[id])).await?;
    Ok(())
}

/// Members commit within transactions too.
pub async fn members(story: Story) -> Result<()> {
    let id = "transactional-members";
    let grown = Grown::stable(&story, id).await?;
    let producer = start_producer(&story, id).await?;
    begin(&story, id, producer).await?;
    let offsets = [("t", 0, 5, None), ("u", 0, 6, None)];
    let (leader, follower, right) = (grown.leader.as_str(), grown.follower.as_str(), grown.generation);
    for (who, member, instance, generation) in [
        ("the leader", leader, None, right),
        ("the leader of an old generation", leader, None, right - 1),
        ("the leader of a future generation", leader, None, right + 1),
        ("the leader of no generation", leader, None, -1),
        ("nobody of a generation", "", None, right),
        ("nobody", "", None, -1),
        ("the follower", follower, Some(INSTANCE), right),
        ("a fenced follower", "fenced", Some(INSTANCE), right),
        ("an unknown instance", follower, Some("unknown"), right),
    ] {
        for version in 3..=4 {
            let request = transactional(id, producer, &offsets)
                .with_member_id(text(member))
                .with_generation_id(generation)
                .with_group_instance_id(optional(instance));
            story.ask(who, version, request).await?;
        }
    }
    let request = offset_delete(id, &[("t", 0), ("u", 0)]);
    story
        .ask("deleting what is subscribed to and what is open", 0, request)
        .await?;
    end(&story, id, producer, true).await?;
    story.ask("afterwards", 5, fetch(id, 5, None)).await?;
    Ok(())
}

/// Groups whose offsets are deleted while a transaction is open.
pub async fn deletions(story: Story) -> Result<()> {
    for (id, committed) in [("deleted-then-committed", true), ("deleted-then-aborted", false)] {
        let producer = start_producer(&story, id).await?;
        begin(&story, id, producer).await?;
        story
            .ask("offsets", 3, transactional(id, producer, &[("t", 0, 5, None)]))
            .await?;
        story
            .ask(
                "deleting one of an open transaction",
                0,
                offset_delete(id, &[("t", 0)]),
            )
            .await?;
        story.ask("the group with nothing", 5, describe(&[id])).await?;
        story
            .ask(
                "offsets again",
                3,
                transactional(id, producer, &[("u", 0, 6, None)]),
            )
            .await?;
        story.ask("deleting the group", 2, delete(&[id])).await?;
        story.ask("the group that is no more", 5, describe(&[id])).await?;
        story
            .ask(
                "offsets after all",
                3,
                transactional(id, producer, &[("t", 1, 7, None)]),
            )
            .await?;
        end(&story, id, producer, committed).await?;
        story.ask("afterwards", 5, fetch(id, 5, None)).await?;
    }
    Ok(())
}
