//! Tests every leadership change in every state, and loads that are overtaken by a later change.

use super::*;
use crate::common::clock::ManualClock;
use crate::coordinator::memory_log::MemoryLog;

const EPOCH: LeaderEpoch = 5;

struct World {
    partitions: Partitions<Vec<i32>>,
    log: MemoryLog,
    clock: Arc<ManualClock>,
    metrics: Registry,
}

fn world() -> World {
    let config = PartitionsConfig {
        topic: "topic",
        metrics_kind: "metrics",
        count: 2,
        load_buffer_size: 1000,
    };
    let (log, clock) = (MemoryLog::new(), ManualClock::at(0));
    let metrics = Registry::new(clock.clone());
    let stop = CancellationToken::new();
    World {
        partitions: Partitions::new(config, Arc::new(log.clone()), clock.clone(), stop, &metrics),
        log,
        clock,
        metrics,
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Elsewhere,
    Loading,
    Owned,
}
use State::*;

impl World {
    fn in_state(state: State) -> (Self, Option<Load>) {
        let world = world();
        if let Elsewhere = state {
            world.partitions.resign(1, Some(EPOCH));
            return (world, None);
        }
        let load = world.partitions.begin_load(1, EPOCH).unwrap();
        if let Owned = state {
            assert!(world.partitions.finish(load, vec![1], |_, _| {}));
        }
        (world, Some(load))
    }

    fn answer(&self) -> Result<Vec<i32>, ErrorCode> {
        let partition = self.partitions.get(1).unwrap().read();
        partition.check_ownership().map(|()| partition.state.clone())
    }
}

const LOADING: Result<Vec<i32>, ErrorCode> = Err(ErrorCode::CoordinatorLoadInProgress);
const ELSEWHERE: Result<Vec<i32>, ErrorCode> = Err(ErrorCode::NotCoordinator);

#[test]
fn elections_by_state_and_epoch() {
    // State, epoch of the election, whether a load begins, the answer after it, the epoch since which this broker
    // leads.
    let cases = [
        (Elsewhere, EPOCH - 1, false, ELSEWHERE, None),
        (Elsewhere, EPOCH, true, LOADING, Some(EPOCH)),
        (Elsewhere, EPOCH + 1, true, LOADING, Some(EPOCH + 1)),
        (Loading, EPOCH - 1, false, LOADING, Some(EPOCH)),
        (Loading, EPOCH, false, LOADING, Some(EPOCH)),
        (Loading, EPOCH + 1, false, LOADING, Some(EPOCH)),
        (Owned, EPOCH - 1, false, Ok(vec![1]), Some(EPOCH)),
        (Owned, EPOCH, false, Ok(vec![1]), Some(EPOCH)),
        (Owned, EPOCH + 1, false, Ok(vec![1]), Some(EPOCH)),
    ];
    for (state, epoch, begins, answer, since) in cases {
        let (world, _) = World::in_state(state);
        let load = world.partitions.begin_load(1, epoch);
        let partition = world.partitions.get(1).unwrap();
        let seen = (load.is_some(), world.answer(), partition.read().leader_since());
        assert_eq!(seen, (begins, answer, since), "{state:?} {epoch}");
    }
}

#[test]
fn resignations_by_state_and_epoch() {
    for state in [Elsewhere, Loading, Owned] {
        for epoch in [None, Some(EPOCH - 1), Some(EPOCH), Some(EPOCH + 1)] {
            let (world, load) = World::in_state(state);
            let before = world.answer();
            let resigned = world.partitions.resign(1, epoch);
            let is_late = epoch == Some(EPOCH - 1);
            let held = if let Owned = state { vec![1] } else { vec![] };
            assert_eq!(resigned, (!is_late).then_some(held), "{state:?} {epoch:?}");
            let after = if is_late { before } else { ELSEWHERE };
            assert_eq!(world.answer(), after, "{state:?} {epoch:?}");
            if let (Loading, Some(load)) = (state, load) {
                let counts = world.partitions.finish(load, vec![2], |_, _| {});
                assert_eq!(counts, is_late, "{epoch:?}");
            }
        }
    }
}

#[test]
fn an_election_that_a_later_one_confirmed_is_not_taken_back_by_what_came_between() {
    let (world, _) = World::in_state(Owned);
    world.partitions.begin_load(1, EPOCH + 2);
    assert_eq!(world.partitions.resign(1, Some(EPOCH + 1)), None);
    assert_eq!(world.answer(), Ok(vec![1]));
}

#[test]
fn only_the_load_of_the_present_leadership_counts() {
    let (world, first) = World::in_state(Loading);
    world.partitions.resign(1, None);
    let second = world.partitions.begin_load(1, EPOCH + 1).unwrap();
    let first = first.unwrap();
    assert!(!world.partitions.is_current(first) && world.partitions.is_current(second));
    // The failure of the first load does not affect the second.
    world.log.fail_with(Some(ErrorCode::KafkaStorageError));
    assert!(!world.partitions.replay(first, |_| {}));
    assert!(!world.partitions.finish(first, vec![1], |_, _| {}));
    assert_eq!(world.answer(), LOADING);
    assert!(!world.partitions.replay(second, |_| {}));
    assert_eq!(world.answer(), ELSEWHERE);
    // The next election tries again.
    world.log.fail_with(None);
    let third = world.partitions.begin_load(1, EPOCH + 1).unwrap();
    assert!(world.partitions.replay(third, |_| {}));
}

#[test]
fn what_came_while_a_partition_was_loaded_is_settled_before_anybody_sees_it() {
    let (world, load) = World::in_state(Loading);
    world.partitions.get(1).unwrap().write().state.push(7);
    world.clock.advance(40);
    let finished = world
        .partitions
        .finish(load.unwrap(), vec![1], |state, meanwhile| {
            assert!(world.partitions.get(1).unwrap().try_read().is_none());
            state.extend(meanwhile);
        });
    assert!(finished && !world.partitions.is_loading());
    assert_eq!(world.answer(), Ok(vec![1, 7]));
    let text = world.metrics.exposition();
    for figure in ["max 40", "avg 40"] {
        let sample = format!("kafka_server_metrics_partition_load_time_{figure}\n");
        assert!(text.contains(&sample), "{text}");
    }
}

#[test]
fn partitions_that_were_added_later_are_nobodys() {
    let world = world();
    assert!(world.partitions.begin_load(2, EPOCH).is_none());
    assert!(world.partitions.resign(2, None).is_none());
    assert!(world.partitions.get(-1).is_none());
    assert_eq!(world.partitions.count(), 2);
}
