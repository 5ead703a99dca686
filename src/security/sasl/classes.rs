//! Owns the names of the Java classes that settings and JAAS texts may give. A broker that is no JVM cannot load
//! others; it refuses to start as Kafka does when a class is missing. Kafka 3.9: `SaslChannelBuilder`, `LoginManager`.

use super::error::SaslSetupError;
use super::gssapi::KRB5_LOGIN_MODULE;
use super::oauthbearer::OAUTHBEARER;
use super::plain::{PLAIN, PLAIN_LOGIN_MODULE};
use super::scram::{SCRAM_LOGIN_MODULE, ScramMechanism};
use crate::config::security::MechanismConfig;
use crate::security::jaas::JaasContext;

const SECURITY: &str = "org.apache.kafka.common.security";

/// What a class of a setting is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerHandler {
    /// What the mechanism has anyway.
    Own,
    /// Signed tokens.
    SecuredTokens,
}

/// How a broker gets the token for its own connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginHandler {
    /// As the mechanism does it anyway.
    Own,
    /// From a token endpoint.
    TokenEndpoint,
}

fn missing_class(key: &str, class: &str) -> SaslSetupError {
    SaslSetupError::new(format!(
        "Invalid value {class} for configuration {key}: Class {class} could not be found."
    ))
}

/// The handler of `sasl.server.callback.handler.class`.
pub fn server_handler(mechanism: &str, config: &MechanismConfig) -> Result<ServerHandler, SaslSetupError> {
    let Some(class) = config.server_callback_handler_class.as_deref() else {
        return Ok(ServerHandler::Own);
    };
    let name = class.strip_prefix(SECURITY).unwrap_or_default();
    match name {
        ".oauthbearer.OAuthBearerValidatorCallbackHandler"
        | ".oauthbearer.secured.OAuthBearerValidatorCallbackHandler"
            if mechanism == OAUTHBEARER =>
        {
            Ok(ServerHandler::SecuredTokens)
        }
        ".oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"
            if mechanism == OAUTHBEARER =>
        {
            Ok(ServerHandler::Own)
        }
        ".plain.internals.PlainServerCallbackHandler" if mechanism == PLAIN => Ok(ServerHandler::Own),
        ".authenticator.SaslServerCallbackHandler" if !is_kafkas(mechanism) => Ok(ServerHandler::Own),
        _ => Err(missing_class("sasl.server.callback.handler.class", class)),
    }
}

fn is_kafkas(mechanism: &str) -> bool {
    mechanism == PLAIN || mechanism == OAUTHBEARER || ScramMechanism::of_name(mechanism).is_some()
}

/// The handler of `sasl.login.callback.handler.class`, after a look at `sasl.login.class`.
pub fn login_handler(
    mechanism: &str,
    config: &MechanismConfig,
    context: &JaasContext,
) -> Result<LoginHandler, SaslSetupError> {
    let given = [
        ("sasl.login.class", &config.login_class),
        (
            "sasl.login.callback.handler.class",
            &config.login_callback_handler_class,
        ),
    ];
    let mut handler = LoginHandler::Own;
    for (key, class) in given {
        let Some(class) = class else {
            continue;
        };
        match class.strip_prefix(SECURITY).unwrap_or_default() {
            ".oauthbearer.OAuthBearerLoginCallbackHandler"
            | ".oauthbearer.secured.OAuthBearerLoginCallbackHandler"
                if mechanism == OAUTHBEARER =>
            {
                handler = LoginHandler::TokenEndpoint;
            }
            ".authenticator.DefaultLogin"
            | ".authenticator.AbstractLogin$DefaultLoginCallbackHandler"
            | ".kerberos.KerberosLogin"
            | ".oauthbearer.internals.OAuthBearerRefreshingLogin"
            | ".oauthbearer.internals.unsecured.OAuthBearerUnsecuredLoginCallbackHandler" => {}
            _ => return Err(missing_class(key, class)),
        }
        if context.modules().len() != 1 {
            return Err(SaslSetupError::new(format!(
                "{key} cannot be specified with multiple login modules in the JAAS context. sasl.jaas.config must be \
                 configured to override mechanism-specific configs."
            )));
        }
    }
    Ok(handler)
}

/// Refuses login modules of other classes.
pub fn check_login_modules(context: &JaasContext) -> Result<(), SaslSetupError> {
    let known = [
        PLAIN_LOGIN_MODULE,
        SCRAM_LOGIN_MODULE,
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule",
        KRB5_LOGIN_MODULE,
    ];
    let unknown = context
        .modules()
        .iter()
        .find(|module| !known.contains(&module.class.as_str()));
    match unknown {
        None => Ok(()),
        Some(module) => Err(SaslSetupError::new(format!(
            "No LoginModule found for {}",
            module.class
        ))),
    }
}
