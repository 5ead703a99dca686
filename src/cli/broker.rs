//! The subcommand `barnabas broker FILE`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use tracing::warn;

use super::signals::Signals;
use super::system_properties::SystemPropertyArguments;
use crate::broker::Broker;
use crate::common::clock::SystemClock;
use crate::common::loggers::Loggers;
use crate::config::{BrokerConfig, Properties};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Kafka's server.properties.
    file: PathBuf,
    /// Override a configuration of the file; may be given many times.
    #[arg(long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    #[command(flatten)]
    system_properties: SystemPropertyArguments,
}

pub(super) async fn run(arguments: Arguments, loggers: Loggers) -> Result<()> {
    let mut properties = Properties::load(&arguments.file)?;
    for pair in &arguments.overrides {
        properties.override_with(pair)?;
    }
    let (mut config, warnings) = BrokerConfig::from_properties(&properties)?;
    config.system_properties = arguments.system_properties.read();
    for warning in warnings {
        warn!("{warning}");
    }
    let mut signals = Signals::new()?;
    let broker = tokio::select! {
        broker = Broker::start(config, SystemClock::shared(), loggers) => broker?,
        () = signals.next() => return Ok(()),
    };
    tokio::select! {
        () = signals.next() => {}
        () = broker.failed() => bail!("broker {}: every log dir has failed", broker.id()),
    }
    tokio::select! {
        () = broker.shutdown() => Ok(()),
        () = signals.next() => bail!("told twice to stop: quit without a clean shutdown"),
    }
}
