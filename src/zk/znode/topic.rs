//! `/brokers/topics/T`: a topic's id and assignment, JSON version 3. Kafka 3.9: `TopicZNode`.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::ZnodeError;
use super::json::{Object, to_bytes, wrong_type};
use crate::common::ids::{BrokerId, TopicId, uuid_from_base64, uuid_to_base64};
use crate::common::leader_and_isr::ReplicaAssignment;

/// Id and assignment of one topic. A writer of a topic's znode must keep all of it, the id in particular (fact 8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicAssignment {
    /// `None` for a topic created before Kafka 2.8 that no newer controller has updated yet.
    pub topic_id: Option<TopicId>,
    /// By partition.
    pub partitions: BTreeMap<i32, ReplicaAssignment>,
}

impl TopicAssignment {
    /// The JSON. The maps of adding and removing replicas are always there, and have entries only for partitions under
    /// reassignment.
    pub fn encode(&self) -> Bytes {
        let mut object = Map::new();
        object.insert(
            "partitions".to_owned(),
            self.map_of(|assignment| Some(&assignment.replicas)),
        );
        if let Some(topic_id) = self.topic_id {
            object.insert("topic_id".to_owned(), uuid_to_base64(topic_id).into());
        }
        let non_empty = |list| Some(list).filter(|list: &&Vec<_>| !list.is_empty());
        object.insert(
            "adding_replicas".to_owned(),
            self.map_of(|a| non_empty(&a.adding)),
        );
        object.insert(
            "removing_replicas".to_owned(),
            self.map_of(|a| non_empty(&a.removing)),
        );
        object.insert("version".to_owned(), json!(3));
        to_bytes(&Value::Object(object))
    }

    fn map_of<'a>(&'a self, list: impl Fn(&'a ReplicaAssignment) -> Option<&'a Vec<BrokerId>>) -> Value {
        let lists = self.partitions.iter().filter_map(|(partition, assignment)| {
            list(assignment).map(|list| (partition.to_string(), list.as_slice().into()))
        });
        Value::Object(lists.collect())
    }

    /// Reads any version. No key is required: a topic without `partitions` has none. Kafka also treats text that is not
    /// JSON as a topic without partitions; here that is an error, which the caller logs.
    pub fn decode(data: &[u8]) -> Result<Self, ZnodeError> {
        let object = Object::parse(data)?;
        let topic_id = match object.get("topic_id") {
            None => None,
            Some(value) => {
                let id = value.as_str().and_then(uuid_from_base64);
                Some(id.ok_or_else(|| wrong_type("topic_id", "a UUID in base64"))?)
            }
        };
        let lists = |key| match object.opt_object(key)? {
            Some(lists) => lists.brokers_by_partition(),
            None => Ok(BTreeMap::new()),
        };
        let mut adding = lists("adding_replicas")?;
        let mut removing = lists("removing_replicas")?;
        let partitions = lists("partitions")?
            .into_iter()
            .map(|(partition, replicas)| {
                let assignment = ReplicaAssignment {
                    replicas,
                    adding: adding.remove(&partition).unwrap_or_default(),
                    removing: removing.remove(&partition).unwrap_or_default(),
                };
                (partition, assignment)
            })
            .collect();
        Ok(Self { topic_id, partitions })
    }
}
