//! AllocateProducerIds: brokers get blocks of producer ids. Kafka 3.9: `KafkaController.processAllocateProducerIds`,
//! `ZkProducerIdManager`.

use tracing::{info, warn};

use super::error::ControllerError;
use super::event::Reply;
use super::kafka_controller::Controller;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerEpoch, BrokerId, ProducerId};

impl Controller {
    /// Replies with the first id and the number of ids of a block.
    pub(super) async fn process_allocate_producer_ids(
        &mut self,
        broker: BrokerId,
        epoch: BrokerEpoch,
        reply: Reply<Result<(ProducerId, i32), ErrorCode>>,
    ) -> Result<(), ControllerError> {
        let refusal = match self.context.broker_epoch(broker) {
            _ if !self.is_active() => Some(ErrorCode::NotController),
            None => Some(ErrorCode::BrokerIdNotRegistered),
            Some(current) if current != epoch => Some(ErrorCode::StaleBrokerEpoch),
            Some(_) => None,
        };
        if let Some(refusal) = refusal {
            warn!(broker, epoch, error = %refusal, "refuses producer ids");
            let _ = reply.send(Err(refusal));
            return Ok(());
        }
        let result = self.zk.next_producer_id_block(broker).await;
        let _ = reply.send(match &result {
            Ok(block) => {
                info!(
                    broker,
                    first = block.first,
                    last = block.last,
                    "gives out producer ids"
                );
                Ok((block.first, (block.last - block.first + 1) as i32))
            }
            Err(error) => Err(error.code()),
        });
        result.map(drop)
    }
}
