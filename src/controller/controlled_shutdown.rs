//! ControlledShutdown: a broker hands over its partitions before it stops. Kafka 3.9:
//! `KafkaController.doControlledShutdown`.

use tracing::info;

use super::broker_request_batch::BrokerRequestBatch;
use super::context::PartitionAndReplica;
use super::election::ElectionStrategy;
use super::error::ControllerError;
use super::event::Reply;
use super::kafka_controller::Controller;
use super::replica_state::ReplicaState;
use super::state_machines::StateMachines;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerEpoch, BrokerId, TopicPartition};

impl Controller {
    /// Replies with the partitions that the broker still leads because no other replica is eligible.
    pub(super) async fn process_controlled_shutdown(
        &mut self,
        broker: BrokerId,
        epoch: BrokerEpoch,
        reply: Reply<Result<Vec<TopicPartition>, ErrorCode>>,
    ) -> Result<(), ControllerError> {
        if let Err(refusal) = self.check_controlled_shutdown(broker, epoch) {
            info!(broker, epoch, error = %refusal, "refuses a controlled shutdown");
            let _ = reply.send(Err(refusal));
            return Ok(());
        }
        info!(broker, "controlled shutdown");
        self.context.shutting_down.insert(broker);
        let result = move_away_from(&mut self.machines(), broker).await;
        let _ = reply.send(match &result {
            Ok(()) => Ok(self.context.movable_partitions_led_by(broker)),
            Err(ControllerError::Moved) => Err(ErrorCode::StaleControllerEpoch),
            Err(error) => Err(error.code()),
        });
        result
    }

    fn check_controlled_shutdown(&self, broker: BrokerId, epoch: BrokerEpoch) -> Result<(), ErrorCode> {
        if !self.is_active() {
            return Err(ErrorCode::StaleControllerEpoch);
        }
        match self.context.broker_epoch(broker) {
            None => Err(ErrorCode::BrokerNotAvailable),
            // The request of a broker older than KIP-380 has no epoch.
            Some(current) if epoch != -1 && epoch < current => Err(ErrorCode::StaleBrokerEpoch),
            Some(_) => Ok(()),
        }
    }
}

/// Gives the partitions that the broker leads to other leaders, and takes its other replicas out of the ISRs.
/// Partitions with one replica stay as they are.
async fn move_away_from(machines: &mut StateMachines<'_>, broker: BrokerId) -> Result<(), ControllerError> {
    let mut partitions = machines.context.partitions_on_broker(broker);
    partitions.retain(|p| {
        machines.context.replicas(p).len() > 1
            && machines.context.leadership(p).is_some()
            && !machines.context.is_queued_for_deletion(&p.topic)
    });
    let is_leader = |p: &TopicPartition| machines.context.leader(p) == Some(broker);
    let (led, followed): (Vec<_>, Vec<_>) = partitions.into_iter().partition(is_leader);
    machines
        .bring_partitions_online(&led, ElectionStrategy::ControlledShutdown)
        .await?;
    // The broker stops its fetchers before its replicas leave the ISRs. Otherwise the leaders would take them back
    // (fact 22).
    let mut batch = BrokerRequestBatch::default();
    for partition in &followed {
        batch.add_stop_replica(machines.context, &[broker], partition, false);
    }
    machines.send(batch);
    let replicas = followed
        .into_iter()
        .map(|p| PartitionAndReplica::new(p, broker))
        .collect();
    machines.move_replicas(replicas, ReplicaState::Offline).await
}
