#![doc = include_str!("ARCHITECTURE.md")]
// Modules in the order of their layers, lowest first; `tidy.rs` holds the imports to it.

pub mod common;
pub mod config;
pub mod metrics;

pub mod protocol;
pub mod purgatory;
pub mod record;

pub mod log;
pub mod network;
pub mod zk;

pub mod cluster;
pub mod metadata;

pub mod replica;

pub mod admin;
pub mod controller;
pub mod coordinator;

pub mod api;

pub mod broker;
pub mod cli;

#[cfg(test)]
mod tidy;
