//! Tests of the whole controller on a ZooKeeper in memory, with channels that record the requests to brokers.

mod alterations;
mod captured;
mod cluster;
mod fencing;
mod histories;
mod layers;
mod lifecycle;
mod machines;
mod reassignments;
