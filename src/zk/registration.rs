//! A broker's registration at `/brokers/ids/N` and the rules about its owner (KAFKA-7165, fact 5).
//! Kafka 3.9: `KafkaZkClient.CheckedEphemeral`, `KafkaServer.createBrokerInfo`.

use std::collections::BTreeSet;

use bytes::Bytes;
use parking_lot::Mutex;
use tracing::info;

use super::cluster;
use super::paths;
use super::store::{CreateMode, MultiError, Stat, ZkError, ZkOp, ZkOpResult, ZkStore};
use super::znode::BrokerInfo;
use crate::common::ids::{BrokerEpoch, BrokerId};

/// Why a broker could not register. An operator has to resolve the first two, so the broker gives up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// Another session holds the znode: it belongs to another broker with this id, or to an earlier run of this broker
    /// that was killed and whose session has not expired yet.
    #[error(
        "/brokers/ids/{broker_id} is there already, by ZooKeeper session {owner:#x}: another broker has this id, or \
         this one was killed and its old session has not expired yet"
    )]
    DuplicateBrokerId {
        /// The id.
        broker_id: BrokerId,
        /// The session that holds it.
        owner: i64,
    },
    /// Another broker advertises the same address (fact 12).
    #[error("broker {other} advertises {address} already")]
    EndpointInUse {
        /// The other broker.
        other: BrokerId,
        /// `host:port`.
        address: String,
    },
    /// ZooKeeper failed.
    #[error(transparent)]
    Zk(#[from] ZkError),
}

/// One broker's registration. It remembers its session: a znode that this session left behind after it expired may be
/// deleted; a znode of any other session may not.
pub struct Registration {
    broker_id: BrokerId,
    registered_by: Mutex<Option<i64>>,
}

impl Registration {
    /// Not registered yet.
    pub fn new(broker_id: BrokerId) -> Self {
        Self {
            broker_id,
            registered_by: Mutex::new(None),
        }
    }

    /// Registers the broker in the current session. The broker must repeat this in every new session, and gets a new
    /// epoch each time.
    pub async fn register(
        &self,
        store: &dyn ZkStore,
        info: &BrokerInfo,
    ) -> Result<BrokerEpoch, RegistrationError> {
        let path = paths::broker_id(self.broker_id);
        let data = info.encode();
        let stat = loop {
            let error = match create_with_data(store, &path, data.clone()).await {
                Ok(stat) => break stat,
                Err(error) => error,
            };
            if !matches!(error, ZkError::NodeExists(_)) {
                return Err(error.into());
            }
            let Some(stat) = store.exists(&path, false).await? else {
                continue;
            };
            let owner = stat.ephemeral_owner;
            if owner == store.session_id() {
                // An earlier attempt of this call, whose answer was lost, created the znode.
                break stat;
            }
            if *self.registered_by.lock() != Some(owner) {
                return Err(RegistrationError::DuplicateBrokerId {
                    broker_id: self.broker_id,
                    owner,
                });
            }
            info!(%path, owner, "taking away the registration that our expired session left");
            match store.delete(&path, Some(stat.version)).await {
                Ok(()) | Err(ZkError::NoNode(_) | ZkError::BadVersion(_)) => {}
                Err(error) => return Err(error.into()),
            }
        };
        *self.registered_by.lock() = Some(stat.ephemeral_owner);
        info!(%path, broker_epoch = stat.czxid, "registered");
        Ok(stat.czxid)
    }
}

/// Creates an ephemeral znode whose data is there from the start, and whose version, as in Kafka, is 1 (fact 6).
async fn create_with_data(store: &dyn ZkStore, path: &str, data: Bytes) -> Result<Stat, ZkError> {
    let create = ZkOp::Create {
        path: path.to_owned(),
        data: Bytes::new(),
        mode: CreateMode::Ephemeral,
    };
    let set = ZkOp::SetData {
        path: path.to_owned(),
        data,
        version: Some(0),
    };
    let results = store.multi(vec![create, set]).await;
    match results.map_err(|MultiError { error, .. }| error)?.pop() {
        // The result of the creation is not used: some ZooKeeper servers leave its stat blank (ZOOKEEPER-4026).
        Some(ZkOpResult::Set { stat }) => Ok(stat),
        other => Err(ZkError::Other(format!(
            "ZooKeeper answered a registration with {other:?}"
        ))),
    }
}

/// Refuses a broker that advertises the same address as another live broker (fact 12).
pub async fn check_endpoints(
    store: &dyn ZkStore,
    broker_id: BrokerId,
    info: &BrokerInfo,
) -> Result<(), RegistrationError> {
    let mut ids = cluster::broker_ids(store, false).await?;
    ids.retain(|id| *id != broker_id);
    let ours: BTreeSet<_> = addresses(info).collect();
    for (other, (other_info, _)) in cluster::brokers(store, &ids, false).await? {
        if let Some((host, port)) = addresses(&other_info).find(|address| ours.contains(address)) {
            let address = format!("{host}:{port}");
            return Err(RegistrationError::EndpointInUse { other, address });
        }
    }
    Ok(())
}

fn addresses(info: &BrokerInfo) -> impl Iterator<Item = (&str, u16)> {
    info.endpoints
        .iter()
        .map(|endpoint| (endpoint.host.as_str(), endpoint.port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::clock::ManualClock;
    use crate::zk::memory::{Fault, MemoryZooKeeper};
    use crate::zk::recursive::ensure_path;

    #[tokio::test]
    async fn what_our_expired_session_left_is_taken_away() {
        let zookeeper = MemoryZooKeeper::new(ManualClock::at(1));
        let (store, other) = (zookeeper.connect(), zookeeper.connect());
        ensure_path(&*store, paths::BROKER_IDS).await.unwrap();
        let registration = Registration::new(1);
        let info = BrokerInfo::new(Vec::new(), None, 1);
        let epoch = registration.register(&*store, &info).await.unwrap();
        let owner = store.session_id();

        store.expire_leaving_ephemerals();
        store.establish();
        let stranger = Registration::new(1).register(&*other, &info).await;
        assert_eq!(
            stranger,
            Err(RegistrationError::DuplicateBrokerId { broker_id: 1, owner })
        );
        let new_epoch = registration.register(&*store, &info).await.unwrap();
        assert!(new_epoch > epoch);
        let stat = store.exists("/brokers/ids/1", false).await.unwrap().unwrap();
        assert_eq!(stat.ephemeral_owner, store.session_id());
    }

    #[tokio::test]
    async fn a_lost_answer_does_not_make_us_our_own_duplicate() {
        let store = MemoryZooKeeper::new(ManualClock::at(1)).connect();
        ensure_path(&*store, paths::BROKER_IDS).await.unwrap();
        store.inject(paths::BROKER_IDS, Fault::AnswerLost);
        let epoch = Registration::new(1)
            .register(&*store, &BrokerInfo::new(Vec::new(), None, 1))
            .await;
        let stat = store.exists("/brokers/ids/1", false).await.unwrap().unwrap();
        assert_eq!(epoch, Ok(stat.czxid));
    }
}
