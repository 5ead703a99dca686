//! AlterUserScramCredentials (51): sets and deletes the SCRAM credentials of users. Kafka 3.9:
//! `KafkaApis.handleAlterUserScramCredentialsRequest`.

use std::collections::BTreeSet;

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::admin::{AdminManager, ScramAlterations, ScramDeletion, ScramUpsertion};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use crate::protocol::messages::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::AlterUserScramCredentials,
    0..=0,
    &[Check::always(
        &[Right(AclOperation::Alter, Resource::Cluster)],
        Refusal::AllEntries(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Changes users, on the active controller only.
pub async fn handle(
    api: &Api,
    _: &RequestContext,
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    respond(&api.admin, api.controller.is_active(), request).await
}

async fn respond(
    admin: &AdminManager,
    is_controller: bool,
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    let result = |user: StrBytes, code: ErrorCode, message: Option<String>| {
        AlterUserScramCredentialsResult::default()
            .with_user(user)
            .with_error_code(code.code())
            .with_error_message(message.map(StrBytes::from_string))
    };
    let results = if is_controller {
        let outcomes = admin.alter_scram_credentials(&alterations(request)).await;
        let results = outcomes.into_iter().map(|(user, outcome)| {
            let (code, message) = match outcome {
                // Kafka's message is empty, not null.
                Ok(()) => (ErrorCode::None, Some(String::new())),
                Err(error) => (error.code, error.message),
            };
            result(StrBytes::from_string(user), code, message)
        });
        results.collect()
    } else {
        let deleted = request.deletions.into_iter().map(|deletion| deletion.name);
        let upserted = request.upsertions.into_iter().map(|upsertion| upsertion.name);
        let users: BTreeSet<StrBytes> = deleted.chain(upserted).collect();
        let refused = users
            .into_iter()
            .map(|user| result(user, ErrorCode::NotController, None));
        refused.collect()
    };
    AlterUserScramCredentialsResponse::default().with_results(results)
}

fn alterations(request: AlterUserScramCredentialsRequest) -> ScramAlterations {
    let upsertions = request.upsertions.into_iter().map(|upsertion| ScramUpsertion {
        user: upsertion.name.to_string(),
        mechanism: upsertion.mechanism,
        iterations: upsertion.iterations,
        salt: upsertion.salt,
        salted_password: upsertion.salted_password,
    });
    let deletions = request.deletions.into_iter().map(|deletion| ScramDeletion {
        user: deletion.name.to_string(),
        mechanism: deletion.mechanism,
    });
    ScramAlterations {
        upsertions: upsertions.collect(),
        deletions: deletions.collect(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::admin::tests::World;
    use crate::protocol::Response;
    use crate::protocol::messages::alter_user_scram_credentials_request::{
        ScramCredentialDeletion, ScramCredentialUpsertion,
    };
    use crate::zk::{CreateMode, ZkStore as _};

    fn upsertion(user: &'static str, mechanism: i8, iterations: i32) -> ScramCredentialUpsertion {
        ScramCredentialUpsertion::default()
            .with_name(StrBytes::from_static_str(user))
            .with_mechanism(mechanism)
            .with_iterations(iterations)
            .with_salt(Bytes::from_static(b"abcdefghij"))
            .with_salted_password(Bytes::from_static(b"0123456789abcdef0123456789abcdef"))
    }

    fn deletion(user: &'static str, mechanism: i8) -> ScramCredentialDeletion {
        ScramCredentialDeletion::default()
            .with_name(StrBytes::from_static_str(user))
            .with_mechanism(mechanism)
    }

    /// User, code and message of each result.
    async fn alter(
        world: &World,
        upsertions: &[ScramCredentialUpsertion],
        deletions: &[ScramCredentialDeletion],
    ) -> Vec<(String, i16, String)> {
        let request = AlterUserScramCredentialsRequest::default()
            .with_upsertions(upsertions.to_vec())
            .with_deletions(deletions.to_vec());
        let response = respond(&world.admin, true, request).await;
        Response::of(&response, 0, 1).expect("it can be written");
        let results = response.results.into_iter();
        results
            .map(|result| {
                let message = result.error_message.expect("there is a message");
                (result.user.to_string(), result.error_code, message.to_string())
            })
            .collect()
    }

    fn row(user: &str, code: i16, message: &str) -> (String, i16, String) {
        (user.to_owned(), code, message.to_owned())
    }

    #[tokio::test]
    async fn users_are_refused_as_kafka_refuses_them() {
        let world = World::new().await;
        let mut empty = upsertion("u4", 1, 4096);
        empty.salted_password = Bytes::new();
        let twice = "A user credential cannot be altered twice in the same request";
        let missing = "Attempt to delete a user credential that does not exist";
        let unexpected = "The server experienced an unexpected error when processing the request.";
        for (upsertions, deletions, result) in [
            (
                vec![upsertion("u1", 1, 4095)],
                vec![],
                row("u1", 93, "Too few iterations"),
            ),
            (
                vec![upsertion("u1", 2, 16385)],
                vec![],
                row("u1", 93, "Too many iterations"),
            ),
            (
                vec![upsertion("", 1, 4096)],
                vec![],
                row("", 93, "Username must not be empty"),
            ),
            (
                vec![upsertion("u1", 0, 4096)],
                vec![],
                row("u1", 33, "Unknown SCRAM mechanism"),
            ),
            (
                vec![upsertion("u1", 3, 4096)],
                vec![],
                row("u1", 33, "Unknown SCRAM mechanism"),
            ),
            (
                vec![],
                vec![deletion("u1", 0)],
                row("u1", 33, "Unknown SCRAM mechanism"),
            ),
            (
                vec![],
                vec![deletion("", 1)],
                row("", 93, "Username must not be empty"),
            ),
            (vec![upsertion("u1", 1, 4096); 2], vec![], row("u1", 92, twice)),
            (
                vec![upsertion("u1", 1, 4096)],
                vec![deletion("u1", 1)],
                row("u1", 92, twice),
            ),
            (vec![], vec![deletion("u1", 1)], row("u1", 91, missing)),
            (
                vec![upsertion("u1", 2, 4096)],
                vec![deletion("u1", 1)],
                row("u1", 91, missing),
            ),
            (vec![empty], vec![], row("u4", -1, unexpected)),
        ] {
            assert_eq!(alter(&world, &upsertions, &deletions).await, [result]);
        }
        assert!(world.notifications().is_empty());
        assert_eq!(world.znode("/config/users/u1"), None);
    }

    #[tokio::test]
    async fn the_znode_is_that_of_kafka() {
        let world = World::new().await;
        let both = [upsertion("u5", 1, 4096), upsertion("u5", 2, 4096)];
        assert_eq!(alter(&world, &both, &[]).await, [row("u5", 0, "")]);
        // From the znodes of a cluster of Apache Kafka after the same request.
        let sha_256 = "salt=YWJjZGVmZ2hpag==,stored_key=+akJG1K0B2V5aszF5VTcCnDUCd6yn5RdhAGYO6rLqls=,\
                       server_key=dVQxRheUoqKPKNs0d5QMcjXYW8lIlEawkQYC3z0/ki0=,iterations=4096";
        let znode = world.znode("/config/users/u5").expect("it was created");
        assert!(
            znode.contains(&format!("\"SCRAM-SHA-256\":\"{sha_256}\"")),
            "{znode}"
        );
        assert!(
            znode.contains("\"SCRAM-SHA-512\":\"salt=YWJjZGVmZ2hpag==,stored_key=+6p4ryEH"),
            "{znode}"
        );
        assert_eq!(
            world.notifications(),
            [r#"{"version":2,"entity_path":"users/u5"}"#]
        );
    }

    #[tokio::test]
    async fn one_bad_user_does_not_stop_another() {
        let world = World::new().await;
        let two = [upsertion("u2", 1, 4096), upsertion("u3", 1, 1)];
        let expected = [row("u3", 93, "Too few iterations"), row("u2", 0, "")];
        assert_eq!(alter(&world, &two, &[]).await, expected);
        assert!(world.znode("/config/users/u2").is_some());
    }

    #[tokio::test]
    async fn quotas_in_the_same_znode_stay() {
        let world = World::new().await;
        let data = r#"{"version":1,"config":{"SCRAM-SHA-256":"x","producer_byte_rate":"1"}}"#;
        let path = "/config/users/CN%3Da";
        let created = world.session.create(path, data.into(), CreateMode::Persistent);
        created.await.expect("it is new");
        assert_eq!(
            alter(&world, &[], &[deletion("CN=a", 1)]).await,
            [row("CN=a", 0, "")]
        );
        let expected = r#"{"version":1,"config":{"producer_byte_rate":"1"}}"#;
        assert_eq!(world.znode(path).as_deref(), Some(expected));
    }

    #[tokio::test]
    async fn another_broker_refuses_every_user_once() {
        let world = World::new().await;
        let request = AlterUserScramCredentialsRequest::default()
            .with_upsertions(vec![upsertion("a", 1, 4096)])
            .with_deletions(vec![deletion("a", 2), deletion("b", 1)]);
        let response = respond(&world.admin, false, request).await;
        let codes: Vec<_> = response
            .results
            .iter()
            .map(|result| (&*result.user, result.error_code))
            .collect();
        assert_eq!(codes, [("a", 41), ("b", 41)]);
        assert!(
            response
                .results
                .iter()
                .all(|result| result.error_message.is_none())
        );
    }
}
