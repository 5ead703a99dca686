//! The simulated cluster: three brokers or more and one topic, with a function for each fault and each action.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::Rng as _;
use rand::rngs::StdRng;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::machine::{Machine, Surroundings};
use crate::cluster::Partition;
use crate::common::clock::Clock;
use crate::common::ids::{BrokerId, TopicId, TopicPartition};
use crate::common::leader_and_isr::{LeaderAndIsr, ReplicaAssignment};
use crate::config::LogConfig;
use crate::log::UnifiedLog;
use crate::log::simulated_disk::SimulatedDisk;
use crate::network::client::simulated::SimulatedNetwork;
use crate::zk::memory::{MemorySession, MemoryZooKeeper};
use crate::zk::znode::{TopicAssignment, partition_state};
use crate::zk::{CreateMode, ZkStore as _, cluster, paths};

/// The number of replicas of a partition at the start.
const FACTOR: usize = 3;
pub(super) const PARTITIONS: i32 = 2;
pub(super) const TOPIC: &str = "t";
/// The time when a history begins. Brokers forget producers whose record timestamps are too old.
pub(super) const START_MS: i64 = 1_700_000_000_000;
/// The time after which ZooKeeper expires the session of a silent broker.
const SESSION_TIMEOUT: Duration = Duration::from_millis(1_500);
/// The shortest time until a machine returns after a loss of power. It is longer than the session timeout plus the time
/// in which the other brokers learn of the expired session. Kafka relies on this, too.
const BOOT: Duration = Duration::from_millis(4_000);

/// A clock with tokio's time, which a history has paused.
struct PausedClock {
    start: Instant,
}

impl Clock for PausedClock {
    fn wall_ms(&self) -> i64 {
        START_MS + self.monotonic_ms()
    }

    fn monotonic_ms(&self) -> i64 {
        60_000 + (Instant::now() - self.start).as_millis() as i64
    }
}

/// The cluster.
pub(super) struct World {
    pub(super) around: Surroundings,
    pub(super) brokers: Vec<BrokerId>,
    pub(super) running: BTreeMap<BrokerId, Machine>,
    admin: Arc<MemorySession>,
    dirs: BTreeMap<BrokerId, TempDir>,
    disks: BTreeMap<BrokerId, SimulatedDisk>,
    /// The earliest time at which a stopped broker can start.
    bootable: BTreeMap<BrokerId, Instant>,
}

pub(super) fn partition(index: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, index)
}

fn dir() -> TempDir {
    let in_memory = std::path::Path::new("/dev/shm");
    let dir = match in_memory.is_dir() {
        true => tempfile::tempdir_in(in_memory),
        false => tempfile::tempdir(),
    };
    dir.expect("a dir")
}

impl World {
    /// Starts a cluster and waits until all brokers run and lead a partition.
    pub(super) async fn new(
        network: Arc<SimulatedNetwork>,
        log_config: LogConfig,
        brokers: Vec<BrokerId>,
    ) -> Self {
        let clock = Arc::new(PausedClock {
            start: Instant::now(),
        });
        let zookeeper = MemoryZooKeeper::new(clock.clone());
        let admin = zookeeper.connect();
        cluster::create_persistent_paths(&*admin)
            .await
            .expect("an empty tree");
        let dirs: BTreeMap<_, _> = brokers.iter().map(|&id| (id, dir())).collect();
        let mut world = Self {
            around: Surroundings {
                zookeeper,
                network,
                clock,
                log_config,
            },
            running: BTreeMap::new(),
            admin,
            disks: dirs
                .iter()
                .map(|(&id, dir)| (id, SimulatedDisk::new(dir.path())))
                .collect(),
            dirs,
            bootable: BTreeMap::new(),
            brokers,
        };
        for id in world.brokers.clone() {
            world.start(id).await;
        }
        let assignment = TopicAssignment {
            topic_id: Some(TopicId::from_u128(0x7071)),
            partitions: (0..PARTITIONS)
                .map(|index| {
                    let mut replicas = world.brokers.clone();
                    replicas.rotate_left(index as usize);
                    replicas.truncate(FACTOR);
                    (index, ReplicaAssignment::of(replicas))
                })
                .collect(),
        };
        let created = world
            .admin
            .create(&paths::topic(TOPIC), assignment.encode(), CreateMode::Persistent);
        created.await.expect("a new topic");
        world
    }

    /// Starts a broker that is down if its machine is ready.
    pub(super) async fn start(&mut self, id: BrokerId) -> bool {
        if self.bootable.get(&id).is_some_and(|&at| at > Instant::now()) {
            return false;
        }
        let machine = Machine::start(id, self.dirs[&id].path(), &self.disks[&id], &self.around).await;
        self.running.insert(id, machine);
        true
    }

    /// Kills a broker like kill -9: the written data stays in the page cache.
    pub(super) async fn kill(&mut self, id: BrokerId) {
        let machine = self.running.remove(&id).expect("it runs");
        // The disk is unmounted first, so that even a write in progress in another thread has no effect.
        machine.mount.unmount();
        self.around.network.kill(id);
        let session = machine.kill().await;
        tokio::spawn(async move {
            sleep(SESSION_TIMEOUT).await;
            session.close();
        });
    }

    /// The machine loses its power and all data without an fsync.
    pub(super) async fn lose_power(&mut self, id: BrokerId, random: &mut StdRng) {
        self.kill(id).await;
        self.disks[&id].lose_power(random);
        self.bootable.insert(id, Instant::now() + BOOT);
    }

    /// The next write of a broker is cut and all later writes fail. So the broker exits, as a broker does when its last
    /// log dir fails.
    pub(super) async fn break_disk(&mut self, id: BrokerId, random: &mut StdRng) {
        self.running[&id]
            .mount
            .fail_at_next_write(random.random_range(0..200));
        sleep(Duration::from_millis(random.random_range(0..400))).await;
        self.kill(id).await;
        self.bootable.insert(id, Instant::now() + BOOT);
    }

    /// Stops a broker cleanly.
    pub(super) async fn stop(&mut self, id: BrokerId) {
        let epoch = self.running[&id].controller.broker_epoch();
        let controller = self
            .running
            .values()
            .find(|machine| machine.controller.is_active());
        if let Some(machine) = controller {
            let left = machine.controller.controlled_shutdown(id, epoch);
            // The broker stops whether the controlled shutdown succeeds or not.
            let _ = tokio::time::timeout(Duration::from_secs(5), left).await;
        }
        let machine = self.running.remove(&id).expect("it runs");
        self.around.network.kill(id);
        machine.shutdown().await;
    }

    /// Expires a broker's session. The broker learns of it only after `deaf_for` and works as before until then.
    pub(super) fn expire(&self, id: BrokerId, deaf_for: Duration) {
        let machine = &self.running[&id];
        machine.zookeeper_gate.send_replace(false);
        machine.session.expire();
        let (session, stop) = (machine.session.clone(), machine.stop.clone());
        let gate = machine.zookeeper_gate.clone();
        tokio::spawn(async move {
            sleep(deaf_for).await;
            if !stop.is_cancelled() {
                session.establish();
                gate.send_replace(true);
            }
        });
    }

    /// Stops all messages between two brokers for `length`.
    pub(super) fn block(&self, a: BrokerId, b: BrokerId, length: Duration) {
        let network = self.around.network.clone();
        network.block(a, b);
        tokio::spawn(async move {
            sleep(length).await;
            network.unblock(a, b);
        });
    }

    /// Requests these replicas for a partition, as an administrator does. The request may fail: there may be no
    /// controller at the moment, or the controller may die before it answers.
    pub(super) async fn reassign(&self, index: i32, replicas: Vec<BrokerId>) {
        let controller = self
            .running
            .values()
            .find(|machine| machine.controller.is_active());
        if let Some(machine) = controller {
            let targets = BTreeMap::from([(partition(index), Some(replicas))]);
            let begun = machine.controller.alter_partition_reassignments(targets);
            let _ = tokio::time::timeout(Duration::from_secs(5), begun).await;
        }
    }

    /// The replica assignment of a partition in ZooKeeper.
    async fn assignment(&self, index: i32) -> ReplicaAssignment {
        let found = self.admin.get(&paths::topic(TOPIC), false).await;
        let (data, _) = found.expect("a session").expect("the topic is there");
        let mut topic = TopicAssignment::decode(&data).expect("readable");
        topic.partitions.remove(&index).expect("the partition is there")
    }

    /// The brokers of a partition, if no reassignment is in progress.
    pub(super) async fn replicas(&self, index: i32) -> Vec<BrokerId> {
        self.assignment(index).await.replicas
    }

    /// The leader and ISR of a partition in ZooKeeper.
    pub(super) async fn state(&self, index: i32) -> Option<LeaderAndIsr> {
        let path = paths::topic_partition_state(TOPIC, index);
        let found = self.admin.get(&path, false).await.expect("a session");
        found.map(|(data, stat): (Bytes, _)| {
            let state = partition_state::decode(&data, stat.version).expect("readable");
            state.leader_and_isr
        })
    }

    /// The log of a replica, if the broker runs and has the partition from the controller.
    pub(super) fn log(&self, broker: BrokerId, index: i32) -> Option<Arc<UnifiedLog>> {
        self.partition(broker, index)?.log()
    }

    fn partition(&self, broker: BrokerId, index: i32) -> Option<Arc<Partition>> {
        let machine = self.running.get(&broker)?;
        machine.replicas.partition(&partition(index)).ok()
    }

    /// Whether all faults are repaired: every broker runs, no reassignment is in progress, and all replicas are in sync
    /// and have all committed records. A broker that was down when its replica was removed may still have the replica,
    /// as in Kafka.
    pub(super) async fn is_whole(&self) -> bool {
        let is_deaf = |machine: &Machine| !*machine.zookeeper_gate.borrow();
        if self.running.len() < self.brokers.len() || self.running.values().any(is_deaf) {
            return false;
        }
        for index in 0..PARTITIONS {
            let assignment = self.assignment(index).await;
            let Some(state) = self.state(index).await else {
                return false;
            };
            let Some(leader) = self.log(state.leader, index) else {
                return false;
            };
            let has_all = |&id: &BrokerId| {
                self.log(id, index)
                    .is_some_and(|log| log.log_end_offset() >= leader.high_watermark())
            };
            let all_in_sync = state.isr.len() == assignment.replicas.len();
            let are_complete = all_in_sync && assignment.replicas.iter().all(has_all);
            if assignment.is_being_reassigned() || !are_complete {
                return false;
            }
        }
        true
    }
}

/// The functions that the checks use.
impl World {
    /// A broker's log of a partition, if the broker believes that it leads the partition.
    pub(super) fn leader_log(&self, broker: BrokerId, index: i32) -> Option<Arc<UnifiedLog>> {
        self.partition(broker, index)?.leader_log().ok()
    }

    /// Whether all replicas have the same end offset and all records are committed.
    pub(super) async fn has_equal_ends(&self) -> bool {
        for index in 0..PARTITIONS {
            let replicas = self.replicas(index).await;
            let ends = replicas.iter().map(|&id| {
                let log = self.log(id, index)?;
                Some((log.log_end_offset(), log.high_watermark()))
            });
            let ends: Vec<_> = ends.collect();
            let is_committed = ends[0].is_some_and(|(end, high_watermark)| end == high_watermark);
            if !is_committed || ends.iter().any(|e| *e != ends[0]) {
                return false;
            }
        }
        true
    }

    /// The state of all brokers, for the message of a failed history.
    pub(super) async fn describe(&self) -> String {
        let mut text = String::new();
        for index in 0..PARTITIONS {
            let ends = self.brokers.iter().filter_map(|&id| {
                let log = self.log(id, index)?;
                Some((id, log.log_end_offset(), log.high_watermark()))
            });
            text += &format!(
                "partition {index}: {:?}, {:?}, replicas {:?}; ",
                self.assignment(index).await,
                self.state(index).await,
                ends.collect::<Vec<_>>()
            );
        }
        let controllers = self.running.iter().filter(|(_, m)| m.controller.is_active());
        text += &format!(
            "controllers {:?}",
            controllers.map(|(id, _)| id).collect::<Vec<_>>()
        );
        text
    }
}
