//! Followers: fetching what leaders have. Kafka 3.9: `ReplicaFetcherManager`, `ReplicaFetcherThread`,
//! `AbstractFetcherThread`, `FetchSessionHandler`.
//!
//! One task for each pair of leader and fetcher id, with one request in flight. Whatever a response says is
//! carried out under the partition's lock and only if the partition still follows in the leader epoch for which
//! it was requested (facts 34 and 73); so nothing has to be waited for when a partition changes its leader.

pub(super) mod apply;
mod assignments;
mod context;
mod fetch_state;
mod manager;
mod metrics;
mod requests;
mod session;
mod shared;
mod thread;
mod truncation;

pub use context::FetcherContext;
pub(super) use manager::fetcher_id;
pub use manager::{FetchAssignment, FetcherManager};
