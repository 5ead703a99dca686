//! The subcommands `barnabas zk`: print the cluster's znodes, report the broken ones, change their access control
//! lists.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::system_properties::SystemPropertyArguments;
use crate::config::Properties;
use crate::config::zookeeper::ZooKeeperTlsConfig;
use crate::zk::{ZkOptions, ZkSecurity, ZkSession, check, dump, security_migration};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Args)]
struct DumpArguments {
    #[command(flatten)]
    at: Where,
    /// Print the access control list of each znode too, as the last column.
    #[arg(long)]
    acl: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print every znode, one line each: path, version, owner if it is ephemeral, data.
    Dump(DumpArguments),
    /// Report each znode that violates its schema or contradicts another, one line each; exit status 1 if there are
    /// any. Transient states of a busy cluster are not reported.
    Check(Where),
    /// Give the znodes of an existing cluster the access control lists that zookeeper.set.acl gives to new ones, or
    /// make them open again; the flags are those of Kafka's zookeeper-security-migration.
    MigrateAcls(MigrateAcls),
}

/// How to prove an identity to ZooKeeper.
#[derive(clap::Args)]
struct Identity {
    /// File with the keys zookeeper.ssl.* and zookeeper.clientCnxnSocket; other keys in it are ignored.
    #[arg(long, value_name = "FILE")]
    zk_tls_config_file: Option<PathBuf>,
    #[command(flatten)]
    system_properties: SystemPropertyArguments,
}

#[derive(clap::Args)]
struct Where {
    /// zookeeper.connect, with the cluster's chroot.
    #[arg(long, value_name = "HOST:PORT/CHROOT")]
    zookeeper: String,
    #[command(flatten)]
    identity: Identity,
}

#[derive(clap::Args)]
struct MigrateAcls {
    /// Whether the znodes shall belong to this tool's identity, which must be that of the brokers, or to everyone.
    #[arg(long = "zookeeper.acl", value_name = "secure|unsecure")]
    acl: AclKind,
    /// zookeeper.connect, with the cluster's chroot.
    #[arg(
        long = "zookeeper.connect",
        value_name = "HOST:PORT/CHROOT",
        default_value = "localhost:2181"
    )]
    connect: String,
    /// Milliseconds after which ZooKeeper may end the session.
    #[arg(
        long = "zookeeper.session.timeout",
        value_name = "MS",
        default_value_t = 30_000
    )]
    session_timeout: u64,
    /// Milliseconds to wait for the connection.
    #[arg(
        long = "zookeeper.connection.timeout",
        value_name = "MS",
        default_value_t = 30_000
    )]
    connection_timeout: u64,
    /// Change nothing if paths of a cluster are missing.
    #[arg(long = "enable.path.check")]
    path_check: bool,
    #[command(flatten)]
    identity: Identity,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum AclKind {
    Secure,
    Unsecure,
}

impl Identity {
    /// The settings of the file; other keys are left out.
    fn properties(&self) -> Result<Properties> {
        let mut properties = Properties::default();
        if let Some(file) = &self.zk_tls_config_file {
            let given = Properties::load(file)?;
            for key in ZooKeeperTlsConfig::keys() {
                if let Some(property) = given.property(key) {
                    properties.insert(key.to_owned(), property.value.clone(), property.origin.clone());
                }
            }
        }
        Ok(properties)
    }

    fn security(&self) -> Result<ZkSecurity> {
        Ok(ZkSecurity::new(
            &self.properties()?,
            &self.system_properties.read(),
            false,
        )?)
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<()> {
    match &arguments.command {
        Command::MigrateAcls(arguments) => migrate_acls(arguments).await,
        Command::Dump(arguments) => {
            let (session, context) = arguments.at.connect().await?;
            let dumped = dump::dump(&session, arguments.acl, &mut std::io::stdout().lock()).await;
            session.close().await;
            dumped.map(drop).context(context)
        }
        Command::Check(at) => {
            let (session, context) = at.connect().await?;
            let reported = report(&session).await;
            session.close().await;
            reported.context(context)
        }
    }
}

impl Where {
    /// A session, and the words with which its errors begin.
    async fn connect(&self) -> Result<(ZkSession, String)> {
        let context = format!("ZooKeeper at {}", self.zookeeper);
        let options = ZkOptions::for_tool(&self.zookeeper).with_security(self.identity.security()?);
        let session = ZkSession::connect(options).await;
        Ok((session.with_context(|| context.clone())?, context))
    }
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

async fn migrate_acls(arguments: &MigrateAcls) -> Result<()> {
    let security = arguments.identity.security()?;
    if !security.has_identity() {
        bail!(
            "No JAAS configuration file has been specified and no TLS client certificate has been specified. Please make \
             sure that you set the system property java.security.auth.login.config or provide a ZooKeeper client TLS \
             configuration via --zk-tls-config-file <filename> identifying at least zookeeper.ssl.client.enable, \
             zookeeper.clientCnxnSocket, and zookeeper.ssl.keystore.location"
        );
    }
    let context = || format!("ZooKeeper at {}", arguments.connect);
    let options = ZkOptions {
        session_timeout: Duration::from_millis(arguments.session_timeout),
        connection_timeout: Duration::from_millis(arguments.connection_timeout),
        ..ZkOptions::for_tool(&arguments.connect).with_security(security)
    };
    let session = ZkSession::connect(options).await.with_context(context)?;
    let migrated = migrate_on(&session, arguments).await;
    session.close().await;
    migrated.with_context(context)
}

async fn migrate_on(session: &ZkSession, arguments: &MigrateAcls) -> Result<()> {
    let missing = security_migration::missing_roots(session).await?;
    if !missing.is_empty() {
        println!(
            "Warning: The following secure root paths do not exist in ZooKeeper: {}",
            missing.join(",")
        );
        println!("That might be due to an incorrect chroot is specified when executing the command.");
        if arguments.path_check {
            bail!("no access control list was changed");
        }
    }
    let secure = arguments.acl == AclKind::Secure;
    let count = security_migration::migrate(session, secure, &mut std::io::stdout().lock()).await?;
    println!("changed the access control lists of {count} znodes");
    Ok(())
}
