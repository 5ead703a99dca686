//! DescribeUserScramCredentials (50): the mechanisms and iterations of users' credentials. Kafka 3.9:
//! `KafkaApis.handleDescribeUserScramCredentialsRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::admin::AdminManager;
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use crate::protocol::messages::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::DescribeUserScramCredentials,
    0..=0,
    &[Check::always(
        &[Right(AclOperation::Describe, Resource::Cluster)],
        Refusal::Request(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Describes users; on any broker.
pub async fn handle(
    api: &Api,
    _: &RequestContext,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    respond(&api.admin, request).await
}

async fn respond(
    admin: &AdminManager,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let users = request.users.unwrap_or_default().into_iter();
    let users: Vec<String> = users.map(|user| user.name.to_string()).collect();
    let response = DescribeUserScramCredentialsResponse::default();
    let described = match admin.describe_scram_credentials(&users).await {
        Ok(described) => described,
        Err(error) => {
            return response
                .with_error_code(error.code.code())
                .with_error_message(error.message.map(StrBytes::from_string));
        }
    };
    // The messages of successes are empty, not null.
    let results = described.into_iter().map(|(user, outcome)| {
        let result = DescribeUserScramCredentialsResult::default().with_user(StrBytes::from_string(user));
        match outcome {
            Ok(infos) => {
                let infos = infos.into_iter().map(|(mechanism, iterations)| {
                    CredentialInfo::default()
                        .with_mechanism(mechanism.number())
                        .with_iterations(iterations)
                });
                result.with_credential_infos(infos.collect())
            }
            Err(error) => result
                .with_error_code(error.code.code())
                .with_error_message(error.message.map(StrBytes::from_string)),
        }
    });
    response.with_results(results.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tests::World;
    use crate::protocol::Response;
    use crate::protocol::messages::describe_user_scram_credentials_request::UserName;
    use crate::zk::{CreateMode, ZkStore as _};

    const CREDENTIAL: &str = "salt=YQ==,stored_key=Yg==,server_key=Yw==,iterations=";

    async fn world() -> World {
        let world = World::new().await;
        for (user, config) in [
            (
                "alice",
                format!(r#""SCRAM-SHA-512":"{CREDENTIAL}4096","SCRAM-SHA-256":"{CREDENTIAL}8192""#),
            ),
            ("CN%3Db", format!(r#""SCRAM-SHA-256":"{CREDENTIAL}5000""#)),
            ("broken", r#""SCRAM-SHA-256":"x""#.to_owned()),
            ("quota", r#""producer_byte_rate":"1""#.to_owned()),
            ("<default>", r#""producer_byte_rate":"1""#.to_owned()),
        ] {
            let data = format!(r#"{{"version":1,"config":{{{config}}}}}"#);
            let path = format!("/config/users/{user}");
            let created = world.session.create(&path, data.into(), CreateMode::Persistent);
            created.await.expect("it is new");
        }
        world
    }

    /// User, code, message, and the mechanisms and iterations of each result.
    async fn describe(
        world: &World,
        users: Option<&[&'static str]>,
    ) -> Vec<(String, i16, String, Vec<(i8, i32)>)> {
        let name = |user: &&'static str| UserName::default().with_name(StrBytes::from_static_str(user));
        let users = users.map(|users| users.iter().map(name).collect());
        let request = DescribeUserScramCredentialsRequest::default().with_users(users);
        let response = respond(&world.admin, request).await;
        assert_eq!(
            (response.error_code, response.error_message.as_deref()),
            (0, Some(""))
        );
        Response::of(&response, 0, 1).expect("it can be written");
        let results = response.results.into_iter().map(|result| {
            let infos = result.credential_infos.iter();
            (
                result.user.to_string(),
                result.error_code,
                result.error_message.expect("there is a message").to_string(),
                infos.map(|info| (info.mechanism, info.iterations)).collect(),
            )
        });
        results.collect()
    }

    #[tokio::test]
    async fn all_users_with_credentials_are_described() {
        let world = world().await;
        let unexpected = "The server experienced an unexpected error when processing the request.";
        let expected = [
            ("CN=b".to_owned(), 0, String::new(), vec![(1, 5000)]),
            ("alice".to_owned(), 0, String::new(), vec![(1, 8192), (2, 4096)]),
            ("broken".to_owned(), -1, unexpected.to_owned(), vec![]),
        ];
        assert_eq!(describe(&world, None).await, expected);
        assert_eq!(describe(&world, Some(&[])).await, expected);
    }

    #[tokio::test]
    async fn given_users_are_described_or_refused_one_by_one() {
        let world = world().await;
        let described = describe(&world, Some(&["quota", "alice", "ghost", "CN=b", "alice", ""])).await;
        let missing = "Attempt to describe a user credential that does not exist: ";
        let twice = "Cannot describe SCRAM credentials for the same user twice in a single request: alice";
        let expected = [
            ("quota".to_owned(), 91, format!("{missing}quota"), vec![]),
            ("alice".to_owned(), 92, twice.to_owned(), vec![]),
            ("ghost".to_owned(), 91, format!("{missing}ghost"), vec![]),
            ("CN=b".to_owned(), 0, String::new(), vec![(1, 5000)]),
            (String::new(), 91, "Username must not be empty".to_owned(), vec![]),
        ];
        assert_eq!(described, expected);
    }
}
