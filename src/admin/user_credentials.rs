//! Reads the SCRAM credentials in the settings of users into the cache that logins are checked with. Kafka 3.9:
//! `UserConfigHandler`, `CredentialProvider`.

use tracing::warn;

use super::entity_config::Overrides;
use crate::security::sasl::ScramCredentialCache;
use crate::zk::paths::{self, ConfigEntityType, DEFAULT_ENTITY};
use crate::zk::{ZkError, ZkStore, cluster, sanitizer};

/// Reads the settings of all users. Users that are gone lose their credentials.
pub(super) async fn load(zk: &dyn ZkStore, credentials: &ScramCredentialCache) -> Result<(), ZkError> {
    let parent = paths::config_entity_type(ConfigEntityType::Users);
    let names = cluster::children(zk, &parent, false).await?;
    let found = cluster::configs(zk, ConfigEntityType::Users, &names).await?;
    let mut gone = credentials.users();
    for (entity, settings) in found {
        if let Some(user) = update(credentials, &entity, &settings.config) {
            gone.remove(&user);
        }
    }
    for user in gone {
        credentials.update_user(&user, |_| None);
    }
    Ok(())
}

/// Takes the settings of an entity below `/config/users`. Returns the user, unless it is one of those that have quotas
/// alone: the default of all users, or a user's client.
pub(super) fn update(
    credentials: &ScramCredentialCache,
    entity: &str,
    settings: &Overrides,
) -> Option<String> {
    if entity == DEFAULT_ENTITY || entity.contains('/') {
        return None;
    }
    let Some(user) = sanitizer::desanitize(entity) else {
        warn!(entity, "the name of a user is not sanitized");
        return None;
    };
    let value = |mechanism: &str| settings.get(mechanism).map(String::as_str);
    for mechanism in credentials.update_user(&user, value) {
        let mechanism = mechanism.name();
        warn!(user, mechanism, "the SCRAM credential of a user is not usable");
    }
    Some(user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::ConfigChangeListener;
    use crate::admin::tests::{World, strings};
    use crate::admin::{ScramAlterations, ScramDeletion, entity_config};
    use crate::security::sasl::ScramMechanism;

    const CREDENTIAL: &str = "salt=YQ==,stored_key=Yg==,server_key=Yw==,iterations=4096";

    async fn set(world: &World, entity: &str, settings: &[(&str, &str)]) {
        let settings = strings(settings);
        let changed = entity_config::change(&*world.session, ConfigEntityType::Users, entity, &settings);
        changed.await.expect("ZooKeeper is there");
    }

    #[tokio::test]
    async fn credentials_follow_the_settings_of_users() {
        let world = World::new().await;
        let has = |user: &str, mechanism| world.configs.scram_credentials().get(mechanism, user).is_some();
        set(
            &world,
            "CN%3Da",
            &[("SCRAM-SHA-256", CREDENTIAL), ("producer_byte_rate", "1")],
        )
        .await;
        set(&world, "<default>", &[("SCRAM-SHA-256", CREDENTIAL)]).await;
        world
            .configs
            .load(&*world.session)
            .await
            .expect("ZooKeeper is there");
        assert!(has("CN=a", ScramMechanism::ScramSha256) && !has("CN=a", ScramMechanism::ScramSha512));
        assert!(!has("<default>", ScramMechanism::ScramSha256));

        let mut listener = ConfigChangeListener::new(
            world.session.clone(),
            world.configs.clone(),
            world.clock.clone(),
            vec![],
        );
        set(
            &world,
            "bob",
            &[("SCRAM-SHA-512", CREDENTIAL), ("SCRAM-SHA-256", "nonsense")],
        )
        .await;
        let deletion = ScramDeletion {
            user: "CN=a".to_owned(),
            mechanism: 1,
        };
        let alterations = ScramAlterations {
            deletions: vec![deletion],
            ..ScramAlterations::default()
        };
        let outcomes = world.admin.alter_scram_credentials(&alterations).await;
        assert_eq!(outcomes, [("CN=a".to_owned(), Ok(()))]);
        listener
            .process_notifications()
            .await
            .expect("ZooKeeper is there");
        assert!(has("bob", ScramMechanism::ScramSha512) && !has("bob", ScramMechanism::ScramSha256));
        assert!(!has("CN=a", ScramMechanism::ScramSha256));
    }

    #[tokio::test]
    async fn users_that_are_gone_lose_their_credentials() {
        let world = World::new().await;
        set(&world, "alice", &[("SCRAM-SHA-256", CREDENTIAL)]).await;
        world
            .configs
            .load(&*world.session)
            .await
            .expect("ZooKeeper is there");
        assert_eq!(
            world.configs.scram_credentials().users(),
            ["alice".to_owned()].into()
        );
        world
            .session
            .delete("/config/users/alice", None)
            .await
            .expect("it is there");
        world
            .configs
            .load(&*world.session)
            .await
            .expect("ZooKeeper is there");
        assert!(world.configs.scram_credentials().users().is_empty());
    }

    #[test]
    fn clients_of_users_have_no_credentials() {
        let credentials = ScramCredentialCache::default();
        let settings = strings(&[("SCRAM-SHA-256", CREDENTIAL)]);
        for entity in ["alice/clients/c", "<default>", "<default>/clients/c", "%zz"] {
            assert_eq!(update(&credentials, entity, &settings), None);
        }
        assert_eq!(update(&credentials, "a%20b", &settings).as_deref(), Some("a b"));
        assert_eq!(credentials.users(), ["a b".to_owned()].into());
    }
}
