//! Compares how a coordinator handles the records that it loads from `__transaction_state`, the records that both
//! clusters have written there in the end, and the files of producers and aborted transactions beside the logs.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use barnabas::parts::AbortedTxn;
use barnabas::parts::BatchBuilder;
use barnabas::parts::TopicPartition;
use barnabas::parts::partition_for;
use barnabas::parts::read_snapshot;
use barnabas::parts::{ProducerIdAndEpoch, TransactionState, TransactionValue, transaction_log as log};
use barnabas_testcontainers::parity::{Story, messages::*, stored_records};

use crate::support::*;

/// `transactional.id.expiration.ms`.
pub const EXPIRATION_MS: i64 = 3_600_000;
/// The first unused producer id.
const FIRST_PLANTED: i64 = 5_000_000_000;
const PARTITIONS: i32 = 3;
/// The last epoch. A producer that reaches the end of the epochs gets a new id.
const LAST: i16 = i16::MAX;

struct Planted {
    id: &'static str,
    epoch: i16,
    state: TransactionState,
    partitions: Vec<TopicPartition>,
    /// The age of the record.
    age_ms: i64,
    timeout_ms: i32,
}

impl Planted {
    fn is_stuck(&self) -> bool {
        self.partitions
            .iter()
            .any(|partition| &*partition.topic == "stuck")
    }
}

fn planted() -> Vec<Planted> {
    use TransactionState::*;
    let plant = |id, epoch, state| Planted {
        id,
        epoch,
        state,
        partitions: Vec::new(),
        age_ms: 0,
        timeout_ms: LONG_MS,
    };
    let with = |planted: Planted, partitions: &[(&str, i32)]| Planted {
        partitions: partitions
            .iter()
            .map(|&(t, p)| TopicPartition::new(t, p))
            .collect(),
        ..planted
    };
    let old = |planted| Planted {
        age_ms: 2 * EXPIRATION_MS,
        ..planted
    };
    vec![
        plant("third last", LAST - 2, Empty),
        plant("second last", LAST - 1, CompleteCommit),
        plant("last", LAST, CompleteAbort),
        plant("second last again", LAST - 1, Empty),
        with(plant("open at the second last", LAST - 1, Ongoing), &[("t", 0)]),
        with(plant("commits", 5, PrepareCommit), &[("t", 0), ("t", 1)]),
        with(plant("aborts", 5, PrepareAbort), &[("t", 2)]),
        with(
            plant("commits what is gone", 5, PrepareCommit),
            &[("gone", 0), ("t", 9)],
        ),
        with(
            plant("commits where it cannot", 5, PrepareCommit),
            &[("stuck", 0), ("t", 0)],
        ),
        plant("commits nothing", 5, PrepareCommit),
        with(plant("open", 5, Ongoing), &[("t", 0)]),
        plant("open without partitions", 5, Ongoing),
        old(plant("old and empty", 5, Empty)),
        old(plant("old and committed", 5, CompleteCommit)),
        old(plant("old and aborted", 5, CompleteAbort)),
        with(old(plant("old and open", 5, Ongoing)), &[("t", 1)]),
        with(old(plant("old and committing", 5, PrepareCommit)), &[("t", 1)]),
    ]
}

/// Writes records that the next coordinator loads, as Kafka's repair tool may write them.
pub async fn plant(story: Story, now_ms: i64) -> Result<()> {
    let admin = story.client("__admin_client");
    for (number, planted) in (0..).zip(planted()) {
        let at_ms = now_ms - planted.age_ms;
        let is_stuck = planted.is_stuck();
        let value = TransactionValue {
            producer: ProducerIdAndEpoch {
                id: FIRST_PLANTED + number,
                epoch: planted.epoch,
            },
            timeout_ms: planted.timeout_ms,
            state: planted.state,
            partitions: planted.partitions.into_iter().collect(),
            last_update_ms: at_ms,
            start_ms: if planted.state == TransactionState::Empty {
                -1
            } else {
                at_ms
            },
        };
        let mut batch = BatchBuilder::new(0);
        batch.append(
            now_ms,
            Some(&log::key(planted.id)?),
            Some(&log::value(&value)?),
            &[],
        );
        let partition = partition_for(planted.id, PARTITIONS);
        let request = produce(None, -1, &[("__transaction_state", partition, batch.build())]);
        story.ask("nobody else may", 9, request.clone()).await?;
        admin.ask(&format!("planting {}", planted.id), 9, request).await?;
        if is_stuck {
            block(&story, Producer::new(FIRST_PLANTED + number, planted.epoch)).await?;
        }
    }
    Ok(())
}

/// After a restart: describes every transactional id, then uses the planted ids.
pub async fn loaded(story: Story) -> Result<()> {
    ready(&story).await?;
    for id in [
        "commits",
        "aborts",
        "commits what is gone",
        "commits nothing",
        "old and committing",
    ] {
        let completed = if id == "aborts" {
            "CompleteAbort"
        } else {
            "CompleteCommit"
        };
        until(&story, id, completed).await?;
    }
    until(&story, "old and open", "CompleteAbort").await?;
    for id in ["old and empty", "old and committed", "old and aborted"] {
        // The coordinator answers as if these ids did not exist.
        until(&story, id, "").await?;
    }
    let listed = story
        .ask("all that was loaded", 1, ListTransactionsRequest::default())
        .await?;
    let mut ids: Vec<_> = listed
        .transaction_states
        .iter()
        .map(|state| state.transactional_id.to_string())
        .collect();
    ids.sort();
    for id in &ids {
        story.ask("one of them", 0, describe(&[id])).await?;
    }
    for (number, planted) in (0..).zip(planted()) {
        if planted.is_stuck() {
            story
                .ask("it cannot end", 4, init(Some(planted.id), LONG_MS))
                .await?;
            continue;
        }
        // The log does not contain the previous producer's id and epoch.
        let had = Producer::new(FIRST_PLANTED + number, planted.epoch);
        for (step, request) in [
            ("goes on", init_again(planted.id, had)),
            ("goes on again", init_again(planted.id, had)),
            ("begins", init(Some(planted.id), LONG_MS)),
            ("begins again", init(Some(planted.id), LONG_MS)),
        ] {
            // Kafka does not recognise a repeated request at this epoch and answers UNKNOWN_SERVER_ERROR.
            let is_at_the_second_last = ["third last", "open at the second last"].contains(&planted.id);
            if step == "goes on again" && is_at_the_second_last {
                continue;
            }
            let step = format!("{} {step}", planted.id);
            story.ask(&step, 4, request).await?;
            settled(&story, planted.id).await?;
            story
                .ask(&format!("{step}, then"), 0, describe(&[planted.id]))
                .await?;
        }
    }
    Ok(())
}

async fn settled(story: &Story, id: &str) -> Result<()> {
    barnabas_testcontainers::wait::wait_for("the markers", LIMIT, || async {
        let answer = story.peek(0, describe(&[id])).await.ok()?;
        let state = &answer.transaction_states[0].transaction_state;
        (!state.starts_with("Prepare")).then_some(())
    })
    .await
}

/// The records that were written to `__transaction_state` for each id, in order.
pub async fn written(story: Story) -> Result<()> {
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let dir = story.cluster().brokers[0].log_dir();
        for record in stored_records(&dir.join(format!("__transaction_state-{partition}")))? {
            let key = record.key.context("a record with a key")?;
            let log::Key::TransactionalId(id) = log::read_key(&key)? else {
                anyhow::bail!("an unknown key");
            };
            let shown = match record.value {
                None => "tombstone".into(),
                Some(value) => {
                    let value = log::read_value(&value)?;
                    format!(
                        "producer_id: {} epoch {} timeout {} {} {:?} updated {} began {}",
                        value.producer.id,
                        value.producer.epoch,
                        value.timeout_ms,
                        value.state.name(),
                        value.partitions,
                        value.last_update_ms.signum(),
                        value.start_ms.signum(),
                    )
                }
            };
            ids.entry(id.to_owned()).or_default().push(shown);
        }
    }
    for (id, written) in ids {
        story.observe(&format!("written of {id}"), written.join("\n      "));
    }
    Ok(())
}

/// The files beside the segments of `p`: snapshots of its producers, and indexes of aborted transactions.
pub async fn files(story: Story) -> Result<()> {
    let dir = story.cluster().brokers[0].log_dir();
    for partition in (0..40).filter(|&partition| partition != crate::commands::TRIED) {
        let mut names: Vec<_> = std::fs::read_dir(dir.join(format!("p-{partition}")))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        names.sort();
        for path in names {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let shown = match path.extension().and_then(|extension| extension.to_str()) {
                Some("snapshot") => snapshot(&std::fs::read(&path)?)?,
                Some("txnindex") => aborted(&std::fs::read(&path)?)?,
                _ => continue,
            };
            story.observe(&format!("p-{partition}/{name}"), shown);
        }
    }
    Ok(())
}

fn snapshot(bytes: &[u8]) -> Result<String> {
    let mut producers = read_snapshot(bytes)?;
    producers.sort_by_key(|(id, _)| *id);
    let shown = producers.iter().map(|(id, entry)| {
        format!(
            "producer_id: {id} epoch {} coordinator {} time {} open {:?} batch {:?}",
            entry.producer_epoch(),
            entry.coordinator_epoch(),
            entry.last_timestamp().signum(),
            entry.current_txn_first_offset(),
            entry
                .last_batch()
                .map(|batch| (batch.last_sequence, batch.last_offset, batch.offset_delta)),
        )
    });
    Ok(shown.collect::<Vec<_>>().join("; "))
}

fn aborted(bytes: &[u8]) -> Result<String> {
    let entries = bytes.chunks(34).map(|entry| {
        let entry = AbortedTxn::decode(entry.try_into()?).context("a version that we know")?;
        Ok(format!(
            "producer_id: {} {} to {}, stable {}",
            entry.producer_id, entry.first_offset, entry.last_offset, entry.last_stable_offset
        ))
    });
    Ok(entries.collect::<Result<Vec<_>>>()?.join("; "))
}
