//! The transactions that a clean passes: which data was aborted, and which markers are no longer needed. Kafka 3.9:
//! `CleanedTransactionMetadata`.
//!
//! The cleaner may remove a marker only when the log has no batch of its transaction any more, and only after the
//! marker's delete horizon (facts 57 and 58): until then a reader may still be in the middle of the transaction.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::common::ids::{Offset, ProducerId};
use crate::log::index::AbortedTxn;
use crate::record::{BatchHeader, ControlRecordType};

/// An aborted transaction that is open at the current position.
#[derive(Clone, Copy, Debug)]
struct Aborted {
    transaction: AbortedTxn,
    /// Whether the log still has a batch of it.
    has_batch: bool,
}

/// The decision about a control batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkerVerdict {
    /// No batch of its transaction is left: the marker may be removed after its delete horizon.
    pub can_discard: bool,
    /// The entry that the cleaned segment's transaction index needs.
    pub aborted: Option<AbortedTxn>,
}

/// The position of a walk through a log's batches among the transactions.
#[derive(Default)]
pub struct CleanedTransactions {
    /// Producers with data of a transaction that was not aborted.
    committed: HashSet<ProducerId>,
    aborted: HashMap<ProducerId, Aborted>,
    /// Aborted transactions ahead of the walk, earliest first: first offset and marker, producer, last stable offset.
    upcoming: BinaryHeap<Reverse<(Offset, Offset, ProducerId, Offset)>>,
}

impl CleanedTransactions {
    /// Adds the transaction index entries for the offsets ahead. The same transaction may be added again.
    pub fn add_aborted(&mut self, transactions: &[AbortedTxn]) {
        let upcoming = transactions
            .iter()
            .map(|t| Reverse((t.first_offset, t.last_offset, t.producer_id, t.last_stable_offset)));
        self.upcoming.extend(upcoming);
    }

    fn advance_to(&mut self, offset: Offset) {
        while let Some(&Reverse((first_offset, last_offset, producer_id, last_stable_offset))) =
            self.upcoming.peek()
            && first_offset <= offset
        {
            self.upcoming.pop();
            self.aborted.entry(producer_id).or_insert(Aborted {
                transaction: AbortedTxn {
                    producer_id,
                    first_offset,
                    last_offset,
                    last_stable_offset,
                },
                has_batch: false,
            });
        }
    }

    /// Handles a control batch. `marker` is its content; `None` if the batch is empty.
    pub fn on_control_batch(
        &mut self,
        batch: &BatchHeader,
        marker: Option<ControlRecordType>,
    ) -> MarkerVerdict {
        self.advance_to(batch.last_offset());
        let producer_id = batch.producer_id();
        let (can_discard, aborted) = match marker {
            None => (true, None),
            Some(ControlRecordType::Commit) => (!self.committed.remove(&producer_id), None),
            Some(ControlRecordType::Abort) => {
                let aborted = self
                    .aborted
                    .remove(&producer_id)
                    .filter(|aborted| aborted.has_batch);
                (aborted.is_none(), aborted.map(|aborted| aborted.transaction))
            }
        };
        MarkerVerdict { can_discard, aborted }
    }

    /// Handles a data batch. Returns whether it was aborted and has to be removed.
    pub fn on_batch(&mut self, batch: &BatchHeader) -> bool {
        self.advance_to(batch.last_offset());
        if !batch.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&batch.producer_id()) {
            Some(aborted) => {
                aborted.has_batch = true;
                true
            }
            None => {
                self.committed.insert(batch.producer_id());
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, RecordBatch};

    fn header(offset: Offset, producer_id: ProducerId) -> BatchHeader {
        let mut builder = BatchBuilder::new(offset)
            .producer(producer_id, 0, 0)
            .transactional(true);
        builder.append(0, Some(b"k"), Some(b"v"), &[]);
        RecordBatch::parse(&builder.build()).unwrap().unwrap().header()
    }

    fn aborted(producer_id: ProducerId, first_offset: Offset, last_offset: Offset) -> AbortedTxn {
        AbortedTxn {
            producer_id,
            first_offset,
            last_offset,
            last_stable_offset: last_offset + 1,
        }
    }

    #[test]
    fn aborted_data_goes_and_its_marker_stays_while_there_was_some() {
        use ControlRecordType::{Abort, Commit};
        let mut transactions = CleanedTransactions::default();
        transactions.add_aborted(&[aborted(7, 10, 12), aborted(7, 20, 21), aborted(8, 10, 30)]);
        assert!(!transactions.on_batch(&header(5, 7)), "committed");
        let kept = MarkerVerdict {
            can_discard: false,
            aborted: None,
        };
        let gone = MarkerVerdict {
            can_discard: true,
            aborted: None,
        };
        assert_eq!(transactions.on_control_batch(&header(6, 7), Some(Commit)), kept);
        assert_eq!(
            transactions.on_control_batch(&header(7, 7), Some(Commit)),
            gone,
            "no data between"
        );
        assert!(transactions.on_batch(&header(10, 7)));
        // The same transaction again, as for the next segment.
        transactions.add_aborted(&[aborted(7, 10, 12)]);
        let verdict = transactions.on_control_batch(&header(12, 7), Some(Abort));
        assert_eq!(
            (verdict.can_discard, verdict.aborted),
            (false, Some(aborted(7, 10, 12)))
        );
        assert!(
            !transactions.on_batch(&header(15, 7)),
            "between two aborted transactions"
        );
        assert_eq!(transactions.on_control_batch(&header(16, 7), Some(Commit)), kept);
        assert_eq!(
            transactions.on_control_batch(&header(21, 7), Some(Abort)),
            gone,
            "its data is gone"
        );
        assert_eq!(transactions.on_control_batch(&header(30, 8), Some(Abort)), gone);
        assert_eq!(
            transactions.on_control_batch(&header(31, 8), None),
            gone,
            "an empty batch"
        );
    }
}
