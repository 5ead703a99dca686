//! Sorts the lists of responses that have no defined order: Kafka keeps members, groups and offsets in hash maps.

use std::fmt::Debug;

use kafka_protocol::messages::*;

/// A response that can be compared.
pub trait Answer: Debug + Default + Clone + Send + 'static {
    /// Sorts the lists whose order has no meaning, by the `key` of their elements.
    fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
        let _ = key;
    }
}

macro_rules! in_the_order_of_the_request {
    ($($response:ident)*) => { $(impl Answer for $response {})* };
}

in_the_order_of_the_request! {
    ApiVersionsResponse FindCoordinatorResponse SyncGroupResponse HeartbeatResponse LeaveGroupResponse
    InitProducerIdResponse AddOffsetsToTxnResponse EndTxnResponse
    ListOffsetsResponse AllocateProducerIdsResponse DescribeAclsResponse CreateAclsResponse DeleteAclsResponse
}

impl Answer for JoinGroupResponse {
    fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
        self.members.sort_by_cached_key(|member| key(member));
    }
}

impl Answer for DescribeGroupsResponse {
    fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
        for group in &mut self.groups {
            group.members.sort_by_cached_key(|member| key(member));
        }
    }
}

impl Answer for ListGroupsResponse {
    fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
        self.groups.sort_by_cached_key(|group| key(group));
    }
}

impl Answer for DeleteGroupsResponse {
    fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
        self.results.sort_by_cached_key(|result| key(result));
    }
}

impl Answer for OffsetFetchResponse {
    fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
        for topic in &mut self.topics {
            topic
                .partitions
                .sort_by_key(|partition| partition.partition_index);
        }
        self.topics.sort_by_cached_key(|topic| key(topic));
        for group in &mut self.groups {
            for topic in &mut group.topics {
                topic
                    .partitions
                    .sort_by_key(|partition| partition.partition_index);
            }
            group.topics.sort_by_cached_key(|topic| key(topic));
        }
    }
}

macro_rules! by_topic_and_partition {
    ($($response:ident)*) => { $(
        impl Answer for $response {
            fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
                for topic in &mut self.topics {
                    topic.partitions.sort_by_key(|partition| partition.partition_index);
                }
                self.topics.sort_by_cached_key(|topic| key(topic));
            }
        }
    )* };
}

by_topic_and_partition! { OffsetCommitResponse TxnOffsetCommitResponse OffsetDeleteResponse }
