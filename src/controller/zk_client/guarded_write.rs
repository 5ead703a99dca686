//! Guarded writes: a multi that first checks the version of `/controller_epoch`. The store repeats a request whose
//! answer was lost with the connection, so a write that ZooKeeper refuses may be the repetition of one that succeeded
//! (fact 3).

use bytes::Bytes;
use futures::future::join_all;

use super::ControllerZkClient;
use crate::controller::error::ControllerError;
use crate::zk::{CreateMode, Stat, ZkError, ZkOp, ZkOpResult, paths};

/// The maximum number of operations in one multi. More would gain little and delay the writes of other clients.
pub(super) const MULTI_OPERATIONS: usize = 100;

/// The maximum number of bytes in one multi, far below ZooKeeper's limit of 1 MiB (`jute.maxbuffer`).
const MULTI_BYTES: usize = 128 * 1024;

/// The reason why ZooKeeper refused a multi.
pub(super) struct Refusal {
    /// The index of the operation that failed, without the guard.
    pub index: usize,
    pub error: ZkError,
}

impl ControllerZkClient {
    /// Runs all operations or none; none if this broker is no longer the controller. The results are those of `ops`.
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

    /// One guarded write. A refused write may be the repetition of one that succeeded and whose answer was lost: it
    /// counts as successful if the znode has the data and version that it would have written (fact 3). No other writer
    /// has the same data, because only this controller writes in its epoch.
    pub(super) async fn write(&self, op: ZkOp) -> Result<Result<Stat, ZkError>, ControllerError> {
        let ops = [op];
        let refusal = match self.multi(&ops).await? {
            Ok(results) => {
                return Ok(Ok(results.first().map(stat_of).unwrap_or_default()));
            }
            Err(refusal) => refusal,
        };
        let [op] = ops;
        Ok(match self.is_written(&op, &refusal.error).await? {
            Some(stat) => Ok(stat),
            None => Err(refusal.error),
        })
    }

    async fn is_written(&self, op: &ZkOp, error: &ZkError) -> Result<Option<Stat>, ControllerError> {
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

    /// Many guarded writes, several in each multi, which takes ZooKeeper hardly longer than one write. If ZooKeeper
    /// refuses a multi, it has done none of its writes, and each is tried alone.
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

    /// Many guarded writes. A znode that already exists or is already deleted is no error.
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

/// Splits writes into multis within the limits. A write that is too large gets a multi of its own.
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
    fn a_multi_has_at_most_so_many_operations_and_bytes() {
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
