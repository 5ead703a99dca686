//! Dump of a `.snapshot`: the producers of a partition. Kafka 3.9: `DumpLogSegments.dumpProducerIdSnapshot`.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::files::read;
use super::java::optional_long;
use super::report::{Line, Report, Stop};
use crate::common::ids::ProducerId;
use crate::log::producer_state::{ProducerStateEntry, read_snapshot};

/// One producer.
struct Producer {
    id: ProducerId,
    entry: ProducerStateEntry,
}

impl Line for Producer {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { id, entry } = self;
        write!(
            out,
            "producerId: {id} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {} lastTimestamp: {} ",
            entry.producer_epoch(),
            entry.coordinator_epoch(),
            optional_long(entry.current_txn_first_offset()),
            entry.last_timestamp(),
        )?;
        match entry.last_batch() {
            Some(batch) => write!(
                out,
                "firstSequence: {} lastSequence: {} lastOffset: {} offsetDelta: {} timestamp: {}",
                batch.first_sequence(),
                batch.last_sequence,
                batch.last_offset,
                batch.offset_delta,
                batch.timestamp,
            ),
            None => Ok(()),
        }
    }

    fn json(&self) -> Value {
        let Self { id, entry } = self;
        json!({
            "kind": "producer",
            "producerId": id,
            "producerEpoch": entry.producer_epoch(),
            "coordinatorEpoch": entry.coordinator_epoch(),
            "currentTxnFirstOffset": entry.current_txn_first_offset(),
            "lastTimestamp": entry.last_timestamp(),
            "lastBatch": entry.last_batch().map(|batch| json!({
                "firstSequence": batch.first_sequence(),
                "lastSequence": batch.last_sequence,
                "lastOffset": batch.last_offset,
                "offsetDelta": batch.offset_delta,
                "timestamp": batch.timestamp,
            })),
        })
    }
}

/// Dumps a `.snapshot`. Its checksum covers the whole file, so the tool prints nothing of a corrupt one.
pub(super) fn dump(path: &Path, report: &mut Report<'_>) -> Result<(), Stop> {
    let bytes = read(path)?;
    for (id, entry) in read_snapshot(&bytes).map_err(|error| Stop::corrupt(0, error))? {
        report.line(&Producer { id, entry })?;
    }
    Ok(())
}
