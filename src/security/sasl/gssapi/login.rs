//! Owns what a listener needs of Kerberos: the broker's own principal with its keys, the service's name and the rules
//! for the names of users. Kafka 3.9: `KerberosLogin`; Java: `Krb5LoginModule`.

use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::Arc;

use libgssapi::credential::Cred;
use libgssapi::error::Error;
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_USER_NAME};

use super::KRB5_LOGIN_MODULE;
use super::client::GssapiClient;
use super::credential::{Store, Use, acquire};
use super::server::GssapiServer;
use crate::common::blocking;
use crate::config::SystemProperties;
use crate::config::security::SaslConfig;
use crate::security::jaas::{JaasContext, LoginModule};
use crate::security::sasl::error::{SaslError, SaslSetupError};
use crate::security::sasl::kerberos_name::KerberosShortNamer;

/// The login of one listener. Cheap to clone.
#[derive(Clone)]
pub struct KerberosLogin(Arc<Login>);

struct Login {
    keys: Keys,
    acceptor: Cred,
    service_name: String,
    namer: KerberosShortNamer,
}

impl fmt::Debug for KerberosLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KerberosLogin")
            .field("principal", &self.0.keys.principal)
            .field("service_name", &self.0.service_name)
            .finish_non_exhaustive()
    }
}

impl KerberosLogin {
    /// Logs in: finds the keys and, unless the broker only accepts, gets a ticket. Fails where Kafka does not start.
    pub async fn new(
        config: &SaslConfig,
        context: &JaasContext,
        properties: &SystemProperties,
    ) -> Result<Self, SaslSetupError> {
        let module = context.module(KRB5_LOGIN_MODULE).ok_or_else(|| {
            SaslSetupError::new(format!("GSSAPI needs the login module {KRB5_LOGIN_MODULE}"))
        })?;
        check_properties(properties)?;
        let service_name = service_name(config, context)?;
        let keys = Keys::of(module)?;
        let is_initiator = module.option("isInitiator") != Some("false");
        let login = {
            let keys = keys.clone();
            blocking::spawn(move || {
                let acceptor = keys.acceptor()?;
                if is_initiator {
                    // The library gets the ticket when it is asked for the lifetime.
                    keys.initiator()?.lifetime()?;
                }
                Ok::<_, Error>((acceptor, default_realm()))
            })
        };
        let failed = |reason: &dyn fmt::Display| {
            SaslSetupError::new(format!(
                "Kerberos login of {} failed: {reason}",
                keys.principal.as_deref().unwrap_or("any principal")
            ))
        };
        let login = login.await.map_err(|error| failed(&error))?;
        let (acceptor, realm) = login.map_err(|error| failed(&error))?;
        let namer = KerberosShortNamer::parse(&realm, &config.kerberos_principal_to_local_rules)?;
        Ok(Self(Arc::new(Login {
            keys,
            acceptor,
            service_name,
            namer,
        })))
    }

    /// An exchange with a client.
    pub fn server(&self) -> GssapiServer {
        GssapiServer::new(self.0.acceptor.clone(), self.0.namer.clone())
    }

    /// An exchange with the broker on a host.
    pub async fn client(&self, host: &str) -> Result<GssapiClient, SaslError> {
        let (login, target) = (self.0.clone(), format!("{}@{host}", self.0.service_name));
        let begun = blocking::spawn(move || {
            let credential = login.keys.initiator()?;
            GssapiClient::begin(credential, &target)
        });
        let begun = begun
            .await
            .map_err(|error| SaslError::invalid(error.to_string()))?;
        begun.map_err(|error: Error| SaslError::invalid(error.to_string()))
    }
}

/// Java's properties name files that the system's library does not look at.
fn check_properties(properties: &SystemProperties) -> Result<(), SaslSetupError> {
    let Some(file) = properties.get("java.security.krb5.conf") else {
        return Ok(());
    };
    match std::env::var("KRB5_CONFIG") {
        Ok(used) if used == file => Ok(()),
        _ => Err(SaslSetupError::new(format!(
            "java.security.krb5.conf is {file}: set the variable KRB5_CONFIG to this file, which the system's Kerberos \
             library reads"
        ))),
    }
}

fn service_name(config: &SaslConfig, context: &JaasContext) -> Result<String, SaslSetupError> {
    let modules = context.modules().iter();
    let of_jaas = modules.filter_map(|module| module.option("serviceName")).next();
    match (of_jaas, config.kerberos_service_name.as_deref()) {
        (Some(jaas), Some(kafka)) if jaas != kafka => Err(SaslSetupError::new(format!(
            "Conflicting serviceName values found in JAAS and Kafka configs value in JAAS file {jaas}, value in Kafka \
             config {kafka}"
        ))),
        (Some(name), _) | (None, Some(name)) => Ok(name.to_owned()),
        (None, None) => Err(SaslSetupError::new(
            "No serviceName defined in either JAAS or Kafka config",
        )),
    }
}

/// Where the broker's keys and tickets are.
#[derive(Clone, Debug)]
struct Keys {
    /// `None` for any principal of the key table.
    principal: Option<String>,
    key_table: Option<CString>,
    ticket_cache: CString,
    /// Whether tickets are got with the keys. Otherwise they are in the cache already.
    gets_tickets: bool,
}

impl Keys {
    /// Reads the options of the login module.
    fn of(module: &LoginModule) -> Result<Self, SaslSetupError> {
        let c_string = |text: &str| {
            CString::new(text).map_err(|_| SaslSetupError::new("a Kerberos file's name has a zero byte"))
        };
        let principal = module.option("principal").filter(|principal| *principal != "*");
        let uses_cache = module.is_true("useTicketCache");
        if !module.is_true("useKeyTab") && !uses_cache {
            return Err(SaslSetupError::new(
                "Could not login: the client is being asked for a password, but the Kafka client code does not currently \
                 support obtaining a password from the user.",
            ));
        }
        let key_table = module
            .option("keyTab")
            .map(|path| path.strip_prefix("file:").unwrap_or(path));
        let ticket_cache = match module.option("ticketCache") {
            Some(path) if uses_cache => format!("FILE:{path}"),
            // Of this login alone.
            _ => format!("MEMORY:{:032x}", rand::random::<u128>()),
        };
        Ok(Self {
            principal: principal.map(str::to_owned),
            key_table: key_table.map(c_string).transpose()?,
            ticket_cache: c_string(&ticket_cache)?,
            gets_tickets: module.is_true("useKeyTab"),
        })
    }

    fn acceptor(&self) -> Result<Cred, Error> {
        let store: Vec<_> = self
            .key_table
            .iter()
            .map(|path| (c"keytab", path.clone()))
            .collect();
        acquire(self.principal.as_deref(), Use::Accept, &store)
    }

    /// A credential with a ticket that is still valid for a while: the library gets a new one when half of its life is
    /// over.
    fn initiator(&self) -> Result<Cred, Error> {
        let mut store: Vec<(&'static CStr, CString)> = vec![(c"ccache", self.ticket_cache.clone())];
        if self.gets_tickets {
            store.extend(self.key_table.iter().map(|path| (c"client_keytab", path.clone())));
        }
        let store: &Store = &store;
        acquire(self.principal.as_deref(), Use::Initiate, store)
    }
}

/// The realm of names without one, as the library knows it; empty if there is none.
fn default_realm() -> String {
    let name =
        Name::new(b"x", Some(GSS_NT_USER_NAME)).and_then(|name| name.canonicalize(Some(GSS_MECH_KRB5)));
    let shown = name.and_then(|name| name.display_name());
    let shown = shown
        .map(|shown| String::from_utf8_lossy(&shown).into_owned())
        .unwrap_or_default();
    shown
        .split_once('@')
        .map(|(_, realm)| realm.to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::security::Password;

    fn context(options: &str) -> JaasContext {
        let text = Password::new(format!("{KRB5_LOGIN_MODULE} required {options};"));
        JaasContext::load_server("X", Some(&text), None, &SystemProperties::default())
            .expect("it is well formed")
    }

    #[test]
    fn the_service_has_one_name() {
        let config = |name: Option<&str>| SaslConfig {
            enabled_mechanisms: vec![],
            server_max_receive_size: 0,
            kerberos_service_name: name.map(str::to_owned),
            kerberos_principal_to_local_rules: vec![],
            mechanisms: Default::default(),
        };
        let name = |jaas: &str, kafka| {
            service_name(&config(kafka), &context(jaas)).map_err(|error| error.to_string())
        };
        assert_eq!(name("serviceName=kafka", None).as_deref(), Ok("kafka"));
        assert_eq!(name("", Some("kafka")).as_deref(), Ok("kafka"));
        assert_eq!(name("serviceName=kafka", Some("kafka")).as_deref(), Ok("kafka"));
        let conflict = "Conflicting serviceName values found in JAAS and Kafka configs value in JAAS file a, value in \
                        Kafka config b";
        assert_eq!(name("serviceName=a", Some("b")), Err(conflict.to_owned()));
        let none = "No serviceName defined in either JAAS or Kafka config";
        assert_eq!(name("", None), Err(none.to_owned()));
    }

    #[test]
    fn keys_come_from_a_table_or_a_cache() {
        let keys = |options: &str| Keys::of(&context(options).modules()[0]);
        let table = keys("useKeyTab=true keyTab=\"/k\" principal=\"kafka/h@R\"").expect("it is right");
        assert_eq!(
            (table.key_table.as_deref(), table.gets_tickets),
            (Some(c"/k"), true)
        );
        assert!(table.ticket_cache.to_string_lossy().starts_with("MEMORY:"));
        let cache = keys("useTicketCache=true ticketCache=\"/c\"").expect("it is right");
        assert_eq!(
            (cache.ticket_cache.as_c_str(), cache.gets_tickets),
            (c"FILE:/c", false)
        );
        assert!(
            keys("useKeyTab=true principal=\"*\"")
                .expect("it is right")
                .principal
                .is_none()
        );
        assert!(keys("storeKey=true").is_err());
    }
}
