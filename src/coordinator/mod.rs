//! Owns the group coordinator and the transaction coordinator. Imports the layers up to `replica`, never the controller
//! or the API layer.

pub mod coordinator_log;
mod fields;
pub mod group;
#[cfg(test)]
mod memory_log;
mod partitions;
pub mod producer_ids;
mod replay;
pub mod transaction;

pub use coordinator_log::ReplicatedLog;
