//! The controller's reads and writes in ZooKeeper: pipelined, and every write guarded by the version of
//! `/controller_epoch`, so that a controller of the past changes nothing (fact 4). The store sends again what a
//! broken connection left unanswered; what that may look like is dealt with here (fact 3).
//! Kafka 3.9: the parts of `KafkaZkClient` that take an `expectedControllerEpochZkVersion`.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use tracing::{error, warn};

use super::context::LiveBroker;
use super::error::ControllerError;
use crate::common::ids::{BrokerEpoch, BrokerId, ControllerEpoch, TopicId, TopicName, TopicPartition};
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderIsrAndControllerEpoch};
use crate::metadata::BrokerMetadata;
use crate::zk::paths::{self, ConfigEntityType};
use crate::zk::znode::{BrokerInfo, ProducerIdBlock, TopicAssignment, partition_state};
use crate::zk::{CreateMode, Stat, ZkError, ZkOp, ZkOpResult, ZkStore, cluster};

/// ZooKeeper as the controller sees it.
pub struct ControllerZkClient {
    store: Arc<dyn ZkStore>,
    /// Version of `/controller_epoch` since our election; `None` while we are not the controller, when every
    /// write fails with [`ControllerError::Moved`].
    guard: Option<i32>,
}

/// Operations in one multi at most. More would gain little, and would have the writes of others wait.
const MULTI_OPERATIONS: usize = 100;

/// Bytes of data in one multi at most, far below the 1 MiB that ZooKeeper accepts (`jute.maxbuffer`).
const MULTI_BYTES: usize = 128 * 1024;

/// What became of a number of state updates.
#[derive(Debug, Default)]
pub struct UpdateLeaderAndIsrResult {
    /// The states as written, with their new partition epochs, or why they cannot be written.
    pub finished: Vec<(TopicPartition, Result<LeaderAndIsr, ZkError>)>,
    /// Partitions whose state was changed by somebody else since it was read.
    pub to_retry: Vec<TopicPartition>,
}

/// A multi that was refused.
struct Refusal {
    /// The operation it was refused for, the guard not counted.
    index: usize,
    error: ZkError,
}

// Reads.
impl ControllerZkClient {
    /// A client without a guard: it reads only.
    pub fn new(store: Arc<dyn ZkStore>) -> Self {
        Self { store, guard: None }
    }

    /// The store, for what is not a controller's write.
    pub fn store(&self) -> &dyn ZkStore {
        &*self.store
    }

    /// From now on writes check this version of `/controller_epoch`; `None` forbids them.
    pub fn set_guard(&mut self, epoch_zk_version: Option<i32>) {
        self.guard = epoch_zk_version;
    }

    /// The registered brokers; the list and each registration are watched. One that cannot be read counts as
    /// absent: a broker that nobody can reach (fact 6).
    pub async fn brokers(&self) -> Result<Vec<LiveBroker>, ZkError> {
        let ids = cluster::broker_ids(self.store(), true).await?;
        self.brokers_with(&ids).await
    }

    /// One registration; watched.
    pub async fn broker(&self, id: BrokerId) -> Result<Option<LiveBroker>, ZkError> {
        Ok(self.brokers_with(&[id]).await?.pop())
    }

    async fn brokers_with(&self, ids: &[BrokerId]) -> Result<Vec<LiveBroker>, ZkError> {
        let brokers = cluster::brokers(self.store(), ids, true).await?;
        let live = |(id, (info, epoch)): (BrokerId, (BrokerInfo, BrokerEpoch))| LiveBroker {
            metadata: BrokerMetadata {
                id,
                endpoints: info.endpoints,
                rack: info.rack,
            },
            epoch,
        };
        Ok(brokers.into_iter().map(live).collect())
    }

    /// The names of all topics; watched.
    pub async fn topics(&self) -> Result<BTreeSet<TopicName>, ZkError> {
        let names = cluster::topics(self.store(), true).await?;
        Ok(names.into_iter().map(TopicName::from).collect())
    }

    /// Ids and assignments of topics; watched. A topic that is gone or cannot be read is left out.
    pub async fn topic_assignments(
        &self,
        topics: &[TopicName],
    ) -> Result<Vec<(TopicName, TopicAssignment)>, ZkError> {
        let names: Vec<_> = topics.iter().map(|t| t.to_string()).collect();
        let found = cluster::topic_assignments(self.store(), &names, true).await?;
        Ok(found
            .into_iter()
            .map(|(topic, a)| (TopicName::from(topic), a))
            .collect())
    }

    /// Whether a topic allows unclean elections at this moment. Unreadable configuration forbids them.
    pub async fn unclean_election_enabled(&self, topic: &str, default: bool) -> Result<bool, ZkError> {
        match cluster::config(self.store(), ConfigEntityType::Topics, topic).await {
            Ok(entity) => {
                let own = entity.config.get("unclean.leader.election.enable");
                Ok(own.map_or(default, |value| value.trim().eq_ignore_ascii_case("true")))
            }
            Err(ZkError::Malformed { error, .. }) => {
                error!(topic, %error, "unreadable configuration, no unclean election");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The children of a znode of notifications, watched, with their data.
    pub async fn notifications(&self, parent: &str) -> Result<Vec<(String, Bytes)>, ZkError> {
        let names = cluster::children(self.store(), parent, true).await?;
        let reads: Vec<_> = names
            .iter()
            .map(|name| self.store.get(&paths::child(parent, name), false))
            .collect();
        let mut notifications = Vec::with_capacity(names.len());
        for (name, read) in names.into_iter().zip(join_all(reads).await) {
            if let Some((data, _)) = read? {
                notifications.push((name, data));
            }
        }
        Ok(notifications)
    }
}

// Writes.
impl ControllerZkClient {
    /// All or nothing, and nothing if we are not the controller any more. The results are those of `ops`.
    async fn multi(&self, ops: &[ZkOp]) -> Result<Result<Vec<ZkOpResult>, Refusal>, ControllerError> {
        let check = ZkOp::Check {
            path: paths::CONTROLLER_EPOCH.to_owned(),
            version: self.guard.ok_or(ControllerError::Moved)?,
        };
        let guarded = std::iter::once(check).chain(ops.iter().cloned()).collect();
        let refused = match self.store.multi(guarded).await {
            Ok(mut results) => {
                results.remove(0);
                return Ok(Ok(results));
            }
            Err(refused) => refused,
        };
        match (refused.index, refused.error) {
            (_, error @ (ZkError::SessionExpired | ZkError::ConnectionLoss)) => Err(error.into()),
            (0, ZkError::BadVersion(_) | ZkError::NoNode(_)) => Err(ControllerError::Moved),
            (0, error) => Err(error.into()),
            (index, error) => {
                let index = index - 1;
                Ok(Err(Refusal { index, error }))
            }
        }
    }

    /// One guarded write. A refusal may be the echo of our own write, sent twice because the answer to the first
    /// attempt was lost: if the znode stands as we wanted it, the write has succeeded (fact 3). Nobody else writes
    /// the same, for only we write in our epoch.
    async fn write(&self, op: ZkOp) -> Result<Result<Stat, ZkError>, ControllerError> {
        let ops = [op];
        let refusal = match self.multi(&ops).await? {
            Ok(results) => {
                return Ok(Ok(results.first().map(stat_of).unwrap_or_default()));
            }
            Err(refusal) => refusal,
        };
        let [op] = ops;
        Ok(match self.stands_as_written(&op, &refusal.error).await? {
            Some(stat) => Ok(stat),
            None => Err(refusal.error),
        })
    }

    async fn stands_as_written(&self, op: &ZkOp, error: &ZkError) -> Result<Option<Stat>, ControllerError> {
        let (path, wanted, version) = match (op, error) {
            (ZkOp::Create { path, data, .. }, ZkError::NodeExists(_)) => (path, data, 0),
            (
                ZkOp::SetData {
                    path,
                    data,
                    version: Some(v),
                },
                ZkError::BadVersion(_),
            ) => (path, data, v + 1),
            _ => return Ok(None),
        };
        let found = self.store.get(path, false).await?;
        Ok(found
            .filter(|(data, stat)| data == wanted && stat.version == version)
            .map(|(_, stat)| stat))
    }

    /// Many guarded writes, many of them to a multi: ZooKeeper takes hardly longer for it than for one. Where one is
    /// refused, nothing of its multi was done, and each is tried on its own.
    async fn write_many(&self, ops: &[ZkOp]) -> Result<Vec<Result<Stat, ZkError>>, ControllerError> {
        let mut results = Vec::with_capacity(ops.len());
        for written in join_all(batches(ops).map(|batch| self.write_batch(batch))).await {
            results.append(&mut written?);
        }
        Ok(results)
    }

    async fn write_batch(&self, ops: &[ZkOp]) -> Result<Vec<Result<Stat, ZkError>>, ControllerError> {
        if ops.len() > 1
            && let Ok(results) = self.multi(ops).await?
        {
            return Ok(results.iter().map(|result| Ok(stat_of(result))).collect());
        }
        let each = ops.iter().map(|op| self.write(op.clone()));
        join_all(each).await.into_iter().collect()
    }

    /// Many guarded writes. A znode that is there already, or gone already, is no error.
    async fn write_all(&self, ops: Vec<ZkOp>) -> Result<(), ControllerError> {
        for result in self.write_many(&ops).await? {
            match result {
                Ok(_) | Err(ZkError::NodeExists(_) | ZkError::NoNode(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Creates the state znodes of new partitions and the znodes above them. One result for each partition.
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
            // An earlier controller did not get further, or the answer to our own first attempt was lost.
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

    /// Writes states, each on condition that its znode still has the partition epoch it was read with.
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

    /// Deletes a znode and everything below it, level by level from below.
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

    /// Gives out the next block of producer ids, together with the znode if there is none yet (fact 1).
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

/// Splits writes into what one multi may hold; one that is too large has a multi of its own.
fn batches(mut ops: &[ZkOp]) -> impl Iterator<Item = &[ZkOp]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |op: &&ZkOp| {
            bytes += op.path().len() + op.data().len();
            bytes <= MULTI_BYTES
        };
        let count = ops.iter().take(MULTI_OPERATIONS).take_while(fits).count();
        let (batch, rest) = ops.split_at(count.max(1).min(ops.len()));
        ops = rest;
        (!batch.is_empty()).then_some(batch)
    })
}

fn stat_of(result: &ZkOpResult) -> Stat {
    match result {
        ZkOpResult::Created { stat, .. } | ZkOpResult::Set { stat } => *stat,
        ZkOpResult::Deleted | ZkOpResult::Checked => Stat::default(),
    }
}

/// The znode of a partition and the one of its state.
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

fn create(path: String, data: Bytes) -> ZkOp {
    ZkOp::Create {
        path,
        data,
        mode: CreateMode::Persistent,
    }
}

fn delete(path: String) -> ZkOp {
    ZkOp::Delete { path, version: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multi_holds_so_many_operations_and_so_many_bytes() {
        let sizes = |ops: &[ZkOp]| batches(ops).map(<[ZkOp]>::len).collect::<Vec<_>>();
        let op = |bytes| create("/a".to_owned(), Bytes::from(vec![0; bytes]));
        assert!(sizes(&[]).is_empty());
        assert_eq!(sizes(&vec![op(100); 2 * MULTI_OPERATIONS + 1]), [100, 100, 1]);
        let mixed = [
            op(10),
            op(2 * MULTI_BYTES),
            op(MULTI_BYTES - 100),
            op(10),
            op(100),
        ];
        assert_eq!(sizes(&mixed), [1, 1, 2, 1]);
    }
}
