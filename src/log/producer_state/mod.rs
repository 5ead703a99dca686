//! The state of a log's producers: it lets the log refuse duplicates, gaps and zombies, and know its open transactions.
//! Kafka 3.9: `ProducerStateManager`, `ProducerAppendInfo`, `ProducerStateEntry`.
//!
//! This module uses no files, no clock and no lock. The log owns the `.snapshot` files and calls, under its lock:
//!
//! - **Append as leader**: [`ProducerBatch::read`] of the validated batch; [`ProducerStateManager::validate_append`]:
//!   an error is the client's, [`AppendDecision::Duplicate`] answers with the earlier offsets and appends nothing;
//!   after the bytes are written [`ProducerStateManager::update`]. A [`CompletedTxn`](state::CompletedTxn) that was
//!   aborted goes to the transaction index before the last stable offset is published.
//! - **Append as follower, replay, segment recovery**: `update` for each batch; nothing is refused.
//! - **Last stable offset**: the least of high watermark and [`ProducerStateManager::first_unstable_offset`]; tell it
//!   with [`ProducerStateManager::on_high_watermark_updated`] whenever the high watermark moves (fact 67).
//! - **Roll and close**: [`ProducerStateManager::take_snapshot`] and write its bytes under the offset it returns. Kafka
//!   treats a clean log without any snapshot as one without producers (fact 48).
//! - **Load and truncation to `end`**: delete the snapshots outside (log start offset, `end`]. If
//!   [`ProducerStateManager::map_end_offset`] is `end` already, that is all. Else
//!   [`ProducerStateManager::truncate_fully_and_start_at`] the log start offset; then
//!   [`ProducerStateManager::load_snapshot`] of the newest snapshot left, going to the next older one (and deleting the
//!   file) if it is corrupt; then `update` with every batch from `map_end_offset` to `end`; then
//!   [`ProducerStateManager::advance_map_end_offset`] to `end`.
//! - **Every ten minutes**: [`ProducerStateManager::remove_expired`].
//!
//! A snapshot holds only the last batch of each producer, so after a restart the window for duplicates is one batch
//! wide, exactly as in Kafka (fact 72).

mod entry;
mod snapshot;
mod state;
mod verification;

pub use entry::ProducerStateEntry;
pub use snapshot::decode as read_snapshot;
pub use state::{AppendDecision, ProducerBatch, ProducerStateManager};
pub use verification::{Verification, VerificationGuard};
