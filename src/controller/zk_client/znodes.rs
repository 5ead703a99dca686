//! The writes of the controller, by kind of znode.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::future::join_all;
use tracing::warn;

use super::ControllerZkClient;
use super::guarded_write::{MULTI_OPERATIONS, Refusal, create, delete};
use crate::common::ids::{BrokerId, ControllerEpoch, TopicId, TopicName, TopicPartition};
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderIsrAndControllerEpoch};
use crate::controller::error::ControllerError;
use crate::zk::znode::{ProducerIdBlock, TopicAssignment, partition_state};
use crate::zk::{ZkError, ZkOp, cluster, paths};

/// The result of updates of partition states.
#[derive(Debug, Default)]
pub struct UpdateLeaderAndIsrResult {
    /// The written states with their new partition epochs, or the errors.
    pub finished: Vec<(TopicPartition, Result<LeaderAndIsr, ZkError>)>,
    /// Partitions whose state znode has another version: another writer has changed it.
    pub to_retry: Vec<TopicPartition>,
}

impl ControllerZkClient {
    /// Creates the state znodes of new partitions and their parents. Returns one result for each partition.
    pub async fn create_partition_states(
        &self,
        controller_epoch: ControllerEpoch,
        states: &[(TopicPartition, LeaderAndIsr)],
    ) -> Result<Vec<Result<(), ZkError>>, ControllerError> {
        let topics: BTreeSet<_> = states.iter().map(|(p, _)| &p.topic).collect();
        let parents = topics
            .into_iter()
            .map(|t| create(paths::topic_partitions(t), Bytes::new()));
        self.write_all(parents.collect()).await?;
        let creations = states.iter().map(|(partition, state)| {
            let state = LeaderIsrAndControllerEpoch {
                leader_and_isr: state.clone(),
                controller_epoch,
            };
            creation_of(partition, &state)
        });
        let creations: Vec<_> = creations.collect();
        let created = creations
            .chunks(MULTI_OPERATIONS / 2)
            .map(|batch| self.create_batch_of_states(batch));
        let created: Result<Vec<_>, _> = join_all(created).await.into_iter().collect();
        Ok(created?.into_iter().flatten().collect())
    }

    async fn create_batch_of_states(
        &self,
        creations: &[[ZkOp; 2]],
    ) -> Result<Vec<Result<(), ZkError>>, ControllerError> {
        if self.multi(creations.as_flattened()).await?.is_ok() {
            return Ok(vec![Ok(()); creations.len()]);
        }
        let each = creations.iter().map(|creation| self.create_state(creation));
        join_all(each).await.into_iter().collect()
    }

    async fn create_state(&self, creation: &[ZkOp; 2]) -> Result<Result<(), ZkError>, ControllerError> {
        match self.multi(creation).await? {
            Ok(_) => Ok(Ok(())),
            // An earlier controller did not finish, or the answer to this controller's first attempt was lost.
            Err(Refusal {
                index: 0,
                error: ZkError::NodeExists(_),
            }) => {
                let [_, create_state] = creation;
                Ok(self.write(create_state.clone()).await?.map(drop))
            }
            Err(Refusal { error, .. }) => Ok(Err(error)),
        }
    }

    /// Writes states. Each write requires that the znode still has the partition epoch of the state.
    pub async fn update_leader_and_isr(
        &self,
        controller_epoch: ControllerEpoch,
        updates: Vec<(TopicPartition, LeaderAndIsr)>,
    ) -> Result<UpdateLeaderAndIsrResult, ControllerError> {
        let writes = updates.iter().map(|(partition, state)| {
            let data = partition_state::encode(&LeaderIsrAndControllerEpoch {
                leader_and_isr: state.clone(),
                controller_epoch,
            });
            ZkOp::SetData {
                path: paths::topic_partition_state(&partition.topic, partition.partition),
                data,
                version: Some(state.partition_epoch),
            }
        });
        let results = self.write_many(&writes.collect::<Vec<_>>()).await?;
        let mut outcome = UpdateLeaderAndIsrResult::default();
        for ((partition, state), result) in updates.into_iter().zip(results) {
            match result {
                Ok(stat) => {
                    let partition_epoch = stat.version;
                    outcome.finished.push((
                        partition,
                        Ok(LeaderAndIsr {
                            partition_epoch,
                            ..state
                        }),
                    ));
                }
                Err(ZkError::BadVersion(_)) => {
                    warn!(%partition, partition_epoch = state.partition_epoch, "partition state changed meanwhile");
                    outcome.to_retry.push(partition);
                }
                Err(error) => outcome.finished.push((partition, Err(error))),
            }
        }
        Ok(outcome)
    }

    /// Replaces a topic's id and assignment.
    pub async fn set_topic_assignment(
        &self,
        topic: &str,
        assignment: &TopicAssignment,
    ) -> Result<(), ControllerError> {
        let data = assignment.encode();
        let path = paths::topic(topic);
        Ok(self
            .write(ZkOp::SetData {
                path,
                data,
                version: None,
            })
            .await?
            .map(drop)?)
    }

    /// Gives ids to topics that have none.
    pub async fn set_topic_ids(
        &self,
        topics: &[(TopicName, TopicAssignment, TopicId)],
    ) -> Result<(), ControllerError> {
        let set = |(topic, assignment, id): &(TopicName, TopicAssignment, TopicId)| {
            let assignment = TopicAssignment {
                topic_id: Some(*id),
                ..assignment.clone()
            };
            ZkOp::SetData {
                path: paths::topic(topic),
                data: assignment.encode(),
                version: None,
            }
        };
        self.write_all(topics.iter().map(set).collect()).await
    }

    /// Creates a znode or replaces its data.
    pub async fn create_or_set(&self, path: &str, data: Bytes) -> Result<(), ControllerError> {
        let set = ZkOp::SetData {
            path: path.to_owned(),
            data: data.clone(),
            version: None,
        };
        match self.write(set).await? {
            Err(ZkError::NoNode(_)) => Ok(self.write(create(path.to_owned(), data)).await?.map(drop)?),
            result => Ok(result.map(drop)?),
        }
    }

    /// Deletes children of a znode.
    pub async fn delete_children(
        &self,
        parent: &str,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<(), ControllerError> {
        let paths = names.into_iter().map(|name| paths::child(parent, name.as_ref()));
        self.write_all(paths.map(delete).collect()).await
    }

    /// Deletes one znode.
    pub async fn delete(&self, path: &str) -> Result<(), ControllerError> {
        self.write_all(vec![delete(path.to_owned())]).await
    }

    /// Deletes a znode and all its descendants, the lowest level first.
    pub async fn delete_recursive(&self, path: &str) -> Result<(), ControllerError> {
        let mut levels = vec![vec![path.to_owned()]];
        while let Some(level) = levels.last().filter(|l| !l.is_empty()) {
            let read = join_all(
                level
                    .iter()
                    .map(|path| cluster::children(self.store(), path, false)),
            )
            .await;
            let mut below = Vec::new();
            for (path, names) in level.iter().zip(read) {
                below.extend(names?.iter().map(|name| paths::child(path, name)));
            }
            levels.push(below);
        }
        for level in levels.into_iter().rev() {
            self.write_all(level.into_iter().map(delete).collect()).await?;
        }
        Ok(())
    }

    /// Allocates the next block of producer ids. Creates the znode if it does not exist (fact 1).
    pub async fn next_producer_id_block(&self, broker: BrokerId) -> Result<ProducerIdBlock, ControllerError> {
        let path = paths::PRODUCER_ID_BLOCK;
        loop {
            let found = self.store.get(path, false).await?;
            let previous = match found
                .as_ref()
                .map(|(data, _)| data)
                .filter(|data| !data.is_empty())
            {
                Some(data) => Some(ProducerIdBlock::decode(data).map_err(|error| ZkError::Malformed {
                    path: path.to_owned(),
                    error,
                })?),
                None => None,
            };
            let block = ProducerIdBlock::next(previous.as_ref(), broker)
                .ok_or(ControllerError::ProducerIdsExhausted)?;
            let op = match found {
                Some((_, stat)) => ZkOp::SetData {
                    path: path.to_owned(),
                    data: block.encode(),
                    version: Some(stat.version),
                },
                None => create(path.to_owned(), block.encode()),
            };
            match self.write(op).await? {
                Ok(_) => return Ok(block),
                Err(ZkError::BadVersion(_) | ZkError::NodeExists(_) | ZkError::NoNode(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The operations that create the znode of a partition and its state znode.
fn creation_of(partition: &TopicPartition, state: &LeaderIsrAndControllerEpoch) -> [ZkOp; 2] {
    let (topic, index) = (&partition.topic, partition.partition);
    [
        create(paths::topic_partition(topic, index), Bytes::new()),
        create(
            paths::topic_partition_state(topic, index),
            partition_state::encode(state),
        ),
    ]
}
