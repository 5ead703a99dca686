//! Leaders and followers over real sockets: acknowledged records survive, whatever happens to the brokers.

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
