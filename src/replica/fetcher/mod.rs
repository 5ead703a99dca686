//! Fetches the leaders' records for the followers on this broker. Kafka 3.9: `ReplicaFetcherManager`,
//! `ReplicaFetcherThread`, `AbstractFetcherThread`, `FetchSessionHandler`.
//!
//! There is one task for each pair of leader and fetcher id, with one request in flight. A response is applied under
//! the partition's lock, and only if the partition still follows in the leader epoch of the request (facts 34 and 73).
//! So a partition can change its leader without waiting for a response.

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
