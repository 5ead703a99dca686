//! The whole controller on a ZooKeeper in memory, with channels that remember what was sent.

mod alterations;
mod captured;
mod cluster;
mod fencing;
mod histories;
mod lifecycle;
mod machines;
mod reassignments;
