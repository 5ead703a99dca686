//! Runs the command line tools that users have: Apache Kafka's own, kcat, ZooKeeper's shell.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::repository;

/// Apache Kafka's jars.
pub fn kafka_libs() -> PathBuf {
    std::env::var_os("BARNABAS_KAFKA_LIBS")
        .map_or_else(|| repository().join(".cache/kafka-libs"), PathBuf::from)
}

/// `java CLASS` with Apache Kafka's jars, logging to its output.
pub fn java(class: &str, heap: &str, level: &str) -> Command {
    let mut command = Command::new("java");
    let archive = kafka_libs().join("classes.jsa");
    if archive.exists() {
        // A JVM that cannot use the archive works without it. It must not print a warning, because tests compare a
        // tool's output.
        command
            .arg(format!("-XX:SharedArchiveFile={}", archive.display()))
            .arg("-Xlog:disable");
    }
    command
        .arg(format!("-Xmx{heap}"))
        .arg("-XX:TieredStopAtLevel=1")
        .arg(format!(
            "-Dlog4j.configuration=file:{}",
            repository()
                .join(format!(
                    "testcontainers/kafka/log4j-{}.properties",
                    level.to_lowercase()
                ))
                .display()
        ))
        .arg("-cp")
        .arg(kafka_libs().join("*"))
        .arg(class);
    command
}

/// Fails if steps differ between the two kinds of broker. The error lists each such step with its output.
pub fn ensure_same_steps(ours: &[(String, String)], kafkas: &[(String, String)]) -> Result<()> {
    let mut differences = Vec::new();
    for ((step, ours), (_, kafkas)) in ours.iter().zip(kafkas) {
        if ours != kafkas {
            differences.push(format!(
                "== {step}\n-- barnabas\n{ours}\n-- Apache Kafka\n{kafkas}\n"
            ));
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    ensure!(
        ours.len() == kafkas.len(),
        "{} steps and {}",
        ours.len(),
        kafkas.len()
    );
    Ok(())
}

/// The output of a tool on both streams, and whether the tool succeeded.
#[derive(Debug)]
pub struct ToolOutput {
    /// Exit status 0.
    pub success: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl ToolOutput {
    /// Fails unless the tool succeeded; returns its standard output.
    pub fn ok(self) -> Result<String> {
        if !self.success {
            bail!("the tool failed\n{}\n{}", self.stdout, self.stderr);
        }
        Ok(self.stdout)
    }
}

/// Runs a command with this standard input until it ends, but at most for `limit`.
pub async fn run(mut command: Command, input: &str, limit: Duration) -> Result<ToolOutput> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let mut stdin = child.stdin.take().context("standard input is piped")?;
    let input = input.to_owned();
    std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let pid = rustix::process::Pid::from_child(&child);
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = match tokio::time::timeout(limit, ended).await {
        Ok(output) => output??,
        Err(_) => {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            bail!("{command:?} did not end within {limit:?}");
        }
    };
    Ok(ToolOutput {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

const LIMIT: Duration = Duration::from_secs(90);

/// Runs one of Apache Kafka's command line tools.
pub async fn kafka_tool(class: &str, arguments: &[&str]) -> Result<ToolOutput> {
    kafka_tool_with_input(class, arguments, "").await
}

/// Runs one of Apache Kafka's command line tools with `input` on its standard input.
pub async fn kafka_tool_with_input(class: &str, arguments: &[&str], input: &str) -> Result<ToolOutput> {
    let mut command = java(class, "256m", "WARN");
    command.args(arguments);
    run(command, input, LIMIT).await
}

/// Apache Kafka's command line tools in one JVM, for tests that run many tools: starting a JVM takes longer than the
/// work of most tools.
pub struct KafkaTools {
    process: tokio::process::Child,
    commands: tokio::process::ChildStdin,
    printed: [mpsc::UnboundedReceiver<String>; 2],
}

impl KafkaTools {
    /// Starts the JVM.
    pub fn start() -> Result<Self> {
        let driver = repository().join("testcontainers/kafka/Tools.java");
        let mut command = tokio::process::Command::from(java(&driver.display().to_string(), "256m", "WARN"));
        let mut process = command
            // With UTF-8 the tools can print every record.
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start java")?;
        let commands = process.stdin.take().context("standard input is piped")?;
        let printed = [
            lines(process.stdout.take().context("standard output is piped")?),
            lines(process.stderr.take().context("standard error is piped")?),
        ];
        Ok(Self {
            process,
            commands,
            printed,
        })
    }

    /// Runs one tool.
    pub async fn run(&mut self, class: &str, arguments: &[&str]) -> Result<ToolOutput> {
        let command = [&[class], arguments].concat().join("\t") + "\n";
        let running = async {
            self.commands.write_all(command.as_bytes()).await?;
            self.commands.flush().await?;
            let (mut success, mut outputs) = (false, Vec::new());
            for printed in &mut self.printed {
                let mut output = String::new();
                loop {
                    let line = printed.recv().await.context("the JVM has ended")?;
                    if let Some(status) = line.strip_prefix("== ") {
                        success = status == "0";
                        // Some tools do not end their last line. The driver ends it.
                        if output.is_empty() || output == "\n" || output.ends_with("\n\n") {
                            output.pop();
                        }
                        break;
                    }
                    output += &line;
                    output.push('\n');
                }
                outputs.push(output);
            }
            let [stdout, stderr] = <[String; 2]>::try_from(outputs).unwrap_or_default();
            anyhow::Ok(ToolOutput {
                success,
                stdout,
                stderr,
            })
        };
        match tokio::time::timeout(LIMIT, running).await {
            Ok(output) => output,
            Err(_) => {
                self.process.start_kill()?;
                bail!("{command:?} did not end within {LIMIT:?}")
            }
        }
    }
}

fn lines(output: impl tokio::io::AsyncRead + Send + Unpin + 'static) -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut lines = tokio::io::BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Runs kcat.
pub async fn kcat(arguments: &[&str], input: &str) -> Result<ToolOutput> {
    let mut command = Command::new("kcat");
    command.args(arguments);
    run(command, input, LIMIT).await
}

/// Runs one command in ZooKeeper's own shell.
pub async fn zk_cli(connect: &str, arguments: &[&str]) -> Result<ToolOutput> {
    let mut command = java("org.apache.zookeeper.ZooKeeperMain", "128m", "WARN");
    command.args(["-server", connect]).args(arguments);
    run(command, "", LIMIT).await
}

/// `kafka-topics`.
pub const TOPIC_COMMAND: &str = "org.apache.kafka.tools.TopicCommand";
/// `kafka-configs`.
pub const CONFIG_COMMAND: &str = "kafka.admin.ConfigCommand";
/// `kafka-console-producer`.
pub const CONSOLE_PRODUCER: &str = "kafka.tools.ConsoleProducer";
/// `kafka-console-consumer`.
pub const CONSOLE_CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
/// `kafka-producer-perf-test`.
pub const PRODUCER_PERFORMANCE: &str = "org.apache.kafka.tools.ProducerPerformance";
/// `kafka-consumer-perf-test`.
pub const CONSUMER_PERFORMANCE: &str = "org.apache.kafka.tools.ConsumerPerformance";
/// `kafka-dump-log`.
pub const DUMP_LOG_SEGMENTS: &str = "kafka.tools.DumpLogSegments";
/// `kafka-consumer-groups`.
pub const CONSUMER_GROUP_COMMAND: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";

/// Reads one znode; `None` if it does not exist.
pub async fn zk_get(connect: &str, path: &str) -> Result<Option<Vec<u8>>> {
    let client = zookeeper_client::Client::connect(connect).await?;
    match client.get_data(path).await {
        Ok((data, _)) => Ok(Some(data)),
        Err(zookeeper_client::Error::NoNode) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Every znode below the chroot of a connect string: its path, its data and whether it is ephemeral.
pub async fn zk_tree(connect: &str) -> Result<Vec<(String, Vec<u8>, bool)>> {
    let client = zookeeper_client::Client::connect(connect).await?;
    let mut found = Vec::new();
    let mut open = vec!["/".to_owned()];
    while let Some(path) = open.pop() {
        let found_here = async { Ok((client.get_data(&path).await?, client.list_children(&path).await?)) };
        let ((data, stat), children) = match found_here.await {
            // Brokers may delete znodes meanwhile.
            Err(zookeeper_client::Error::NoNode) => continue,
            found => found?,
        };
        for child in children {
            open.push(format!("{}/{child}", path.trim_end_matches('/')));
        }
        found.push((path, data, stat.ephemeral_owner != 0));
    }
    found.sort();
    Ok(found)
}
