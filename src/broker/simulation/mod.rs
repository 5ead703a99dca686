//! Tests whole clusters under seeded faults: do all records survive that were acknowledged with acks=all and
//! min.insync.replicas=2?
//!
//! The tests run the real code of the log, partitions, fetchers, controller and wire format, on real files. They
//! simulate the network ([`simulated`](crate::network::client::simulated)), ZooKeeper ([`memory`](crate::zk::memory)),
//! the loss of power ([`simulated_disk`](crate::log::simulated_disk)) and time, which is tokio's paused clock. A
//! history runs on one thread, and its seed determines all events ([`seeded`](crate::common::seeded)): the same seed
//! always makes the same history.
//!
//! A history makes these faults: any number of brokers are killed, cut off from each other, from ZooKeeper or from
//! both, freeze, lose their sessions, stop cleanly and return. A loss of power or a broken disk destroys data that only
//! one broker has. These two faults happen one at a time: the next one only when all replicas are in sync again.
//! Kafka's promise covers only this; two brokers that lose their page caches at the same time may lose records.
//!
//! In some histories there is a fourth broker, and an administrator reassigns partitions during the faults.
//!
//! At the end, after the repair of all faults, the following must hold. Every partition is in sync on the brokers of
//! its last reassignment. Its replicas are equal byte for byte. Every acknowledged record is at its offset. No record
//! of a producer occurs twice or out of order. Every record that a consumer has seen still exists.
//!
//! The simulation does not cover races between threads (one tokio runtime with one thread runs all brokers), groups and
//! transactions, or damaged znodes.

mod check;
mod history;
mod load;
mod machine;
mod world;

use std::ops::Range;
use std::panic::catch_unwind;

use history::{Options, Summary, run};

use crate::common::planted::Mistake;

/// The number of histories in an ordinary test run.
const HISTORIES: u64 = 100;
/// The number of histories that run twice.
const HISTORIES_TWICE: u64 = 5;
/// The number of histories within which a mistake must be found.
const HISTORIES_TO_A_FIND: u64 = 60;

/// The seeds to run: `BARNABAS_TEST_ROUNDS` histories, starting at seed `BARNABAS_TEST_SEED`; `ordinarily` histories in
/// an ordinary test run. `BARNABAS_TEST_LOG=info` prints what the brokers log.
fn seeds(ordinarily: u64) -> Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("BARNABAS_TEST_SEED").unwrap_or(0);
    first..first + number("BARNABAS_TEST_ROUNDS").unwrap_or(ordinarily)
}

/// Runs all histories, also after a failed one. `scripts/soak` reads the lines about failed histories.
fn run_all(options: Options) -> Summary {
    let (mut total, mut failed) = (Summary::default(), Vec::new());
    for seed in seeds(HISTORIES) {
        let result = catch_unwind(|| run(seed, options)).unwrap_or_else(|_| Err("it panicked".to_owned()));
        match result {
            Ok(summary) => {
                total.acknowledged += summary.acknowledged;
                total.faults += summary.faults;
                total.reassignments += summary.reassignments;
            }
            Err(broken) => {
                println!("seed {seed}: {broken}");
                failed.push(seed);
            }
        }
    }
    println!("{total:?}");
    assert!(failed.is_empty(), "broken by seeds {failed:?}");
    total
}

#[test]
fn what_was_acknowledged_survives_any_single_failure() {
    let total = run_all(Options::default());
    assert!(total.acknowledged > 0, "nothing was written");
}

#[test]
fn what_was_acknowledged_survives_reassignments_too() {
    let total = run_all(Options {
        reassignments: true,
        ..Options::default()
    });
    assert!(
        total.acknowledged > 0 && total.reassignments > 0,
        "nothing happened"
    );
}

#[test]
fn a_seed_always_makes_the_same_history() {
    for seed in seeds(HISTORIES_TWICE) {
        for reassignments in [false, true] {
            let options = Options {
                reassignments,
                ..Options::default()
            };
            let digest = || run(seed, options).map(|summary| summary.digest);
            assert_eq!(
                digest(),
                digest(),
                "seed {seed}, with reassignments: {reassignments}"
            );
        }
    }
}

/// The first seed whose history fails, and its error.
fn found_after(options: Options) -> Option<(u64, String)> {
    (0..HISTORIES_TO_A_FIND).find_map(|seed| Some((seed, run(seed, options).err()?)))
}

#[test]
fn a_high_watermark_that_ignores_the_isr_is_found() {
    let mistake = Some(Mistake::HighWatermarkIgnoresIsr);
    let found = found_after(Options {
        mistake,
        ..Options::default()
    });
    println!("{found:?}");
    assert!(found.is_some(), "the simulation has not found it");
}

#[test]
fn a_follower_that_cuts_its_log_at_the_high_watermark_is_found() {
    let mistake = Some(Mistake::TruncatesToHighWatermark);
    let found = found_after(Options {
        mistake,
        ..Options::default()
    });
    println!("{found:?}");
    assert!(found.is_some(), "the simulation has not found it");
}

#[test]
fn an_unclean_election_is_found() {
    let found = found_after(Options {
        unclean_elections: true,
        ..Options::default()
    });
    println!("{found:?}");
    assert!(found.is_some(), "the simulation has not found it");
}

#[test]
fn a_reassignment_that_does_not_wait_for_its_new_replicas_is_found() {
    let found = found_after(Options {
        mistake: Some(Mistake::CompletesReassignmentsAtOnce),
        reassignments: true,
        ..Options::default()
    });
    println!("{found:?}");
    assert!(found.is_some(), "the simulation has not found it");
}
