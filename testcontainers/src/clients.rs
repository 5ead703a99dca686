//! Runs the small programs of `clients/`: one for each language that has its own Kafka client.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::process::Process;
use crate::repository;
use crate::tools::{java, run};

/// The time limit for one task of a client.
const LIMIT: Duration = Duration::from_secs(60);

/// The time limit for a whole matrix.
const MATRIX_LIMIT: Duration = Duration::from_secs(240);

/// A client library by its language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// The Java client of Apache Kafka 3.9.1.
    Java,
    /// confluent-kafka, which is librdkafka.
    PythonConfluent,
    /// aiokafka.
    PythonAio,
    /// kafka-python, on secured listeners only.
    PythonKafka,
    /// franz-go.
    Go,
    /// kafkajs.
    Node,
}

impl Language {
    /// The command that runs the client's program. `None` if `scripts/test` found no toolchain; a printed line says so.
    fn command(self) -> Option<Command> {
        let sources = repository().join("testcontainers/clients");
        let installed = std::env::var_os("BARNABAS_CLIENTS")
            .map_or_else(|| repository().join(".cache/clients"), PathBuf::from);
        let (needs, command) = match self {
            Self::Java => return Some(java_source(&sources.join("java/Worker.java"))),
            Self::PythonConfluent => python(&sources.join("python/confluent.py"), &installed),
            Self::PythonKafka => python(&sources.join("python/matrix_kafka_python.py"), &installed),
            Self::PythonAio => python(&sources.join("python/aio.py"), &installed),
            Self::Go => {
                let worker = installed.join("go/worker");
                (worker.clone(), Command::new(worker))
            }
            Self::Node => {
                let mut command = Command::new("node");
                command.arg(installed.join("node/worker.js"));
                (installed.join("node/node_modules"), command)
            }
        };
        if !needs.exists() {
            println!("SKIPPED {self:?}: {} is not there", needs.display());
            return None;
        }
        Some(command)
    }

    /// Sends `count` records with their number as key and value. Returns `false` if this client is not installed.
    pub async fn produce(self, bootstrap: &str, topic: &str, count: usize) -> Result<bool> {
        let Some(mut command) = self.command() else {
            return Ok(false);
        };
        command.args(["produce", bootstrap, topic, &count.to_string()]);
        let printed = run(command, "", LIMIT).await?.ok()?;
        ensure!(
            printed.contains(&format!("produced {count}")),
            "{self:?} printed {printed}"
        );
        Ok(true)
    }

    /// Runs the client's program for secured listeners: it sends `count` records and reads them back in each of `cells`.
    /// Returns the output; `None` if this client is not installed.
    pub async fn matrix(
        self,
        topic: &str,
        count: usize,
        cells: &[serde_json::Value],
    ) -> Result<Option<String>> {
        let sources = repository().join("testcontainers/clients");
        let installed = std::env::var_os("BARNABAS_CLIENTS")
            .map_or_else(|| repository().join(".cache/clients"), PathBuf::from);
        let mut command = match self {
            Self::Java => java_source(&sources.join("java/Matrix.java")),
            Self::PythonConfluent => python(&sources.join("python/matrix_confluent.py"), &installed).1,
            Self::PythonKafka => python(&sources.join("python/matrix_kafka_python.py"), &installed).1,
            Self::PythonAio => bail!("aiokafka has no program for secured listeners"),
            Self::Go => {
                let mut command = Command::new(installed.join("go/worker"));
                command.arg("matrix");
                command
            }
            Self::Node => {
                let mut command = Command::new("node");
                command.arg(installed.join("node/matrix.js"));
                command
            }
        };
        if self.command().is_none() {
            return Ok(None);
        }
        let cells = serde_json::Value::from(cells.to_vec()).to_string();
        command.args([topic, &count.to_string(), &cells]);
        Ok(Some(run(command, "", MATRIX_LIMIT).await?.ok()?))
    }

    /// Joins a group. Call this only if [`Language::produce`] found the client installed.
    pub fn join(self, bootstrap: &str, topic: &str, group: &str, output: &Path) -> Result<Member> {
        let mut command = self.command().context("the client is installed")?;
        command.args(["consume", bootstrap, topic, group]);
        Ok(Member {
            language: self,
            process: Process::start(&mut command, output)?,
        })
    }
}

fn java_source(file: &Path) -> Command {
    // The launcher compiles the source file. Its path is the last argument, in the place of the class.
    java(&file.display().to_string(), "128m", "warn")
}

fn python(file: &Path, installed: &Path) -> (PathBuf, Command) {
    let packages = installed.join("python");
    let mut command = Command::new("python3");
    command.arg(file).env("PYTHONPATH", &packages);
    (packages, command)
}

/// A member of a group.
pub struct Member {
    language: Language,
    process: Process,
}

impl Member {
    /// The partitions of the member's last assignment; `None` before the first assignment.
    pub fn assigned(&self) -> Option<BTreeSet<i32>> {
        let output = self.process.output();
        let last = output.lines().rev().find_map(|l| l.strip_prefix("assigned "))?;
        Some(last.split(',').filter_map(|p| p.parse().ok()).collect())
    }

    /// Partition and offset of each record that the member has printed, in the printed order.
    pub fn records(&self) -> Vec<(i32, i64)> {
        let output = self.process.output();
        // The last line may be incomplete: the member may still be writing it.
        let whole = &output[..output.rfind('\n').map_or(0, |end| end + 1)];
        whole
            .lines()
            .filter_map(|line| {
                let mut fields = line.strip_prefix("record ")?.split(' ');
                Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
            })
            .collect()
    }

    /// SIGTERM: the member commits, leaves the group and exits.
    pub async fn leave(&mut self) -> Result<()> {
        self.process.terminate(LIMIT).await?;
        if !self.process.output().contains("left") {
            bail!("{:?} did not leave: {}", self.language, self.process.output());
        }
        Ok(())
    }

    /// Everything that the member has printed.
    pub fn output(&self) -> String {
        self.process.output()
    }
}
