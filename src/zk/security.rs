//! Owns how this process proves its identity to ZooKeeper, and whether it restricts what it creates there. Kafka 3.9:
//! `JaasUtils.isZkSaslEnabled`, `KafkaServer.initZkClient`; ZooKeeper: `ZooKeeperSaslClient`.
//!
//! SASL is wanted when the JAAS file has the section `Client`, TLS when two settings say so. Both may be used at once.

use std::fmt;

use tracing::{error, warn};
use zookeeper_client::{SaslOptions, TlsOptions};

use super::store::ZkError;
use crate::config::zookeeper::ZooKeeperTlsConfig;
use crate::config::{BrokerConfig, Properties, SystemProperties};
use crate::security::jaas::{JaasFile, LOGIN_CONFIG_PROPERTY, LoginModule};

mod tls;

const SASL_CLIENT: &str = "zookeeper.sasl.client";
const SASL_CLIENT_CONFIG: &str = "zookeeper.sasl.clientconfig";
const DEFAULT_SECTION: &str = "Client";

const DIGEST_LOGIN_MODULE: &str = "org.apache.zookeeper.server.auth.DigestLoginModule";
const KERBEROS_LOGIN_MODULE: &str = "com.sun.security.auth.module.Krb5LoginModule";

/// The identity of a client of ZooKeeper. The default has none.
#[derive(Clone, Default)]
pub struct ZkSecurity {
    /// Used after every connect, also of a new session.
    pub(super) sasl: Option<SaslOptions>,
    pub(super) tls: Option<TlsOptions>,
    /// `zookeeper.set.acl`: whether what is created belongs to this identity.
    pub set_acl: bool,
    /// Whether a certificate of this client's own is among the TLS options.
    has_certificate: bool,
}

/// Shows no secrets.
impl fmt::Debug for ZkSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZkSecurity")
            .field("sasl", &self.sasl.is_some())
            .field("tls", &self.tls.is_some())
            .field("set_acl", &self.set_acl)
            .finish()
    }
}

impl ZkSecurity {
    /// The identity of a broker. Fails where Kafka refuses to start.
    pub fn from_config(config: &BrokerConfig) -> Result<Self, ZkError> {
        Self::new(
            &config.originals,
            &config.system_properties,
            config.zookeeper_set_acl,
        )
    }

    /// The identity that the keys `zookeeper.ssl.*` and the system properties describe.
    pub fn new(properties: &Properties, system: &SystemProperties, set_acl: bool) -> Result<Self, ZkError> {
        let tls = ZooKeeperTlsConfig::read(properties, system)
            .map_err(|error| ZkError::Security(error.to_string()))?;
        let login = login_modules(system)?;
        if set_acl && login.is_none() && !tls.has_client_authentication() {
            return Err(ZkError::Security(format!(
                "zookeeper.set.acl is true, but ZooKeeper client TLS configuration identifying at least \
                 zookeeper.ssl.client.enable, zookeeper.clientCnxnSocket, and zookeeper.ssl.keystore.location was not \
                 present and the verification of the JAAS login file failed {}",
                settings(system)
            )));
        }
        if tls.client_enable && !tls.is_encrypted() {
            warn!(
                "zookeeper.ssl.client.enable has no effect without \
                 zookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty"
            );
        }
        let sasl = login.map(|modules| sasl_options(&modules, system)).transpose()?;
        let has_certificate = tls.has_client_authentication();
        let tls = tls
            .is_encrypted()
            .then(|| tls::options(&tls).map_err(ZkError::Security))
            .transpose()?;
        Ok(Self {
            sasl,
            tls,
            set_acl,
            has_certificate,
        })
    }

    /// Whether there is an identity that can own znodes, as far as the settings tell.
    pub fn has_identity(&self) -> bool {
        self.sasl.is_some() || self.has_certificate
    }
}

/// The settings that decide about SASL, as Kafka's messages list them.
fn settings(system: &SystemProperties) -> String {
    format!(
        "[{LOGIN_CONFIG_PROPERTY}={}, {SASL_CLIENT}={}, {SASL_CLIENT_CONFIG}={}]",
        system.get(LOGIN_CONFIG_PROPERTY).unwrap_or("null"),
        system.get(SASL_CLIENT).unwrap_or("default:true"),
        system.get(SASL_CLIENT_CONFIG).unwrap_or("default:Client"),
    )
}

/// The section of the JAAS file for ZooKeeper, if there is one.
fn login_modules(system: &SystemProperties) -> Result<Option<Vec<LoginModule>>, ZkError> {
    let file = JaasFile::configured(system).map_err(|error| {
        ZkError::Security(format!(
            "Exception while loading Zookeeper JAAS login context {}: {error}",
            settings(system)
        ))
    })?;
    let section = system.get(SASL_CLIENT_CONFIG).unwrap_or(DEFAULT_SECTION);
    let Some(modules) = file.and_then(|file| file.section(section)) else {
        return Ok(None);
    };
    let enabled = system.get(SASL_CLIENT).unwrap_or("true");
    if !enabled.eq_ignore_ascii_case("true") {
        error!(
            "JAAS configuration is present, but system property {SASL_CLIENT} is set to false, which disables SASL in \
             the ZooKeeper client"
        );
        return Err(ZkError::Security(format!(
            "Exception while determining if ZooKeeper is secure {}",
            settings(system)
        )));
    }
    Ok(Some(modules))
}

/// The mechanism that the section's login module stands for.
fn sasl_options(modules: &[LoginModule], system: &SystemProperties) -> Result<SaslOptions, ZkError> {
    let refuse = |reason: String| {
        Err(ZkError::Security(format!(
            "SASL to ZooKeeper: {reason} {}",
            settings(system)
        )))
    };
    let Some(module) = modules.first() else {
        return refuse("the section of the JAAS file has no login module".to_owned());
    };
    match module.class.as_str() {
        DIGEST_LOGIN_MODULE => match (module.option("username"), module.option("password")) {
            (Some(username), Some(password)) => {
                Ok(SaslOptions::digest_md5(username.to_owned(), password.to_owned()).into())
            }
            _ => refuse("DigestLoginModule needs the options username and password".to_owned()),
        },
        KERBEROS_LOGIN_MODULE => kerberos(module, system),
        class => refuse(format!("the login module {class} is not available")),
    }
}

/// The crate cannot be given keys. The system's library takes them from the place that the environment names.
#[cfg(feature = "gssapi")]
fn kerberos(module: &LoginModule, system: &SystemProperties) -> Result<SaslOptions, ZkError> {
    if let Some(file) = module.option("keyTab")
        && std::env::var_os("KRB5_CLIENT_KTNAME").is_none()
    {
        warn!(
            file,
            "the key table for ZooKeeper must also be named by the variable KRB5_CLIENT_KTNAME"
        );
    }
    let server = system
        .get("zookeeper.sasl.client.username")
        .unwrap_or("zookeeper");
    Ok(SaslOptions::gssapi().with_username(server.to_owned()).into())
}

#[cfg(not(feature = "gssapi"))]
fn kerberos(_: &LoginModule, system: &SystemProperties) -> Result<SaslOptions, ZkError> {
    Err(ZkError::Security(format!(
        "SASL to ZooKeeper: this program is built without Kerberos (feature gssapi) {}",
        settings(system)
    )))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const DIGEST: &str = r#"Client { org.apache.zookeeper.server.auth.DigestLoginModule required
        username="kafka" password="kafka-zk"; };
        Other { org.acme.LoginModule required; };
        Half { org.apache.zookeeper.server.auth.DigestLoginModule required username="kafka"; };"#;

    fn security(jaas: Option<&str>, more: &str, set_acl: bool) -> Result<ZkSecurity, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut system = SystemProperties::parse(more);
        if let Some(jaas) = jaas {
            file.write_all(jaas.as_bytes()).unwrap();
            system.define(&format!("{LOGIN_CONFIG_PROPERTY}={}", file.path().display()));
        }
        let path = file.path().display().to_string();
        ZkSecurity::new(&Properties::default(), &system, set_acl)
            .map_err(|error| error.to_string().replace(&path, "FILE"))
    }

    #[test]
    fn the_section_of_the_jaas_file_decides_about_sasl() {
        assert!(security(None, "", false).unwrap().sasl.is_none());
        assert!(
            security(Some("KafkaServer { };"), "", false)
                .unwrap()
                .sasl
                .is_none()
        );
        let secured = security(Some(DIGEST), "", true).unwrap();
        assert!(secured.sasl.is_some() && secured.set_acl && secured.tls.is_none());
        assert_eq!(
            format!("{secured:?}"),
            "ZkSecurity { sasl: true, tls: false, set_acl: true }"
        );
        let elsewhere = "-Dzookeeper.sasl.clientconfig=None";
        assert!(security(Some(DIGEST), elsewhere, false).unwrap().sasl.is_none());
        assert!(
            security(None, "-Dzookeeper.sasl.client=false", false)
                .unwrap()
                .sasl
                .is_none()
        );
    }

    #[test]
    fn what_kafka_refuses_at_start_is_refused_with_its_text() {
        let jaas = |text| Some(text);
        for (jaas, more, set_acl, text) in [
            (
                None,
                "",
                true,
                "zookeeper.set.acl is true, but ZooKeeper client TLS configuration identifying at least \
                 zookeeper.ssl.client.enable, zookeeper.clientCnxnSocket, and zookeeper.ssl.keystore.location was not \
                 present and the verification of the JAAS login file failed [java.security.auth.login.config=null, \
                 zookeeper.sasl.client=default:true, zookeeper.sasl.clientconfig=default:Client]",
            ),
            (
                jaas(DIGEST),
                "-Dzookeeper.sasl.client=false",
                false,
                "Exception while determining if ZooKeeper is secure [java.security.auth.login.config=FILE, \
                 zookeeper.sasl.client=false, zookeeper.sasl.clientconfig=default:Client]",
            ),
            (
                None,
                "-Djava.security.auth.login.config=/no/such/file",
                false,
                "Exception while loading Zookeeper JAAS login context \
                 [java.security.auth.login.config=/no/such/file, zookeeper.sasl.client=default:true, \
                 zookeeper.sasl.clientconfig=default:Client]: /no/such/file (No such file or directory)",
            ),
            (
                jaas(DIGEST),
                "-Dzookeeper.sasl.clientconfig=Other",
                false,
                "SASL to ZooKeeper: the login module org.acme.LoginModule is not available \
                 [java.security.auth.login.config=FILE, zookeeper.sasl.client=default:true, \
                 zookeeper.sasl.clientconfig=Other]",
            ),
            (
                jaas(DIGEST),
                "-Dzookeeper.sasl.clientconfig=Half",
                false,
                "SASL to ZooKeeper: DigestLoginModule needs the options username and password \
                 [java.security.auth.login.config=FILE, zookeeper.sasl.client=default:true, \
                 zookeeper.sasl.clientconfig=Half]",
            ),
        ] {
            assert_eq!(security(jaas, more, set_acl).unwrap_err(), text);
        }
    }
}
