//! Builds the requests of a fetcher. Their versions are fixed by the inter-broker protocol 3.9, not negotiated (fact
//! 45). Kafka 3.9: `RemoteLeaderEndPoint`.

use std::collections::HashMap;
use std::sync::Arc;

use super::session::{FetchSessionHandler, SessionFetch, Wanted};
use crate::common::error::ErrorCode;
use crate::common::ids::{LeaderEpoch, Offset, TopicId, TopicPartition};
use crate::config::BrokerConfig;
use crate::protocol::StrBytes;
use crate::protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use crate::protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::protocol::messages::{
    FetchRequest, ListOffsetsRequest, ListOffsetsResponse, TopicName as WireTopicName,
};
use crate::replica::hooks::BrokerEpochSource;

const FETCH_VERSION: i16 = 17;
/// The last Fetch version that names topics by name; for topics without id.
const FETCH_VERSION_BY_NAME: i16 = 12;
/// The version of ListOffsets.
pub(super) const LIST_OFFSETS_VERSION: i16 = 9;
/// Asks for the end of the leader's log.
pub(super) const LATEST_TIMESTAMP: i64 = -1;
/// Asks for the start of the leader's log.
pub(super) const EARLIEST_TIMESTAMP: i64 = -2;

/// The values that go into every request.
pub(super) struct Requests {
    config: Arc<BrokerConfig>,
    broker_epoch: BrokerEpochSource,
}

/// How a request names topics: all of them by id, or all of them by name.
#[derive(Clone, Copy)]
struct Naming {
    by_id: bool,
}

impl Naming {
    fn name(self, partition: &TopicPartition) -> WireTopicName {
        match self.by_id {
            true => WireTopicName::default(),
            false => wire_name(partition),
        }
    }

    fn id(self, id: Option<TopicId>) -> TopicId {
        id.filter(|_| self.by_id).unwrap_or_default()
    }
}

impl Requests {
    pub(super) fn new(config: Arc<BrokerConfig>, broker_epoch: BrokerEpochSource) -> Self {
        Self { config, broker_epoch }
    }

    /// The request that `session` prepared, and its version.
    pub(super) fn fetch(&self, session: &FetchSessionHandler, fetch: &SessionFetch) -> (FetchRequest, i16) {
        let by_id = session
            .requested_partitions()
            .all(|(_, wanted)| wanted.topic_id.is_some());
        let naming = Naming { by_id };
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut last_topic = None;
        for name in &fetch.to_send {
            let Some(wanted) = session.requested(name) else {
                continue;
            };
            let partition = self.partition(name, wanted);
            match topics.last_mut() {
                Some(topic) if last_topic == Some(&name.topic) => topic.partitions.push(partition),
                _ => topics.push(
                    FetchTopic::default()
                        .with_topic(naming.name(name))
                        .with_topic_id(naming.id(wanted.topic_id))
                        .with_partitions(vec![partition]),
                ),
            }
            last_topic = Some(&name.topic);
        }
        // When topics are named by name, a partition that is sent anew and a forgotten one look the same.
        let forgotten = fetch
            .to_forget
            .iter()
            .filter(|(name, _)| by_id || !fetch.to_send.contains(name));
        let forgotten = forgotten.map(|(name, id)| {
            ForgottenTopic::default()
                .with_topic(naming.name(name))
                .with_topic_id(naming.id(*id))
                .with_partitions(vec![name.partition])
        });
        let request = FetchRequest::default()
            .with_max_wait_ms(i32::try_from(self.config.replica_fetch_wait_max_ms).unwrap_or(i32::MAX))
            .with_min_bytes(self.config.replica_fetch_min_bytes)
            .with_max_bytes(self.config.replica_fetch_response_max_bytes)
            .with_session_id(fetch.session_id)
            .with_session_epoch(fetch.session_epoch)
            .with_topics(topics)
            .with_forgotten_topics_data(forgotten.collect());
        self.signed(request, by_id)
    }

    /// Puts this replica's id into the field that the version has for it.
    fn signed(&self, request: FetchRequest, by_id: bool) -> (FetchRequest, i16) {
        let replica_id = self.config.broker_id.into();
        if !by_id {
            return (request.with_replica_id(replica_id), FETCH_VERSION_BY_NAME);
        }
        let state = ReplicaState::default()
            .with_replica_id(replica_id)
            .with_replica_epoch((self.broker_epoch)());
        (request.with_replica_state(state), FETCH_VERSION)
    }

    fn partition(&self, name: &TopicPartition, wanted: &Wanted) -> FetchPartition {
        FetchPartition::default()
            .with_partition(name.partition)
            .with_current_leader_epoch(wanted.epoch)
            .with_fetch_offset(wanted.fetch_offset)
            .with_last_fetched_epoch(wanted.last_fetched_epoch.unwrap_or(-1))
            .with_log_start_offset(wanted.log_start_offset)
            .with_partition_max_bytes(self.config.replica_fetch_max_bytes)
    }

    /// Asks the leader for the start or the end of its logs of these partitions.
    pub(super) fn list_offsets<'a>(
        &self,
        partitions: impl Iterator<Item = (&'a TopicPartition, LeaderEpoch)>,
        timestamp: i64,
    ) -> ListOffsetsRequest {
        let topics = partitions.map(|(name, epoch)| {
            let partition = ListOffsetsPartition::default()
                .with_partition_index(name.partition)
                .with_current_leader_epoch(epoch)
                .with_timestamp(timestamp);
            ListOffsetsTopic::default()
                .with_name(wire_name(name))
                .with_partitions(vec![partition])
        });
        ListOffsetsRequest::default()
            .with_replica_id(self.config.broker_id.into())
            .with_topics(topics.collect())
    }
}

/// The offsets in the leader's answer. A partition with an error is logged and left out.
pub(super) fn offsets_in(response: &ListOffsetsResponse) -> HashMap<TopicPartition, Offset> {
    let mut offsets = HashMap::new();
    for topic in &response.topics {
        for partition in &topic.partitions {
            let name = TopicPartition::new(topic.name.as_str(), partition.partition_index);
            match ErrorCode::from_code(partition.error_code) {
                ErrorCode::None => drop(offsets.insert(name, partition.offset)),
                error => tracing::info!(partition = %name, %error, "the leader does not tell its offsets"),
            }
        }
    }
    offsets
}

fn wire_name(partition: &TopicPartition) -> WireTopicName {
    StrBytes::from_string(partition.topic.to_string()).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    fn wanted(id: Option<u128>) -> Wanted {
        Wanted {
            topic_id: id.map(TopicId::from_u128),
            epoch: 4,
            fetch_offset: 10,
            last_fetched_epoch: Some(3),
            log_start_offset: 2,
        }
    }

    fn request(partitions: &[(&str, i32, Option<u128>)]) -> (FetchRequest, i16) {
        let config = BrokerConfig::for_test(5, Path::new("unused"));
        let requests = Requests::new(Arc::new(config), Arc::new(|| 77));
        let mut session = FetchSessionHandler::default();
        let all: BTreeMap<_, _> = partitions
            .iter()
            .map(|&(t, p, id)| (TopicPartition::new(t, p), wanted(id)))
            .collect();
        let fetch = session.next(all);
        requests.fetch(&session, &fetch)
    }

    #[test]
    fn topics_with_ids_are_asked_for_in_version_17() {
        let (request, version) = request(&[("a", 0, Some(1)), ("a", 1, Some(1)), ("b", 0, Some(2))]);
        assert_eq!(version, 17);
        assert_eq!(
            (
                request.replica_state.replica_id.0,
                request.replica_state.replica_epoch
            ),
            (5, 77)
        );
        let topics: Vec<_> = request
            .topics
            .iter()
            .map(|t| (t.topic_id.as_u128(), t.partitions.len()))
            .collect();
        assert_eq!(topics, [(1, 2), (2, 1)]);
        let partition = &request.topics[0].partitions[0];
        assert_eq!((partition.current_leader_epoch, partition.fetch_offset), (4, 10));
        assert_eq!((partition.last_fetched_epoch, partition.log_start_offset), (3, 2));
        assert_eq!(
            (request.max_wait_ms, request.min_bytes, request.max_bytes),
            (500, 1, 10 << 20)
        );
    }

    #[test]
    fn one_topic_without_id_makes_all_be_named() {
        let (request, version) = request(&[("a", 0, Some(1)), ("b", 0, None)]);
        assert_eq!((version, request.replica_id.0), (12, 5));
        let names: Vec<_> = request
            .topics
            .iter()
            .map(|t| (t.topic.to_string(), t.topic_id.is_nil()))
            .collect();
        assert_eq!(names, [("a".to_owned(), true), ("b".to_owned(), true)]);
    }
}
