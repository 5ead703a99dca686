//! A controller that is one value: the state of each partition, and the answers to AlterPartition.

use std::collections::BTreeMap;

use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, TopicId};
use crate::common::leader_and_isr::LeaderAndIsr;
use crate::protocol::messages::alter_partition_response::{PartitionData, TopicData};
use crate::protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};

pub const TOPIC_ID: TopicId = TopicId::from_u128(0x7071);

/// The controller's knowledge, shared by the tasks that serve AlterPartition.
#[derive(Default)]
pub struct ControllerState {
    pub epoch: i32,
    pub partitions: BTreeMap<i32, LeaderAndIsr>,
    pub replicas: Vec<BrokerId>,
    /// Answer this to AlterPartition instead of carrying it out.
    pub refuse_with: Option<ErrorCode>,
    /// AlterPartition requests that came.
    pub asked: usize,
}

impl ControllerState {
    pub fn alter_partition(&mut self, request: AlterPartitionRequest) -> AlterPartitionResponse {
        self.asked += 1;
        let mut topics = Vec::new();
        for topic in request.topics {
            assert_eq!(topic.topic_id, TOPIC_ID);
            let partitions = topic.partitions.into_iter().map(|asked| {
                let answer = PartitionData::default().with_partition_index(asked.partition_index);
                if let Some(code) = self.refuse_with {
                    return answer.with_error_code(code.code());
                }
                let state = self
                    .partitions
                    .get_mut(&asked.partition_index)
                    .expect("a known partition");
                if asked.leader_epoch < state.leader_epoch {
                    return answer.with_error_code(ErrorCode::FencedLeaderEpoch.code());
                }
                if asked.partition_epoch != state.partition_epoch {
                    return answer.with_error_code(ErrorCode::InvalidUpdateVersion.code());
                }
                state.isr = asked.new_isr_with_epochs.iter().map(|s| s.broker_id.0).collect();
                state.partition_epoch += 1;
                answer
                    .with_leader_id(state.leader.into())
                    .with_leader_epoch(state.leader_epoch)
                    .with_isr(state.isr.iter().map(|&id| id.into()).collect())
                    .with_partition_epoch(state.partition_epoch)
            });
            let partitions = partitions.collect();
            topics.push(
                TopicData::default()
                    .with_topic_id(TOPIC_ID)
                    .with_partitions(partitions),
            );
        }
        AlterPartitionResponse::default().with_topics(topics)
    }
}
