//! Deliberate mistakes with which a test checks that the simulation of a cluster (`broker::simulation`) finds them.
//! They exist only in tests and belong to one thread, so that other tests are not affected.

use std::cell::Cell;

/// A possible mistake in the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A leader treats its own records as committed, without regard to the rest of the ISR.
    HighWatermarkIgnoresIsr,
    /// A follower of a new leader truncates its log to its own high watermark instead of comparing epochs, as Kafka did
    /// before KIP-101.
    TruncatesToHighWatermark,
    /// The controller treats a reassignment as complete before the new replicas are in sync, and removes the old ones.
    CompletesReassignmentsAtOnce,
}

thread_local! {
    static PLANTED: Cell<Option<Mistake>> = const { Cell::new(None) };
}

/// Enables this mistake, or none, on this thread from now on.
pub fn plant(mistake: Option<Mistake>) {
    PLANTED.set(mistake);
}

/// Whether this mistake is enabled.
pub fn is_planted(mistake: Mistake) -> bool {
    PLANTED.get() == Some(mistake)
}
