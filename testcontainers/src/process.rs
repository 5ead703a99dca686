//! Runs a child process with its output in a file, and stops it in every way that a test needs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_for;

/// A running child process. Dropping this kills the process.
pub struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts a command; both of its outputs are appended to `output`.
    pub fn start(command: &mut Command, output: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(output)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self {
            child,
            output: output.to_owned(),
        })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that the process has printed so far, in all its runs.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// The error, followed by everything that the process has printed.
    pub fn explain(&self, error: &anyhow::Error) -> anyhow::Error {
        anyhow::Error::msg(self.output()).context(format!("{error:#}"))
    }

    /// The exit status, once the process has exited.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.child.id() as i32).context("a child has a pid")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits until SIGSTOP has reached every thread. A thread that still runs would read what is sent to the process
    /// meanwhile.
    pub fn wait_until_stopped(&self) -> Result<()> {
        let is_stopped = |task: std::io::Result<std::fs::DirEntry>| {
            let stat = task.and_then(|task| std::fs::read_to_string(task.path().join("stat")));
            // A thread that has ended meanwhile no longer has a file.
            stat.map_or(true, |stat| {
                stat.rsplit_once(") ")
                    .is_none_or(|(_, rest)| rest.starts_with('T'))
            })
        };
        let tasks = format!("/proc/{}/task", self.child.id());
        for _ in 0..10_000 {
            if std::fs::read_dir(&tasks)?.all(is_stopped) {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        anyhow::bail!("a stopped process goes on")
    }

    /// Sends SIGKILL and waits for the end of the process.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until the process exits by itself.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the exit of process {}", self.id());
        let start = std::time::Instant::now();
        while start.elapsed() < limit {
            if let Some(status) = self.exit_status() {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("{what}: not within {limit:?}")
    }

    /// Sends SIGTERM and waits for the end of the process.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(limit).await
    }

    /// Waits until the process has printed a text.
    pub async fn wait_for_output(&self, text: &str, limit: Duration) -> Result<()> {
        wait_for(&format!("the output {text:?}"), limit, || async {
            self.output().contains(text).then_some(())
        })
        .await
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status
            .lines()
            .find(|l| l.starts_with("VmRSS:"))
            .context("a process has a resident size")?;
        let kibibytes: u64 = line
            .split_whitespace()
            .nth(1)
            .context("VmRSS has a number")?
            .parse()?;
        Ok(kibibytes * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
