//! Leaders and followers over real sockets: what is acknowledged stays, whatever becomes of the brokers.

mod cluster;
mod controller;
mod deleting;
mod failover;
mod metrics;
mod orders;
mod readers;
mod reading;
mod throttling;
mod writing;
