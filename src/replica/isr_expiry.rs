//! Looks for followers that have fallen behind. Kafka 3.9: the task `isr-expiration` of `ReplicaManager`.

use std::sync::Arc;
use std::time::Duration;

use super::manager::ReplicaManager;
use crate::cluster::Effects;

impl ReplicaManager {
    /// Runs every half `replica.lag.time.max.ms`: a follower that stops leaves the ISR after at most 1.5 times that
    /// time.
    pub(super) async fn expire_isr_forever(self: Arc<Self>) {
        let interval = Duration::from_millis((self.config.replica_lag_time_max_ms / 2).max(1));
        loop {
            tokio::time::sleep(interval).await;
            self.expire_isr();
        }
    }

    /// Looks at every partition once.
    pub fn expire_isr(&self) {
        for partition in self.online_partitions() {
            let alter_partition = partition.maybe_shrink_isr(self.clock.monotonic_ms());
            self.apply(
                &partition,
                Effects {
                    alter_partition,
                    ..Effects::default()
                },
            );
        }
    }
}
