//! Answers of APIs that are not built yet: UNSUPPORTED_VERSION wherever the response has room for it. None of
//! them is advertised, so only clients that do not ask first ever see one.
//! Kafka 3.9: `AbstractRequest.getErrorResponse`.

use crate::common::error::ErrorCode;
use crate::protocol::messages::*;

const UNSUPPORTED: i16 = ErrorCode::UnsupportedVersion as i16;

pub(super) fn describe_client_quotas() -> DescribeClientQuotasResponse {
    DescribeClientQuotasResponse::default()
        .with_error_code(UNSUPPORTED)
        .with_entries(None)
}

pub(super) fn alter_client_quotas(request: AlterClientQuotasRequest) -> AlterClientQuotasResponse {
    use alter_client_quotas_response::{EntityData, EntryData};
    let entries = request.entries.into_iter().map(|entry| {
        let entity = entry.entity.into_iter().map(|entity| {
            EntityData::default()
                .with_entity_type(entity.entity_type)
                .with_entity_name(entity.entity_name)
        });
        EntryData::default()
            .with_error_code(UNSUPPORTED)
            .with_entity(entity.collect())
    });
    AlterClientQuotasResponse::default().with_entries(entries.collect())
}

pub(super) fn describe_user_scram_credentials() -> DescribeUserScramCredentialsResponse {
    DescribeUserScramCredentialsResponse::default().with_error_code(UNSUPPORTED)
}

pub(super) fn alter_user_scram_credentials(
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    use alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
    let deleted = request.deletions.into_iter().map(|deletion| deletion.name);
    let upserted = request.upsertions.into_iter().map(|upsertion| upsertion.name);
    let results = deleted.chain(upserted).map(|user| {
        AlterUserScramCredentialsResult::default()
            .with_user(user)
            .with_error_code(UNSUPPORTED)
    });
    AlterUserScramCredentialsResponse::default().with_results(results.collect())
}
