//! Whole clusters under seeded faults: does what was acknowledged with acks=all and min.insync.replicas=2 survive?
//!
//! Everything that decides is the real thing: log, partitions, fetchers, controller, wire format, on real files.
//! Simulated are the network ([`simulated`](crate::network::client::simulated)), ZooKeeper
//! ([`memory`](crate::zk::memory)), the loss of power ([`simulated_disk`](crate::log::simulated_disk)) and time, which is
//! tokio's paused clock. A history is one thread, and its seed says what happens when
//! ([`seeded`](crate::common::seeded)): the same seed always makes the same history.
//!
//! What a history does to the cluster: any number of brokers are killed, cut off from each other, from ZooKeeper or
//! both, freeze, lose their sessions, leave in order and return. A loss of power or a broken disk, which destroy
//! what only one broker has, come one at a time: the next one only when all replicas are in sync again.
//! That is what Kafka promises; two brokers that lose their page caches at the same time may lose records.
//!
//! In some histories there is a fourth broker, and an administrator who has partitions moved about by the controller in the
//! midst of all that.
//!
//! What must hold in the end, when everything is mended: every partition is in sync again on the brokers that it was
//! last moved to, replicas are equal byte for byte, every acknowledged record is at its offset, no producer's record is there twice or out of order, and what
//! a consumer has once been shown is still there.
//!
//! What it does not do: threads do not race (a tokio runtime of one thread runs all brokers), groups and
//! transactions do not take part, znodes are never damaged.

mod check;
mod history;
mod load;
mod machine;
mod world;

use std::ops::Range;
use std::panic::catch_unwind;

use history::{Options, Summary, run};

use crate::common::planted::Mistake;

/// Histories of an ordinary test run.
const HISTORIES: u64 = 100;
/// Histories that are run twice.
const HISTORIES_TWICE: u64 = 5;
/// Histories within which a mistake must be found.
const HISTORIES_TO_A_FIND: u64 = 60;

/// `BARNABAS_TEST_ROUNDS` histories from seed `BARNABAS_TEST_SEED` on, so many of them in an ordinary test run. `BARNABAS_TEST_LOG=info`
/// prints what the brokers log.
fn seeds(ordinarily: u64) -> Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("BARNABAS_TEST_SEED").unwrap_or(0);
    first..first + number("BARNABAS_TEST_ROUNDS").unwrap_or(ordinarily)
}

/// Runs all histories, whatever becomes of them; `scripts/soak` reads the lines about those that fail.
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

/// How many histories it takes until something is found broken.
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
