//! ApiVersions (18): the APIs and versions that this broker serves. Kafka 3.9: `KafkaApis.handleApiVersionsRequest`,
//! `SimpleApiVersionManager`.
//!
//! A request of an unknown version is answered in version 0, which every client can read (fact 69).

use super::answer::Answer;
use super::declaration::{ApiState, Declaration};
use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::api_versions_response::ApiVersion;
use crate::protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

/// First version in which a client names its software.
const FIRST_WITH_SOFTWARE: i16 = 3;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::ApiVersions, 0..=4, &[]);

/// Answers one request. The version beside the response is the one to write it in.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: ApiVersionsRequest,
) -> Answer<ApiVersionsResponse> {
    let features_epoch = *api.features_epoch.borrow();
    let (response, version) = respond(api.declarations, features_epoch, context.api_version, &request);
    Answer::RespondIn(version, response)
}

fn respond(
    declarations: &[&Declaration],
    features_epoch: i64,
    version: i16,
    request: &ApiVersionsRequest,
) -> (ApiVersionsResponse, i16) {
    let response = ApiVersionsResponse::default();
    if !DECLARATION.versions.contains(&version) {
        let response = response
            .with_error_code(ErrorCode::UnsupportedVersion.code())
            .with_api_keys(vec![versions_of(&DECLARATION)]);
        return (response, 0);
    }
    let named = [&request.client_software_name, &request.client_software_version];
    if version >= FIRST_WITH_SOFTWARE && !named.into_iter().all(|name| is_software_name(name)) {
        return (
            response.with_error_code(ErrorCode::InvalidRequest.code()),
            version,
        );
    }
    let built = declarations.iter().filter(|api| api.state == ApiState::Built);
    let response = response
        .with_api_keys(built.map(|api| versions_of(api)).collect())
        .with_finalized_features_epoch(features_epoch);
    (response, version)
}

fn versions_of(api: &Declaration) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(api.key.code())
        .with_min_version(*api.versions.start())
        .with_max_version(*api.versions.end())
}

/// Letters and digits, with dashes and dots between them (KIP-511).
fn is_software_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let at_ends = |c: char| c.is_ascii_alphanumeric();
    name.starts_with(at_ends) && name.ends_with(at_ends) && name.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::DECLARATIONS;
    use crate::protocol::{StrBytes, codec};

    fn request(name: &'static str, version: &'static str) -> ApiVersionsRequest {
        ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str(name))
            .with_client_software_version(StrBytes::from_static_str(version))
    }

    #[test]
    fn what_is_built_is_advertised_in_every_version() {
        for version in DECLARATION.versions {
            let (response, written_in) = respond(DECLARATIONS, 5, version, &request("kcat", "1.7.0"));
            assert_eq!((response.error_code, written_in), (0, version));
            for api in &response.api_keys {
                let key = ApiKey::from_code(api.api_key).unwrap();
                let declared = DECLARATIONS.iter().find(|declared| declared.key == key).unwrap();
                assert_eq!(declared.state, ApiState::Built, "{key:?}");
                assert_eq!(api.min_version..=api.max_version, declared.versions);
            }
            let built = DECLARATIONS.iter().filter(|api| api.state == ApiState::Built);
            assert_eq!(response.api_keys.len(), built.count());
            let frame = codec::encode_response(&response, version, 1).unwrap();
            let read: ApiVersionsResponse = codec::decode_response(frame.slice(4..), version).unwrap();
            let epoch = if version >= 3 { 5 } else { -1 };
            assert_eq!(
                (read.finalized_features_epoch, read.zk_migration_ready),
                (epoch, false)
            );
        }
    }

    #[test]
    fn an_unknown_version_is_answered_in_version_0() {
        for version in [-1, 5, i16::MAX] {
            let (response, written_in) = respond(DECLARATIONS, 0, version, &ApiVersionsRequest::default());
            assert_eq!(written_in, 0);
            assert_eq!(response.error_code, ErrorCode::UnsupportedVersion.code());
            assert_eq!(response.api_keys, [versions_of(&DECLARATION)]);
            // Correlation id, error, one key with its two versions: header version 0, no tagged fields.
            let frame = codec::encode_response(&response, written_in, 9).unwrap();
            assert_eq!(
                &frame[..],
                [0, 0, 0, 16, 0, 0, 0, 9, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4]
            );
        }
    }

    #[test]
    fn software_has_a_decent_name() {
        let error = |name, version| respond(DECLARATIONS, 0, 3, &request(name, version)).0.error_code;
        for (name, version) in [("apache-kafka-java", "3.9.1"), ("a", "1"), ("a..b", "0-")] {
            let expected = if version == "0-" {
                ErrorCode::InvalidRequest
            } else {
                ErrorCode::None
            };
            assert_eq!(error(name, version), expected.code(), "{name} {version}");
        }
        for name in ["", "-a", "a-", ".", "a b", "ä", "a\n"] {
            assert_eq!(error(name, "1"), ErrorCode::InvalidRequest.code(), "{name}");
            assert_eq!(error("a", name), ErrorCode::InvalidRequest.code(), "{name}");
        }
        assert_eq!(
            respond(DECLARATIONS, 0, 2, &ApiVersionsRequest::default())
                .0
                .error_code,
            0
        );
    }
}
