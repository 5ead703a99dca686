//! Tests whole clusters under seeded faults: records that were acknowledged with acks=all and min.insync.replicas=2
//! must survive.
//!
//! The log, partitions, fetchers, controller and wire format are the real ones, on real files. The simulated parts are
//! the network ([`simulated`](crate::network::client::simulated)), ZooKeeper ([`memory`](crate::zk::memory)), the loss
//! of power ([`simulated_disk`](crate::log::simulated_disk)) and time, which is tokio's paused clock. A history runs on
//! one thread, and its seed decides all events and their times ([`seeded`](crate::common::seeded)). The same seed
//! always makes the same history.
//!
//! Faults of a history: any number of brokers are killed, cut off from each other, from ZooKeeper or both, freeze, lose
//! their sessions, stop in order and return. A power loss or a broken disk destroys data that only one broker has. Such
//! faults come one at a time: the next comes only when all replicas are in sync again. Kafka promises no more than
//! this; two brokers that lose their page caches at the same time may lose records.
//!
//! Some histories have a fourth broker, and an administrator who reassigns partitions during the faults.
//!
//! After the repair of all faults these conditions must be true: every partition is in sync on the brokers of its last
//! reassignment, replicas are equal byte for byte, every acknowledged record is at its offset, no record of a producer
//! is duplicated or out of order, and every record that a consumer has read is still there.
//!
//! Limits: threads do not race (a Tokio runtime of one thread runs all brokers), there are no groups and transactions,
//! and znodes are never damaged.

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
/// The number of histories within which a deliberate mistake must be found.
const HISTORIES_TO_A_FIND: u64 = 60;

/// The seeds of the histories: `BARNABAS_TEST_ROUNDS` seeds from `BARNABAS_TEST_SEED` on. An ordinary test run has
/// `ordinarily` of them. `BARNABAS_TEST_LOG=info` prints the brokers' log messages.
fn seeds(ordinarily: u64) -> Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("BARNABAS_TEST_SEED").unwrap_or(0);
    first..first + number("BARNABAS_TEST_ROUNDS").unwrap_or(ordinarily)
}

/// Runs all histories, even if some fail. `scripts/soak` reads the lines about failed histories.
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

/// Runs histories until a check fails. Returns the seed of the failed history and the error.
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
