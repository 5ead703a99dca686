//! Starts a real ZooKeeper: one server or an ensemble of three, each in a container, on ports of 127.0.0.1.
//!
//! Where Docker cannot run, this module starts Debian's ZooKeeper as a process instead and prints that. Tests about
//! containers must ask [`ZooKeeper::in_containers`].

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::certificates::{Certificates, PASSWORD, Signed};
use crate::process::Process;
use crate::tools::kafka_libs;
use crate::wait::wait_for;
use crate::{free_port, repository};

const START: Duration = Duration::from_secs(30);
const CLIENT_PORT: u16 = 2181;

/// The users that a secured server knows, with their passwords.
pub const ZOOKEEPER_USERS: [(&str, &str); 2] = [("kafka", "kafka-zk"), ("other", "other-zk")];

/// A server or an ensemble. Dropping this stops and removes everything.
pub struct ZooKeeper {
    servers: Vec<Server>,
    ports: Vec<u16>,
    secure_port: Option<u16>,
}

enum Server {
    Container(Box<ContainerAsync<GenericImage>>),
    Process {
        process: Process,
        _data: tempfile::TempDir,
    },
}

impl ZooKeeper {
    /// One server.
    pub async fn single() -> Result<Self> {
        Self::ensemble(1).await
    }

    /// A server of ZooKeeper 3.5, the oldest version that brokers work with. `None` if its jars are missing; a printed
    /// line says so.
    pub async fn oldest() -> Result<Option<Self>> {
        let libs = std::env::var_os("BARNABAS_OLD_ZOOKEEPER_LIBS")
            .map_or_else(|| repository().join(".cache/zookeeper-3.5"), PathBuf::from);
        if !libs.exists() {
            println!("SKIPPED: {} is not there", libs.display());
            return Ok(None);
        }
        let trio = [free_port(), free_port(), free_port()];
        let zookeeper = Self {
            servers: vec![start_process(&[trio], 0, Some(&libs), None)?],
            ports: vec![trio[0]],
            secure_port: None,
        };
        zookeeper.wait_until_serving(trio[0]).await?;
        Ok(Some(zookeeper))
    }

    /// One server, as a process, that takes [`ZOOKEEPER_USERS`] by SASL. Its second port takes TLS connections of clients
    /// with a certificate.
    pub async fn secured(certificates: &Certificates, identity: &Signed) -> Result<Self> {
        let trio = [free_port(), free_port(), free_port()];
        let secure_port = free_port();
        let users = ZOOKEEPER_USERS.map(|(name, password)| format!(r#"user_{name}="{password}""#));
        let jaas = format!(
            "Server {{ org.apache.zookeeper.server.auth.DigestLoginModule required {}; }};\n",
            users.join(" ")
        );
        let secured = Secured {
            jaas,
            configuration: format!(
                "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
                 serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
                 secureClientPort={secure_port}\nsecureClientPortAddress=127.0.0.1\n\
                 ssl.keyStore.location={}\nssl.keyStore.password={PASSWORD}\n\
                 ssl.trustStore.location={}\nssl.trustStore.password={PASSWORD}\n",
                identity.pkcs12.display(),
                certificates.trust_store().display(),
            ),
        };
        let zookeeper = Self {
            servers: vec![start_process(&[trio], 0, None, Some(&secured))?],
            ports: vec![trio[0]],
            secure_port: Some(secure_port),
        };
        zookeeper.wait_until_serving(trio[0]).await?;
        Ok(zookeeper)
    }

    /// The port for TLS.
    pub fn secure_port(&self) -> u16 {
        self.secure_port.expect("the server is secured")
    }

    /// `size` servers that elect a leader among themselves.
    pub async fn ensemble(size: usize) -> Result<Self> {
        let image = image();
        if image.is_none() {
            eprintln!("no container engine: ZooKeeper runs as a process");
        }
        let network = format!("barnabas-{}-{}", std::process::id(), free_port());
        let mut ports = Vec::new();
        let mut servers = Vec::new();
        // The ports of an ensemble of processes: client, peer, election.
        let trios: Vec<[u16; 3]> = (0..size)
            .map(|_| [free_port(), free_port(), free_port()])
            .collect();
        for (i, trio) in trios.iter().enumerate() {
            ports.push(trio[0]);
            servers.push(match &image {
                Some(image) => start_container(image, &network, size, i, trio[0]).await?,
                None => start_process(&trios, i, None, None)?,
            });
        }
        let zookeeper = Self {
            servers,
            ports,
            secure_port: None,
        };
        for &port in &zookeeper.ports {
            zookeeper.wait_until_serving(port).await?;
        }
        Ok(zookeeper)
    }

    /// Whether the servers run in containers.
    pub fn in_containers(&self) -> bool {
        matches!(self.servers[0], Server::Container(_))
    }

    /// The first server's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// `127.0.0.1:P1,127.0.0.1:P2`, without a chroot.
    pub fn connect_string(&self) -> String {
        let hosts: Vec<_> = self.ports.iter().map(|p| format!("127.0.0.1:{p}")).collect();
        hosts.join(",")
    }

    /// Stops one server in the same way as a crash of its machine.
    pub async fn stop(&mut self, server: usize) -> Result<()> {
        match &mut self.servers[server] {
            Server::Container(container) => Ok(container.stop_with_timeout(Some(0)).await?),
            Server::Process { process, .. } => process.kill(),
        }
    }

    /// Starts a stopped container again, with its data and on its port.
    pub async fn restart(&mut self, server: usize) -> Result<()> {
        match &self.servers[server] {
            Server::Container(container) => container.start().await?,
            Server::Process { .. } => bail!("only containers can be started again"),
        }
        self.wait_until_serving(self.ports[server]).await
    }

    /// Waits until a server answers `srvr` with a mode. A server does this once it is part of a quorum.
    async fn wait_until_serving(&self, port: u16) -> Result<()> {
        wait_for(&format!("ZooKeeper on port {port}"), START, || async move {
            let answer = tokio::time::timeout(Duration::from_secs(1), four_letter_word(port, "srvr")).await;
            answer.ok()?.ok()?.contains("Mode:").then_some(())
        })
        .await
    }
}

impl Drop for ZooKeeper {
    /// A separate thread removes the containers. Their removal blocks its thread with the same mechanism by which this
    /// thread waits for the test's future. On this thread, the removal would therefore consume the wake-ups of futures
    /// that are joined with the test's future.
    fn drop(&mut self) {
        let servers = std::mem::take(&mut self.servers);
        if !servers
            .iter()
            .any(|server| matches!(server, Server::Container(_)))
        {
            return;
        }
        let runtime = Handle::current();
        let flavor = runtime.runtime_flavor();
        let removal = std::thread::spawn(move || {
            let _entered = runtime.enter();
            drop(servers);
        });
        let wait = || drop(removal.join());
        match flavor {
            RuntimeFlavor::MultiThread => tokio::task::block_in_place(wait),
            _ => wait(),
        }
    }
}

/// Asks a ZooKeeper server one of its four-letter words.
pub async fn four_letter_word(port: u16, word: &str) -> Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(word.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The image to use, or `None` if no container engine answers.
fn image() -> Option<String> {
    let name = std::env::var("BARNABAS_ZOOKEEPER_IMAGE").unwrap_or_else(|_| "barnabas-zookeeper:3.8".into());
    if name == "none" {
        return None;
    }
    let found = Command::new("docker")
        .args(["image", "inspect", &name])
        .output()
        .ok()?;
    found.status.success().then_some(name)
}

fn configuration(data: &str, client_port: u16, servers: &[String]) -> String {
    let mut text = format!(
        "tickTime=500\ninitLimit=20\nsyncLimit=10\ndataDir={data}\nclientPort={client_port}\n\
         maxClientCnxns=0\nmaxSessionTimeout=60000\nadmin.enableServer=false\n4lw.commands.whitelist=*\n"
    );
    if servers.len() > 1 {
        for (i, server) in servers.iter().enumerate() {
            text.push_str(&format!("server.{}={server}\n", i + 1));
        }
    }
    text
}

async fn start_container(image: &str, network: &str, size: usize, index: usize, port: u16) -> Result<Server> {
    let (name, tag) = image.split_once(':').unwrap_or((image, "latest"));
    let host = |i: usize| format!("{network}-zk{i}");
    let servers: Vec<_> = (0..size)
        // In its own list each server names itself by the wildcard address, because its address is not known before it
        // starts.
        .map(|i| {
            format!(
                "{}:2888:3888",
                if i == index { "0.0.0.0".into() } else { host(i) }
            )
        })
        .collect();
    // Debian and the official image store the same script in different places.
    let start = "for s in /usr/share/zookeeper/bin/zkServer.sh /apache-zookeeper-*/bin/zkServer.sh; do \
                 [ -x $s ] && exec $s start-foreground /conf/zoo.cfg; done";
    let mut request = GenericImage::new(name, tag)
        .with_cmd(["sh", "-c", start])
        .with_container_name(host(index))
        .with_mapped_port(port, CLIENT_PORT.into())
        .with_copy_to(
            "/conf/zoo.cfg",
            configuration("/zk", CLIENT_PORT, &servers).into_bytes(),
        )
        .with_copy_to("/zk/myid", format!("{}\n", index + 1).into_bytes())
        .with_env_var("ZOO_LOG4J_PROP", "WARN,CONSOLE")
        .with_host_config_modifier(|host| {
            // Published on loopback only.
            for bindings in host
                .port_bindings
                .iter_mut()
                .flatten()
                .filter_map(|(_, b)| b.as_mut())
            {
                bindings
                    .iter_mut()
                    .for_each(|b| b.host_ip = Some("127.0.0.1".into()));
            }
        });
    if size > 1 {
        request = request.with_network(network);
    }
    let container = request
        .start()
        .await
        .with_context(|| format!("cannot start a container of {image}"))?;
    Ok(Server::Container(Box::new(container)))
}

/// What a secured server has beside its configuration.
struct Secured {
    jaas: String,
    configuration: String,
}

/// Starts the server from Kafka's jars, or from the jars in `others`.
fn start_process(
    trios: &[[u16; 3]],
    index: usize,
    others: Option<&Path>,
    secured: Option<&Secured>,
) -> Result<Server> {
    let data = tempfile::tempdir()?;
    let servers: Vec<_> = trios
        .iter()
        .map(|[_, peer, election]| format!("127.0.0.1:{peer}:{election}"))
        .collect();
    let mut configuration = configuration(&data.path().display().to_string(), trios[index][0], &servers);
    let mut options = vec!["-Xmx128m".to_owned()];
    if let Some(secured) = secured {
        configuration += &secured.configuration;
        let jaas = data.path().join("jaas.conf");
        std::fs::write(&jaas, &secured.jaas)?;
        options.push(format!("-Djava.security.auth.login.config={}", jaas.display()));
    }
    let file = data.path().join("zoo.cfg");
    std::fs::write(&file, configuration + "clientPortAddress=127.0.0.1\n")?;
    std::fs::write(data.path().join("myid"), format!("{}\n", index + 1))?;
    // Java takes a class from the first folder that contains it. Both servers need the same other libraries.
    let folders = others.into_iter().map(Path::to_owned).chain([kafka_libs()]);
    let jars: Vec<_> = folders
        .map(|folder| folder.join("*").display().to_string())
        .collect();
    let process = Process::start(
        Command::new("java")
            .args(options)
            .arg("-cp")
            .arg(jars.join(":"))
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(&file),
        &data.path().join("output"),
    )?;
    Ok(Server::Process { process, _data: data })
}
