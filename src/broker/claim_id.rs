//! Registers a starting broker, even if the znode of its previous run or of another broker still exists.
//!
//! ZooKeeper keeps the ephemeral znodes of a killed broker until its session expires. If its id is taken, Apache Kafka
//! gives up immediately and relies on its supervisor to restart it. systemd stops after five starts in ten seconds,
//! before a session of the default 18 s has expired. Here the broker waits for the session to end. It gives up
//! immediately only if another live broker answers at the registered endpoint. When the wait is over, it gives up with
//! the same error.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tracing::info;

use crate::admin::describe_configs;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerEpoch, BrokerId};
use crate::network::{BrokerAddress, ChannelBuilder, ClientSettings, NetworkClient};
use crate::protocol::messages::DescribeConfigsRequest;
use crate::protocol::messages::describe_configs_request::DescribeConfigsResource;
use crate::zk::registration::{Registration, RegistrationError, check_endpoints};
use crate::zk::znode::BrokerInfo;
use crate::zk::{ZkStore, cluster, paths};

/// The time between two checks whether the znode is gone.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How long a broker may take to answer DescribeConfigs.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
/// Every broker since Apache Kafka 1.1 supports this version.
const DESCRIBE_CONFIGS_VERSION: i16 = 1;

/// Registers the broker. `patience` is the maximum wait for the end of the previous run's session.
pub(super) async fn register(
    registration: &Registration,
    zk: &dyn ZkStore,
    channels: &ChannelBuilder,
    broker_id: BrokerId,
    info: &BrokerInfo,
    patience: Duration,
) -> Result<BrokerEpoch, RegistrationError> {
    let deadline = Instant::now() + patience;
    loop {
        let attempt = async {
            check_endpoints(zk, broker_id, info).await?;
            registration.register(zk, info).await
        };
        let refused = match attempt.await {
            Ok(epoch) => return Ok(epoch),
            Err(error) => error,
        };
        let holder = match refused {
            RegistrationError::DuplicateBrokerId { broker_id, .. } => broker_id,
            RegistrationError::EndpointInUse { other, .. } => other,
            RegistrationError::Zk(_) => return Err(refused),
        };
        if Instant::now() >= deadline {
            return Err(refused);
        }
        info!(
            broker = broker_id,
            reason = %refused,
            at_most_ms = (deadline - Instant::now()).as_millis() as u64,
            "waits for the registration to go"
        );
        tokio::select! {
            () = another_answers(zk, channels, holder) => return Err(refused),
            gone = timeout_at(deadline, until_gone(zk, holder)) => match gone {
                Ok(result) => result?,
                Err(_) => return Err(refused),
            },
        }
    }
}

/// Waits until the broker's znode does not exist.
async fn until_gone(zk: &dyn ZkStore, broker_id: BrokerId) -> Result<(), RegistrationError> {
    while zk.exists(&paths::broker_id(broker_id), false).await?.is_some() {
        sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}

/// Returns if a broker with this id answers at one of its registered endpoints. Never returns if none does. A broker
/// whose listeners want another identity than this broker has cannot be asked; then the end of the session decides.
async fn another_answers(zk: &dyn ZkStore, channels: &ChannelBuilder, broker_id: BrokerId) {
    if let Ok(found) = cluster::brokers(zk, &[broker_id], false).await
        && let Some((registered, _)) = found.get(&broker_id)
    {
        for endpoint in &registered.endpoints {
            let address = BrokerAddress::new(broker_id, endpoint);
            if channels.can_open(endpoint) && has_id(channels, address).await {
                return;
            }
        }
    }
    std::future::pending().await
}

/// Whether the broker at an address answers DescribeConfigs for the id. A broker with another id refuses.
async fn has_id(channels: &ChannelBuilder, address: BrokerAddress) -> bool {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(describe_configs::BROKER)
        .with_resource_name(address.id.to_string().into())
        .with_configuration_keys(Some(vec!["broker.id".into()]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let client = NetworkClient::new(
        address,
        ClientSettings::new(channels, "barnabas-start", ANSWER_PATIENCE),
    );
    let response = client.send(&request, DESCRIBE_CONFIGS_VERSION).await;
    let is_none = |code| ErrorCode::from_code(code) == ErrorCode::None;
    response.is_ok_and(|response| response.results.iter().any(|result| is_none(result.error_code)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::common::clock::ManualClock;
    use crate::zk::memory::{MemorySession, MemoryZooKeeper};
    use crate::zk::recursive::ensure_path;

    const PATIENCE: Duration = Duration::from_secs(9);

    /// A ZooKeeper in which the first session still has the registration of broker 1's previous run.
    async fn after_a_kill() -> (Arc<MemorySession>, Arc<MemorySession>, BrokerInfo) {
        let zookeeper = MemoryZooKeeper::new(ManualClock::at(1));
        let (old, new) = (zookeeper.connect(), zookeeper.connect());
        ensure_path(&*old, paths::BROKER_IDS).await.unwrap();
        let info = BrokerInfo::new(Vec::new(), None, 1);
        Registration::new(1).register(&*old, &info).await.unwrap();
        (old, new, info)
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_old_session_is_waited_for() {
        let (old, new, info) = after_a_kill().await;
        let started = Instant::now();
        let end_old_session = async {
            sleep(Duration::from_secs(6)).await;
            old.close();
        };
        let registration = Registration::new(1);
        let channels = ChannelBuilder::plaintext();
        let (epoch, ()) = tokio::join!(
            register(&registration, &*new, &channels, 1, &info, PATIENCE),
            end_old_session
        );
        assert!(epoch.is_ok(), "{epoch:?}");
        assert!(started.elapsed() < Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_does_not_end_is_another_brokers() {
        let (old, new, info) = after_a_kill().await;
        let started = Instant::now();
        let refused = register(
            &Registration::new(1),
            &*new,
            &ChannelBuilder::plaintext(),
            1,
            &info,
            PATIENCE,
        )
        .await;
        let owner = crate::zk::ZkStore::session_id(&*old);
        assert_eq!(
            refused,
            Err(RegistrationError::DuplicateBrokerId { broker_id: 1, owner })
        );
        assert!(started.elapsed() >= PATIENCE);
    }
}
