//! Runs one history: faults by seed under load, then the repair of all faults and the final check.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use super::check;
use super::load::{Producer, Promises};
use super::world::{PARTITIONS, World};
use crate::common::ids::BrokerId;
use crate::common::planted::{self, Mistake};
use crate::common::seeded;
use crate::config::LogConfig;
use crate::network::client::simulated::SimulatedNetwork;

/// The number of producers for each partition.
const PRODUCERS: i64 = 2;
/// The time limit until all replicas of a repaired cluster are in sync.
const PATIENCE: Duration = Duration::from_secs(60);

/// The differences from a correct broker that is configured to lose no record.
#[derive(Clone, Copy, Default)]
pub(super) struct Options {
    pub(super) mistake: Option<Mistake>,
    pub(super) unclean_elections: bool,
    /// Whether partitions are reassigned among four brokers.
    pub(super) reassignments: bool,
}

/// The result of a history.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Summary {
    pub(super) acknowledged: usize,
    pub(super) faults: usize,
    pub(super) reassignments: usize,
    /// A hash of all events: equal histories have equal digests.
    pub(super) digest: u64,
}

struct History {
    random: StdRng,
    world: World,
    options: Options,
    promises: BTreeMap<i32, Arc<Mutex<Promises>>>,
    /// Data that only one broker had may be lost. No other broker may fail until all replicas are in sync again.
    is_fragile: bool,
    faults: usize,
    reassignments: usize,
    log: Vec<String>,
    /// The hash of all noted events and of the znodes at those times.
    digest: DefaultHasher,
}

/// Prints what the brokers log, with the simulated time, if `BARNABAS_TEST_LOG` names a level or a filter.
fn print_what_brokers_log() -> Option<tracing::subscriber::DefaultGuard> {
    let filter = std::env::var("BARNABAS_TEST_LOG").ok()?;
    let begin = Instant::now();
    let printer = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(SimulatedTime(begin))
        .with_ansi(false);
    Some(tracing::subscriber::set_default(printer.finish()))
}

/// Milliseconds since the history began.
struct SimulatedTime(Instant);

impl FormatTime for SimulatedTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", self.0.elapsed().as_millis())
    }
}

/// Runs one history. An error says what is broken and lists the events before it.
pub(super) fn run(seed: u64, options: Options) -> Result<Summary, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let network = SimulatedNetwork::new(seed);
    SimulatedNetwork::join(Some(network.clone()));
    planted::plant(options.mistake);
    seeded::by(Some(seed));
    let result = runtime.block_on(async {
        let _printed = print_what_brokers_log();
        let log_config = LogConfig {
            min_insync_replicas: 2,
            segment_bytes: 3_000,
            segment_index_bytes: 1_000,
            file_delete_delay_ms: 1_000,
            unclean_leader_election_enable: options.unclean_elections,
            ..LogConfig::default()
        };
        let brokers = if options.reassignments { 1..=4 } else { 1..=3 };
        let mut history = History {
            random: StdRng::seed_from_u64(seed),
            world: World::new(network, log_config, brokers.collect()).await,
            options,
            promises: (0..PARTITIONS).map(|index| (index, Arc::default())).collect(),
            is_fragile: false,
            faults: 0,
            reassignments: 0,
            log: Vec::new(),
            digest: DefaultHasher::new(),
        };
        let result = history.live(seed).await;
        result.map_err(|broken| format!("{broken}; after {:?}", history.log))
    });
    seeded::by(None);
    planted::plant(None);
    SimulatedNetwork::join(None);
    runtime.shutdown_background();
    result
}

impl History {
    async fn live(&mut self, seed: u64) -> Result<Summary, String> {
        self.until_whole().await?;
        let stop = CancellationToken::new();
        let mut producers = Vec::new();
        for (&partition, promises) in &self.promises {
            for n in 0..PRODUCERS {
                let producer = Producer {
                    id: i64::from(partition) * PRODUCERS + n,
                    partition,
                    brokers: self.world.brokers.clone(),
                    promises: promises.clone(),
                    seed: seed.wrapping_mul(31).wrapping_add(n as u64),
                };
                producers.push(tokio::spawn(producer.run(stop.clone())));
            }
        }
        for _ in 0..self.random.random_range(4..14) {
            self.pause(1_500).await?;
            self.step().await;
        }
        self.pause(1_500).await?;
        self.note("mend");
        self.until_whole().await?;
        sleep(Duration::from_millis(500)).await;
        stop.cancel();
        for producer in producers {
            producer.await.expect("a producer does not panic");
        }
        self.until_equal().await?;
        check::verify(&self.world, &self.promises).await?;
        let acknowledged = self.promises.values().map(|p| p.lock().acknowledged.len());
        Ok(Summary {
            acknowledged: acknowledged.sum(),
            faults: self.faults,
            reassignments: self.reassignments,
            digest: self.digest(),
        })
    }

    fn digest(&self) -> u64 {
        let mut digest = self.digest.clone();
        self.world.around.network.digest().hash(&mut digest);
        self.world.around.zookeeper.snapshot().hash(&mut digest);
        check::contents(&self.world).hash(&mut digest);
        digest.finish()
    }

    fn note(&mut self, what: &str) {
        let now = self.world.around.clock.monotonic_ms();
        self.log.push(format!("{now} {what}"));
        let znodes = self.world.around.zookeeper.snapshot();
        (now, what, znodes).hash(&mut self.digest);
    }

    /// Lets time pass, usually a short time, while consumers read.
    async fn pause(&mut self, most_ms: u64) -> Result<(), String> {
        let length = match self.random.random_bool(0.5) {
            true => self.random.random_range(0..most_ms / 8),
            false => self.random.random_range(0..most_ms),
        };
        let mut left = length;
        while left > 0 {
            let step = left.min(100);
            sleep(Duration::from_millis(step)).await;
            left -= step;
            for (&index, promises) in &self.promises {
                check::show(&self.world, index, &mut promises.lock())?;
            }
        }
        Ok(())
    }

    fn running(&self) -> Vec<BrokerId> {
        self.world.running.keys().copied().collect()
    }

    async fn step(&mut self) {
        if self.is_fragile && self.world.is_whole().await {
            self.is_fragile = false;
        }
        let Some(&broker) = self.running().choose(&mut self.random) else {
            return self.start_one().await;
        };
        if self.options.reassignments && self.random.random_bool(0.4) {
            return self.reassign().await;
        }
        let brokers = self.world.brokers.clone();
        let other = self.random.random_range(0..brokers.len() - 1);
        let other = brokers[(broker as usize + other) % brokers.len()];
        let length = Duration::from_millis(self.random.random_range(100..5_000));
        let is_deaf = !*self.world.running[&broker].zookeeper_gate.borrow();
        self.faults += 1;
        match self.random.random_range(0..100) {
            0..25 => {
                self.faults -= 1;
                self.start_one().await;
            }
            25..35 => {
                self.note(&format!("block {broker} and {other} for {length:?}"));
                self.world.block(broker, other, length);
            }
            35..42 => {
                self.note(&format!("cut {broker} off from all for {length:?}"));
                for other in brokers.into_iter().filter(|&other| other != broker) {
                    self.world.block(broker, other, length);
                }
            }
            42..50 => {
                self.note(&format!("break connections of {broker} and {other}"));
                self.world.around.network.break_between(broker, other);
            }
            _ if self.is_fragile => self.faults -= 1,
            50..70 => {
                self.note(&format!("kill {broker}"));
                self.world.kill(broker).await;
            }
            70..80 if !is_deaf => {
                self.note(&format!("expire {broker}, deaf for {length:?}"));
                self.world.expire(broker, length);
            }
            80..85 if !is_deaf => {
                self.note(&format!("stop {broker}"));
                self.world.stop(broker).await;
            }
            85.. if self.world.is_whole().await => self.destroy(broker).await,
            _ => self.faults -= 1,
        }
    }

    /// Destroys data that only this broker has.
    async fn destroy(&mut self, broker: BrokerId) {
        self.is_fragile = true;
        if self.random.random_bool(0.7) {
            self.note(&format!("power off {broker}"));
            self.world.lose_power(broker, &mut self.random).await;
        } else {
            self.note(&format!("break the disk of {broker}"));
            self.world.break_disk(broker, &mut self.random).await;
        }
    }

    /// Reassigns a partition to two or three random replicas, perhaps the same ones in another order. Other faults or
    /// an earlier reassignment may be in progress.
    async fn reassign(&mut self) {
        let index = self.random.random_range(0..PARTITIONS);
        let mut replicas = self.world.brokers.clone();
        replicas.shuffle(&mut self.random);
        replicas.truncate(self.random.random_range(2..=3));
        self.note(&format!("reassign partition {index} to {replicas:?}"));
        self.reassignments += 1;
        self.world.reassign(index, replicas).await;
    }

    async fn start_one(&mut self) {
        let is_down = |id: &BrokerId| !self.world.running.contains_key(id);
        let down: Vec<_> = self.world.brokers.iter().copied().filter(is_down).collect();
        if let Some(&broker) = down.choose(&mut self.random) {
            self.note(&format!("start {broker}"));
            self.world.start(broker).await;
        }
    }

    /// Starts all brokers that are down and waits until all replicas are in sync.
    async fn until_whole(&mut self) -> Result<(), String> {
        let deadline = self.world.around.clock.monotonic_ms() + PATIENCE.as_millis() as i64;
        while !self.world.is_whole().await {
            if self.world.around.clock.monotonic_ms() > deadline {
                return Err(format!("not in sync in time: {}", self.world.describe().await));
            }
            for broker in self.world.brokers.clone() {
                if !self.world.running.contains_key(&broker) {
                    self.world.start(broker).await;
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Waits until all replicas are in sync and have the same end offset.
    async fn until_equal(&mut self) -> Result<(), String> {
        for _ in 0..100 {
            self.until_whole().await?;
            if self.world.has_equal_ends().await {
                return Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
        Err(format!("logs end elsewhere: {}", self.world.describe().await))
    }
}
