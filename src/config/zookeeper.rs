//! Owns the settings of the TLS connection to ZooKeeper. Kafka 3.9: `ZkConfigs`,
//! `KafkaConfig.zkClientConfigFromKafkaConfig`.
//!
//! A key that is not set is taken from the Java system property that ZooKeeper's client reads, as in Kafka.

use super::error::ConfigError;
use super::origin::Origin;
use super::properties::Properties;
use super::reader::Reader;
use super::security::Password;
use super::system_properties::SystemProperties;

/// The connection that ZooKeeper's client can encrypt; its other one cannot.
const NETTY_SOCKET: &str = "org.apache.zookeeper.ClientCnxnSocketNetty";
/// The connection that ZooKeeper's client uses if none is named.
const NIO_SOCKET: &str = "org.apache.zookeeper.ClientCnxnSocketNIO";

const CLIENT_ENABLE: &str = "zookeeper.ssl.client.enable";
const CLIENT_CNXN_SOCKET: &str = "zookeeper.clientCnxnSocket";
const KEYSTORE_LOCATION: &str = "zookeeper.ssl.keystore.location";
const ENDPOINT_IDENTIFICATION: &str = "zookeeper.ssl.endpoint.identification.algorithm";

/// The keys, each with its system property.
const SYSTEM_PROPERTIES: [(&str, &str); 14] = [
    (CLIENT_ENABLE, "zookeeper.client.secure"),
    (CLIENT_CNXN_SOCKET, "zookeeper.clientCnxnSocket"),
    (KEYSTORE_LOCATION, "zookeeper.ssl.keyStore.location"),
    (
        "zookeeper.ssl.keystore.password",
        "zookeeper.ssl.keyStore.password",
    ),
    ("zookeeper.ssl.keystore.type", "zookeeper.ssl.keyStore.type"),
    (
        "zookeeper.ssl.truststore.location",
        "zookeeper.ssl.trustStore.location",
    ),
    (
        "zookeeper.ssl.truststore.password",
        "zookeeper.ssl.trustStore.password",
    ),
    ("zookeeper.ssl.truststore.type", "zookeeper.ssl.trustStore.type"),
    ("zookeeper.ssl.protocol", "zookeeper.ssl.protocol"),
    (
        "zookeeper.ssl.enabled.protocols",
        "zookeeper.ssl.enabledProtocols",
    ),
    ("zookeeper.ssl.cipher.suites", "zookeeper.ssl.ciphersuites"),
    (ENDPOINT_IDENTIFICATION, "zookeeper.ssl.hostnameVerification"),
    ("zookeeper.ssl.crl.enable", "zookeeper.ssl.crl"),
    ("zookeeper.ssl.ocsp.enable", "zookeeper.ssl.ocsp"),
];

/// The keys `zookeeper.ssl.*` and `zookeeper.clientCnxnSocket`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "every field is the Kafka key of its name")]
pub struct ZooKeeperTlsConfig {
    pub client_enable: bool,
    pub client_cnxn_socket: Option<String>,
    pub keystore: StoreConfig,
    pub truststore: StoreConfig,
    /// Whether the certificate must name the server: `zookeeper.ssl.endpoint.identification.algorithm` is not empty.
    pub hostname_verification: bool,
}

/// A key or trust store.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "every field is the Kafka key of its name")]
pub struct StoreConfig {
    pub location: Option<String>,
    pub password: Option<Password>,
    /// `None` if the ending of the file's name tells it.
    pub store_type: Option<String>,
}

impl ZooKeeperTlsConfig {
    /// The keys of this configuration, for a file that may hold no others.
    pub fn keys() -> impl Iterator<Item = &'static str> {
        SYSTEM_PROPERTIES.iter().map(|(key, _)| *key)
    }

    /// Reads the keys, and system properties in place of missing ones.
    pub fn read(properties: &Properties, system: &SystemProperties) -> Result<Self, ConfigError> {
        let properties = with_system_properties(properties, system);
        let reader = Reader::new(&properties);
        let identification: String = reader.read(ENDPOINT_IDENTIFICATION)?;
        let config = Self {
            client_enable: reader.read(CLIENT_ENABLE)?,
            client_cnxn_socket: reader.read(CLIENT_CNXN_SOCKET)?,
            keystore: StoreConfig {
                location: reader.read(KEYSTORE_LOCATION)?,
                password: reader.read("zookeeper.ssl.keystore.password")?,
                store_type: reader.read("zookeeper.ssl.keystore.type")?,
            },
            truststore: StoreConfig {
                location: reader.read("zookeeper.ssl.truststore.location")?,
                password: reader.read("zookeeper.ssl.truststore.password")?,
                store_type: reader.read("zookeeper.ssl.truststore.type")?,
            },
            hostname_verification: identification.eq_ignore_ascii_case("HTTPS"),
        };
        if !identification.is_empty() && !config.hostname_verification {
            let reason = "value must be HTTPS or empty";
            return Err(reader.refuse(ENDPOINT_IDENTIFICATION, reason));
        }
        if config.client_enable
            && let Some(class) = &config.client_cnxn_socket
            && ![
                NETTY_SOCKET,
                NIO_SOCKET,
                "ClientCnxnSocketNetty",
                "ClientCnxnSocketNIO",
            ]
            .contains(&class.as_str())
        {
            return Err(reader.refuse(CLIENT_CNXN_SOCKET, format!("Couldn't instantiate {class}")));
        }
        Ok(config)
    }

    /// Whether connections are encrypted. ZooKeeper's client needs both settings; with one it connects in plain text.
    pub fn is_encrypted(&self) -> bool {
        let socket = self.client_cnxn_socket.as_deref();
        self.client_enable && socket.is_some_and(|class| class.ends_with("ClientCnxnSocketNetty"))
    }

    /// Whether the client proves its identity by a certificate, as far as the settings tell. Kafka 3.9:
    /// `KafkaConfig.zkTlsClientAuthEnabled`.
    pub fn has_client_authentication(&self) -> bool {
        self.client_enable && self.client_cnxn_socket.is_some() && self.keystore.location.is_some()
    }
}

fn with_system_properties(properties: &Properties, system: &SystemProperties) -> Properties {
    let mut properties = properties.clone();
    for (key, name) in SYSTEM_PROPERTIES {
        let (None, Some(value)) = (properties.get(key), system.get(name)) else {
            continue;
        };
        let value = match key {
            ENDPOINT_IDENTIFICATION if value.eq_ignore_ascii_case("true") => "HTTPS",
            ENDPOINT_IDENTIFICATION => "",
            _ => value,
        };
        properties.insert(key.to_owned(), value.to_owned(), Origin::SystemProperty);
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)], system: &str) -> Result<ZooKeeperTlsConfig, ConfigError> {
        let mut properties = Properties::default();
        for (key, value) in pairs {
            properties.override_with(&format!("{key}={value}")).unwrap();
        }
        ZooKeeperTlsConfig::read(&properties, &SystemProperties::parse(system))
    }

    #[test]
    fn both_settings_are_needed_for_an_encrypted_connection() {
        assert!(!read(&[], "").unwrap().is_encrypted());
        assert!(!read(&[(CLIENT_ENABLE, "true")], "").unwrap().is_encrypted());
        assert!(
            !read(&[(CLIENT_CNXN_SOCKET, NETTY_SOCKET)], "")
                .unwrap()
                .is_encrypted()
        );
        let both = [(CLIENT_ENABLE, "true"), (CLIENT_CNXN_SOCKET, NETTY_SOCKET)];
        let config = read(&both, "").unwrap();
        assert!(config.is_encrypted());
        assert!(!config.has_client_authentication());
        assert!(config.hostname_verification);
        let stores = [both[0], both[1], (KEYSTORE_LOCATION, "/k.p12")];
        assert!(read(&stores, "").unwrap().has_client_authentication());
        let nio = [(CLIENT_ENABLE, "true"), (CLIENT_CNXN_SOCKET, NIO_SOCKET)];
        assert!(!read(&nio, "").unwrap().is_encrypted());
        let unknown = [(CLIENT_ENABLE, "true"), (CLIENT_CNXN_SOCKET, "org.acme.Socket")];
        assert!(
            read(&unknown, "")
                .unwrap_err()
                .to_string()
                .ends_with("Couldn't instantiate org.acme.Socket")
        );
    }

    #[test]
    fn system_properties_replace_missing_keys() {
        let system = format!(
            "-Dzookeeper.client.secure=true -Dzookeeper.clientCnxnSocket={NETTY_SOCKET} \
             -Dzookeeper.ssl.keyStore.location=/k -Dzookeeper.ssl.keyStore.password=secret \
             -Dzookeeper.ssl.hostnameVerification=false -Dzookeeper.ssl.trustStore.type=PEM"
        );
        let config = read(&[(KEYSTORE_LOCATION, "/mine")], &system).unwrap();
        assert!(config.is_encrypted() && !config.hostname_verification);
        assert_eq!(config.keystore.location.as_deref(), Some("/mine"));
        assert_eq!(config.keystore.password, Some(Password::new("secret")));
        assert_eq!(config.truststore.store_type.as_deref(), Some("PEM"));
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn an_endpoint_is_identified_by_https_or_not_at_all() {
        let of = |value| read(&[(ENDPOINT_IDENTIFICATION, value)], "");
        assert!(of("https").unwrap().hostname_verification);
        assert!(!of("").unwrap().hostname_verification);
        assert!(of("LDAPS").is_err());
    }
}
