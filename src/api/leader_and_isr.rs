//! LeaderAndIsr (4): the controller makes replicas of this broker leaders and followers. Kafka 3.9:
//! `KafkaApis.handleLeaderAndIsrRequest`.

use std::collections::HashMap;
use std::time::Duration;

use super::broker_epoch::check_broker_epoch;
use super::declaration::{Declaration, FROM_BROKERS};
use super::{Api, RequestContext};
use crate::cluster::LeadershipDecision;
use crate::common::error::ErrorCode;
use crate::common::ids::{TopicId, TopicName, TopicPartition};
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderRecoveryState, ReplicaAssignment};
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::leader_and_isr_request::LeaderAndIsrPartitionState;
use crate::protocol::messages::leader_and_isr_response::{
    LeaderAndIsrPartitionError, LeaderAndIsrTopicError,
};
use crate::protocol::messages::{self, BrokerId, LeaderAndIsrRequest, LeaderAndIsrResponse};
use crate::replica::{LeaderAndIsrUpdate, PartitionUpdate};

/// First version whose response names topics by id.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 5;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::LeaderAndIsr, 0..=7, FROM_BROKERS);

/// Answers one request.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: LeaderAndIsrRequest,
) -> LeaderAndIsrResponse {
    read_topic_configs(api, &request).await;
    let replicas = &api.replicas;
    let broker_epoch = request.broker_epoch;
    let update = update(request);
    let topics: HashMap<_, _> = update
        .partitions
        .iter()
        .map(|p| (p.topic_partition.topic.clone(), p.topic_id.unwrap_or_default()))
        .collect();
    let names: Vec<_> = update
        .partitions
        .iter()
        .map(|p| p.topic_partition.clone())
        .collect();
    let result = match check_broker_epoch(replicas, ApiKey::LeaderAndIsr, broker_epoch) {
        Ok(()) => replicas.become_leader_or_follower(update).await,
        Err(error) => Err(error),
    };
    let (error, codes) = match result {
        Ok(codes) => (ErrorCode::None, codes),
        // An error of the whole request stands beside each partition too.
        Err(error) => (error, names.into_iter().map(|name| (name, error)).collect()),
    };
    let response = LeaderAndIsrResponse::default().with_error_code(error.code());
    if context.api_version < FIRST_VERSION_WITH_TOPIC_IDS {
        let named = codes.into_iter().map(|(name, code)| {
            partition_error(&name, code).with_topic_name(StrBytes::from_string(name.topic.to_string()).into())
        });
        return response.with_partition_errors(named.collect());
    }
    let mut by_topic: Vec<LeaderAndIsrTopicError> = Vec::new();
    for (name, code) in codes {
        let id = topics.get(&name.topic).copied().unwrap_or_default();
        let error = partition_error(&name, code);
        match by_topic.iter_mut().find(|topic| topic.topic_id == id) {
            Some(topic) => topic.partition_errors.push(error),
            None => by_topic.push(
                LeaderAndIsrTopicError::default()
                    .with_topic_id(id)
                    .with_partition_errors(vec![error]),
            ),
        }
    }
    response.with_topics(by_topic)
}

/// Reads the configurations of topics whose logs may have to be created: there is no notification for a new topic.
async fn read_topic_configs(api: &Api, request: &LeaderAndIsrRequest) {
    let grouped = request.topic_states.iter().flat_map(|topic| {
        let states = topic.partition_states.iter();
        states.map(|state| (&topic.topic_name, state.partition_index))
    });
    let ungrouped = request.ungrouped_partition_states.iter();
    let ungrouped = ungrouped.map(|state| (&state.topic_name, state.partition_index));
    let is_missing = |(topic, partition): &(&messages::TopicName, i32)| {
        let partition = TopicPartition::new(topic.as_str(), *partition);
        api.replicas.partition(&partition).is_err()
    };
    let mut topics: Vec<String> = grouped
        .chain(ungrouped)
        .filter(is_missing)
        .map(|(topic, _)| topic.to_string())
        .collect();
    topics.sort_unstable();
    topics.dedup();
    // The controller must get the answer before it closes the connection.
    let limit = Duration::from_millis(api.config.controller_socket_timeout_ms) / 2;
    let replicas = api.replicas.clone();
    let on_late = move |changed: Vec<TopicName>| {
        for topic in changed {
            replicas.update_topic_config(&topic);
        }
    };
    let configs = api.admin.configs();
    configs.load_topics_within(limit, &api.zk, topics, on_late).await;
}

fn partition_error(name: &TopicPartition, code: ErrorCode) -> LeaderAndIsrPartitionError {
    LeaderAndIsrPartitionError::default()
        .with_partition_index(name.partition)
        .with_error_code(code.code())
}

fn update(request: LeaderAndIsrRequest) -> LeaderAndIsrUpdate {
    let mut partitions = Vec::new();
    // Before version 2 each partition names its topic.
    for state in &request.ungrouped_partition_states {
        partitions.push(partition(&state.topic_name, TopicId::nil(), state));
    }
    for topic in &request.topic_states {
        let states = topic.partition_states.iter();
        partitions.extend(states.map(|state| partition(&topic.topic_name, topic.topic_id, state)));
    }
    LeaderAndIsrUpdate {
        controller_epoch: request.controller_epoch,
        partitions,
    }
}

fn partition(topic: &str, topic_id: TopicId, state: &LeaderAndIsrPartitionState) -> PartitionUpdate {
    let ids = |list: &[BrokerId]| list.iter().map(|id| id.0).collect();
    PartitionUpdate {
        topic_partition: TopicPartition::new(topic, state.partition_index),
        topic_id: (!topic_id.is_nil()).then_some(topic_id),
        decision: LeadershipDecision {
            controller_epoch: state.controller_epoch,
            leader_and_isr: LeaderAndIsr {
                leader: state.leader.0,
                leader_epoch: state.leader_epoch,
                isr: ids(&state.isr),
                recovery_state: LeaderRecoveryState::from_i8(state.leader_recovery_state).unwrap_or_default(),
                partition_epoch: state.partition_epoch,
            },
            assignment: ReplicaAssignment {
                replicas: ids(&state.replicas),
                adding: ids(&state.adding_replicas),
                removing: ids(&state.removing_replicas),
            },
            is_new: state.is_new,
        },
    }
}
