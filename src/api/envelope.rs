//! Envelope (58): a request that a broker forwards to a KRaft controller. A cluster with ZooKeeper has none, and the
//! connection is closed. Kafka 3.9: `KafkaApis.handleEnvelope`.

use super::answer::Answer;
use super::declaration::Declaration;
use super::{Api, RequestContext};
use crate::protocol::ApiKey;
use crate::protocol::messages::{EnvelopeRequest, EnvelopeResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::Envelope, 0..=0, &[]);

/// Answers one request.
pub async fn handle(_: &Api, _: &RequestContext, _: EnvelopeRequest) -> Answer<EnvelopeResponse> {
    Answer::Close
}
