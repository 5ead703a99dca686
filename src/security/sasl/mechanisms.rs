//! Owns the SASL mechanisms of one listener: what is enabled, what the JAAS texts and settings make of it, and a fresh
//! exchange for each connection. Kafka 3.9: `SaslChannelBuilder`, `LoginManager`, `JaasContext`.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::classes::{LoginHandler, ServerHandler, check_login_modules, login_handler, server_handler};
use super::client::{Exchange, SaslClient};
use super::error::{SaslError, SaslSetupError};
use super::gssapi::GSSAPI;
use super::oauthbearer::{
    HttpClient, InitialResponse, KeySource, OAUTHBEARER, OauthBearerClient, OauthBearerServer,
    SecuredValidator, TokenLogin, TokenValidator, UnsecuredLogin, UnsecuredValidator, check_jwks_url,
};
use super::plain::{PLAIN, PlainServer, PlainUsers, client_token};
use super::scram::{ScramClient, ScramCredentialCache, ScramMechanism, ScramServer};
use super::server::SaslServer;
use crate::config::SystemProperties;
use crate::config::security::{MechanismConfig, Password, SaslConfig};
use crate::security::jaas::{JaasContext, JaasFile, LoginModule};

/// The mechanisms of one listener. Dropping it ends its background work.
#[derive(Debug)]
pub struct SaslMechanisms {
    /// In the order that a Kafka broker tells clients.
    enabled: Vec<String>,
    mechanisms: BTreeMap<String, Mechanism>,
    /// `connections.max.reauth.ms` of each.
    max_reauth_ms: BTreeMap<String, i64>,
}

/// Where a broker gets the token for its own connections.
#[derive(Debug)]
enum TokenOfBroker {
    /// There is none: it cannot connect.
    None,
    Unsecured(UnsecuredLogin),
    Endpoint(Box<TokenLogin>),
}

/// What makes the exchanges of one mechanism.
#[derive(Debug)]
enum Mechanism {
    Plain {
        users: PlainUsers,
        credentials: Credentials,
    },
    Scram {
        mechanism: ScramMechanism,
        users: ScramCredentialCache,
        credentials: Credentials,
    },
    OauthBearer {
        validator: TokenValidator,
        login: TokenOfBroker,
    },
    #[cfg(feature = "gssapi")]
    Gssapi(super::gssapi::KerberosLogin),
    /// A name that no software implements. Clients may choose it, and are then disconnected.
    Unknown,
}

impl SaslMechanisms {
    /// Sets up all mechanisms that are enabled on a listener. Fails where a Kafka broker would not start.
    pub async fn new(
        listener: &str,
        config: &SaslConfig,
        properties: &SystemProperties,
        users: &ScramCredentialCache,
    ) -> Result<Self, SaslSetupError> {
        let file = JaasFile::configured(properties)?;
        let enabled = in_hash_order(&config.enabled_mechanisms);
        let mut mechanisms = BTreeMap::new();
        for name in &enabled {
            let none = MechanismConfig::default();
            let settings = config.mechanisms.get(name).unwrap_or(&none);
            let context =
                JaasContext::load_server(listener, settings.jaas_config.as_ref(), file.as_ref(), properties)?;
            check_login_modules(&context)?;
            let mechanism = Mechanism::new(name, (config, settings), &context, properties, users).await?;
            mechanisms.insert(name.clone(), mechanism);
        }
        let settings = config.mechanisms.iter();
        Ok(Self {
            enabled,
            mechanisms,
            max_reauth_ms: settings
                .map(|(name, settings)| (name.clone(), settings.connections_max_reauth_ms))
                .collect(),
        })
    }

    /// The longest lifetime of a session of a mechanism, in milliseconds; 0 or less is no limit.
    pub fn max_reauth_ms(&self, mechanism: &str) -> i64 {
        self.max_reauth_ms.get(mechanism).copied().unwrap_or(0)
    }

    /// The names for the answer to a handshake.
    pub fn enabled(&self) -> &[String] {
        &self.enabled
    }

    /// Whether clients may choose a mechanism.
    pub fn is_enabled(&self, mechanism: &str) -> bool {
        self.mechanisms.contains_key(mechanism)
    }

    /// An exchange with a client. `None` if the mechanism is not enabled or no software implements it: a connection
    /// whose handshake has named it is closed without an answer.
    pub fn server(&self, mechanism: &str) -> Option<SaslServer> {
        Some(match self.mechanisms.get(mechanism)? {
            Mechanism::Plain { users, .. } => SaslServer::Plain(PlainServer::new(users.clone())),
            Mechanism::Scram { mechanism, users, .. } => {
                SaslServer::Scram(Box::new(ScramServer::new(*mechanism, users.clone())))
            }
            Mechanism::OauthBearer { validator, .. } => {
                SaslServer::OauthBearer(OauthBearerServer::new(validator.clone()))
            }
            #[cfg(feature = "gssapi")]
            Mechanism::Gssapi(login) => SaslServer::Gssapi(login.server()),
            Mechanism::Unknown => return None,
        })
    }

    /// An exchange with the broker on a host, with this broker's own credentials. `now_ms` is the time since 1970.
    /// Fails if the JAAS text has no credentials, as in Kafka only when a connection is made.
    #[cfg_attr(
        not(feature = "gssapi"),
        expect(unused_variables, reason = "only Kerberos needs the host")
    )]
    pub async fn client(&self, mechanism: &str, host: &str, now_ms: i64) -> Result<SaslClient, SaslError> {
        let unsupported =
            || SaslError::invalid(format!("Failed to create SaslClient with mechanism {mechanism}"));
        let (first, exchange) = match self.mechanisms.get(mechanism).ok_or_else(unsupported)? {
            Mechanism::Plain { credentials, .. } => {
                let (name, password) = credentials.get()?;
                (
                    client_token(name, password),
                    Exchange::Plain { is_complete: false },
                )
            }
            Mechanism::Scram {
                mechanism,
                credentials,
                ..
            } => {
                let (name, password) = credentials.get()?;
                let client = ScramClient::new(*mechanism, name, password.clone(), credentials.is_token);
                (client.first(), Exchange::Scram(Some(Box::new(client))))
            }
            Mechanism::OauthBearer { login, .. } => {
                let first = login.first_message(now_ms).await?;
                (first, Exchange::OauthBearer(OauthBearerClient::new()))
            }
            #[cfg(feature = "gssapi")]
            Mechanism::Gssapi(login) => {
                let client = login.client(host).await?;
                (client.first(), Exchange::Gssapi(client))
            }
            Mechanism::Unknown => return Err(unsupported()),
        };
        Ok(SaslClient::new(mechanism, first, exchange))
    }
}

impl TokenOfBroker {
    async fn first_message(&self, now_ms: i64) -> Result<Bytes, SaslError> {
        match self {
            Self::None => Err(SaslError::invalid(
                "No OAuth Bearer tokens in Subject's private credentials",
            )),
            Self::Unsecured(login) => {
                let token = login
                    .token(now_ms)
                    .map_err(|error| SaslError::invalid(error.to_string()))?;
                Ok(InitialResponse::format(&token, login.extensions()))
            }
            Self::Endpoint(login) => {
                let token = login.token(now_ms).await.map_err(SaslError::invalid)?;
                Ok(InitialResponse::format(token.expose(), login.extensions()))
            }
        }
    }
}

impl Mechanism {
    async fn new(
        name: &str,
        (config, settings): (&SaslConfig, &MechanismConfig),
        context: &JaasContext,
        properties: &SystemProperties,
        users: &ScramCredentialCache,
    ) -> Result<Self, SaslSetupError> {
        let server_handler = server_handler(name, settings)?;
        let login_handler = login_handler(name, settings, context)?;
        let credentials = || Credentials::of(context);
        Ok(match (name, ScramMechanism::of_name(name)) {
            (PLAIN, _) => Self::Plain {
                users: PlainUsers::of(context),
                credentials: credentials(),
            },
            (_, Some(mechanism)) => Self::Scram {
                mechanism,
                users: users.clone(),
                credentials: credentials(),
            },
            (OAUTHBEARER, _) => {
                let module = only_module(context)?;
                let validator = match server_handler {
                    ServerHandler::Own => {
                        TokenValidator::Unsecured(Arc::new(UnsecuredValidator::new(module)?))
                    }
                    ServerHandler::SecuredTokens => secured_validator(settings, module, properties).await?,
                };
                let login = match login_handler {
                    LoginHandler::Own => unsecured_login(module)?,
                    LoginHandler::TokenEndpoint => {
                        let login = TokenLogin::new(&settings.oauthbearer, module, properties);
                        TokenOfBroker::Endpoint(Box::new(login.await?))
                    }
                };
                Self::OauthBearer { validator, login }
            }
            (GSSAPI, _) => kerberos(config, context, properties).await?,
            _ => Self::Unknown,
        })
    }
}

#[cfg(feature = "gssapi")]
async fn kerberos(
    config: &SaslConfig,
    context: &JaasContext,
    properties: &SystemProperties,
) -> Result<Mechanism, SaslSetupError> {
    let login = super::gssapi::KerberosLogin::new(config, context, properties).await?;
    Ok(Mechanism::Gssapi(login))
}

#[cfg(not(feature = "gssapi"))]
async fn kerberos(
    _: &SaslConfig,
    _: &JaasContext,
    _: &SystemProperties,
) -> Result<Mechanism, SaslSetupError> {
    Err(SaslSetupError::new(
        "The SASL mechanism GSSAPI is enabled, but this barnabas was built without Kerberos (the cargo feature gssapi)",
    ))
}

fn only_module(context: &JaasContext) -> Result<&LoginModule, SaslSetupError> {
    match context.modules() {
        [module] => Ok(module),
        modules => Err(SaslSetupError::new(format!(
            "Must supply exactly 1 non-null JAAS mechanism configuration (size was {})",
            modules.len()
        ))),
    }
}

/// The login that Kafka tries at the start. Its error says nothing of the reason, which is in the log before it.
fn unsecured_login(module: &LoginModule) -> Result<TokenOfBroker, SaslSetupError> {
    let login = UnsecuredLogin::new(module).map_err(|error| {
        tracing::error!("{error}");
        SaslSetupError::new("An internal error occurred while retrieving token from callback handler")
    })?;
    Ok(login.map_or(TokenOfBroker::None, TokenOfBroker::Unsecured))
}

async fn secured_validator(
    settings: &MechanismConfig,
    module: &LoginModule,
    properties: &SystemProperties,
) -> Result<TokenValidator, SaslSetupError> {
    let config = &settings.oauthbearer;
    let url = check_jwks_url(config.jwks_endpoint_url.as_deref(), properties)?;
    let keys = KeySource::open(config, url, HttpClient::of_module(module, None, None)?).await?;
    let validator = SecuredValidator::new(config, keys);
    Ok(TokenValidator::Secured(Arc::new(validator)))
}

/// What a broker says of itself to others: the first `username` and `password` of all its login modules.
#[derive(Debug)]
struct Credentials {
    name: Option<String>,
    password: Option<Password>,
    /// Whether they are those of a delegation token.
    is_token: bool,
}

impl Credentials {
    fn of(context: &JaasContext) -> Self {
        let modules = context.modules();
        Self {
            name: modules
                .iter()
                .find_map(|module| module.option("username"))
                .map(str::to_owned),
            password: modules
                .iter()
                .find_map(|module| module.options.get("password"))
                .cloned(),
            is_token: modules.iter().any(|module| module.is_true("tokenauth")),
        }
    }

    fn get(&self) -> Result<(&str, &Password), SaslError> {
        match (&self.name, &self.password) {
            (Some(name), Some(password)) => Ok((name, password)),
            _ => Err(SaslError::invalid(
                "Could not login: the client is being asked for a password, but the Kafka client code does not currently \
                 support obtaining a password from the user.",
            )),
        }
    }
}

/// The different names in the order of a Java `HashSet`, which clients are told.
fn in_hash_order(names: &[String]) -> Vec<String> {
    let mut different: Vec<String> = Vec::new();
    for name in names {
        if !different.contains(name) {
            different.push(name.clone());
        }
    }
    let buckets = (names.len() * 4 / 3 + 1).max(16).next_power_of_two() as u32;
    different.sort_by_key(|name| {
        let hash = name.encode_utf16().fold(0u32, |hash, unit| {
            hash.wrapping_mul(31).wrapping_add(u32::from(unit))
        });
        (hash ^ hash >> 16) & (buckets - 1)
    });
    different
}

#[cfg(test)]
mod tests;
