//! Creates topics: validates them, writes the configuration and then the assignment, and waits for leaders. Kafka 3.9:
//! `ZkAdminManager.createTopics`, `AdminZkClient`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use tracing::{debug, info};

use super::assignment::{Start, assign_replicas};
use super::describe_configs::ConfigEntry;
use super::entity_config::{self, Overrides};
use super::error::AdminError;
use super::manager::{AdminManager, has_leaders};
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, TopicId, TopicName, random_uuid};
use crate::common::leader_and_isr::ReplicaAssignment;
use crate::common::topic_name;
use crate::config::LogConfig;
use crate::zk::paths::{self, ConfigEntityType};
use crate::zk::znode::TopicAssignment;
use crate::zk::{CreateMode, ZkError, cluster};

/// The number of topics of one request that are written at the same time.
const TOPICS_AT_ONCE: usize = 256;

/// The properties of a topic that a client wants to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// `None` means `num.partitions`, or the number of the assignments.
    pub partitions: Option<i32>,
    /// `None` means `default.replication.factor`, or the number of replicas in the assignments.
    pub replication_factor: Option<i16>,
    /// The replicas of each partition; empty if the broker should choose them.
    pub assignments: BTreeMap<i32, Vec<BrokerId>>,
    /// Overrides. Null is not allowed as a value, but a request can contain it.
    pub configs: Vec<(String, Option<String>)>,
}

/// A topic that was created, or that would have been created without `validate_only`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatedTopic {
    /// Nil if nothing was created.
    pub topic_id: TopicId,
    /// Number of partitions.
    pub partitions: i32,
    /// Number of replicas of each.
    pub replication_factor: i16,
    /// Every setting of the topic, with its source.
    pub configs: Vec<ConfigEntry>,
}

/// The result for one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTopicOutcome {
    /// Its name.
    pub name: String,
    /// The topic, if it was written, even if `error` tells that its leaders are not elected yet.
    pub topic: Option<CreatedTopic>,
    /// The error, if there was one.
    pub error: Option<AdminError>,
}

type Assignment = BTreeMap<i32, Vec<BrokerId>>;

impl AdminManager {
    /// Creates topics and waits until each partition has a leader, at most for `timeout`. After that time (at once, if
    /// it is zero) the topics exist, and REQUEST_TIMED_OUT tells that some partitions have no leader yet.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        timeout: Duration,
        validate_only: bool,
    ) -> Vec<CreateTopicOutcome> {
        // Topics are written in parallel, so that the controller finds many at once. Topics whose names may collide are
        // written one by one, so that each is checked against the ones before it.
        let at_once = match topics.iter().any(|topic| topic_name::can_collide(&topic.name)) {
            true => 1,
            false => TOPICS_AT_ONCE,
        };
        let creations: Vec<_> = topics
            .iter()
            .map(|topic| self.outcome_of(topic, validate_only))
            .collect();
        let mut outcomes: Vec<_> = stream::iter(creations).buffered(at_once).collect().await;
        if validate_only {
            return outcomes;
        }
        let created: HashMap<TopicName, usize> = outcomes
            .iter()
            .filter_map(|o| Some((o.name.as_str().into(), o.topic.as_ref()?.partitions as usize)))
            .collect();
        let led = |snapshot: &_, topic: &str| has_leaders(snapshot, topic, created[topic]);
        if !timeout.is_zero() {
            let names: Vec<TopicName> = created.keys().cloned().collect();
            self.wait_for(&names, timeout, led).await;
        }
        let snapshot = self.metadata.snapshot();
        for outcome in outcomes.iter_mut().filter(|o| o.topic.is_some()) {
            if timeout.is_zero() || !led(&snapshot, &outcome.name) {
                outcome.error = Some(ErrorCode::RequestTimedOut.into());
            }
        }
        outcomes
    }

    async fn outcome_of(&self, topic: &NewTopic, validate_only: bool) -> CreateTopicOutcome {
        let result = self.create_topic(topic, validate_only).await;
        if let Err(error) = &result {
            // Several brokers often create the same topic on demand; that is not worth an info message.
            match error.code {
                ErrorCode::TopicAlreadyExists => debug!(topic = topic.name, %error, "topic not created"),
                _ => info!(topic = topic.name, %error, "topic not created"),
            }
        }
        let (topic_result, error) = match result {
            Ok(created) => (Some(created), None),
            Err(error) => (None, Some(error)),
        };
        CreateTopicOutcome {
            name: topic.name.clone(),
            topic: topic_result,
            error,
        }
    }

    async fn create_topic(&self, topic: &NewTopic, validate_only: bool) -> Result<CreatedTopic, AdminError> {
        let name = topic.name.as_str();
        if self.metadata.snapshot().topics.contains_key(name) {
            return Err(exists(name));
        }
        let overrides = overrides_of(topic)?;
        let assignment = self.assignment_of(topic)?;
        self.validate_new_topic(name, &assignment, &overrides).await?;
        let replication_factor = assignment.values().next().map_or(0, Vec::len);
        let mut created = CreatedTopic {
            topic_id: TopicId::nil(),
            partitions: assignment.len() as i32,
            replication_factor: replication_factor as i16,
            configs: self.topic_entries(&overrides),
        };
        if !validate_only {
            created.topic_id = self.write_new_topic(name, assignment, &overrides).await?;
        }
        Ok(created)
    }

    /// The assignment in the request, or else one that this broker chooses.
    fn assignment_of(&self, topic: &NewTopic) -> Result<Assignment, AdminError> {
        if !topic.assignments.is_empty() {
            if topic.partitions.is_some() || topic.replication_factor.is_some() {
                return Err(AdminError::new(
                    ErrorCode::InvalidRequest,
                    "Both numPartitions or replicationFactor and replicasAssignments were set. Both cannot be used at the same time.",
                ));
            }
            return Ok(topic.assignments.clone());
        }
        let config = self.configs.current();
        let partitions = topic.partitions.unwrap_or(config.num_partitions);
        let factor = topic
            .replication_factor
            .unwrap_or(config.default_replication_factor);
        let brokers = self.assignable_brokers();
        assign_replicas(&brokers, 0, partitions, factor, Start::random(brokers.len()))
    }

    async fn validate_new_topic(
        &self,
        name: &str,
        assignment: &Assignment,
        overrides: &Overrides,
    ) -> Result<(), AdminError> {
        topic_name::validate(name).map_err(|why| AdminError::new(ErrorCode::InvalidTopicException, why))?;
        if self.zk.exists(&paths::delete_topic(name), false).await?.is_some() {
            let message = format!("Topic '{name}' is marked for deletion.");
            return Err(AdminError::new(ErrorCode::TopicAlreadyExists, message));
        }
        if self.zk.exists(&paths::topic(name), false).await?.is_some() {
            return Err(exists(name));
        }
        if topic_name::can_collide(name) {
            let topics = cluster::topics(&*self.zk, false).await?;
            if topics.iter().any(|other| other == name) {
                return Err(exists(name));
            }
            let mut colliding: Vec<_> = topics
                .into_iter()
                .filter(|other| topic_name::collide(name, other))
                .collect();
            if !colliding.is_empty() {
                colliding.sort_unstable();
                let message = format!(
                    "Topic '{name}' collides with existing topics: {}",
                    colliding.join(", ")
                );
                return Err(AdminError::new(ErrorCode::InvalidTopicException, message));
            }
        }
        validate_assignment(assignment)?;
        LogConfig::from_overrides(&self.configs.current().log_defaults, overrides)?;
        Ok(())
    }

    /// Writes the configuration first, so that a broker that finds the topic also finds its configuration.
    async fn write_new_topic(
        &self,
        name: &str,
        assignment: Assignment,
        overrides: &Overrides,
    ) -> Result<TopicId, AdminError> {
        entity_config::write(&*self.zk, ConfigEntityType::Topics, name, overrides).await?;
        let topic_id = random_uuid();
        info!(topic = name, ?assignment, "creating topic");
        let partitions = assignment
            .into_iter()
            .map(|(p, replicas)| (p, ReplicaAssignment::of(replicas)));
        let znode = TopicAssignment {
            topic_id: Some(topic_id),
            partitions: partitions.collect(),
        };
        let path = paths::topic(name);
        match self
            .zk
            .create(&path, znode.encode(), CreateMode::Persistent)
            .await
        {
            Ok(_) => Ok(topic_id),
            // This may be our own znode, if the answer was lost with the connection. Then it has our id.
            Err(ZkError::NodeExists(_)) => match self.topic_znode(name).await? {
                Some((found, _)) if found.topic_id == Some(topic_id) => Ok(topic_id),
                _ => Err(exists(name)),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// The id and assignment of a topic with the version of its znode, from ZooKeeper.
    pub(super) async fn topic_znode(&self, name: &str) -> Result<Option<(TopicAssignment, i32)>, AdminError> {
        let Some((data, stat)) = self.zk.get(&paths::topic(name), false).await? else {
            return Ok(None);
        };
        match TopicAssignment::decode(&data) {
            Ok(znode) => Ok(Some((znode, stat.version))),
            Err(error) => {
                let message = format!("znode of topic '{name}': {error}");
                Err(AdminError::new(ErrorCode::UnknownServerError, message))
            }
        }
    }
}

fn exists(name: &str) -> AdminError {
    AdminError::new(
        ErrorCode::TopicAlreadyExists,
        format!("Topic '{name}' already exists."),
    )
}

fn overrides_of(topic: &NewTopic) -> Result<Overrides, AdminError> {
    let null = |(key, value): &'_ (String, Option<String>)| value.is_none().then(|| key.clone());
    let nulls: Vec<_> = topic.configs.iter().filter_map(null).collect();
    if !nulls.is_empty() {
        let message = format!("Null value not supported for topic configs: {}", nulls.join(","));
        return Err(AdminError::new(ErrorCode::InvalidConfig, message));
    }
    let settings = topic.configs.iter().cloned();
    Ok(settings.filter_map(|(key, value)| Some((key, value?))).collect())
}

/// Checks that partitions are numbered from 0 without a gap, and that all have the same number of replicas, each on a
/// different broker.
fn validate_assignment(assignment: &Assignment) -> Result<(), AdminError> {
    let refuse = |message: String| Err(AdminError::new(ErrorCode::InvalidReplicaAssignment, message));
    let sizes: BTreeSet<usize> = assignment.values().map(Vec::len).collect();
    if sizes.len() != 1 || sizes.contains(&0) {
        return refuse("All partitions should have the same number of replicas".into());
    }
    for replicas in assignment.values() {
        if replicas.iter().collect::<BTreeSet<_>>().len() != replicas.len() {
            return refuse(format!("Duplicate replica assignment found: {assignment:?}"));
        }
    }
    if !assignment.keys().copied().eq(0..assignment.len() as i32) {
        return refuse("partitions should be a consecutive 0-based integer sequence".into());
    }
    Ok(())
}
