//! `barnabas zk dump`: the cluster's znodes, decoded.

use anyhow::{Context, Result};

use crate::zk::{ZkOptions, ZkSession, dump};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print every znode, one line each: path, version, owner if it is ephemeral, data.
    Dump {
        /// zookeeper.connect, with the cluster's chroot.
        #[arg(long, value_name = "HOST:PORT/CHROOT")]
        zookeeper: String,
    },
}

pub(super) async fn run(arguments: Arguments) -> Result<()> {
    let Command::Dump { zookeeper } = arguments.command;
    let context = || format!("ZooKeeper at {zookeeper}");
    let session = ZkSession::connect(ZkOptions::for_tool(&zookeeper))
        .await
        .with_context(context)?;
    let result = dump::dump(&session, &mut std::io::stdout().lock()).await;
    session.close().await;
    result.with_context(context).map(drop)
}
