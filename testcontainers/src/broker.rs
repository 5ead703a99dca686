//! Runs one broker as a process: barnabas or Apache Kafka, with the same configuration file.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use crate::process::Process;
use crate::wait::wait_for_port;
use crate::{free_port, repository, tools};

/// The implementation of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The binary under test.
    Barnabas,
    /// Apache Kafka 3.9.1 on a JVM.
    ApacheKafka,
}

impl Kind {
    /// The kind that the tests run against: barnabas, or Apache Kafka if `BARNABAS_TEST_KIND=kafka` is set. With Kafka,
    /// a run shows whether Kafka passes the same tests.
    pub fn under_test() -> Self {
        match std::env::var("BARNABAS_TEST_KIND").as_deref() {
            Ok("kafka") => Self::ApacheKafka,
            _ => Self::Barnabas,
        }
    }

    /// A list of `count` brokers of the kind under test.
    pub fn times(count: usize) -> Vec<Self> {
        vec![Self::under_test(); count]
    }
}

/// A broker and its files. Dropping this kills the process. The files are removed with the test's temporary folder.
pub struct Broker {
    /// `broker.id`.
    pub id: i32,
    /// The port on 127.0.0.1 that the broker listens on.
    pub port: u16,
    /// The broker's folder: `server.properties`, `logs`, `output`.
    pub dir: PathBuf,
    kind: Kind,
    properties: Vec<(String, String)>,
    system_properties: Vec<String>,
    process: Option<Process>,
}

impl Broker {
    /// A broker that is not started yet. `zookeeper` is a connect string with chroot.
    pub fn new(kind: Kind, id: i32, zookeeper: &str, dir: &Path) -> Self {
        let port = free_port();
        let dir = dir.join(format!("broker-{id}"));
        let properties = [
            ("broker.id", id.to_string()),
            ("listeners", format!("PLAINTEXT://127.0.0.1:{port}")),
            ("log.dirs", dir.join("logs").display().to_string()),
            ("zookeeper.connect", zookeeper.to_owned()),
            ("zookeeper.session.timeout.ms", "6000".into()),
            ("group.initial.rebalance.delay.ms", "0".into()),
            ("offsets.topic.num.partitions", "5".into()),
        ];
        let properties = properties.map(|(k, v)| (k.to_owned(), v)).into();
        Self {
            id,
            port,
            dir,
            kind,
            properties,
            system_properties: Vec::new(),
            process: None,
        }
    }

    /// Sets a configuration. The last value of a key applies.
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.set(key, value);
        self
    }

    /// Sets a configuration for the next start.
    pub fn set(&mut self, key: &str, value: impl ToString) {
        self.properties.retain(|(k, _)| k != key);
        self.properties.push((key.to_owned(), value.to_string()));
    }

    /// Sets a system property of the JVM, which barnabas takes too.
    pub fn with_system_property(mut self, name: &str, value: impl ToString) -> Self {
        self.system_properties
            .push(format!("-D{name}={}", value.to_string()));
        self
    }

    /// Changes the kind of the broker for the next start. The files stay.
    pub fn become_kind(&mut self, kind: Kind) {
        self.kind = kind;
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The broker's log dir.
    pub fn log_dir(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// Starts the broker and waits until it listens.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn()?;
        wait_for_port(self.port, Duration::from_secs(60))
            .await
            .map_err(|error| self.explain(&error))
    }

    /// Starts the broker and does not wait.
    pub fn spawn(&mut self) -> Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        let file = self.dir.join("server.properties");
        let text: String = self
            .properties
            .iter()
            .map(|(k, v)| format!("{k}={v}\n"))
            .collect();
        std::fs::write(&file, text)?;
        let mut command = match self.kind {
            Kind::Barnabas => {
                let mut command = Command::new(binary());
                command.arg("broker").arg(&file);
                command
            }
            Kind::ApacheKafka => {
                let mut command = tools::java("kafka.Kafka", "512m", "INFO");
                command.arg(&file);
                command
            }
        };
        // Kafka's start script passes KAFKA_OPTS on to the JVM; here is no script.
        let variable = match self.kind {
            Kind::Barnabas => "KAFKA_OPTS",
            Kind::ApacheKafka => "JDK_JAVA_OPTIONS",
        };
        if !self.system_properties.is_empty() {
            command.env(variable, self.system_properties.join(" "));
        }
        self.process = Some(Process::start(&mut command, &self.dir.join("output"))?);
        Ok(())
    }

    /// The running process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the broker was started")
    }

    /// Whether the broker was started and not stopped since.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<()> {
        self.process().kill()?;
        self.process = None;
        Ok(())
    }

    /// SIGTERM: a controlled shutdown.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        let status = self.process().terminate(Duration::from_secs(60)).await;
        self.process = None;
        status
    }

    /// SIGSTOP: the process still exists, but does nothing.
    pub fn freeze(&mut self) -> Result<()> {
        self.process().signal(Signal::STOP)?;
        self.process().wait_until_stopped()
    }

    /// SIGCONT: the process continues where it was frozen.
    pub fn thaw(&mut self) -> Result<()> {
        self.process().signal(Signal::CONT)
    }

    /// Everything that the broker has printed, in all its runs.
    pub fn output(&self) -> String {
        let bytes = std::fs::read(self.dir.join("output")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The error, followed by everything that the broker has printed.
    pub fn explain(&self, error: &anyhow::Error) -> anyhow::Error {
        anyhow::Error::msg(self.output()).context(format!("{error:#}"))
    }
}

/// The binary under test.
pub fn binary() -> PathBuf {
    std::env::var_os("BARNABAS_BIN")
        .map_or_else(|| repository().join("target/release/barnabas"), PathBuf::from)
}
