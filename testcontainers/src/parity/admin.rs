//! Sorts the answers to administrators and about topics: Kafka keeps their parts in hash maps.

use std::fmt::Debug;

use kafka_protocol::messages::*;

use super::Answer;

macro_rules! sorted_by_what_they_are {
    ($($response:ident: $($list:ident)+,)*) => { $(
        impl Answer for $response {
            fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
                $( self.$list.sort_by_cached_key(|part| key(part)); )+
            }
        }
    )* };
}

sorted_by_what_they_are! {
    DeleteTopicsResponse: responses,
    CreatePartitionsResponse: results,
    AlterConfigsResponse: responses,
    IncrementalAlterConfigsResponse: responses,
    UpdateFeaturesResponse: results,
    ListPartitionReassignmentsResponse: topics,
    DescribeLogDirsResponse: results,
}

macro_rules! sorted_with_their_partitions {
    ($($response:ident: $topics:ident $partitions:ident,)*) => { $(
        impl Answer for $response {
            fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
                for topic in &mut self.$topics {
                    topic.$partitions.sort_by_cached_key(|partition| key(partition));
                }
                self.$topics.sort_by_cached_key(|topic| key(topic));
            }
        }
    )* };
}

sorted_with_their_partitions! {
    ElectLeadersResponse: replica_election_results partition_result,
    AlterPartitionReassignmentsResponse: responses partitions,
    DescribeConfigsResponse: results configs,
    FetchResponse: responses partitions,
    OffsetForLeaderEpochResponse: topics partitions,
    DeleteRecordsResponse: topics partitions,
}

impl Answer for CreateTopicsResponse {
    fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
        for topic in &mut self.topics {
            if let Some(configs) = &mut topic.configs {
                configs.sort_by_cached_key(|config| key(config));
            }
        }
        self.topics.sort_by_cached_key(|topic| key(topic));
    }
}

impl Answer for MetadataResponse {
    fn arrange(&mut self, key: &dyn Fn(&dyn Debug) -> String) {
        self.cluster_id = None;
        for topic in &mut self.topics {
            topic
                .partitions
                .sort_by_key(|partition| partition.partition_index);
        }
        self.topics.sort_by_cached_key(|topic| key(topic));
    }
}

impl Answer for DescribeClusterResponse {
    fn arrange(&mut self, _: &dyn Fn(&dyn Debug) -> String) {
        self.cluster_id = Default::default();
    }
}
