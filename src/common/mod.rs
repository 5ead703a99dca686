//! The types that every layer shares: identifiers, errors, time. Imports nothing from the crate.

pub mod acl;
pub mod blocking;
pub mod clock;
pub mod coordinator_key;
pub mod error;
pub mod file_range;
pub mod ids;
pub mod leader_and_isr;
#[cfg(test)]
pub mod limit;
pub mod loggers;
pub mod parallel;
#[cfg(test)]
pub mod planted;
#[cfg(test)]
pub mod seeded;
pub mod topic_name;
