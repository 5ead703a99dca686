//! The producers that write to the cluster, and the promises that the brokers gave to clients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::world::{START_MS, TOPIC};
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, Offset, ProducerId};
use crate::network::{BrokerAddress, ChannelBuilder, ClientSettings, NetworkClient};
use crate::protocol::StrBytes;
use crate::protocol::messages::ProduceRequest;
use crate::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use crate::record::BatchBuilder;

const PRODUCE_VERSION: i16 = 11;

/// A record, identified by its producer id and sequence number.
pub(super) type Record = (ProducerId, i32);

/// The promises for one partition.
#[derive(Default)]
pub(super) struct Promises {
    /// The offset of each acknowledged record.
    pub(super) acknowledged: BTreeMap<Record, Offset>,
    /// The records that a consumer has seen.
    pub(super) shown: BTreeMap<Offset, Record>,
    /// Answers that a producer must never get.
    pub(super) absurd: Vec<String>,
}

/// An idempotent producer that sends one record at a time and repeats it until it is acknowledged.
pub(super) struct Producer {
    pub(super) id: ProducerId,
    pub(super) partition: i32,
    pub(super) brokers: Vec<BrokerId>,
    pub(super) promises: Arc<Mutex<Promises>>,
    pub(super) seed: u64,
}

impl Producer {
    /// Writes until `stop` is cancelled. The record in progress then stays unacknowledged.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut random = StdRng::seed_from_u64(self.seed);
        let clients: Vec<NetworkClient> = self.brokers.iter().map(|&id| client(id)).collect();
        let mut leader = 0;
        for sequence in 0.. {
            while !stop.is_cancelled() {
                match self.send(&clients[leader], sequence).await {
                    Ok(offset) => {
                        self.promises
                            .lock()
                            .acknowledged
                            .insert((self.id, sequence), offset);
                        break;
                    }
                    // The producer tries a random broker, which may be the wrong one, like a client with old metadata.
                    Err(_) => {
                        leader = random.random_range(0..clients.len());
                        sleep(Duration::from_millis(random.random_range(5..60))).await;
                    }
                }
            }
            if stop.is_cancelled() {
                return;
            }
            sleep(Duration::from_millis(random.random_range(0..250))).await;
        }
    }

    async fn send(&self, client: &NetworkClient, sequence: i32) -> Result<Offset, ErrorCode> {
        let mut batch = BatchBuilder::new(0).producer(self.id, 0, sequence);
        batch.append(START_MS, None, Some(&[b'v'; 40]), &[]);
        let data = PartitionProduceData::default()
            .with_index(self.partition)
            .with_records(Some(batch.build()));
        let topic = TopicProduceData::default()
            .with_name(StrBytes::from_static_str(TOPIC).into())
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(1_500)
            .with_topic_data(vec![topic]);
        let response = client.send(&request, PRODUCE_VERSION).await;
        let response = response.map_err(|_| ErrorCode::NetworkException)?;
        let answer = &response.responses[0].partition_responses[0];
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => Ok(answer.base_offset),
            code => {
                // A sequence gap is not in this list: an old leader that has missed some records reports a gap.
                if matches!(
                    code,
                    ErrorCode::DuplicateSequenceNumber
                        | ErrorCode::UnknownProducerId
                        | ErrorCode::InvalidProducerEpoch
                ) {
                    let absurd = format!("producer {} was told {code:?} of sequence {sequence}", self.id);
                    self.promises.lock().absurd.push(absurd);
                }
                Err(code)
            }
        }
    }
}

fn client(broker: BrokerId) -> NetworkClient {
    let address = BrokerAddress::plaintext(broker, "simulated", broker as u16);
    NetworkClient::new(
        address,
        ClientSettings::new(
            &ChannelBuilder::plaintext(),
            "producer",
            Duration::from_millis(2_500),
        ),
    )
}
