//! Owns sets of public keys and the choice of the one that a token is signed with. Kafka 3.9:
//! `JwksFileVerificationKeyResolver`, `VerificationJwkSelector` of jose4j.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

/// The keys of one document, in its order.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    jwk: Jwk,
    key: DecodingKey,
}

/// A document that is no key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON Web Key Set: {0}")]
pub struct InvalidKeySet(String);

impl KeySet {
    /// Reads a document. Keys of unknown kinds are left out, as they may be for others.
    pub fn parse(json: &str) -> Result<Self, InvalidKeySet> {
        let value: Value = serde_json::from_str(json).map_err(|error| InvalidKeySet(error.to_string()))?;
        let keys = value.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or_else(|| InvalidKeySet("it has no list of keys".to_owned()))?;
        let keys = keys.iter().filter_map(|key| {
            let jwk: Jwk = serde_json::from_value(key.clone()).ok()?;
            let key = DecodingKey::from_jwk(&jwk).ok()?;
            Some(Key { jwk, key })
        });
        Ok(Self(keys.collect()))
    }

    /// The first key that fits a token's header: the key's id, if the header has one, the kind and the use.
    pub fn find(&self, key_id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let fits = |key: &&Key| key.has_id(key_id) && key.is_for(algorithm);
        let mut keys: Vec<&Key> = self.0.iter().filter(fits).collect();
        if keys.len() > 1 {
            keys.retain(|key| {
                let own = key.jwk.common.key_algorithm;
                own.is_none_or(|own| own.to_string() == format!("{algorithm:?}"))
            });
        }
        keys.first().map(|key| &key.key)
    }

    /// The ids of the keys that have one.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|key| key.jwk.common.key_id.as_deref())
    }
}

impl Key {
    fn has_id(&self, key_id: Option<&str>) -> bool {
        key_id.is_none() || self.jwk.common.key_id.as_deref() == key_id
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let common = &self.jwk.common;
        let is_for_signatures = common
            .public_key_use
            .as_ref()
            .is_none_or(|public_key_use| *public_key_use == PublicKeyUse::Signature);
        let may_verify = common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let is_kind = match (&self.jwk.algorithm, algorithm) {
            (AlgorithmParameters::RSA(_), RS256 | RS384 | RS512 | PS256 | PS384 | PS512) => true,
            (AlgorithmParameters::EllipticCurve(key), ES256) => key.curve == EllipticCurve::P256,
            (AlgorithmParameters::EllipticCurve(key), ES384) => key.curve == EllipticCurve::P384,
            (AlgorithmParameters::OctetKeyPair(key), EdDSA) => key.curve == EllipticCurve::Ed25519,
            // A secret key in a set of public ones proves nothing.
            _ => false,
        };
        is_for_signatures && may_verify && is_kind
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rsa(id: &str, more: &Value) -> Value {
        let mut key = json!({"kty": "RSA", "kid": id, "n": "AQAB", "e": "AQAB"});
        let key_fields = key.as_object_mut().expect("it is an object");
        key_fields.extend(more.as_object().expect("it is an object").clone());
        key
    }

    fn finds(keys: &Value, id: Option<&str>, algorithm: Algorithm) -> bool {
        let set = KeySet::parse(&json!({"keys": keys}).to_string()).expect("it is a set");
        set.find(id, algorithm).is_some()
    }

    #[test]
    fn a_key_is_found_by_id_and_kind() {
        let keys = json!([
            {"kty": "unknown", "kid": "x"},
            "nonsense",
            {"kty": "oct", "kid": "secret", "k": "AQAB"},
            {"kty": "EC", "kid": "ec", "crv": "P-256", "x": "AQAB", "y": "AQAB"},
            rsa("one", &json!({"use": "sig", "alg": "RS256"})),
            rsa("two", &json!({"use": "enc"})),
            rsa("three", &json!({"key_ops": ["encrypt"]})),
        ]);
        assert!(finds(&keys, Some("one"), Algorithm::RS256));
        assert!(finds(&keys, None, Algorithm::PS512));
        assert!(finds(&keys, Some("ec"), Algorithm::ES256));
        assert!(finds(&keys, None, Algorithm::ES256));
        assert!(!finds(&keys, Some("one"), Algorithm::ES256));
        assert!(!finds(&keys, Some("ec"), Algorithm::ES384));
        assert!(!finds(&keys, Some("two"), Algorithm::RS256));
        assert!(!finds(&keys, Some("three"), Algorithm::RS256));
        assert!(!finds(&keys, Some("four"), Algorithm::RS256));
        assert!(!finds(&keys, Some("secret"), Algorithm::HS256));
        let set = KeySet::parse(&json!({"keys": keys}).to_string()).expect("it is a set");
        assert_eq!(
            set.key_ids().collect::<Vec<_>>(),
            ["secret", "ec", "one", "two", "three"]
        );
    }

    #[test]
    fn of_several_keys_the_algorithm_decides() {
        let keys = json!([
            rsa("x", &json!({"alg": "RS512"})),
            rsa("x", &json!({"alg": "PS256"}))
        ]);
        assert!(finds(&keys, Some("x"), Algorithm::PS256));
        assert!(!finds(&keys, Some("x"), Algorithm::RS256));
        assert!(finds(&json!([keys[0]]), Some("x"), Algorithm::RS256));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}", key in "[a-z]{0,4}", value in "\\PC{0,8}") {
            let _ = KeySet::parse(&text);
            let keys = json!({"keys": [rsa("x", &json!({key: value}))]});
            prop_assert!(KeySet::parse(&keys.to_string()).is_ok());
        }
    }
}
