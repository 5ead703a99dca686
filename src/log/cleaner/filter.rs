//! The rules that decide which batches and records a clean keeps; they do not touch files. Kafka 3.9:
//! `Cleaner.shouldRetainRecord`, `MemoryRecords.RecordFilter`.

use std::collections::HashMap;

use crate::common::ids::{Offset, ProducerId};
use crate::log::unified_log::LastRecord;
use crate::record::BatchHeader;

/// The rule for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchRetention {
    /// The cleaner removes the batch without reading its records.
    Delete,
    /// The batch stays, even without records: it is the last batch of its producer (fact 57).
    RetainEmpty,
    /// The batch stays while it has a record that stays.
    DeleteEmpty,
}

/// The times that a clean uses.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// Wall clock at the start of the clean.
    pub now_ms: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// Keep the tombstones of formats 0 and 1. These formats cannot store a horizon; the segment's last change is too
    /// recent.
    pub retain_legacy_tombstones: bool,
}

impl Horizon {
    /// The horizon for a batch that gets one now.
    pub fn for_new_tombstones(&self) -> i64 {
        self.now_ms.saturating_add(self.delete_retention_ms.max(0))
    }

    fn has_passed(&self, batch: &BatchHeader) -> bool {
        batch
            .delete_horizon_ms()
            .is_some_and(|horizon| horizon <= self.now_ms)
    }

    /// Whether the tombstones of a batch stay.
    pub fn retains_tombstones(&self, batch: &BatchHeader) -> bool {
        match batch.magic() {
            0 | 1 => self.retain_legacy_tombstones,
            _ => !self.has_passed(batch),
        }
    }
}

/// The rule for a batch, and whether all its records are removed regardless of their keys.
///
/// `can_discard` comes from the transactions: the data was aborted, or no batch of the marker's transaction is left.
pub fn batch_retention(
    batch: &BatchHeader,
    can_discard: bool,
    horizon: &Horizon,
    last_records: &HashMap<ProducerId, LastRecord>,
) -> (BatchRetention, bool) {
    let discards_records = match batch.is_control_batch() {
        true => can_discard && horizon.has_passed(batch),
        false => can_discard,
    };
    let retention = if is_last_of_its_producer(batch, last_records) {
        BatchRetention::RetainEmpty
    } else if discards_records {
        BatchRetention::Delete
    } else {
        BatchRetention::DeleteEmpty
    };
    (retention, discards_records)
}

/// Whether a restarted broker, or a new leader, would forget an active producer without this batch: the batch has the
/// producer's last sequence number or, if only a marker is left, its epoch.
fn is_last_of_its_producer(batch: &BatchHeader, last_records: &HashMap<ProducerId, LastRecord>) -> bool {
    if !batch.has_producer_id() {
        return false;
    }
    match last_records.get(&batch.producer_id()) {
        None => false,
        Some(last) => match last.last_data_offset {
            Some(offset) => batch.last_offset() == offset,
            None => batch.is_control_batch() && batch.producer_epoch() == last.producer_epoch,
        },
    }
}

/// Whether a data record stays. `last_offset` is the last offset of its key in the offset map. A record without a key
/// does not belong in a compacted log and is removed.
pub fn retains_record(
    offset: Offset,
    has_value: bool,
    retains_tombstones: bool,
    last_offset: Option<Offset>,
) -> bool {
    last_offset.is_none_or(|last| offset >= last) && (has_value || retains_tombstones)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, ControlRecordType, EndTransactionMarker, RecordBatch, Survivors};

    const HORIZON: Horizon = Horizon {
        now_ms: 1000,
        delete_retention_ms: 100,
        retain_legacy_tombstones: false,
    };

    fn data() -> BatchHeader {
        let mut builder = BatchBuilder::new(40).producer(7, 2, 0);
        builder.append(0, Some(b"k"), Some(b"v"), &[]);
        RecordBatch::parse(&builder.build()).unwrap().unwrap().header()
    }

    fn marker(horizon: Option<i64>) -> BatchHeader {
        let marker = EndTransactionMarker {
            control_type: ControlRecordType::Commit,
            coordinator_epoch: 0,
        };
        let bytes = BatchBuilder::end_transaction_marker(marker, 7, 2, 0);
        let batch = RecordBatch::parse(&bytes).unwrap().unwrap();
        batch.header().with_survivors(&Survivors {
            records: batch.records(),
            count: 1,
            max_timestamp: 0,
            delete_horizon_ms: horizon,
        })
    }

    fn last(last_data_offset: Option<Offset>, producer_epoch: i16) -> HashMap<ProducerId, LastRecord> {
        let last = LastRecord {
            last_data_offset,
            producer_epoch,
        };
        HashMap::from([(7, last)])
    }

    #[test]
    fn batches_follow_transactions_horizons_and_producers() {
        use BatchRetention::{Delete, DeleteEmpty, RetainEmpty};
        let nobody = HashMap::new();
        let cases = [
            (data(), false, &nobody, (DeleteEmpty, false)),
            (data(), true, &nobody, (Delete, true)),
            (data(), true, &last(Some(40), 2), (RetainEmpty, true)),
            (data(), false, &last(Some(41), 2), (DeleteEmpty, false)),
            (marker(None), false, &nobody, (DeleteEmpty, false)),
            (marker(None), true, &nobody, (DeleteEmpty, false)),
            (marker(Some(1001)), true, &nobody, (DeleteEmpty, false)),
            (marker(Some(1000)), true, &nobody, (Delete, true)),
            (marker(Some(1000)), false, &nobody, (DeleteEmpty, false)),
            (marker(Some(1000)), true, &last(None, 2), (RetainEmpty, true)),
            (marker(Some(1000)), true, &last(None, 3), (Delete, true)),
        ];
        for (i, (batch, can_discard, last_records, expected)) in cases.into_iter().enumerate() {
            assert_eq!(
                batch_retention(&batch, can_discard, &HORIZON, last_records),
                expected,
                "case {i}"
            );
        }
    }

    #[test]
    fn records_are_kept_if_they_are_the_last_and_not_a_spent_tombstone() {
        let cases = [
            (5, true, false, None, true),
            (5, true, false, Some(5), true),
            (5, true, false, Some(6), false),
            (5, false, true, Some(5), true),
            (5, false, false, Some(5), false),
            (5, false, true, Some(6), false),
            (5, false, false, None, false),
        ];
        for (offset, has_value, retains_tombstones, last_offset, expected) in cases {
            let retained = retains_record(offset, has_value, retains_tombstones, last_offset);
            assert_eq!(
                retained, expected,
                "{offset} {has_value} {retains_tombstones} {last_offset:?}"
            );
        }
    }

    #[test]
    fn a_horizon_never_overflows() {
        let horizon = Horizon {
            delete_retention_ms: i64::MAX,
            ..HORIZON
        };
        assert_eq!(horizon.for_new_tombstones(), i64::MAX);
        assert_eq!(HORIZON.for_new_tombstones(), 1100);
    }
}
