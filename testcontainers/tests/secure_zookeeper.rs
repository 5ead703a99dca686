//! Tests brokers on a ZooKeeper that wants to know who they are: SASL and TLS, the access control lists of all znodes
//! against those that Apache Kafka sets, refusals, and the change of an old cluster's lists.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use barnabas_testcontainers::broker::binary;
use barnabas_testcontainers::certificates::{Certificates, PASSWORD, Signed};
use barnabas_testcontainers::tools::{CONFIG_COMMAND, TOPIC_COMMAND, ToolOutput, java, kafka_tool, run};
use barnabas_testcontainers::wait::wait_for;
use barnabas_testcontainers::zookeeper::ZooKeeper;
use barnabas_testcontainers::{Broker, Kind};
use zookeeper_client::{Acl, Client, Permission, SaslOptions, TlsOptions};

const LIMIT: Duration = Duration::from_secs(60);
const LOGIN_CONFIG: &str = "java.security.auth.login.config";
const NETTY: &str = "org.apache.zookeeper.ClientCnxnSocketNetty";
/// Apache Kafka creates it at its start, barnabas with the first producer id.
const PRODUCER_IDS: &str = "/latest_producer_id_block";

/// A secured ZooKeeper and what its clients need.
struct World {
    folder: tempfile::TempDir,
    certificates: Certificates,
    identity: Signed,
    zookeeper: ZooKeeper,
}

/// How a broker proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Sasl,
    Tls,
}

impl World {
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificates = Certificates::new(&folder.path().join("certificates"))?;
        let names = "DNS:localhost,IP:127.0.0.1";
        let server = certificates.sign("zookeeper", "/CN=zookeeper/O=Barnabas", names)?;
        let identity = certificates.sign("broker1", "/CN=broker1/OU=Brokers/O=Barnabas", names)?;
        let zookeeper = ZooKeeper::secured(&certificates, &server).await?;
        Ok(Self {
            folder,
            certificates,
            identity,
            zookeeper,
        })
    }

    /// A JAAS file with a section Client.
    fn jaas(&self, password: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(format!("{password}.jaas"));
        let module = "org.apache.zookeeper.server.auth.DigestLoginModule";
        let text = format!(r#"Client {{ {module} required username="kafka" password="{password}"; }};"#);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    fn connect(&self, proof: Proof, chroot: &str) -> String {
        let port = match proof {
            Proof::Sasl => self.zookeeper.port(),
            Proof::Tls => self.zookeeper.secure_port(),
        };
        format!("127.0.0.1:{port}/{chroot}")
    }

    /// The settings of a client with a certificate.
    fn tls_settings(&self) -> [(&'static str, String); 6] {
        [
            ("zookeeper.ssl.client.enable", "true".to_owned()),
            ("zookeeper.clientCnxnSocket", NETTY.to_owned()),
            (
                "zookeeper.ssl.keystore.location",
                self.identity.pkcs12.display().to_string(),
            ),
            ("zookeeper.ssl.keystore.password", PASSWORD.to_owned()),
            (
                "zookeeper.ssl.truststore.location",
                self.certificates.trust_store().display().to_string(),
            ),
            ("zookeeper.ssl.truststore.password", PASSWORD.to_owned()),
        ]
    }

    /// A broker on a chroot of its own.
    fn broker(&self, kind: Kind, proof: Proof, chroot: &str) -> Result<Broker> {
        let connect = self.connect(proof, chroot);
        let mut broker = Broker::new(kind, 0, &connect, &self.folder.path().join(chroot))
            .with("offsets.topic.replication.factor", 1)
            .with("zookeeper.connection.timeout.ms", 10_000)
            .with("zookeeper.set.acl", true);
        match proof {
            Proof::Sasl => {
                let jaas = self.jaas("kafka-zk")?;
                Ok(broker.with_system_property(LOGIN_CONFIG, jaas.display()))
            }
            Proof::Tls => {
                for (key, value) in self.tls_settings() {
                    broker.set(key, value);
                }
                Ok(broker)
            }
        }
    }

    /// The list of every znode below a chroot, the chroot's own included.
    async fn acls(&self, proof: Proof, chroot: &str) -> Result<BTreeMap<String, String>> {
        let connector = Client::connector();
        let connect = self.connect(proof, chroot);
        let client = match proof {
            Proof::Sasl => {
                let sasl = SaslOptions::digest_md5("kafka", "kafka-zk");
                connector.with_sasl(sasl).connect(&connect).await?
            }
            Proof::Tls => {
                // The crate takes the process' provider; this build has two.
                let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
                let read = |path: &Path| std::fs::read_to_string(path);
                let tls = TlsOptions::new()
                    .with_pem_ca(&read(&self.certificates.authority())?)?
                    .with_pem_identity(&read(&self.identity.certificate)?, &read(&self.identity.key)?)?;
                connector.with_tls(tls).secure_connect(&connect).await?
            }
        };
        let mut found = BTreeMap::new();
        let mut open = vec!["/".to_owned()];
        while let Some(path) = open.pop() {
            let entries = client.get_acl(&path).await.with_context(|| path.clone())?.0;
            for child in client.list_children(&path).await? {
                open.push(format!("{}/{child}", path.trim_end_matches('/')));
            }
            let entries: Vec<_> = entries.iter().map(shown).collect();
            found.insert(path, entries.join(" "));
        }
        Ok(found)
    }

    /// Runs `barnabas zk`.
    async fn zk(&self, arguments: &[&str]) -> Result<ToolOutput> {
        let mut command = Command::new(binary());
        command.arg("zk").args(arguments);
        run(command, "", LIMIT).await
    }
}

fn shown(entry: &Acl) -> String {
    let bits = [
        (Permission::READ, 'r'),
        (Permission::WRITE, 'w'),
        (Permission::CREATE, 'c'),
        (Permission::DELETE, 'd'),
        (Permission::ADMIN, 'a'),
    ];
    let bits = bits.iter().filter(|(bit, _)| entry.permission().has(*bit));
    let letters: String = bits.map(|(_, letter)| letter).collect();
    format!("{}:{}={letters}", entry.scheme(), entry.id())
}

/// Makes a broker create znodes of all kinds.
async fn work(broker: &Broker) -> Result<()> {
    let address = broker.address();
    let topic = [
        "--bootstrap-server",
        &address,
        "--create",
        "--topic",
        "t",
        "--partitions",
        "2",
    ];
    kafka_tool(TOPIC_COMMAND, &topic).await?.ok()?;
    for (kind, name, setting) in [
        ("topics", "t", "retention.ms=1000000"),
        ("brokers", "0", "log.cleaner.threads=2"),
        ("users", "alice", "SCRAM-SHA-256=[password=alice-secret]"),
    ] {
        let arguments = [
            "--bootstrap-server",
            &address,
            "--alter",
            "--entity-type",
            kind,
            "--entity-name",
            name,
            "--add-config",
            setting,
        ];
        kafka_tool(CONFIG_COMMAND, &arguments).await?.ok()?;
    }
    Ok(())
}

async fn lists_are_equal(proof: Proof) -> Result<()> {
    let world = World::new().await?;
    let mut lists = Vec::new();
    for (kind, chroot) in [(Kind::Barnabas, "ours"), (Kind::ApacheKafka, "kafkas")] {
        let mut broker = world.broker(kind, proof, chroot)?;
        broker.start().await?;
        work(&broker).await?;
        let mut acls = world.acls(proof, chroot).await?;
        acls.remove(PRODUCER_IDS);
        lists.push(acls);
        broker.stop().await?;
    }
    let owner = match proof {
        Proof::Sasl => "sasl:kafka=rwcda",
        Proof::Tls => "x509:O=Barnabas,OU=Brokers,CN=broker1=rwcda",
    };
    let [ours, kafkas] = &lists[..] else {
        unreachable!("two kinds");
    };
    ensure!(ours == kafkas, "ours: {ours:#?}\nKafka's: {kafkas:#?}");
    let readable = format!("{owner} world:anyone=r");
    for (path, expected) in [
        ("/", readable.as_str()),
        ("/consumers", "world:anyone=rwcda"),
        ("/brokers/ids/0", &readable),
        ("/controller", &readable),
        ("/brokers/topics/t/partitions/1/state", &readable),
        ("/config/topics/t", &readable),
        ("/config/changes/config_change_0000000000", &readable),
        ("/config/brokers/0", owner),
        ("/config/users/alice", owner),
    ] {
        ensure!(
            ours.get(path).map(String::as_str) == Some(expected),
            "{path}: {ours:#?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_sasl_every_znode_has_the_list_that_kafka_gives_it() -> Result<()> {
    lists_are_equal(Proof::Sasl).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_every_znode_has_the_list_that_kafka_gives_it() -> Result<()> {
    lists_are_equal(Proof::Tls).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_cannot_prove_who_it_is_does_not_start() -> Result<()> {
    let world = World::new().await?;
    let kind = Kind::under_test();
    let wrong = world.jaas("wrong")?;
    let good = world.jaas("kafka-zk")?;
    let fresh = |proof, chroot: &str| {
        let connect = world.connect(proof, chroot);
        Broker::new(kind, 0, &connect, &world.folder.path().join(chroot))
            .with("zookeeper.connection.timeout.ms", 3000)
    };
    let with_jaas = |broker: Broker, path: &Path| broker.with_system_property(LOGIN_CONFIG, path.display());
    for (broker, text) in [
        (
            with_jaas(fresh(Proof::Sasl, "a"), &wrong),
            "KeeperErrorCode = AuthFailed for /a",
        ),
        (
            with_jaas(fresh(Proof::Sasl, "b"), &good).with_system_property("zookeeper.sasl.client", false),
            "Exception while determining if ZooKeeper is secure [",
        ),
        (
            fresh(Proof::Sasl, "c").with("zookeeper.set.acl", true),
            "present and the verification of the JAAS login file failed [java.security.auth.login.config=null, \
             zookeeper.sasl.client=default:true, zookeeper.sasl.clientconfig=default:Client]",
        ),
        // A client in plain text on the port for TLS.
        (fresh(Proof::Tls, "d"), ""),
    ] {
        let mut broker = broker;
        broker.spawn()?;
        let status = broker.process().wait(LIMIT).await?;
        let output = broker.output();
        ensure!(status.code() == Some(1), "exited with {status}:\n{output}");
        ensure!(
            output.contains(text) && !output.contains("kafka-zk\""),
            "{text}: {output}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_session_proves_the_identity_again() -> Result<()> {
    let world = World::new().await?;
    for (proof, chroot) in [(Proof::Sasl, "a"), (Proof::Tls, "b")] {
        let secured = world.broker(Kind::Barnabas, proof, chroot)?;
        let mut broker = secured.with("zookeeper.session.timeout.ms", 2000);
        broker.start().await?;
        let registration = || async {
            let mut acls = world.acls(proof, chroot).await.ok()?;
            Some(acls.remove("/brokers/ids/0"))
        };
        let before = registration()
            .await
            .flatten()
            .context("the broker is registered")?;
        broker.freeze()?;
        wait_for("the end of the session", LIMIT, || async {
            registration().await?.is_none().then_some(())
        })
        .await?;
        broker.thaw()?;
        let after = wait_for("a new session", LIMIT, || async { registration().await? }).await?;
        ensure!(before == after, "{before}, {after}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_cluster_gets_the_lists_of_a_secured_one() -> Result<()> {
    let world = World::new().await?;
    let jaas = world.jaas("kafka-zk")?;
    let property = format!("{LOGIN_CONFIG}={}", jaas.display());
    let secured = world.broker(Kind::Barnabas, Proof::Sasl, "migrated")?;
    let mut broker = secured.with("zookeeper.set.acl", false);
    broker.start().await?;
    work(&broker).await?;
    broker.stop().await?;
    let connect = world.connect(Proof::Sasl, "migrated");
    let before = world.acls(Proof::Sasl, "migrated").await?;
    ensure!(
        before.values().all(|list| list == "world:anyone=rwcda"),
        "{before:#?}"
    );
    let migrate = |acl| {
        [
            "migrate-acls",
            "--zookeeper.acl",
            acl,
            "--zookeeper.connect",
            &connect,
        ]
    };
    let nobody = world.zk(&migrate("secure")).await?;
    ensure!(
        nobody
            .stderr
            .contains("No JAAS configuration file has been specified"),
        "{}",
        nobody.stderr
    );
    let as_kafka = [&migrate("secure")[..], &["-D", &property]].concat();
    world.zk(&as_kafka).await?.ok()?;
    let ours = world.acls(Proof::Sasl, "migrated").await?;
    // Kafka's own tool finds nothing left to change. It also creates the paths that are missing.
    let mut command = java("kafka.admin.ZkSecurityMigrator", "128m", "WARN");
    command.args(["--zookeeper.acl", "secure", "--zookeeper.connect", &connect]);
    command.env("JDK_JAVA_OPTIONS", format!("-D{property}"));
    run(command, "", LIMIT).await?.ok()?;
    let kafkas = world.acls(Proof::Sasl, "migrated").await?;
    for (path, list) in &ours {
        ensure!(
            kafkas.get(path) == Some(list),
            "{path}: {list}, {:?}",
            kafkas.get(path)
        );
    }
    let anonymous = world.zk(&["dump", "--zookeeper", &connect]).await?;
    ensure!(
        anonymous.stderr.contains("not authorized: /config/"),
        "{}",
        anonymous.stderr
    );
    let dump = world
        .zk(&["dump", "--zookeeper", &connect, "-D", &property])
        .await?
        .ok()?;
    ensure!(dump.contains("/config/users/alice"), "{dump}");
    Ok(())
}
