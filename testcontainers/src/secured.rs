//! Starts clusters whose brokers have secured listeners beside a plain one. The plain listener is the one that the
//! tests themselves use; the brokers talk to each other on it unless a test says otherwise.

use anyhow::Result;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::certificates::{Certificates, PASSWORD, Signed};
use crate::cluster::CHROOT;
use crate::tools::zk_cli;
use crate::{ZooKeeper, free_port, tools};

/// The SCRAM users and PLAIN users, with their passwords.
pub const USERS: [(&str, &str); 3] = [
    ("alice", "alice-secret"),
    ("bob", "bob-secret"),
    ("broker", "broker-secret"),
];

/// The mechanisms of the SASL listeners.
pub const MECHANISMS: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

/// The ports of the secured listeners of one broker.
#[derive(Clone, Copy, Debug)]
pub struct SecuredPorts {
    /// `SASL_PLAINTEXT`, listener SASLP.
    pub sasl_plaintext: u16,
    /// `SASL_SSL`, listener CLIENT.
    pub sasl_ssl: u16,
    /// `SSL`, listener TLS, which wants a certificate.
    pub ssl: u16,
}

impl SecuredPorts {
    /// Free ports.
    pub fn free() -> Self {
        Self {
            sasl_plaintext: free_port(),
            sasl_ssl: free_port(),
            ssl: free_port(),
        }
    }

    /// The port of the listener with this protocol.
    pub fn of(&self, protocol: &str) -> u16 {
        match protocol {
            "SASL_PLAINTEXT" => self.sasl_plaintext,
            "SASL_SSL" => self.sasl_ssl,
            "SSL" => self.ssl,
            other => panic!("no listener has {other}"),
        }
    }
}

/// The JAAS text of a listener's mechanism.
pub fn jaas(mechanism: &str) -> String {
    let security = "org.apache.kafka.common.security";
    match mechanism {
        "PLAIN" => {
            let users = USERS.map(|(name, password)| format!(r#"user_{name}="{password}""#));
            let own = r#"username="broker" password="broker-secret""#;
            format!(
                "{security}.plain.PlainLoginModule required {own} {};",
                users.join(" ")
            )
        }
        "OAUTHBEARER" => format!(
            r#"{security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";"#
        ),
        _ => format!(
            r#"{security}.scram.ScramLoginModule required username="broker" password="broker-secret";"#
        ),
    }
}

/// Adds the three secured listeners to a broker.
pub fn secure(
    mut broker: Broker,
    ports: SecuredPorts,
    certificates: &Certificates,
    identity: &Signed,
) -> Broker {
    let listeners = format!(
        "PLAINTEXT://127.0.0.1:{},SASLP://127.0.0.1:{},CLIENT://127.0.0.1:{},TLS://127.0.0.1:{}",
        broker.port, ports.sasl_plaintext, ports.sasl_ssl, ports.ssl
    );
    broker.set("listeners", listeners);
    broker.set(
        "listener.security.protocol.map",
        "PLAINTEXT:PLAINTEXT,SASLP:SASL_PLAINTEXT,CLIENT:SASL_SSL,TLS:SSL",
    );
    broker.set("sasl.enabled.mechanisms", MECHANISMS.join(","));
    for listener in ["saslp", "client"] {
        for mechanism in MECHANISMS {
            let key = format!(
                "listener.name.{listener}.{}.sasl.jaas.config",
                mechanism.to_lowercase()
            );
            broker.set(&key, jaas(mechanism));
        }
    }
    broker.set("ssl.keystore.type", "PKCS12");
    broker.set("ssl.keystore.location", identity.pkcs12.display());
    broker.set("ssl.keystore.password", PASSWORD);
    broker.set("ssl.truststore.location", certificates.trust_store().display());
    broker.set("ssl.truststore.password", PASSWORD);
    broker.set("listener.name.tls.ssl.client.auth", "required");
    broker
}

/// Creates the SCRAM users with Kafka's tool.
pub async fn create_scram_users(bootstrap: &str) -> Result<()> {
    for (name, password) in USERS {
        let config = format!(
            "SCRAM-SHA-256=[iterations=8192,password={password}],SCRAM-SHA-512=[password={password}]"
        );
        let arguments = [
            "--bootstrap-server",
            bootstrap,
            "--alter",
            "--add-config",
            &config,
            "--entity-type",
            "users",
            "--entity-name",
            name,
        ];
        tools::kafka_tool("kafka.admin.ConfigCommand", &arguments)
            .await?
            .ok()?;
    }
    Ok(())
}

/// Creates the chroot of the test clusters, and the SCRAM users with Kafka's tool for a cluster without brokers.
pub async fn create_scram_users_in_zookeeper(zookeeper: &ZooKeeper) -> Result<()> {
    zk_cli(&zookeeper.connect_string(), &["create", CHROOT, ""])
        .await?
        .ok()?;
    let connect = format!("{}{CHROOT}", zookeeper.connect_string());
    for (name, password) in USERS {
        let config = format!(
            "SCRAM-SHA-256=[iterations=8192,password={password}],SCRAM-SHA-512=[password={password}]"
        );
        let arguments = [
            "--zookeeper",
            &connect,
            "--alter",
            "--add-config",
            &config,
            "--entity-type",
            "users",
            "--entity-name",
            name,
        ];
        tools::kafka_tool("kafka.admin.ConfigCommand", &arguments)
            .await?
            .ok()?;
    }
    Ok(())
}

/// A cell of the matrix for the programs of `clients/`. `identity` is the client's certificate.
pub fn cell(
    name: &str,
    ports: SecuredPorts,
    protocol: &str,
    mechanism: Option<&str>,
    user: (&str, &str),
    certificates: &Certificates,
    identity: Option<&Signed>,
) -> Value {
    let mut cell = json!({
        "name": name,
        "bootstrap": format!("127.0.0.1:{}", ports.of(protocol)),
        "protocol": protocol,
        "ca": certificates.authority(),
    });
    if let Some(mechanism) = mechanism {
        cell["mechanism"] = mechanism.into();
        cell["username"] = user.0.into();
        cell["password"] = user.1.into();
    }
    if let Some(identity) = identity {
        cell["certificate"] = json!(identity.certificate);
        cell["key"] = json!(identity.key);
        cell["bundle"] = json!(identity.bundle);
    }
    cell
}
