//! Tests of tokens without signatures.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::security::jaas::parse_property;

const NOW_MS: i64 = 1_700_000_000_000;
const NOW: i64 = NOW_MS / 1000;

fn module(options: &str) -> LoginModule {
    parse_property(&format!("a.OAuthBearerLoginModule required {options};")).expect("it is well formed")
}

fn encode(header: &Value, claims: &Value) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    format!("{header}.{claims}.")
}

fn validate(options: &str, claims: Value) -> Result<Token, Refusal> {
    let validator = UnsecuredValidator::new(&module(options)).expect("the options are right");
    validator.validate(&encode(&json!({"alg": "none"}), &claims), NOW_MS)
}

fn accepts(options: &str, claims: Value) -> bool {
    validate(options, claims).is_ok()
}

#[test]
fn a_token_proves_its_principal_until_it_expires() {
    let token = validate("", json!({"sub": "alice", "exp": NOW as f64 + 59.5}));
    let expected = Token {
        principal: "alice".to_owned(),
        expires_at_ms: NOW_MS + 59_500,
    };
    assert_eq!(token, Ok(expected));
    let other = validate(
        "unsecuredValidatorPrincipalClaimName=\" user \"",
        json!({"user": "bob", "exp": NOW + 1}),
    );
    assert_eq!(other.expect("it is valid").principal, "bob");
}

#[test]
fn claims_are_checked_as_kafka_checks_them() {
    for (claims, is_valid) in [
        (json!({"sub": "a", "exp": NOW + 1}), true),
        (json!({"sub": "a", "exp": NOW + 1, "iat": NOW}), true),
        (json!({"sub": "a"}), false),
        (json!({"sub": "a", "exp": NOW}), false),
        (json!({"exp": NOW + 1}), false),
        (json!({"sub": " ", "exp": NOW + 1}), false),
        (json!({"sub": 1, "exp": NOW + 1}), false),
        (json!({"sub": ["a"], "exp": NOW + 1}), false),
        (json!({"sub": "a", "exp": (NOW + 1).to_string()}), false),
        (json!({"sub": "a", "exp": NOW + 9, "iat": NOW + 1}), false),
        (json!({"sub": "a", "exp": NOW + 9, "iat": "0"}), false),
    ] {
        assert_eq!(accepts("", claims.clone()), is_valid, "{claims}");
    }
    let skew = "unsecuredValidatorAllowableClockSkewMs=\"2000\"";
    assert!(accepts(skew, json!({"sub": "a", "exp": NOW - 1, "iat": NOW - 9})));
    assert!(accepts(skew, json!({"sub": "a", "exp": NOW + 9, "iat": NOW + 1})));
    assert!(!accepts(
        skew,
        json!({"sub": "a", "exp": NOW + 1, "iat": NOW + 1})
    ));
}

#[test]
fn tokens_of_another_form_are_refused() {
    let validator = UnsecuredValidator::new(&module("")).expect("there are no options");
    let claims = json!({"sub": "a", "exp": NOW + 1});
    let token = encode(&json!({"alg": "none"}), &claims);
    assert!(validator.validate(&token, NOW_MS).is_ok());
    for token in [
        format!("{token}c2ln"),
        token.trim_end_matches('.').to_owned(),
        format!("{token}."),
        encode(&json!({"alg": "RS256"}), &claims),
        encode(&json!({}), &claims),
        encode(&json!({"alg": "none"}), &json!(["sub"])),
        "..".to_owned(),
        "a.b.".to_owned(),
        String::new(),
    ] {
        let refusal = validator.validate(&token, NOW_MS).expect_err(&token);
        assert_eq!(refusal.json, r#"{"status":"invalid_token"}"#);
    }
}

#[test]
fn required_scopes_must_all_be_there() {
    let options = "unsecuredValidatorRequiredScope=\"read  write\" unsecuredValidatorScopeClaimName=scp";
    let with = |scope: Value| json!({"sub": "a", "exp": NOW + 1, "scp": scope});
    assert!(accepts(options, with(json!(["write", " read "]))));
    let refusal = validate(options, with(json!("read write"))).expect_err("a text is one scope");
    assert_eq!(
        refusal.json,
        r#"{"status":"insufficient_scope", "scope":"[read, write]"}"#
    );
    assert!(!accepts(options, with(json!(["read"]))));
    assert!(!accepts(options, with(json!(1))));
}

#[test]
fn wrong_validator_options_are_refused() {
    for (options, message) in [
        (
            "unsecuredValidatorAllowableClockSkewMs=x",
            "For input string: \"x\"",
        ),
        (
            "unsecuredValidatorAllowableClockSkewMs=\"-1\"",
            "Allowable clock skew millis must not be negative: -1",
        ),
        (
            "unsecuredValidatorRequiredScope=\"a\\\\b\"",
            "Invalid scope value: a\\b",
        ),
    ] {
        let error = UnsecuredValidator::new(&module(options)).expect_err(options);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_broker_makes_tokens_that_its_peers_accept() {
    let options = r#"unsecuredLoginStringClaim_sub="broker \"1\"" unsecuredLoginListClaim_scope="|a|b"
                     unsecuredLoginNumberClaim_n="1.5" unsecuredLoginExtension_trace="x y" other="z""#;
    let login = UnsecuredLogin::new(&module(options))
        .expect("the options are right")
        .expect("there are some");
    let token = login.token(NOW_MS).expect("the options are right");
    let validator = UnsecuredValidator::new(&module("unsecuredValidatorRequiredScope=\"a b\""));
    let token = validator
        .expect("the options are right")
        .validate(&token, NOW_MS)
        .expect("it is valid");
    assert_eq!(
        (token.principal.as_str(), token.expires_at_ms),
        ("broker \"1\"", NOW_MS + 3_600_000)
    );
    assert_eq!(login.extensions()["trace"], "x y");
}

#[test]
fn a_login_needs_its_principal() {
    assert!(
        UnsecuredLogin::new(&module(""))
            .expect("no options are fine")
            .is_none()
    );
    for (options, message) in [
        ("other=x", "No principal name in JWT claim: sub"),
        (
            "unsecuredLoginExtension_a=b",
            "Extensions provided in login context without a token",
        ),
        (
            "unsecuredLoginStringClaim_sub=a unsecuredLoginExtension_auth=b",
            "Extension name auth is invalid",
        ),
        (
            "unsecuredLoginStringClaim_sub=a unsecuredLoginStringClaim_exp=b",
            "Cannot explicitly set the 'exp' claim",
        ),
        (
            "unsecuredLoginStringClaim_sub=a unsecuredLoginLifetimeSeconds=x",
            "For input string: \"x\"",
        ),
        (
            "unsecuredLoginStringClaim_sub=a unsecuredLoginNumberClaim_n=x",
            "For input string: \"x\"",
        ),
    ] {
        let error = UnsecuredLogin::new(&module(options)).expect_err(options);
        assert_eq!(error.to_string(), message, "{options}");
    }
}

proptest! {
    #[test]
    fn any_token_is_read_or_refused(token in "[a-zA-Z0-9._=-]{0,60}", claims in "\\PC{0,40}") {
        let validator = UnsecuredValidator::new(&module("")).expect("there are no options");
        let _ = validator.validate(&token, NOW_MS);
        let [header, claims] = [r#"{"alg":"none"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        let _ = validator.validate(&format!("{header}.{claims}."), NOW_MS);
    }
}
