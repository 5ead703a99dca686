//! Owns the validation of signed tokens: whether a key of the set signed it, and what it must claim. Kafka 3.9:
//! `OAuthBearerValidatorCallbackHandler`, `ValidatorAccessTokenValidator`, `ClaimValidationUtils`; jose4j's
//! `JwtConsumer`.

use std::collections::HashSet;
use std::str::FromStr;

use jsonwebtoken::{Algorithm, crypto};
use serde_json::Value;

use super::key_source::KeySource;
use super::token::{Claims, Refusal, Token, read_part};
use crate::config::security::OauthBearerConfig;

/// Checks tokens of clients.
#[derive(Debug)]
pub struct SecuredValidator {
    rules: ClaimRules,
    keys: KeySource,
}

impl SecuredValidator {
    /// Takes the rules from the settings.
    pub fn new(config: &OauthBearerConfig, keys: KeySource) -> Self {
        let rules = ClaimRules::new(config);
        Self { rules, keys }
    }

    /// Checks one token.
    pub fn validate(&self, token: &str, now_ms: i64) -> Result<Token, Refusal> {
        let token = token.trim();
        let parts: Vec<&str> = token.split('.').collect();
        let &[header, claims, signature] = parts.as_slice() else {
            return Err(Refusal::invalid(
                "Malformed JWT provided: expected three sections",
            ));
        };
        let signed = &token[..token.len() - signature.len() - 1];
        let header = read_part(header)?;
        let algorithm = algorithm(&header)?;
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.as_str()),
            Some(_) => return Err(Refusal::invalid("the kid header is no text")),
        };
        let keys = self.keys.current();
        let Some(key) = keys.find(key_id, algorithm) else {
            self.keys.expedite_refresh(key_id, now_ms);
            return Err(Refusal::invalid("Unable to find a suitable verification key"));
        };
        let is_signed = crypto::verify(signature, signed.as_bytes(), key, algorithm);
        if !is_signed.unwrap_or(false) {
            return Err(Refusal::invalid("JWT rejected due to invalid signature"));
        }
        self.rules.check(&read_part(claims)?, now_ms)
    }
}

/// The algorithm of a header: one with a public key. No header may need what is not understood.
fn algorithm(header: &Claims) -> Result<Algorithm, Refusal> {
    let name = header.get("alg").and_then(Value::as_str);
    let algorithm = name.and_then(|name| Algorithm::from_str(name).ok());
    match algorithm {
        _ if header.contains_key("crit") => Err(Refusal::invalid("the crit header is not supported")),
        None | Some(Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) => {
            Err(Refusal::invalid("the algorithm is not one of those allowed"))
        }
        Some(algorithm) => Ok(algorithm),
    }
}

/// What a token must claim.
#[derive(Clone, Debug)]
struct ClaimRules {
    clock_skew_seconds: i64,
    expected_audience: Vec<String>,
    expected_issuer: Option<String>,
    scope_claim: String,
    sub_claim: String,
}

impl ClaimRules {
    fn new(config: &OauthBearerConfig) -> Self {
        Self {
            clock_skew_seconds: i64::from(config.clock_skew_seconds),
            expected_audience: config.expected_audience.clone().unwrap_or_default(),
            expected_issuer: config.expected_issuer.clone(),
            scope_claim: config.scope_claim_name.clone(),
            sub_claim: config.sub_claim_name.clone(),
        }
    }

    fn check(&self, claims: &Claims, now_ms: i64) -> Result<Token, Refusal> {
        let expires_at = self.check_times(claims, now_ms / 1000)?;
        self.check_audience(claims)?;
        let issuer = text(claims, "iss")?;
        if self.expected_issuer.is_some() && issuer != self.expected_issuer.as_deref() {
            return Err(Refusal::invalid("Issuer (iss) claim doesn't match"));
        }
        text(claims, "sub")?;
        text(claims, "jti")?;
        check_scope(claims.get(&self.scope_claim))?;
        let principal = text(claims, &self.sub_claim)?.map(str::trim);
        let principal = principal.filter(|name| !name.is_empty()).ok_or_else(|| {
            Refusal::invalid(format!(
                "{} value must be a text that is not empty",
                self.sub_claim
            ))
        })?;
        if expires_at < 0 {
            return Err(Refusal::invalid("exp value must be non-negative"));
        }
        Ok(Token {
            principal: principal.to_owned(),
            expires_at_ms: expires_at.saturating_mul(1000),
        })
    }

    /// Returns the second when the token expires.
    fn check_times(&self, claims: &Claims, now: i64) -> Result<i64, Refusal> {
        let missing = |claim: &str| Refusal::invalid(format!("{claim} value must be non-null"));
        let expires_at = seconds(claims, "exp")?.ok_or_else(|| missing("exp"))?;
        let issued_at = seconds(claims, "iat")?.ok_or_else(|| missing("iat"))?;
        let not_before = seconds(claims, "nbf")?;
        if now.saturating_sub(self.clock_skew_seconds) >= expires_at {
            return Err(Refusal::invalid("The JWT is no longer valid: it is expired"));
        }
        if expires_at < issued_at || not_before.is_some_and(|not_before| expires_at < not_before) {
            return Err(Refusal::invalid("The JWT expires before it begins"));
        }
        if not_before.is_some_and(|not_before| now.saturating_add(self.clock_skew_seconds) < not_before) {
            return Err(Refusal::invalid("The JWT is not yet valid"));
        }
        if issued_at < 0 {
            return Err(Refusal::invalid("iat value must be null or non-negative"));
        }
        Ok(expires_at)
    }

    /// One of the expected audiences must be among the token's. A token that has some is refused if none is expected.
    fn check_audience(&self, claims: &Claims) -> Result<(), Refusal> {
        let wrong = || Refusal::invalid("Audience (aud) claim is not text");
        let audience: Vec<&str> = match claims.get("aud") {
            None if self.expected_audience.is_empty() => return Ok(()),
            None => return Err(Refusal::invalid("No Audience (aud) claim present")),
            Some(Value::String(audience)) => vec![audience],
            Some(Value::Array(items)) => {
                let items = items.iter().map(Value::as_str);
                items.collect::<Option<_>>().ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
        };
        let is_expected = |one: &&str| self.expected_audience.iter().any(|expected| expected == one);
        match audience.iter().any(is_expected) {
            true => Ok(()),
            false => Err(Refusal::invalid(
                "Audience (aud) claim doesn't contain an acceptable identifier",
            )),
        }
    }
}

/// A claim in whole seconds since 1970.
fn seconds(claims: &Claims, claim: &str) -> Result<Option<i64>, Refusal> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::Number(number)) => {
            let seconds = number
                .as_i64()
                .or_else(|| number.as_f64().map(|seconds| seconds as i64));
            Ok(seconds)
        }
        Some(_) => Err(Refusal::invalid(format!("The {claim} claim is no number"))),
    }
}

fn text<'a>(claims: &'a Claims, claim: &str) -> Result<Option<&'a str>, Refusal> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::invalid(format!("The {claim} claim is no text"))),
    }
}

/// A scope, or a list of different ones. None may be blank.
fn check_scope(scope: Option<&Value>) -> Result<(), Refusal> {
    let items = match scope {
        Some(Value::String(_)) => std::slice::from_ref(scope.expect("it is a text")),
        Some(Value::Array(items)) => items.as_slice(),
        _ => return Ok(()),
    };
    let mut known = HashSet::new();
    let mut is_new_text = |item: &Value| {
        let item = item.as_str().map(str::trim).unwrap_or_default();
        !item.is_empty() && known.insert(item.to_owned())
    };
    match items.iter().all(&mut is_new_text) {
        true => Ok(()),
        false => Err(Refusal::invalid(
            "scope values must be different texts that are not empty",
        )),
    }
}

#[cfg(test)]
mod tests;
