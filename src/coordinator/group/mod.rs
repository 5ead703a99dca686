//! Owns the classic group coordinator. Kafka 3.9: `GroupCoordinator`, `GroupMetadataManager`.
//!
//! | file | holds |
//! |---|---|
//! | `state` `member` `effect` | the nouns: states and legal transitions, a member, what comes out of the machine |
//! | `group_metadata` `generation` `join` `sync` `liveness` `offsets` | one group as a pure state machine |
//! | `log` | keys and values of `__consumer_offsets` |
//! | `loader` | a partition of it, read back into groups |
//! | `coordinator` `ownership` `requests` `commit` `cleanup` | all groups: ownership, timers, what the API layer calls |
//!
//! **Locks** are taken in this order: a partition of the groups (its ownership, the groups in it), then one group. No
//! lock is held across an `.await`. An append to the log begins under the group's lock, so that the log has the group's
//! changes in their order; the wait for the append happens without the lock.

pub mod cleanup;
pub mod commit;
pub mod coordinator;
pub mod effect;
pub mod generation;
pub mod group_metadata;
pub mod join;
pub mod liveness;
pub mod loader;
pub mod log;
pub mod member;
mod metrics;
pub mod offsets;
mod ownership;
mod partition_groups;
pub mod requests;
pub mod state;
pub mod sync;
mod timers;

#[cfg(test)]
mod test_support;

pub use coordinator::GroupCoordinator;
pub use effect::{JoinResult, JoinedMember, SyncResult};
pub use group_metadata::CONSUMER_PROTOCOL_TYPE;
pub use join::JoinRequest;
pub use liveness::LeavingMember;
pub use member::Protocol;
pub use offsets::OffsetAndMetadata;
#[cfg(test)]
pub use state::GroupState;
pub use sync::SyncRequest;
