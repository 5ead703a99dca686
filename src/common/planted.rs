//! Mistakes that a test makes on purpose, to see that the simulation of a cluster (`broker::simulation`) finds
//! them. They exist in tests alone and belong to one thread, so that the tests beside it are spared.

use std::cell::Cell;

/// A mistake that somebody could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A leader takes its own records for committed, without regard to the rest of the ISR.
    HighWatermarkIgnoresIsr,
    /// A follower of a new leader cuts its log at its own high watermark instead of comparing epochs, as Kafka did
    /// before KIP-101.
    TruncatesToHighWatermark,
    /// The controller takes a reassignment for complete before the new replicas are in sync, and removes the old ones.
    CompletesReassignmentsAtOnce,
}

thread_local! {
    static PLANTED: Cell<Option<Mistake>> = const { Cell::new(None) };
}

/// Makes this mistake, or none, on this thread from now on.
pub fn plant(mistake: Option<Mistake>) {
    PLANTED.set(mistake);
}

/// Whether this mistake is to be made.
pub fn is_planted(mistake: Mistake) -> bool {
    PLANTED.get() == Some(mistake)
}
