//! Serves the request to move replicas between log dirs. Kafka 3.9: `ReplicaManager.alterReplicaLogDirs`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::common::blocking;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::replica::ReplicaManager;

impl ReplicaManager {
    /// Starts to move replicas to other log dirs, which are given by their absolute paths; it does not wait for the end
    /// of the moves. A replica that does not exist yet is created in that dir later; the answer is then
    /// REPLICA_NOT_AVAILABLE, as in Kafka.
    pub async fn alter_replica_log_dirs(
        self: &Arc<Self>,
        wanted: Vec<(TopicPartition, PathBuf)>,
    ) -> Vec<(TopicPartition, ErrorCode)> {
        let names: Vec<_> = wanted.iter().map(|(name, _)| name.clone()).collect();
        let state_change = self.state_change.clone().lock_owned().await;
        let manager = self.clone();
        let work = blocking::spawn(move || {
            let _state_change = state_change;
            let alter = |(name, dir): (TopicPartition, PathBuf)| {
                let altered = manager.log_dirs.alter(&name, dir);
                altered.err().unwrap_or(ErrorCode::None)
            };
            wanted.into_iter().map(alter).collect::<Vec<_>>()
        });
        let codes = work.await.unwrap_or_else(|failure| {
            tracing::error!(%failure, "a request to alter log dirs was abandoned");
            vec![ErrorCode::UnknownServerError; names.len()]
        });
        names.into_iter().zip(codes).collect()
    }
}
