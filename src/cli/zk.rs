//! The subcommands `barnabas zk dump` and `barnabas zk check`: print the cluster's znodes, and report the broken ones.

use anyhow::{Context, Result, bail};

use crate::zk::{ZkOptions, ZkSession, check, dump};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print every znode, one line each: path, version, owner if it is ephemeral, data.
    Dump(Where),
    /// Report each znode that violates its schema or contradicts another, one line each; exit status 1 if there are
    /// any. Transient states of a busy cluster are not reported.
    Check(Where),
}

#[derive(clap::Args)]
struct Where {
    /// zookeeper.connect, with the cluster's chroot.
    #[arg(long, value_name = "HOST:PORT/CHROOT")]
    zookeeper: String,
}

pub(super) async fn run(arguments: Arguments) -> Result<()> {
    let (Command::Dump(Where { zookeeper }) | Command::Check(Where { zookeeper })) = &arguments.command;
    let context = || format!("ZooKeeper at {zookeeper}");
    let session = ZkSession::connect(ZkOptions::for_tool(zookeeper))
        .await
        .with_context(context)?;
    let result = match arguments.command {
        Command::Dump(_) => dump::dump(&session, &mut std::io::stdout().lock())
            .await
            .map_err(anyhow::Error::from)
            .map(drop),
        Command::Check(_) => report(&session).await,
    };
    session.close().await;
    result.with_context(context)
}

async fn report(session: &ZkSession) -> Result<()> {
    let findings = check::check(session).await?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("1 znode is broken or contradicts another"),
        count => bail!("{count} znodes are broken or contradict others"),
    }
}
