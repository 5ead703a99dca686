//! AlterUserScramCredentials (51): not built yet. Kafka 3.9: `KafkaApis.handleAlterUserScramCredentialsRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use crate::protocol::messages::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::planned(
    ApiKey::AlterUserScramCredentials,
    0..=0,
    &[Check::always(
        &[Right(AclOperation::Alter, Resource::Cluster)],
        Refusal::AllEntries(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(
    _: &Api,
    _: &RequestContext,
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    let deleted = request.deletions.into_iter().map(|deletion| deletion.name);
    let upserted = request.upsertions.into_iter().map(|upsertion| upsertion.name);
    let results = deleted.chain(upserted).map(|user| {
        AlterUserScramCredentialsResult::default()
            .with_user(user)
            .with_error_code(ErrorCode::UnsupportedVersion.code())
    });
    AlterUserScramCredentialsResponse::default().with_results(results.collect())
}
