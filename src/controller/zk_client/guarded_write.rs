//! Guarded writes: each in a multi that checks the version of `/controller_epoch` first. The store sends again what a
//! broken connection left unanswered; a write looks at the znode before it counts as refused (fact 3).

use futures::future::join_all;

use super::ControllerZkClient;
use crate::controller::error::ControllerError;
use crate::zk::{CreateMode, Stat, ZkError, ZkOp, ZkOpResult, paths};
use bytes::Bytes;

/// Operations in one multi at most. More would gain little, and would have the writes of others wait.
pub(super) const MULTI_OPERATIONS: usize = 100;

/// Bytes of data in one multi at most, far below the 1 MiB that ZooKeeper accepts (`jute.maxbuffer`).
const MULTI_BYTES: usize = 128 * 1024;

/// A multi that was refused.
pub(super) struct Refusal {
    /// The operation it was refused for, the guard not counted.
    pub index: usize,
    pub error: ZkError,
}

impl ControllerZkClient {
    /// All or nothing, and nothing if we are not the controller any more. The results are those of `ops`.
    pub(super) async fn multi(
        &self,
        ops: &[ZkOp],
    ) -> Result<Result<Vec<ZkOpResult>, Refusal>, ControllerError> {
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
    pub(super) async fn write(&self, op: ZkOp) -> Result<Result<Stat, ZkError>, ControllerError> {
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
    pub(super) async fn write_many(
        &self,
        ops: &[ZkOp],
    ) -> Result<Vec<Result<Stat, ZkError>>, ControllerError> {
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
    pub(super) async fn write_all(&self, ops: Vec<ZkOp>) -> Result<(), ControllerError> {
        for result in self.write_many(&ops).await? {
            match result {
                Ok(_) | Err(ZkError::NodeExists(_) | ZkError::NoNode(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
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

pub(super) fn create(path: String, data: Bytes) -> ZkOp {
    ZkOp::Create {
        path,
        data,
        mode: CreateMode::Persistent,
    }
}

pub(super) fn delete(path: String) -> ZkOp {
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
