//! The subcommand `barnabas cluster --brokers N`: several brokers in one process, each with its own session, ports and
//! files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use futures::FutureExt;
use futures::future::{join_all, select_all};

use super::signals::Signals;
use super::system_properties::SystemPropertyArguments;
use crate::broker::Broker;
use crate::common::clock::SystemClock;
use crate::common::loggers::Loggers;
use crate::config::{BrokerConfig, Properties};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// How many brokers.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    brokers: u16,
    /// zookeeper.connect, with the cluster's chroot.
    #[arg(long, value_name = "HOST:PORT/CHROOT")]
    zookeeper: String,
    /// Directory in which each broker gets a subdirectory of its own, broker-ID.
    #[arg(long)]
    dir: PathBuf,
    /// Broker ID listens on 127.0.0.1 at this port plus ID; without this flag the system picks free ports.
    #[arg(long)]
    base_port: Option<u16>,
    /// Override a configuration of every broker; may be given many times. Each broker adds its ID to the port of
    /// barnabas.metrics.listener.
    #[arg(long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    #[command(flatten)]
    system_properties: SystemPropertyArguments,
}

pub(super) async fn run(arguments: Arguments, loggers: Loggers) -> Result<()> {
    let mut signals = Signals::new()?;
    let configs: Vec<_> = (0..arguments.brokers)
        .map(|id| configure(&arguments, id))
        .collect::<Result<_>>()?;
    let starting = join_all(
        configs
            .into_iter()
            .map(|config| Broker::start(config, SystemClock::shared(), loggers.clone())),
    );
    let started = tokio::select! {
        started = starting => started,
        () = signals.next() => return Ok(()),
    };
    let mut brokers = Vec::new();
    let mut failure = None;
    for result in started {
        match result {
            Ok(broker) => brokers.push(broker),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    if failure.is_none() {
        for broker in &brokers {
            for endpoint in broker.endpoints() {
                println!(
                    "broker {} listens on {}:{}",
                    broker.id(),
                    endpoint.host,
                    endpoint.port
                );
            }
        }
        tokio::select! {
            () = signals.next() => {}
            () = select_all(brokers.iter().map(|b| b.failed().boxed())).map(drop) => {}
        }
    }
    tokio::select! {
        () = Broker::shutdown_all(brokers) => {}
        () = signals.next() => bail!("told twice to stop: quit without a clean shutdown"),
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

fn configure(arguments: &Arguments, id: u16) -> Result<BrokerConfig> {
    let dir = folder(&arguments.dir, id);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let port = match arguments.base_port {
        Some(base) => base
            .checked_add(id)
            .with_context(|| format!("--base-port {base}: no port for broker {id}"))?,
        None => 0,
    };
    let mut properties = Properties::default();
    let factor = arguments.brokers.min(3);
    for pair in [
        format!("broker.id={id}"),
        format!("listeners=PLAINTEXT://127.0.0.1:{port}"),
        format!("log.dirs={}", dir.join("logs").display()),
        format!("zookeeper.connect={}", arguments.zookeeper),
        format!("offsets.topic.replication.factor={factor}"),
        format!("transaction.state.log.replication.factor={factor}"),
        format!("transaction.state.log.min.isr={}", factor.min(2)),
    ]
    .iter()
    .chain(&arguments.overrides)
    {
        properties.override_with(pair)?;
    }
    let mut config = BrokerConfig::from_properties(&properties)?.0;
    config.system_properties = arguments.system_properties.read();
    if let Some(address) = &mut config.barnabas_metrics_listener {
        *address = nth_address(address, id).with_context(|| format!("{address}: no port for broker {id}"))?;
    }
    Ok(config)
}

/// `host:port` with the id added to the port, because the brokers share the machine. Port 0 stays 0: the system picks a
/// free port.
fn nth_address(address: &str, id: u16) -> Option<String> {
    let (host, port) = address.rsplit_once(':')?;
    let port = match port.parse().ok()? {
        0 => 0,
        port => u16::checked_add(port, id)?,
    };
    Some(format!("{host}:{port}"))
}

fn folder(dir: &Path, id: u16) -> PathBuf {
    dir.join(format!("broker-{id}"))
}
