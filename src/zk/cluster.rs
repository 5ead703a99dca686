//! Typed reads of a cluster's znodes, and the requests that a broker sends to ZooKeeper when it starts. Kafka 3.9: the
//! typed methods of `KafkaZkClient`.
//!
//! Reads of many znodes are pipelined: all requests are sent before the first answer is awaited.

use std::collections::{BTreeMap, HashMap};

use futures::future::join_all;
use tracing::error;

use super::paths::{self, ConfigEntityType};
use super::recursive::{create_recursive, ensure_path};
use super::store::{Stat, ZkError, ZkStore};
use super::znode::{
    BrokerInfo, ConfigEntity, ControllerRegistration, TopicAssignment, ZnodeError, cluster_id,
    controller_epoch, partition_state,
};
use crate::common::ids::{
    BrokerEpoch, BrokerId, ControllerEpoch, TopicPartition, random_uuid, uuid_to_base64,
};
use crate::common::leader_and_isr::LeaderIsrAndControllerEpoch;

/// Creates the znodes that every broker expects, where they are missing.
pub async fn create_persistent_paths(store: &dyn ZkStore) -> Result<(), ZkError> {
    for created in join_all(paths::PERSISTENT_PATHS.map(|path| ensure_path(store, path))).await {
        created?;
    }
    Ok(())
}

/// The cluster's id; `None` before the first broker has started.
pub async fn cluster_id(store: &dyn ZkStore) -> Result<Option<String>, ZkError> {
    let path = paths::CLUSTER_ID;
    let znode = store.get(path, false).await?;
    znode
        .map(|(data, _)| cluster_id::decode(&data).map_err(malformed(path)))
        .transpose()
}

/// The cluster's id. The first broker creates it; if several brokers try at once, all get the same id.
pub async fn get_or_create_cluster_id(store: &dyn ZkStore) -> Result<String, ZkError> {
    if let Some(id) = cluster_id(store).await? {
        return Ok(id);
    }
    let proposed = uuid_to_base64(random_uuid());
    match create_recursive(store, paths::CLUSTER_ID, cluster_id::encode(&proposed)).await {
        Ok(()) => Ok(proposed),
        // Another broker wrote it, or this one did before the connection was lost. Either way the stored id is the
        // cluster's.
        Err(ZkError::NodeExists(path)) => cluster_id(store).await?.ok_or(ZkError::NoNode(path)),
        Err(error) => Err(error),
    }
}

/// An unused broker id: above `reserved.broker.max.id`, one higher with every call. A lost connection may skip an id.
pub async fn generate_broker_id(
    store: &dyn ZkStore,
    reserved_broker_max_id: BrokerId,
) -> Result<BrokerId, ZkError> {
    let path = paths::BROKER_SEQUENCE_ID;
    let stat = match store.set(path, Default::default(), None).await {
        Err(ZkError::NoNode(_)) => {
            ensure_path(store, path).await?;
            store.set(path, Default::default(), None).await?
        }
        other => other?,
    };
    let id = reserved_broker_max_id.checked_add(stat.version);
    id.ok_or_else(|| ZkError::Other(format!("no broker ids are left above {reserved_broker_max_id}")))
}

/// Names of the children; empty if the znode does not exist, and then no watch is armed.
pub async fn children(store: &dyn ZkStore, path: &str, watch: bool) -> Result<Vec<String>, ZkError> {
    Ok(store.children(path, watch).await?.unwrap_or_default())
}

/// Ids of the brokers that are alive, ascending.
pub async fn broker_ids(store: &dyn ZkStore, watch: bool) -> Result<Vec<BrokerId>, ZkError> {
    let names = children(store, paths::BROKER_IDS, watch).await?;
    let mut ids: Vec<BrokerId> = names.iter().filter_map(|name| name.parse().ok()).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// The registrations of these brokers, each with its epoch. Leaves out brokers that are gone and znodes that cannot be
/// read.
pub async fn brokers(
    store: &dyn ZkStore,
    ids: &[BrokerId],
    watch: bool,
) -> Result<BTreeMap<BrokerId, (BrokerInfo, BrokerEpoch)>, ZkError> {
    let items = ids.iter().map(|id| (*id, paths::broker_id(*id)));
    let read = read_all(store, items, watch, |data, stat| {
        Ok((BrokerInfo::decode(data)?, stat.czxid))
    })
    .await?;
    Ok(read.into_iter().collect())
}

/// Names of all topics, sorted.
pub async fn topics(store: &dyn ZkStore, watch: bool) -> Result<Vec<String>, ZkError> {
    children(store, paths::TOPICS, watch).await
}

/// Ids and assignments of these topics. Leaves out topics that are gone and znodes that cannot be read. `watch` arms a
/// watch on the data of each.
pub async fn topic_assignments(
    store: &dyn ZkStore,
    topics: &[String],
    watch: bool,
) -> Result<BTreeMap<String, TopicAssignment>, ZkError> {
    let items = topics.iter().map(|topic| (topic.clone(), paths::topic(topic)));
    let read = read_all(store, items, watch, |data, _| TopicAssignment::decode(data)).await?;
    Ok(read.into_iter().collect())
}

/// Leaders and in-sync replicas of these partitions. Leaves out partitions without a state or with one that cannot be
/// read.
pub async fn partition_states(
    store: &dyn ZkStore,
    partitions: &[TopicPartition],
) -> Result<HashMap<TopicPartition, LeaderIsrAndControllerEpoch>, ZkError> {
    let items = partitions
        .iter()
        .map(|p| (p.clone(), paths::topic_partition_state(&p.topic, p.partition)));
    let decode = |data: &[u8], stat: Stat| partition_state::decode(data, stat.version);
    let read = read_all(store, items, false, decode).await?;
    Ok(read.into_iter().collect())
}

/// The controller's registration; `None` if there is no controller.
pub async fn controller(
    store: &dyn ZkStore,
    watch: bool,
) -> Result<Option<(ControllerRegistration, Stat)>, ZkError> {
    let path = paths::CONTROLLER;
    let Some((data, stat)) = store.get(path, watch).await? else {
        return Ok(None);
    };
    let controller = ControllerRegistration::decode(&data).map_err(malformed(path))?;
    Ok(Some((controller, stat)))
}

/// The controller's epoch and the version of its znode. Every write of the controller checks that version.
pub async fn controller_epoch(store: &dyn ZkStore) -> Result<Option<(ControllerEpoch, i32)>, ZkError> {
    let path = paths::CONTROLLER_EPOCH;
    let Some((data, stat)) = store.get(path, false).await? else {
        return Ok(None);
    };
    let epoch = controller_epoch::decode(&data).map_err(malformed(path))?;
    Ok(Some((epoch, stat.version)))
}

/// The dynamic configuration of one entity; no overrides if there is no znode.
pub async fn config(
    store: &dyn ZkStore,
    entity_type: ConfigEntityType,
    name: &str,
) -> Result<ConfigEntity, ZkError> {
    let path = paths::config_entity(entity_type, name);
    match store.get(&path, false).await? {
        Some((data, _)) => ConfigEntity::decode(&data).map_err(malformed(&path)),
        None => Ok(ConfigEntity::default()),
    }
}

/// The dynamic configurations of these entities. Leaves out entities without a znode and znodes that cannot be read.
pub async fn configs(
    store: &dyn ZkStore,
    entity_type: ConfigEntityType,
    names: &[String],
) -> Result<BTreeMap<String, ConfigEntity>, ZkError> {
    let items = names
        .iter()
        .map(|name| (name.clone(), paths::config_entity(entity_type, name)));
    let read = read_all(store, items, false, |data, _| ConfigEntity::decode(data)).await?;
    Ok(read.into_iter().collect())
}

/// Reads many znodes at once. Leaves out znodes that are missing or whose data is broken: a broken znode of one topic
/// must not keep a controller from reading all others.
async fn read_all<K, T>(
    store: &dyn ZkStore,
    items: impl Iterator<Item = (K, String)>,
    watch: bool,
    decode: impl Fn(&[u8], Stat) -> Result<T, ZnodeError>,
) -> Result<Vec<(K, T)>, ZkError> {
    let items: Vec<(K, String)> = items.collect();
    let znodes = match watch {
        true => {
            let reads = items.iter().map(|(_, path)| store.get(path, true));
            join_all(reads).await.into_iter().collect::<Result<Vec<_>, _>>()?
        }
        false => {
            store
                .get_all(items.iter().map(|(_, path)| path.clone()).collect())
                .await?
        }
    };
    let mut found = Vec::with_capacity(items.len());
    for ((key, path), znode) in items.into_iter().zip(znodes) {
        let Some((data, stat)) = znode else {
            continue;
        };
        match decode(&data, stat) {
            Ok(value) => found.push((key, value)),
            Err(error) => error!(%path, %error, "cannot read a znode, taking it for missing"),
        }
    }
    Ok(found)
}

fn malformed(path: &str) -> impl FnOnce(ZnodeError) -> ZkError {
    let path = path.to_owned();
    move |error| ZkError::Malformed { path, error }
}
