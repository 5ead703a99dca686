//! Owns the SCRAM credentials of all users as the broker knows them. Fed from the users' config nodes. Kafka 3.9:
//! `CredentialCache`, `CredentialProvider`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;

use super::credential::ScramCredential;
use super::mechanism::ScramMechanism;

/// The credentials for one mechanism, by user.
type Users = HashMap<String, Arc<ScramCredential>>;

/// The credentials of the users of one broker. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct ScramCredentialCache {
    credentials: Arc<RwLock<HashMap<ScramMechanism, Users>>>,
}

impl ScramCredentialCache {
    /// The credential of a user.
    pub fn get(&self, mechanism: ScramMechanism, user: &str) -> Option<Arc<ScramCredential>> {
        self.credentials.read().get(&mechanism)?.get(user).cloned()
    }

    /// The users that have a credential.
    pub fn users(&self) -> BTreeSet<String> {
        let credentials = self.credentials.read();
        credentials.values().flat_map(HashMap::keys).cloned().collect()
    }

    /// Sets or, with `None`, removes the credential of a user.
    pub fn update(&self, mechanism: ScramMechanism, user: &str, credential: Option<ScramCredential>) {
        let mut credentials = self.credentials.write();
        let users = credentials.entry(mechanism).or_default();
        match credential {
            Some(credential) => {
                users.insert(user.to_owned(), Arc::new(credential));
            }
            None => {
                users.remove(user);
            }
        }
    }

    /// Takes the values of a user's config node, by the names of the mechanisms. A mechanism without a value loses its
    /// credential; so does one whose value is no credential. Returns the mechanisms of such values.
    pub fn update_user<'a>(
        &self,
        user: &str,
        value: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Vec<ScramMechanism> {
        let mut invalid = Vec::new();
        for mechanism in ScramMechanism::ALL {
            let credential = value(mechanism.name()).map(ScramCredential::parse);
            if matches!(credential, Some(Err(_))) {
                invalid.push(mechanism);
            }
            self.update(mechanism, user, credential.and_then(Result::ok));
        }
        invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "salt=YQ==,stored_key=Yg==,server_key=Yw==,iterations=4096";

    #[test]
    fn a_users_node_replaces_all_of_its_credentials() {
        let cache = ScramCredentialCache::default();
        let shared = cache.clone();
        let has = |mechanism| shared.get(mechanism, "alice").is_some();
        assert!(cache.update_user("alice", |_| Some(TEXT)).is_empty());
        assert!(has(ScramMechanism::ScramSha256) && has(ScramMechanism::ScramSha512));
        assert!(cache.get(ScramMechanism::ScramSha256, "bob").is_none());
        assert_eq!(cache.users(), ["alice".to_owned()].into());
        cache.update_user("alice", |name| (name == "SCRAM-SHA-512").then_some(TEXT));
        assert!(!has(ScramMechanism::ScramSha256) && has(ScramMechanism::ScramSha512));
        let invalid = cache.update_user("alice", |_| Some("nonsense"));
        assert_eq!(invalid, ScramMechanism::ALL);
        assert!(!has(ScramMechanism::ScramSha512));
    }
}
