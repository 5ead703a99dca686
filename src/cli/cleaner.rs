//! The subcommand `barnabas cleaner`: shows the state of a running broker's log cleaner, and which partitions it cannot
//! clean and why. Reads the broker's `barnabas.metrics.listener`. Kafka has no such tool.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long to wait for the broker's answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest accepted answer; no broker has so many metrics.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// Prefix of the cleaner's metric families.
const FAMILIES: &str = "kafka_log_logcleaner";
/// The family with a sample for each partition that cannot be cleaned.
const UNCLEANABLE: &str = "kafka_log_logcleanermanager_uncleanable_partition{";

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// barnabas.metrics.listener of the broker.
    #[arg(long, value_name = "HOST:PORT")]
    metrics: String,
}

pub(super) async fn run(arguments: Arguments) -> Result<()> {
    let address = &arguments.metrics;
    let answer = tokio::time::timeout(PATIENCE, scrape(address)).await;
    let answer = answer.unwrap_or_else(|_| bail!("no answer within {PATIENCE:?}"));
    let text = answer.with_context(|| format!("metrics of the broker at {address}"))?;
    std::io::stdout().lock().write_all(report(&text).as_bytes())?;
    Ok(())
}

async fn scrape(address: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    let answer = String::from_utf8(answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => bail!("not what a metrics listener answers"),
    }
}

/// The cleaner's metrics, then a line for each partition that it cannot clean.
fn report(metrics: &str) -> String {
    let of_cleaner = metrics.lines().filter(|line| line.starts_with(FAMILIES));
    let (uncleanable, samples): (Vec<_>, Vec<_>) = of_cleaner.partition(|line| line.starts_with(UNCLEANABLE));
    let mut report = String::new();
    for sample in samples {
        let (name, value) = sample.rsplit_once(' ').unwrap_or((sample, ""));
        let name = name.trim_start_matches(FAMILIES).trim_start_matches("manager");
        report += &format!("{:60} {value}\n", name.trim_start_matches('_'));
    }
    report += match uncleanable.is_empty() {
        true => "every compacted partition can be cleaned\n",
        false => "partitions that cannot be cleaned:\n",
    };
    for sample in uncleanable {
        let labels = sample.trim_start_matches(UNCLEANABLE);
        let label = |name: &str| label(labels, name).unwrap_or_default();
        report += &format!(
            "  {}-{} in {}: {}\n",
            label("topic"),
            label("partition"),
            label("logDirectory"),
            label("reason")
        );
    }
    report
}

/// The value of a label, without escapes.
fn label(labels: &str, name: &str) -> Option<String> {
    let start = labels.find(&format!("{name}=\""))? + name.len() + 2;
    let mut value = String::new();
    let mut characters = labels[start..].chars();
    loop {
        match characters.next()? {
            '"' => return Some(value),
            '\\' => value.push(match characters.next()? {
                'n' => '\n',
                escaped => escaped,
            }),
            character => value.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_cannot_be_cleaned_and_why() {
        let metrics = concat!(
            "# TYPE kafka_log_logcleaner_deadthreadcount gauge\n",
            "kafka_log_logcleaner_deadthreadcount 0\n",
            "kafka_log_logcleanermanager_max_dirty_percent 12\n",
            "kafka_log_logcleanermanager_uncleanable_partition{topic=\"a\",partition=\"3\",logDirectory=\"/d\",",
            "reason=\"byte 7 of \\\"x\\\" is not\"} 1\n",
            "kafka_server_other 5\n",
        );
        let report = report(metrics);
        let lines: Vec<Vec<&str>> = report.lines().map(|l| l.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["deadthreadcount", "0"]);
        assert_eq!(lines[1], ["max_dirty_percent", "12"]);
        assert!(
            report.ends_with("  a-3 in /d: byte 7 of \"x\" is not\n"),
            "{report}"
        );
        assert!(super::report("").contains("every compacted partition can be cleaned"));
    }
}
