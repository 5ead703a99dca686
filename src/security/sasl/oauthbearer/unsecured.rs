//! Owns tokens without signatures, which are for tests: their validation, and the ones a broker makes for itself. The
//! options of the JAAS text tell what is wanted and what they say. Kafka 3.9: `OAuthBearerUnsecuredJws`,
//! `OAuthBearerUnsecuredValidatorCallbackHandler`, `OAuthBearerUnsecuredLoginCallbackHandler`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::initial_response::{is_extension_name, is_value};
use super::token::{Claims, Refusal, Token, read_part};
use crate::security::jaas::LoginModule;
use crate::security::sasl::error::SaslSetupError;

const LOGIN_PREFIX: &str = "unsecuredLogin";
const EXTENSION_PREFIX: &str = "unsecuredLoginExtension_";

/// The option's text without blanks around it, if there is any.
fn option<'a>(module: &'a LoginModule, key: &str) -> Option<&'a str> {
    module
        .option(key)
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// Checks tokens of clients.
#[derive(Clone, Debug)]
pub struct UnsecuredValidator {
    principal_claim: String,
    scope_claim: String,
    required_scope: Vec<String>,
    clock_skew_ms: i64,
}

impl UnsecuredValidator {
    /// Reads the options `unsecuredValidator…`. Kafka finds wrong ones only when a client comes.
    pub fn new(module: &LoginModule) -> Result<Self, SaslSetupError> {
        let skew = option(module, "unsecuredValidatorAllowableClockSkewMs").unwrap_or("0");
        let clock_skew_ms: i32 = skew
            .parse()
            .map_err(|_| SaslSetupError::new(format!("For input string: \"{skew}\"")))?;
        if clock_skew_ms < 0 {
            return Err(SaslSetupError::new(format!(
                "Allowable clock skew millis must not be negative: {skew}"
            )));
        }
        let scope = option(module, "unsecuredValidatorRequiredScope").unwrap_or("");
        let items = scope.split(' ').filter(|item| !item.is_empty());
        for item in items.clone() {
            if !item
                .bytes()
                .all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
            {
                return Err(SaslSetupError::new(format!("Invalid scope value: {item}")));
            }
        }
        Ok(Self {
            principal_claim: claim_name(module, "unsecuredValidatorPrincipalClaimName", "sub"),
            scope_claim: claim_name(module, "unsecuredValidatorScopeClaimName", "scope"),
            required_scope: items.map(str::to_owned).collect(),
            clock_skew_ms: i64::from(clock_skew_ms),
        })
    }

    /// Checks one token.
    pub fn validate(&self, token: &str, now_ms: i64) -> Result<Token, Refusal> {
        let jws = UnsecuredJws::parse(token, &self.principal_claim)?;
        if let Some(issued_at) = jws.issued_at
            && 1000.0 * issued_at > (now_ms + self.clock_skew_ms) as f64
        {
            return Err(Refusal::invalid(
                "The Issued At value was after the indicated time",
            ));
        }
        if (now_ms - self.clock_skew_ms) as f64 >= 1000.0 * jws.expires_at {
            return Err(Refusal::invalid(
                "The indicated time was on or after the Expiration Time value",
            ));
        }
        if jws.issued_at.is_some_and(|issued_at| jws.expires_at <= issued_at) {
            return Err(Refusal::invalid(
                "The Expiration Time time was not after the Issued At time",
            ));
        }
        let scope = scope(&jws.claims, &self.scope_claim)?;
        if let Some(missing) = self.required_scope.iter().find(|item| !scope.contains(item)) {
            let required = format!("[{}]", self.required_scope.join(", "));
            return Err(Refusal::insufficient_scope(
                &required,
                format!("The provided scope was missing a required scope ({missing})"),
            ));
        }
        Ok(Token {
            principal: jws.principal,
            expires_at_ms: (jws.expires_at * 1000.0).round() as i64,
        })
    }
}

fn claim_name(module: &LoginModule, key: &str, default: &str) -> String {
    option(module, key).unwrap_or(default).to_owned()
}

/// A token without a signature.
struct UnsecuredJws {
    claims: Claims,
    principal: String,
    expires_at: f64,
    issued_at: Option<f64>,
}

impl UnsecuredJws {
    fn parse(token: &str, principal_claim: &str) -> Result<Self, Refusal> {
        let parts: Vec<&str> = token.split('.').collect();
        let &[header, claims, signature] = parts.as_slice() else {
            return Err(Refusal::invalid(
                "Unsecured JWS compact serializations must have 3 dot-separated Base64URL-encoded values",
            ));
        };
        let (header, claims) = (read_part(header)?, read_part(claims)?);
        if header.get("alg") != Some(&Value::from("none")) {
            return Err(Refusal::invalid(
                "Unsecured JWS must have 'none' for an algorithm",
            ));
        }
        if !signature.is_empty() {
            return Err(Refusal::invalid(
                "Unsecured JWS must not contain a digital signature",
            ));
        }
        let expires_at =
            number(&claims, "exp")?.ok_or_else(|| Refusal::invalid("No expiration time in JWT"))?;
        let principal = match claims.get(principal_claim) {
            None => None,
            Some(Value::Number(_) | Value::Array(_)) => return Err(wrong_type(principal_claim)),
            Some(value) => Some(as_text(value)).filter(|name| !name.trim().is_empty()),
        };
        let principal = principal
            .ok_or_else(|| Refusal::invalid(format!("No principal name in JWT claim: {principal_claim}")))?;
        let issued_at = number(&claims, "iat")?;
        Ok(Self {
            claims,
            principal,
            expires_at,
            issued_at,
        })
    }
}

fn wrong_type(claim: &str) -> Refusal {
    Refusal::invalid(format!("The '{claim}' claim was not of its type"))
}

fn number(claims: &Claims, claim: &str) -> Result<Option<f64>, Refusal> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(number.as_f64()),
        Some(_) => Err(wrong_type(claim)),
    }
}

/// The text that Kafka's JSON library makes of a value that is neither a number nor a list.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(_) | Value::Array(_) => String::new(),
        value => value.to_string(),
    }
}

/// The scopes of a token. A text is one scope, whatever blanks it has.
fn scope(claims: &Claims, claim: &str) -> Result<Vec<String>, Refusal> {
    let items = match claims.get(claim) {
        None => Vec::new(),
        Some(Value::Number(_)) => return Err(wrong_type(claim)),
        Some(Value::Array(items)) => items.iter().map(as_text).collect(),
        Some(value) => vec![as_text(value)],
    };
    let items = items.into_iter().map(|item| item.trim().to_owned());
    Ok(items.filter(|item| !item.is_empty()).collect())
}

/// Makes tokens for a broker's own connections to others.
#[derive(Clone, Debug)]
pub struct UnsecuredLogin {
    module: LoginModule,
    lifetime_seconds: i64,
    extensions: BTreeMap<String, String>,
}

impl UnsecuredLogin {
    /// Reads the options `unsecuredLogin…`. Without any option there is no login, and the broker cannot connect to
    /// others with this mechanism.
    pub fn new(module: &LoginModule) -> Result<Option<Self>, SaslSetupError> {
        if module.options.is_empty() {
            return Ok(None);
        }
        let mut extensions = BTreeMap::new();
        for (key, value) in &module.options {
            if let Some(name) = key.strip_prefix(EXTENSION_PREFIX) {
                if !is_extension_name(name) || !is_value(value.expose()) {
                    return Err(SaslSetupError::new(format!("Extension name {name} is invalid")));
                }
                extensions.insert(name.to_owned(), value.expose().to_owned());
            }
        }
        if extensions.len() == module.options.len() {
            return Err(SaslSetupError::new(
                "Extensions provided in login context without a token",
            ));
        }
        let seconds = module.option("unsecuredLoginLifetimeSeconds").unwrap_or("3600");
        let lifetime_seconds = seconds
            .parse()
            .map_err(|_| SaslSetupError::new(format!("For input string: \"{seconds}\"")))?;
        let login = Self {
            module: module.clone(),
            lifetime_seconds,
            extensions,
        };
        // The principal's claim must be among the options.
        let principal = claim_name(module, "unsecuredLoginPrincipalClaimName", "sub");
        UnsecuredJws::parse(&login.token(0)?, &principal)
            .map_err(|refusal| SaslSetupError::new(refusal.reason))?;
        Ok(Some(login))
    }

    /// The extensions to send with a token.
    pub fn extensions(&self) -> &BTreeMap<String, String> {
        &self.extensions
    }

    /// A token that begins now.
    pub fn token(&self, now_ms: i64) -> Result<String, SaslSetupError> {
        let now = now_ms as f64 / 1000.0;
        let mut claims = Claims::new();
        claims.insert("exp".to_owned(), (now + self.lifetime_seconds as f64).into());
        claims.insert("iat".to_owned(), now.into());
        for (key, value) in &self.module.options {
            let Some((kind, name)) = key
                .strip_prefix(LOGIN_PREFIX)
                .and_then(|key| key.split_once("Claim_"))
            else {
                continue;
            };
            let value = match kind {
                _ if name.is_empty() => continue,
                "String" => Value::from(value.expose()),
                "Number" => number_claim(value.expose())?,
                "List" => list_claim(value.expose()),
                _ => continue,
            };
            if name == "exp" || name == "iat" {
                return Err(SaslSetupError::new(format!(
                    "Cannot explicitly set the '{name}' claim"
                )));
            }
            claims.insert(name.to_owned(), value);
        }
        let claims = Value::Object(claims).to_string();
        let [header, claims] = [r#"{"alg":"none"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        Ok(format!("{header}.{claims}."))
    }
}

fn number_claim(text: &str) -> Result<Value, SaslSetupError> {
    let number: Option<f64> = text.trim().parse().ok();
    let number = number.and_then(serde_json::Number::from_f64);
    number
        .map(Value::Number)
        .ok_or_else(|| SaslSetupError::new(format!("For input string: \"{text}\"")))
}

/// The first character is the separator: `|a|b` is a list of two.
fn list_claim(text: &str) -> Value {
    let mut rest = text.chars();
    match rest.next() {
        Some(separator) if text.len() > separator.len_utf8() => rest.as_str().split(separator).collect(),
        _ => Value::Array(Vec::new()),
    }
}

#[cfg(test)]
mod tests;
