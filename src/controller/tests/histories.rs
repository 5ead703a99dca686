//! Random histories: brokers die, return, lose their sessions and shut down; topics are created, grow, move and are
//! deleted. The test checks the invariants after each step. `CONTROLLER_SEED=n` replays one history.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};

use super::super::admin_request::ElectionType;
use super::super::control_request::ControlRequest;
use super::cluster::Cluster;
use crate::common::ids::{BrokerId, LeaderEpoch, TopicPartition};
use crate::common::leader_and_isr::LeaderAndIsr;
use crate::zk::{ZkStore as _, paths};

const BROKERS: BrokerId = 5;
const HISTORIES: u64 = 20;
const STEPS: usize = 60;

struct History {
    cluster: Cluster,
    random: StdRng,
    topics_created: usize,
    deleted: BTreeSet<String>,
    states: BTreeMap<TopicPartition, LeaderAndIsr>,
    leaders: BTreeMap<(TopicPartition, LeaderEpoch), BrokerId>,
    /// Whether leaders have added replicas to their ISRs in the last step.
    isrs_may_grow: bool,
    log: Vec<String>,
}

#[tokio::test(start_paused = true)]
async fn no_partition_ever_has_two_leaders_or_an_empty_isr() {
    let replay = std::env::var("CONTROLLER_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = replay.map_or(0..HISTORIES, |seed| seed..seed + 1);
    for seed in seeds {
        let mut history = History::new(seed).await;
        for _ in 0..STEPS {
            history.step().await;
            history.check().await;
        }
        history.heal().await;
    }
}

impl History {
    async fn new(seed: u64) -> Self {
        Self {
            cluster: Cluster::with_brokers(BROKERS).await,
            random: StdRng::seed_from_u64(seed),
            topics_created: 0,
            deleted: BTreeSet::new(),
            states: BTreeMap::new(),
            leaders: BTreeMap::new(),
            isrs_may_grow: false,
            log: vec![format!("seed {seed}")],
        }
    }

    fn some_broker(&mut self) -> Option<BrokerId> {
        let running: Vec<_> = self.cluster.brokers.keys().copied().collect();
        running.choose(&mut self.random).copied()
    }

    async fn some_topic(&mut self) -> Option<String> {
        let mut topics = self.topics().await;
        topics.retain(|t| !self.deleted.contains(t));
        topics.choose(&mut self.random).cloned()
    }

    async fn topics(&self) -> Vec<String> {
        self.cluster
            .admin
            .children(paths::TOPICS, false)
            .await
            .expect("a session")
            .unwrap_or_default()
    }

    fn some_replicas(&mut self, of: Vec<BrokerId>) -> Vec<BrokerId> {
        let (mut replicas, n) = (of, self.random.random_range(1..=3));
        replicas.shuffle(&mut self.random);
        replicas.truncate(n);
        replicas
    }

    async fn step(&mut self) {
        self.isrs_may_grow = false;
        match self.random.random_range(0..100) {
            0..15 => self.kill().await,
            15..35 => self.start().await,
            35..42 => self.expire().await,
            42..47 => self.leave().await,
            47..60 => self.create_topic().await,
            60..65 => self.delete_topic().await,
            65..70 => self.add_partition().await,
            70..78 => self.reassign().await,
            78..83 => self.elect_preferred().await,
            _ => self.catch_up().await,
        }
        self.cluster.until_idle().await;
    }

    async fn kill(&mut self) {
        if let Some(broker) = self.some_broker() {
            self.log.push(format!("kill {broker}"));
            self.cluster.kill_broker(broker).await;
        }
    }

    async fn start(&mut self) {
        let down: Vec<_> = (0..BROKERS)
            .filter(|b| !self.cluster.brokers.contains_key(b))
            .collect();
        if let Some(&broker) = down.choose(&mut self.random) {
            self.log.push(format!("start {broker}"));
            self.cluster.start_broker(broker).await;
        }
    }

    /// Expires a broker's session. The broker learns it at once, or is paused until the new session is established.
    async fn expire(&mut self) {
        let Some(broker) = self.some_broker() else { return };
        let paused = self.random.random_bool(0.5);
        self.log.push(format!("expire {broker}, paused {paused}"));
        if paused {
            self.cluster.set_running(broker, false).await;
        }
        self.cluster.brokers[&broker].session.expire();
        if self.random.random_bool(0.5) {
            self.cluster.until_idle().await;
        }
        self.cluster.brokers[&broker].session.establish();
        self.cluster.until_idle().await;
        self.cluster.set_running(broker, true).await;
    }

    async fn leave(&mut self) {
        let Some(broker) = self.some_broker() else { return };
        self.log.push(format!("leave {broker}"));
        let epoch = self.cluster.handle(broker).broker_epoch();
        let _ = self
            .cluster
            .controller_handle()
            .controlled_shutdown(broker, epoch)
            .await;
        self.cluster.kill_broker(broker).await;
    }

    async fn create_topic(&mut self) {
        let name = format!("t{}", self.topics_created);
        self.topics_created += 1;
        let partitions: Vec<_> = (0..2)
            .map(|_| self.some_replicas((0..BROKERS).collect()))
            .collect();
        self.log.push(format!("create {name} {partitions:?}"));
        let partitions: Vec<&[BrokerId]> = partitions.iter().map(Vec::as_slice).collect();
        self.cluster.create_topic(&name, &partitions).await;
    }

    async fn delete_topic(&mut self) {
        if let Some(topic) = self.some_topic().await {
            self.log.push(format!("delete {topic}"));
            self.cluster.delete_topic(&topic).await;
            self.deleted.insert(topic);
        }
    }

    async fn add_partition(&mut self) {
        let Some(topic) = self.some_topic().await else {
            return;
        };
        let mut assignment = self.cluster.topic(&topic).await.expect("exists");
        let index = assignment.partitions.len() as i32;
        let replicas = self.some_replicas((0..BROKERS).collect());
        self.log.push(format!("add {topic}-{index} {replicas:?}"));
        let replicas = crate::common::leader_and_isr::ReplicaAssignment::of(replicas);
        assignment.partitions.insert(index, replicas);
        self.cluster
            .admin
            .set(&paths::topic(&topic), assignment.encode(), None)
            .await
            .expect("exists");
    }

    async fn reassign(&mut self) {
        let (Some(topic), Some(_)) = (self.some_topic().await, self.some_broker()) else {
            return;
        };
        let running = self.cluster.brokers.keys().copied().collect();
        let targets = Some(self.some_replicas(running)).filter(|_| self.random.random_bool(0.8));
        self.log.push(format!("reassign {topic}-0 {targets:?}"));
        let targets = [(TopicPartition::new(topic, 0), targets)].into();
        let _ = self
            .cluster
            .controller_handle()
            .alter_partition_reassignments(targets)
            .await;
    }

    async fn elect_preferred(&mut self) {
        if self.some_broker().is_some() {
            self.log.push("elect preferred leaders".into());
            let _ = self
                .cluster
                .controller_handle()
                .elect_leaders(None, ElectionType::Preferred)
                .await;
        }
    }

    /// All leaders take all live replicas into their ISRs.
    async fn catch_up(&mut self) {
        self.log.push("catch up".into());
        self.isrs_may_grow = true;
        if self.cluster.brokers.is_empty() {
            return;
        }
        for topic in self.topics().await {
            let assignment = self.cluster.topic(&topic).await.unwrap_or_default();
            for (index, assignment) in assignment.partitions {
                let Some(state) = self.cluster.state(&topic, index).await else {
                    continue;
                };
                let state = state.leader_and_isr;
                if !self.cluster.brokers.contains_key(&state.leader) {
                    continue;
                }
                let mut isr = state.isr.clone();
                isr.extend(assignment.replicas.iter().filter(|r| !state.isr.contains(r)));
                isr.retain(|r| self.cluster.brokers.contains_key(r));
                self.cluster
                    .alter_isr(state.leader, &[(&topic, index, &isr)])
                    .await;
            }
        }
    }

    async fn check(&mut self) {
        if !self.cluster.brokers.is_empty() {
            let active = self
                .cluster
                .brokers
                .values()
                .filter(|b| b.handle.is_active())
                .count();
            assert_eq!(active, 1, "active controllers after {:#?}", self.log);
        }
        self.check_what_was_sent();
        let topics = self.topics().await;
        for topic in &topics {
            for (index, assignment) in self.cluster.topic(topic).await.expect("exists").partitions {
                let partition = TopicPartition::new(topic.as_str(), index);
                let Some(state) = self.cluster.state(topic, index).await else {
                    continue;
                };
                let state = state.leader_and_isr;
                let subset = state.isr.iter().all(|r| assignment.replicas.contains(r));
                assert!(
                    subset,
                    "{partition}: {state:?} of {assignment:?} after {:#?}",
                    self.log
                );
                self.check_state(partition, state);
            }
        }
        self.states.retain(|p, _| topics.iter().any(|t| **t == *p.topic));
    }

    /// Checks that all requests to all brokers have one leader for each leader epoch.
    fn check_what_was_sent(&mut self) {
        for sent in self.cluster.take_sent() {
            let ControlRequest::LeaderAndIsr(request) = sent.request else {
                continue;
            };
            for topic in request.topic_states {
                for state in topic.partition_states {
                    let partition = TopicPartition::new(topic.topic_name.as_str(), state.partition_index);
                    self.note_leader(partition, state.leader_epoch, state.leader.0);
                }
            }
        }
    }

    fn note_leader(&mut self, partition: TopicPartition, epoch: LeaderEpoch, leader: BrokerId) {
        let first = *self.leaders.entry((partition.clone(), epoch)).or_insert(leader);
        assert_eq!(
            first, leader,
            "leaders of {partition} in epoch {epoch} after {:#?}",
            self.log
        );
    }

    fn check_state(&mut self, partition: TopicPartition, state: LeaderAndIsr) {
        let log = &self.log;
        assert!(!state.isr.is_empty(), "{partition} has no ISR after {log:#?}");
        let leads = state.leader == -1 || state.isr.contains(&state.leader);
        assert!(leads, "{partition}: {state:?} after {log:#?}");
        if let Some(before) = self.states.get(&partition) {
            assert!(
                state.leader_epoch >= before.leader_epoch,
                "{partition}: {before:?} {state:?} after {log:#?}"
            );
            let grown = state.isr.iter().any(|r| !before.isr.contains(r));
            // The controller alone only shrinks an ISR, also in phase B of a reassignment.
            assert!(
                !grown || self.isrs_may_grow,
                "{partition}: {before:?} {state:?} after {log:#?}"
            );
        }
        self.note_leader(partition.clone(), state.leader_epoch, state.leader);
        self.states.insert(partition, state);
    }

    /// Starts all brokers. Then all partitions must be online, in sync and reassigned, and all deletions complete.
    async fn heal(&mut self) {
        self.log.push("heal".into());
        for broker in 0..BROKERS {
            if !self.cluster.brokers.contains_key(&broker) {
                self.cluster.start_broker(broker).await;
            }
        }
        for _ in 0..3 {
            self.catch_up().await;
            self.cluster.until_idle().await;
            self.check().await;
        }
        let topics = self.topics().await;
        assert!(
            topics.iter().all(|t| !self.deleted.contains(t)),
            "{topics:?} are left after {:#?}",
            self.log
        );
        for topic in topics {
            for (index, assignment) in self.cluster.topic(&topic).await.expect("exists").partitions {
                let partition = format!("{topic}-{index}");
                assert!(
                    !assignment.is_being_reassigned(),
                    "{partition}: {assignment:?} after {:#?}",
                    self.log
                );
                let state = self.cluster.state(&topic, index).await.map(|s| s.leader_and_isr);
                let state = state.unwrap_or_else(|| panic!("{partition} has no state after {:#?}", self.log));
                let isr: BTreeSet<_> = state.isr.iter().collect();
                let replicas: BTreeSet<_> = assignment.replicas.iter().collect();
                assert!(
                    state.has_leader() && isr == replicas,
                    "{partition}: {state:?} after {:#?}",
                    self.log
                );
            }
        }
    }
}
