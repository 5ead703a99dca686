//! Leaders and followers over real sockets: what is acknowledged stays, whatever becomes of the brokers.

mod cluster;
mod failover;
mod orders;
mod reading;
mod writing;
