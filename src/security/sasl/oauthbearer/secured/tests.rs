//! Tests of signed tokens, with keys made here.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::security::sasl::oauthbearer::jwks::KeySet;

const NOW: i64 = 1_700_000_000;

struct Signer {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    fn new() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"),
            p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"),
        }
    }

    fn keys(&self) -> KeySource {
        let public = self.rsa.public_key();
        let point = |key: &EcdsaKeyPair, curve: &str| {
            let point = &key.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({"kty": "EC", "kid": curve, "crv": curve, "x": encode(x), "y": encode(y)})
        };
        let set = json!({"keys": [
            {
                "kty": "RSA", "kid": "rsa", "use": "sig",
                "n": encode(public.modulus().big_endian_without_leading_zero()),
                "e": encode(public.exponent().big_endian_without_leading_zero()),
            },
            point(&self.p256, "P-256"),
            point(&self.p384, "P-384"),
        ]});
        KeySource::File(KeySet::parse(&set.to_string()).expect("it is a set").into())
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let (random, bytes) = (SystemRandom::new(), signed.as_bytes());
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa
                .sign(encoding, &random, bytes, &mut signature)
                .expect("it signs");
            signature
        };
        let ec = |key: &EcdsaKeyPair| key.sign(&random, bytes).expect("it signs").as_ref().to_vec();
        let signature = match header["alg"].as_str() {
            Some("RS512") => rsa(&RSA_PKCS1_SHA512),
            Some("PS256") => rsa(&RSA_PSS_SHA256),
            Some("ES256") => ec(&self.p256),
            Some("ES384") => ec(&self.p384),
            Some("none") => Vec::new(),
            _ => rsa(&RSA_PKCS1_SHA256),
        };
        format!("{signed}.{}", encode(signature))
    }
}

fn config() -> OauthBearerConfig {
    OauthBearerConfig {
        clock_skew_seconds: 30,
        scope_claim_name: "scope".to_owned(),
        sub_claim_name: "sub".to_owned(),
        ..OauthBearerConfig::default()
    }
}

fn claims() -> Value {
    json!({"sub": "alice", "iat": NOW, "exp": NOW + 60})
}

#[test]
fn tokens_are_accepted_by_their_signatures() {
    let signer = Signer::new();
    let validator = SecuredValidator::new(&config(), signer.keys());
    let token = |header: Value| validator.validate(&signer.token(&header, &claims()), NOW * 1000);
    for header in [
        json!({"alg": "RS256", "kid": "rsa"}),
        json!({"alg": "RS256"}),
        json!({"alg": "RS512", "kid": "rsa"}),
        json!({"alg": "PS256", "kid": "rsa"}),
        json!({"alg": "ES256", "kid": "P-256"}),
        json!({"alg": "ES384", "typ": "JWT"}),
    ] {
        let expected = Token {
            principal: "alice".to_owned(),
            expires_at_ms: (NOW + 60) * 1000,
        };
        assert_eq!(token(header.clone()), Ok(expected), "{header}");
    }
    for header in [
        json!({"alg": "RS256", "kid": "unknown"}),
        json!({"alg": "RS256", "kid": "P-256"}),
        json!({"alg": "RS256", "kid": 1}),
        json!({"alg": "RS256", "crit": ["x"]}),
        json!({"alg": "RS384", "kid": "rsa"}),
        json!({"alg": "HS256", "kid": "rsa"}),
        json!({"alg": "none"}),
        json!({"alg": "x"}),
        json!({}),
    ] {
        let refusal = token(header.clone()).expect_err("it is not signed so");
        assert_eq!(refusal.json, r#"{"status":"invalid_token"}"#, "{header}");
    }
}

#[test]
fn changed_tokens_are_refused() {
    let signer = Signer::new();
    let validator = SecuredValidator::new(&config(), signer.keys());
    let header = json!({"alg": "RS256", "kid": "rsa"});
    let token = signer.token(&header, &claims());
    let (_, signature) = token.rsplit_once('.').expect("it is signed");
    let other = signer.token(&header, &json!({"sub": "bob", "iat": NOW, "exp": NOW + 60}));
    let (signed, _) = other.rsplit_once('.').expect("it is signed");
    for changed in [
        format!("{signed}.{signature}"),
        format!("{signed}."),
        signed.to_owned(),
        format!("{token}.x"),
        token[..token.len() - 4].to_owned(),
        String::new(),
        "..".to_owned(),
    ] {
        assert!(validator.validate(&changed, NOW * 1000).is_err(), "{changed}");
    }
    assert!(validator.validate(&format!(" {token}\n"), NOW * 1000).is_ok());
}

fn check(config: &OauthBearerConfig, claims: &Value) -> Result<Token, Refusal> {
    ClaimRules::new(config).check(claims.as_object().expect("it is an object"), NOW * 1000)
}

#[test]
fn claims_are_checked_as_kafka_checks_them() {
    for (claims, is_valid) in [
        (json!({"sub": "a", "iat": NOW, "exp": NOW + 1}), true),
        // In the time of grace.
        (json!({"sub": "a", "iat": NOW - 60, "exp": NOW - 10}), true),
        (json!({"sub": "a", "iat": NOW - 60, "exp": NOW - 30}), false),
        (json!({"sub": "a", "iat": NOW + 60, "exp": NOW + 60}), true),
        (json!({"sub": "a", "iat": NOW + 61, "exp": NOW + 60}), false),
        (
            json!({"sub": "a", "iat": NOW, "exp": NOW + 60, "nbf": NOW + 30}),
            true,
        ),
        (
            json!({"sub": "a", "iat": NOW, "exp": NOW + 60, "nbf": NOW + 31}),
            false,
        ),
        (json!({"sub": "a", "exp": NOW + 1}), false),
        (json!({"sub": "a", "iat": NOW}), false),
        (json!({"iat": NOW, "exp": NOW + 1}), false),
        (json!({"sub": " ", "iat": NOW, "exp": NOW + 1}), false),
        (json!({"sub": 1, "iat": NOW, "exp": NOW + 1}), false),
        (json!({"sub": "a", "iat": NOW, "exp": "1"}), false),
        (json!({"sub": "a", "iat": NOW, "exp": NOW as f64 + 1.9}), true),
        (json!({"sub": "a", "iat": NOW, "exp": 1e300}), true),
        (json!({"sub": "a", "iat": -1, "exp": NOW + 1}), false),
        (json!({"sub": "a", "iat": NOW, "exp": NOW + 1, "jti": 1}), false),
        (json!({"sub": "a", "iat": NOW, "exp": NOW + 1, "iss": 1}), false),
        (json!({"sub": "a", "iat": NOW, "exp": NOW + 1, "aud": "x"}), false),
        (
            json!({"sub": "a", "iat": NOW, "exp": NOW + 1, "scope": "x y"}),
            true,
        ),
        (
            json!({"sub": "a", "iat": NOW, "exp": NOW + 1, "scope": ["x", "y"]}),
            true,
        ),
        (
            json!({"sub": "a", "iat": NOW, "exp": NOW + 1, "scope": ["x", " x"]}),
            false,
        ),
        (
            json!({"sub": "a", "iat": NOW, "exp": NOW + 1, "scope": ""}),
            false,
        ),
        (
            json!({"sub": "a", "iat": NOW, "exp": NOW + 1, "scope": [1]}),
            false,
        ),
        (json!({"sub": "a", "iat": NOW, "exp": NOW + 1, "scope": 1}), true),
    ] {
        assert_eq!(check(&config(), &claims).is_ok(), is_valid, "{claims}");
    }
}

#[test]
fn audience_and_issuer_are_checked_when_they_are_expected() {
    let config = OauthBearerConfig {
        expected_audience: Some(vec!["kafka".to_owned(), "other".to_owned()]),
        expected_issuer: Some("https://issuer".to_owned()),
        sub_claim_name: "name".to_owned(),
        ..config()
    };
    for (audience, issuer, is_valid) in [
        (json!("kafka"), json!("https://issuer"), true),
        (json!(["x", "other"]), json!("https://issuer"), true),
        (json!("x"), json!("https://issuer"), false),
        (json!([]), json!("https://issuer"), false),
        (json!(["kafka", 1]), json!("https://issuer"), false),
        (json!(1), json!("https://issuer"), false),
        (Value::Null, json!("https://issuer"), false),
        (json!("kafka"), json!("https://other"), false),
        (json!("kafka"), Value::Null, false),
    ] {
        let claims = json!({"name": " bob ", "iat": NOW, "exp": NOW + 1, "aud": audience, "iss": issuer});
        let token = check(&config, &claims);
        assert_eq!(token.is_ok(), is_valid, "{claims}");
        assert!(token.is_err() || token.is_ok_and(|token| token.principal == "bob"));
    }
    let neither = json!({"name": "bob", "iat": NOW, "exp": NOW + 1});
    assert!(check(&config, &neither).is_err());
}

proptest! {
    #[test]
    fn any_token_is_refused(token in "[a-zA-Z0-9._=-]{0,60}", header in "\\PC{0,30}", claims in "\\PC{0,30}") {
        let keys = KeySource::File(KeySet::default().into());
        let validator = SecuredValidator::new(&config(), keys);
        prop_assert!(validator.validate(&token, NOW * 1000).is_err());
        let token = format!("{}.{}.AA", encode(header), encode(claims));
        prop_assert!(validator.validate(&token, NOW * 1000).is_err());
    }
}
