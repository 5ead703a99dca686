//! Compares `kafka-transactions` on both clusters: it lists and describes transactions, and finds and aborts a hanging
//! one.

use anyhow::{Context, Result};
use barnabas_testcontainers::parity::Story;
use barnabas_testcontainers::tools::{CONFIG_COMMAND, KafkaTools, ToolOutput};
use barnabas_testcontainers::wait::wait_for;
use tokio::sync::Mutex;

use crate::support::*;

const TRANSACTIONS_COMMAND: &str = "org.apache.kafka.tools.TransactionsCommand";
/// Columns whose numbers depend on the clock.
const TIMES: [&str; 4] = [
    "CurrentTransactionStartTimeMs",
    "TransactionDurationMs",
    "LastTimestamp",
    "Duration(min)",
];
/// The partition of `p` with the hanging transaction.
const HANGING: i32 = 38;
/// A partition of `p` for testing whether brokers verify transactions. No story compares its content.
pub const TRIED: i32 = 39;

/// The rows of a table without the parts that differ between runs, sorted by their text.
fn table(printed: &str) -> String {
    let mut lines = printed
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let headers = lines.next().unwrap_or_default();
    let shown = |row: Vec<&str>| -> String {
        let cells = row.into_iter().enumerate().map(|(column, cell)| {
            match headers.get(column) {
                Some(header) if TIMES.contains(header) && cell.parse::<i64>().is_ok_and(|n| n >= 0) => {
                    "ANY".into()
                }
                // The id is written in the form of answers, so that it gets a label like the ids there. A table without
                // transactional ids would be sorted by the random producer ids, so these are hidden there.
                Some(&"ProducerId") if headers.contains(&"TransactionalId") => format!("producer_id: {cell}"),
                Some(&"ProducerId") => "ANY".into(),
                _ => cell.to_owned(),
            }
        });
        cells.collect::<Vec<_>>().join(" ")
    };
    let mut rows: Vec<String> = lines.map(shown).collect();
    // The number of attempts in this partition differs between runs.
    let tries = format!("p {TRIED} ");
    rows.retain(|row| !row.starts_with(&tries));
    rows.sort();
    format!("{} | {}", headers.join(" "), rows.join(" | "))
}

async fn run(story: &Story, tools: &Mutex<KafkaTools>, arguments: &[&str]) -> Result<ToolOutput> {
    let bootstrap = story.cluster().bootstrap();
    let all = [&["--bootstrap-server", &bootstrap], arguments].concat();
    let output = tools.lock().await.run(TRANSACTIONS_COMMAND, &all).await?;
    let failure = output.stderr.lines().next().unwrap_or_default();
    let seen = format!("{} {} {failure}", output.success, table(&output.stdout));
    story.observe(&format!("kafka-transactions {}", arguments.join(" ")), seen);
    Ok(output)
}

/// This story runs after all others, because it lists the transactions of all stories.
pub async fn kafka_transactions(story: Story, tools: &Mutex<KafkaTools>, now_ms: i64) -> Result<()> {
    let open = bring(&story, "command", "Ongoing").await?;
    let records = batch(open, 0, 1, true, now_ms);
    let request = produce(Some("command"), -1, &[("t", 1, records)]);
    story.ask("an open transaction", 9, request).await?;
    run(&story, tools, &["list"]).await?;
    run(&story, tools, &["list", "--duration-filter", "10000000"]).await?;
    for id in ["command", "idle", "late", "refused", "nobody"] {
        run(&story, tools, &["describe", "--transactional-id", id]).await?;
    }
    // All these partitions exist: for a partition that does not, the tool repeats its request for a minute.
    for (topic, partition) in [("t", "1"), ("p", "24"), ("p", "0")] {
        let place = ["--topic", topic, "--partition", partition];
        run(&story, tools, &[&["describe-producers"], &place[..]].concat()).await?;
        let on_broker = [&["describe-producers", "--broker-id", "0"], &place[..]].concat();
        run(&story, tools, &on_broker).await?;
    }
    hanging(&story, tools, now_ms).await
}

/// A transaction that began half an hour ago and that no coordinator knows.
async fn hanging(story: &Story, tools: &Mutex<KafkaTools>, now_ms: i64) -> Result<()> {
    verify_transactions(story, tools, false).await?;
    let initialized = story.ask("a producer that will vanish", 4, init(None, 0)).await?;
    let producer = Producer::of(&initialized);
    let records = batch(producer, 0, 3, true, now_ms - 30 * 60 * 1000);
    let request = produce(Some("hangs"), -1, &[("p", HANGING, records)]);
    let hung = story.ask("its transaction", 9, request).await?;
    verify_transactions(story, tools, true).await?;
    let start = hung.responses[0].partition_responses[0].base_offset.to_string();
    let partition = HANGING.to_string();
    let place = ["--topic", "p", "--partition", &partition];
    for arguments in [
        &["--broker-id", "0"] as &[&str],
        &["--topic", "p"],
        &["--topic", "p", "--partition", &partition],
        &["--broker-id", "0", "--max-transaction-timeout", "60"],
        &["--topic", "nowhere"],
        &[],
    ] {
        run(story, tools, &[&["find-hanging"], arguments].concat()).await?;
    }
    let stable = committed_end("p", HANGING);
    story.ask("readers are held back", 7, stable.clone()).await?;
    let abort = [&["abort"], &place[..]].concat();
    let at = [&abort[..], &["--start-offset", &start]].concat();
    run(story, tools, &[&abort[..], &["--start-offset", "77"]].concat()).await?;
    run(story, tools, &abort).await?;
    run(story, tools, &at).await?;
    run(story, tools, &at).await?;
    run(story, tools, &["find-hanging", "--broker-id", "0"]).await?;
    story.ask("readers go on", 7, stable).await?;
    let known = describe_producers(&[("p", &[HANGING])]);
    let known = story.ask("what is left of it", 0, known).await?;
    let producers = &known.topics[0].partitions[0].active_producers;
    let left = producers.first().context("the producer is known")?;
    anyhow::ensure!(left.current_txn_start_offset == -1, "{left:?}");
    Ok(())
}

/// Switches on or off that brokers verify transactions with the coordinators, and waits until the brokers apply it.
async fn verify_transactions(story: &Story, tools: &Mutex<KafkaTools>, enable: bool) -> Result<()> {
    let bootstrap = story.cluster().bootstrap();
    let config = format!("transaction.partition.verification.enable={enable}");
    let arguments = [
        "--bootstrap-server",
        &bootstrap,
        "--alter",
        "--entity-type",
        "brokers",
        "--entity-default",
        "--add-config",
        &config,
    ];
    tools.lock().await.run(CONFIG_COMMAND, &arguments).await?.ok()?;
    wait_for("the setting to be in force", LIMIT, || async {
        let producer = Producer::of(&story.peek(4, init(None, 0)).await.ok()?);
        let records = batch(producer, 0, 1, true, 1);
        let request = produce(Some("tries"), -1, &[("p", TRIED, records)]);
        let answer = story.peek(9, request).await.ok()?;
        let is_refused = answer.responses[0].partition_responses[0].error_code != 0;
        (is_refused == enable).then_some(())
    })
    .await
}
