//! ControlledShutdown (7): moves the leaders off a broker that is about to stop.
//! Kafka 3.9: `KafkaApis.handleControlledShutdownRequest`.

use super::declaration::{Declaration, FROM_BROKERS};
use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::controlled_shutdown_response::RemainingPartition;
use crate::protocol::messages::{ControlledShutdownRequest, ControlledShutdownResponse};

/// Versions before this one do not carry the broker's epoch.
const FIRST_VERSION_WITH_BROKER_EPOCH: i16 = 2;

/// What the handler declares.
pub(super) const DECLARATION: Declaration =
    Declaration::built(ApiKey::ControlledShutdown, 0..=3, FROM_BROKERS);

/// Success is the error NONE without remaining partitions.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: ControlledShutdownRequest,
) -> ControlledShutdownResponse {
    let epoch = if context.api_version < FIRST_VERSION_WITH_BROKER_EPOCH {
        -1
    } else {
        request.broker_epoch
    };
    response(
        api.controller
            .controlled_shutdown(request.broker_id.0, epoch)
            .await,
    )
}

fn response(result: Result<Vec<TopicPartition>, ErrorCode>) -> ControlledShutdownResponse {
    match result {
        Ok(partitions) => {
            let remaining = partitions.into_iter().map(|p| {
                RemainingPartition::default()
                    .with_topic_name(StrBytes::from_string(p.topic.to_string()).into())
                    .with_partition_index(p.partition)
            });
            ControlledShutdownResponse::default().with_remaining_partitions(remaining.collect())
        }
        Err(error) => ControlledShutdownResponse::default().with_error_code(error.code()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_controller_says_is_what_the_broker_hears() {
        let remaining = response(Ok(vec![TopicPartition::new("t", 3)])).remaining_partitions;
        assert_eq!(
            (remaining[0].topic_name.as_str(), remaining[0].partition_index),
            ("t", 3)
        );
        assert_eq!(response(Err(ErrorCode::StaleBrokerEpoch)).error_code, 77);
    }
}
