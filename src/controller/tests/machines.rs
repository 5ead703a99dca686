//! Tests of the two state machines without a controller, on a context, a ZooKeeper in memory and a batch.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::super::broker_request_batch::BrokerRequestBatch;
use super::super::context::tests::three_brokers_one_partition;
use super::super::context::{ControllerContext, PartitionAndReplica};
use super::super::control_request::ControlRequest;
use super::super::election::ElectionStrategy;
use super::super::error::ControllerError;
use super::super::partition_state::PartitionState;
use super::super::partition_state_machine::{
    ElectedLeaders, PartitionStateMachine, StateChangeError, move_partitions,
};
use super::super::replica_state::ReplicaState;
use super::super::replica_state_machine::ReplicaStateMachine;
use super::super::zk_client::ControllerZkClient;
use crate::common::clock::ManualClock;
use crate::common::ids::{BrokerId, ControllerEpoch, NO_BROKER, TopicPartition};
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderIsrAndControllerEpoch, ReplicaAssignment};
use crate::config::{BrokerConfig, CurrentConfig};
use crate::metrics::Registry;
use crate::zk::memory::{MemorySession, MemoryZooKeeper};
use crate::zk::znode::partition_state;
use crate::zk::{CreateMode, ZkStore as _, paths};

const CLEAN: ElectionStrategy = ElectionStrategy::Offline { allow_unclean: false };

/// Brokers 0, 1 and 2, and partition `t-0` on 1, 2, 0 that broker 1 leads, in ZooKeeper as in the context.
struct Fixture {
    session: Arc<MemorySession>,
    zk: ControllerZkClient,
    context: ControllerContext,
    batch: BrokerRequestBatch,
    partition: TopicPartition,
}

impl Fixture {
    async fn new() -> Self {
        let session = MemoryZooKeeper::new(ManualClock::at(0)).connect();
        for path in [
            "/controller_epoch",
            "/config",
            "/config/topics",
            "/brokers",
            "/brokers/topics",
            "/brokers/topics/t",
        ] {
            let created = session.create(path, Bytes::new(), CreateMode::Persistent).await;
            created.expect("the znode is new");
        }
        let (mut context, partition) = three_brokers_one_partition();
        context.set_partition_state(&partition, PartitionState::Online);
        for replica in 0..3 {
            let replica = PartitionAndReplica::new(partition.clone(), replica);
            context.set_replica_state(&replica, ReplicaState::Online);
        }
        let mut zk = ControllerZkClient::new(session.clone());
        zk.set_guard(Some(0));
        let state = context
            .leadership(&partition)
            .expect("the partition has a leader")
            .clone();
        let states = [(partition.clone(), state.leader_and_isr)];
        let created = zk.create_partition_states(state.controller_epoch, &states).await;
        created.expect("the guard holds")[0]
            .as_ref()
            .expect("the state is new");
        Self {
            session,
            zk,
            context,
            batch: BrokerRequestBatch::default(),
            partition,
        }
    }

    async fn bring_online(&mut self, strategy: ElectionStrategy) -> Result<ElectedLeaders, ControllerError> {
        let config = CurrentConfig::new(Arc::new(BrokerConfig::for_test(0, Path::new("unused"))));
        let mut machine = PartitionStateMachine {
            context: &mut self.context,
            zk: &self.zk,
            batch: &mut self.batch,
            config: &config,
            unclean_elections: &Registry::default().meter(crate::metrics::MetricName::new("", "", "")),
        };
        machine
            .bring_online(std::slice::from_ref(&self.partition), strategy)
            .await
    }

    async fn move_replica(&mut self, broker: BrokerId, target: ReplicaState) -> Result<(), ControllerError> {
        let replica = PartitionAndReplica::new(self.partition.clone(), broker);
        let mut machine = ReplicaStateMachine {
            context: &mut self.context,
            zk: &self.zk,
            batch: &mut self.batch,
        };
        machine.move_replicas(vec![replica], target).await
    }

    /// The state znode: leader, leader epoch, ISR, epoch of the controller that wrote it.
    async fn znode(&self) -> (BrokerId, i32, Vec<BrokerId>, ControllerEpoch) {
        let path = paths::topic_partition_state("t", self.partition.partition);
        let (data, stat) = self
            .session
            .get(&path, false)
            .await
            .expect("a session")
            .expect("a state");
        let state = partition_state::decode(&data, stat.version).expect("readable");
        let LeaderAndIsr {
            leader,
            leader_epoch,
            isr,
            ..
        } = state.leader_and_isr;
        (leader, leader_epoch, isr, state.controller_epoch)
    }

    /// Changes the state znode as another writer would, without a change of the context.
    async fn overwrite(&self, isr: &[BrokerId], controller_epoch: ControllerEpoch) {
        let state = LeaderIsrAndControllerEpoch {
            leader_and_isr: LeaderAndIsr::initial(1, isr.to_vec()),
            controller_epoch,
        };
        let path = paths::topic_partition_state("t", self.partition.partition);
        let written = self
            .session
            .set(&path, partition_state::encode(&state), None)
            .await;
        written.expect("the znode is there");
    }

    /// The requests of the batch as `NAME BROKER`, in the order in which they are sent.
    fn sent(&mut self) -> Vec<String> {
        let batch = std::mem::take(&mut self.batch);
        let requests = batch.into_requests(&self.context, 0, "PLAINTEXT");
        let name = |(broker, request): (BrokerId, ControlRequest)| format!("{} {broker}", request.name());
        requests.into_iter().map(name).collect()
    }
}

#[tokio::test]
async fn a_new_partition_is_led_by_its_first_live_replica() {
    let mut fixture = Fixture::new().await;
    let partition = TopicPartition::new("t", 1);
    fixture
        .context
        .set_assignment(&partition, ReplicaAssignment::of(vec![1, 2]));
    fixture.context.remove_live_broker(1);
    fixture.partition = partition.clone();
    move_partitions(
        &mut fixture.context,
        std::slice::from_ref(&partition),
        PartitionState::New,
    );
    let elected = fixture.bring_online(CLEAN).await.expect("ZooKeeper answers");
    assert!(elected.is_empty(), "no election took place: {elected:?}");
    assert_eq!(fixture.znode().await, (2, 0, vec![2], 7));
    assert_eq!(fixture.context.leader(&partition), Some(2));
    assert_eq!(
        fixture.context.partition_state(&partition),
        PartitionState::Online
    );
    assert_eq!(
        fixture.sent(),
        ["LeaderAndIsr 2", "UpdateMetadata 0", "UpdateMetadata 2"]
    );
}

#[tokio::test]
async fn an_election_changes_zookeeper_first_and_then_the_context() {
    struct Case {
        what: &'static str,
        dead: &'static [BrokerId],
        /// ISR and controller epoch that another writer puts into the znode before the election.
        overwritten: Option<(&'static [BrokerId], ControllerEpoch)>,
        error: Option<StateChangeError>,
        znode: (BrokerId, i32, &'static [BrokerId], ControllerEpoch),
        sent: &'static [&'static str],
    }
    let cases = [
        Case {
            what: "the next replica in sync leads",
            dead: &[1],
            overwritten: None,
            error: None,
            znode: (2, 1, &[2, 0], 7),
            sent: &[
                "LeaderAndIsr 0",
                "LeaderAndIsr 2",
                "UpdateMetadata 0",
                "UpdateMetadata 2",
            ],
        },
        Case {
            what: "a write that loses against the leader's own is tried again on what the leader wrote",
            dead: &[1],
            overwritten: Some((&[1, 0], 6)),
            error: None,
            znode: (0, 1, &[0], 7),
            sent: &[
                "LeaderAndIsr 0",
                "LeaderAndIsr 2",
                "UpdateMetadata 0",
                "UpdateMetadata 2",
            ],
        },
        Case {
            what: "the state of a newer controller stays as it is",
            dead: &[1],
            overwritten: Some((&[1, 2, 0], 8)),
            error: Some(StateChangeError::NewerController(8)),
            znode: (1, 0, &[1, 2, 0], 8),
            sent: &[],
        },
        Case {
            what: "no replica in sync is online",
            dead: &[1],
            overwritten: Some((&[1], 6)),
            error: Some(StateChangeError::NoEligibleLeader(CLEAN)),
            znode: (1, 0, &[1], 6),
            sent: &[],
        },
    ];
    for case in cases {
        let mut fixture = Fixture::new().await;
        for &broker in case.dead {
            fixture.context.remove_live_broker(broker);
        }
        if let Some((isr, controller_epoch)) = case.overwritten {
            fixture.overwrite(isr, controller_epoch).await;
        }
        let partition = fixture.partition.clone();
        move_partitions(
            &mut fixture.context,
            std::slice::from_ref(&partition),
            PartitionState::Offline,
        );
        let elected = fixture.bring_online(CLEAN).await.expect("ZooKeeper answers");
        assert_eq!(
            elected[&partition].as_ref().err(),
            case.error.as_ref(),
            "{}",
            case.what
        );
        let (leader, leader_epoch, isr, controller_epoch) = case.znode;
        assert_eq!(
            fixture.znode().await,
            (leader, leader_epoch, isr.to_vec(), controller_epoch),
            "{}",
            case.what
        );
        let online = fixture.context.partition_state(&partition) == PartitionState::Online;
        assert_eq!(online, case.error.is_none(), "{}", case.what);
        assert_eq!(fixture.sent(), case.sent, "{}", case.what);
    }
}

#[tokio::test]
async fn a_replica_that_goes_offline_leaves_the_isr_unless_it_is_the_last_one() {
    struct Case {
        what: &'static str,
        isr: &'static [BrokerId],
        broker: BrokerId,
        znode: (BrokerId, i32, &'static [BrokerId]),
        partition_state: PartitionState,
        sent: &'static [&'static str],
    }
    let update_metadata = ["UpdateMetadata 0", "UpdateMetadata 1", "UpdateMetadata 2"];
    let cases = [
        Case {
            what: "a follower",
            isr: &[1, 2, 0],
            broker: 2,
            znode: (1, 1, &[1, 0]),
            partition_state: PartitionState::Online,
            sent: &["LeaderAndIsr 0", "LeaderAndIsr 1"],
        },
        Case {
            what: "the leader",
            isr: &[1, 2, 0],
            broker: 1,
            znode: (NO_BROKER, 1, &[2, 0]),
            partition_state: PartitionState::Offline,
            sent: &["LeaderAndIsr 0", "LeaderAndIsr 2"],
        },
        Case {
            what: "the last replica in sync",
            isr: &[1],
            broker: 1,
            znode: (NO_BROKER, 1, &[1]),
            partition_state: PartitionState::Offline,
            sent: &["LeaderAndIsr 0", "LeaderAndIsr 2"],
        },
        Case {
            what: "a replica that is out of sync already",
            isr: &[1, 0],
            broker: 2,
            znode: (1, 0, &[1, 0]),
            partition_state: PartitionState::Online,
            sent: &["LeaderAndIsr 0", "LeaderAndIsr 1"],
        },
    ];
    for case in cases {
        let mut fixture = Fixture::new().await;
        fixture.overwrite(case.isr, 6).await;
        let partition = fixture.partition.clone();
        let mut state = LeaderAndIsr::initial(1, case.isr.to_vec());
        state.partition_epoch = 1;
        fixture.context.set_own_leadership(&partition, state);
        fixture
            .move_replica(case.broker, ReplicaState::Offline)
            .await
            .expect("ZooKeeper answers");
        let (leader, leader_epoch, isr, _) = fixture.znode().await;
        assert_eq!((leader, leader_epoch, &*isr), case.znode, "{}", case.what);
        assert_eq!(
            fixture.context.partition_state(&partition),
            case.partition_state,
            "{}",
            case.what
        );
        let mut sent: Vec<_> = case
            .sent
            .iter()
            .copied()
            .chain(update_metadata)
            .map(str::to_owned)
            .collect();
        sent.push(format!("StopReplica {}", case.broker));
        assert_eq!(fixture.sent(), sent, "{}", case.what);
    }
}

#[tokio::test]
async fn a_controller_of_an_earlier_epoch_changes_neither_zookeeper_nor_its_context() {
    let mut fixture = Fixture::new().await;
    let epoch = fixture
        .session
        .set(paths::CONTROLLER_EPOCH, Bytes::new(), None)
        .await;
    epoch.expect("the znode is there");
    fixture.context.remove_live_broker(1);
    let partition = fixture.partition.clone();
    move_partitions(
        &mut fixture.context,
        std::slice::from_ref(&partition),
        PartitionState::Offline,
    );
    let moved = fixture.bring_online(CLEAN).await;
    assert_eq!(moved, Err(ControllerError::Moved));
    let moved = fixture.move_replica(1, ReplicaState::Offline).await;
    assert_eq!(moved, Err(ControllerError::Moved));
    assert_eq!(fixture.znode().await, (1, 0, vec![1, 2, 0], 6));
    assert_eq!(fixture.context.leader(&partition), Some(1));
    assert_eq!(
        fixture.context.partition_state(&partition),
        PartitionState::Offline
    );
}

#[tokio::test]
async fn illegal_transitions_are_skipped() {
    let mut fixture = Fixture::new().await;
    let partition = fixture.partition.clone();
    fixture
        .context
        .set_partition_state(&partition, PartitionState::NonExistent);
    let elected = fixture.bring_online(CLEAN).await.expect("no write is needed");
    let invalid = StateChangeError::InvalidTransition {
        from: PartitionState::NonExistent,
        to: PartitionState::Online,
    };
    assert_eq!(elected[&partition], Err(invalid));
    fixture
        .move_replica(2, ReplicaState::DeletionStarted)
        .await
        .expect("no write is needed");
    let replica = PartitionAndReplica::new(partition, 2);
    assert_eq!(fixture.context.replica_state(&replica), ReplicaState::Online);
    assert!(fixture.sent().is_empty());
}
