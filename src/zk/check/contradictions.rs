//! Finds znodes that contradict each other. Znodes that cannot be read are left to the schema check.
//!
//! A broker that is down is no contradiction by itself: a stopped cluster has no broker. Problems that only a
//! controller can repair are reported only while there is a controller. Znodes of a topic that is being deleted are not
//! checked.
//! put right is looked at only while there is one, and what belongs to a topic that is being deleted not at all.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Finding, Snapshot};
use crate::common::ids::{BrokerId, ControllerEpoch, NO_BROKER, TopicId};
use crate::common::leader_and_isr::{LeaderIsrAndControllerEpoch, ReplicaAssignment};
use crate::zk::paths;
use crate::zk::store::Stat;
use crate::zk::znode::{
    BrokerInfo, ControllerRegistration, TopicAssignment, controller_epoch, partition_state,
};

/// Every contradiction.
pub(super) fn find(snapshot: &Snapshot) -> BTreeSet<Finding> {
    let cluster = Cluster::read(snapshot);
    let mut findings = BTreeSet::new();
    cluster.check_brokers(&mut findings);
    cluster.check_controller(&mut findings);
    cluster.check_topics(&mut findings);
    cluster.check_states(&mut findings);
    cluster.check_assigned_brokers(&mut findings);
    cluster.check_leftovers(&mut findings);
    findings
}

/// What the znodes say.
struct Cluster<'a> {
    snapshot: &'a Snapshot,
    brokers: BTreeMap<BrokerId, (BrokerInfo, Stat)>,
    controller: Option<(ControllerRegistration, Stat)>,
    controller_epoch: Option<ControllerEpoch>,
    topics: BTreeMap<&'a str, TopicAssignment>,
    /// State znodes by topic and partition.
    states: BTreeMap<(&'a str, i32), LeaderIsrAndControllerEpoch>,
    being_deleted: BTreeSet<&'a str>,
}

impl<'a> Cluster<'a> {
    fn read(snapshot: &'a Snapshot) -> Self {
        let broker = |(name, data, stat): (&str, &[u8], Stat)| {
            Some((name.parse().ok()?, (BrokerInfo::decode(data).ok()?, stat)))
        };
        let topic =
            |(name, data, _): (&'a str, &[u8], Stat)| Some((name, TopicAssignment::decode(data).ok()?));
        let controller = snapshot
            .get(paths::CONTROLLER)
            .and_then(|(data, stat)| Some((ControllerRegistration::decode(data).ok()?, *stat)));
        let controller_epoch = snapshot
            .get(paths::CONTROLLER_EPOCH)
            .and_then(|(data, _)| controller_epoch::decode(data).ok());
        Self {
            brokers: children(snapshot, paths::BROKER_IDS).filter_map(broker).collect(),
            topics: children(snapshot, paths::TOPICS).filter_map(topic).collect(),
            states: states(snapshot),
            being_deleted: children(snapshot, paths::DELETE_TOPICS)
                .map(|(name, ..)| name)
                .collect(),
            controller,
            controller_epoch,
            snapshot,
        }
    }

    /// Reports two brokers with one address: a client that looks for one of them finds the other.
    fn check_brokers(&self, findings: &mut BTreeSet<Finding>) {
        let mut taken: BTreeMap<(&str, u16), BrokerId> = BTreeMap::new();
        for (&id, (info, _)) in &self.brokers {
            for endpoint in &info.endpoints {
                let first = *taken.entry((&endpoint.host, endpoint.port)).or_insert(id);
                if first != id {
                    let reason = format!("{}:{} is broker {first}'s too", endpoint.host, endpoint.port);
                    findings.insert(Finding::new(paths::broker_id(id), reason));
                }
            }
        }
    }

    fn check_controller(&self, findings: &mut BTreeSet<Finding>) {
        let mut found = |reason: String| _ = findings.insert(Finding::new(paths::CONTROLLER, reason));
        let Some((controller, stat)) = &self.controller else {
            if !self.brokers.is_empty() && !self.snapshot.contains_key(paths::CONTROLLER) {
                found(format!(
                    "missing, though {} brokers are registered",
                    self.brokers.len()
                ));
            }
            return;
        };
        let id = controller.broker_id;
        match self.brokers.get(&id) {
            None => found(format!("broker {id} is not registered")),
            Some((_, registration)) if registration.ephemeral_owner != stat.ephemeral_owner => {
                found(format!("made in another session than broker {id}'s registration"));
            }
            Some(_) => {}
        }
        if self.controller_epoch.is_none() && !self.snapshot.contains_key(paths::CONTROLLER_EPOCH) {
            let reason = "missing, though there is a controller";
            findings.insert(Finding::new(paths::CONTROLLER_EPOCH, reason));
        }
    }

    fn check_topics(&self, findings: &mut BTreeSet<Finding>) {
        let mut ids: BTreeMap<TopicId, &str> = BTreeMap::new();
        for (&topic, assignment) in &self.topics {
            let path = paths::topic(topic);
            let mut found = |reason: String| _ = findings.insert(Finding::new(&path, reason));
            match assignment.topic_id {
                Some(id) => {
                    let first = *ids.entry(id).or_insert(topic);
                    if first != topic {
                        found(format!("has the same topic id as {first}"));
                    }
                }
                None if self.controller.is_some() => found("has no topic id".to_owned()),
                None => {}
            }
            if assignment.partitions.is_empty() && !self.being_deleted.contains(topic) {
                found("has no partitions".to_owned());
            }
            for (expected, (&partition, replicas)) in (0..).zip(&assignment.partitions) {
                if partition != expected {
                    found(format!("has partition {partition} but no partition {expected}"));
                    break;
                }
                impossible_assignment(replicas)
                    .into_iter()
                    .for_each(|reason| found(format!("partition {partition} {reason}")));
            }
            self.check_missing_states(topic, assignment, &mut found);
        }
    }

    /// Reports partitions without a state znode: a partition gets its state as soon as one of its replicas is alive.
    fn check_missing_states(
        &self,
        topic: &str,
        assignment: &TopicAssignment,
        found: &mut impl FnMut(String),
    ) {
        if self.controller.is_none() || self.being_deleted.contains(topic) {
            return;
        }
        for (&partition, replicas) in &assignment.partitions {
            let state = paths::topic_partition_state(topic, partition);
            let alive = replicas.replicas.iter().find(|id| self.brokers.contains_key(id));
            if let Some(alive) = alive.filter(|_| !self.snapshot.contains_key(&state)) {
                found(format!(
                    "partition {partition} has no state, though broker {alive} is alive"
                ));
            }
        }
    }

    fn check_states(&self, findings: &mut BTreeSet<Finding>) {
        for (&(topic, partition), state) in &self.states {
            if self.being_deleted.contains(topic) {
                continue;
            }
            let path = paths::topic_partition_state(topic, partition);
            let mut found = |reason: String| _ = findings.insert(Finding::new(&path, reason));
            impossible_state(state).into_iter().for_each(&mut found);
            match self.controller_epoch {
                Some(epoch) if state.controller_epoch > epoch => found(format!(
                    "written in controller epoch {}, but /controller_epoch is {epoch}",
                    state.controller_epoch
                )),
                _ => {}
            }
            let leader = state.leader_and_isr.leader;
            if self.controller.is_some() && leader != NO_BROKER && !self.brokers.contains_key(&leader) {
                found(format!("leader {leader} is not registered"));
            }
            let Some(assignment) = self.topics.get(topic) else {
                continue;
            };
            match assignment.partitions.get(&partition) {
                None => found(format!("topic {topic} has no partition {partition}")),
                Some(assignment) => {
                    let isr = state.leader_and_isr.isr.iter();
                    let outside: Vec<_> = isr.filter(|id| !assignment.replicas.contains(id)).collect();
                    if !outside.is_empty() {
                        found(format!(
                            "isr {outside:?} outside of the assignment {:?}",
                            assignment.replicas
                        ));
                    }
                }
            }
        }
    }

    /// Reports assigned brokers that do not exist: one line for each broker, however many partitions are assigned to
    /// it.
    fn check_assigned_brokers(&self, findings: &mut BTreeSet<Finding>) {
        if self.controller.is_none() {
            return;
        }
        let mut assigned: BTreeMap<BrokerId, Vec<(&str, i32)>> = BTreeMap::new();
        for (&topic, assignment) in &self.topics {
            for (&partition, assignment) in &assignment.partitions {
                for &id in assignment
                    .replicas
                    .iter()
                    .filter(|id| !self.brokers.contains_key(id))
                {
                    assigned.entry(id).or_default().push((topic, partition));
                }
            }
        }
        for (id, partitions) in assigned {
            let count = partitions.len();
            let (topic, partition) = partitions[0];
            let reason = format!(
                "not registered, though {count} partitions are assigned to broker {id}, {topic}-{partition} the first"
            );
            findings.insert(Finding::new(paths::broker_id(id), reason));
        }
    }

    /// Reports znodes about topics that do not exist.
    fn check_leftovers(&self, findings: &mut BTreeSet<Finding>) {
        let exists = |topic: &str| self.snapshot.contains_key(&paths::topic(topic));
        for parent in [paths::DELETE_TOPICS, "/config/topics"] {
            for (topic, ..) in children(self.snapshot, parent).filter(|(topic, ..)| !exists(topic)) {
                let reason = format!("there is no topic {topic}");
                findings.insert(Finding::new(paths::child(parent, topic), reason));
            }
        }
    }
}

/// What is wrong with an assignment by itself.
fn impossible_assignment(assignment: &ReplicaAssignment) -> Vec<String> {
    let mut reasons = Vec::new();
    let replicas = &assignment.replicas;
    if replicas.is_empty() {
        reasons.push("has no replicas".to_owned());
    }
    if let Some(twice) = duplicate(replicas) {
        reasons.push(format!("is assigned to broker {twice} twice"));
    }
    for (list, what) in [(&assignment.adding, "adds"), (&assignment.removing, "removes")] {
        if let Some(stranger) = list.iter().find(|id| !replicas.contains(id)) {
            reasons.push(format!(
                "{what} replica {stranger}, which is not among its replicas"
            ));
        }
    }
    reasons
}

/// What is wrong with a state by itself.
fn impossible_state(state: &LeaderIsrAndControllerEpoch) -> Vec<String> {
    let (mut reasons, state) = (Vec::new(), &state.leader_and_isr);
    if state.isr.is_empty() {
        reasons.push("the isr is empty".to_owned());
    } else if state.leader != NO_BROKER && !state.isr.contains(&state.leader) {
        reasons.push(format!(
            "leader {} is not in the isr {:?}",
            state.leader, state.isr
        ));
    }
    if let Some(twice) = duplicate(&state.isr) {
        reasons.push(format!("broker {twice} is in the isr twice"));
    }
    if state.leader < NO_BROKER || state.leader_epoch < 0 {
        let reason = format!(
            "leader {} in leader epoch {} cannot be",
            state.leader, state.leader_epoch
        );
        reasons.push(reason);
    }
    reasons
}

fn duplicate(ids: &[BrokerId]) -> Option<BrokerId> {
    let mut seen = BTreeSet::new();
    ids.iter().copied().find(|id| !seen.insert(*id))
}

/// Name, data and stat of each child that is in the snapshot.
fn children<'a>(
    snapshot: &'a Snapshot,
    parent: &str,
) -> impl Iterator<Item = (&'a str, &'a [u8], Stat)> + use<'a> {
    let prefix = format!("{parent}/");
    let skip = prefix.len();
    snapshot
        .range(prefix.clone()..)
        .take_while(move |(path, _)| path.starts_with(&prefix))
        .filter_map(move |(path, (data, stat))| {
            let name = &path[skip..];
            (!name.contains('/')).then_some((name, data.as_ref(), *stat))
        })
}

/// Every state znode that can be read.
fn states(snapshot: &Snapshot) -> BTreeMap<(&str, i32), LeaderIsrAndControllerEpoch> {
    let mut states = BTreeMap::new();
    for (path, (data, stat)) in snapshot {
        if let (Some(partition), Ok(state)) =
            (partition_of(path), partition_state::decode(data, stat.version))
        {
            states.insert(partition, state);
        }
    }
    states
}

/// Topic and partition of `/brokers/topics/T/partitions/N/state`.
fn partition_of(path: &str) -> Option<(&str, i32)> {
    let (topic, rest) = path
        .strip_prefix(paths::TOPICS)?
        .strip_prefix('/')?
        .split_once("/partitions/")?;
    Some((topic, rest.strip_suffix("/state")?.parse().ok()?))
}
