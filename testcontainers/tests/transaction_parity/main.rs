//! Compares producers and the transaction coordinator with Apache Kafka's. Both give the same answers to every request
//! in every version in every state, write the same records to `__transaction_state`, and keep the same producers in the
//! logs.

mod commands;
mod loading;
mod offsets;
mod producers;
mod states;
mod support;

use anyhow::Result;
use barnabas::parts::SystemClock;
use barnabas_testcontainers::parity::Pair;
use barnabas_testcontainers::tools::KafkaTools;
use tokio::sync::Mutex;

#[tokio::test(flavor = "multi_thread")]
async fn every_request_in_every_state_is_answered_as_apache_kafka_answers_it() -> Result<()> {
    let mut pair = Pair::start(support::configure).await?;
    let tools = Mutex::new(KafkaTools::start()?);
    pair.play("preparation", support::prepare).await;
    // The same time is in the records of both clusters.
    let now_ms = SystemClock::shared().wall_ms();
    let in_state = |state| move |story| states::in_state(story, state);
    tokio::join!(
        pair.play("Empty", in_state("Empty")),
        pair.play("Ongoing", in_state("Ongoing")),
        pair.play("PrepareCommit", in_state("PrepareCommit")),
        pair.play("PrepareAbort", in_state("PrepareAbort")),
        pair.play("CompleteCommit", in_state("CompleteCommit")),
        pair.play("CompleteAbort", in_state("CompleteAbort")),
        pair.play("unknown", states::unknown),
        pair.play("late", states::late),
        pair.play("sequences", |story| producers::sequences(story, now_ms)),
        pair.play("blocks", producers::blocks),
    );
    // These stories run one after the other. Kafka's broker asks a coordinator about all partitions in one request, and
    // then answers Produce requests of different versions as if they had the same version (error 48 or 120). Two such
    // questions about one id also disturb each other.
    pair.play("forgeries", |story| producers::forgeries(story, now_ms))
        .await;
    pair.play("transactional", |story| producers::transactional(story, now_ms))
        .await;
    pair.play("markers", |story| producers::markers_of_all_kinds(story, now_ms))
        .await;
    pair.play("offsets", offsets::simple).await;
    pair.play("members", offsets::members).await;
    pair.play("kafka-transactions", |story| {
        commands::kafka_transactions(story, &tools, now_ms)
    })
    .await;
    pair.play("planting", |story| loading::plant(story, now_ms)).await;
    pair.restart(|_| {}).await?;
    pair.play("files", loading::files).await;
    pair.play("loading", loading::loaded).await;
    pair.play("writing", loading::written).await;
    pair.finish()
}
