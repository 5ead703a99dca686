//! The whole controller on a ZooKeeper in memory, with channels that remember what was sent.

mod captured;
mod cluster;
