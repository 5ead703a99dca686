//! Tests of the functions over a store: trees, a cluster's znodes, registrations.

use std::sync::Arc;

use bytes::Bytes;

use super::{Ensemble, next, suite};
use crate::common::ids::TopicPartition;
use crate::config::{Endpoint, SecurityProtocol};
use crate::zk::registration::{Registration, RegistrationError, check_endpoints};
use crate::zk::store::{WatchKind, ZkError, ZkStore};
use crate::zk::znode::BrokerInfo;
use crate::zk::{cluster, paths, recursive};

suite! {
    trees_are_created_walked_and_deleted
    every_broker_prepares_the_same_cluster
    broker_ids_are_generated
    a_broker_registers_and_registers_again
    a_broker_id_belongs_to_one_broker
    an_endpoint_belongs_to_one_broker
    what_is_missing_or_broken_is_left_out_of_reads
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

async fn trees_are_created_walked_and_deleted(ensemble: &impl Ensemble) {
    let store = ensemble.connect().await;
    recursive::create_recursive(&*store, "/a/b/c", bytes("1"))
        .await
        .unwrap();
    let again = recursive::create_recursive(&*store, "/a/b/c", bytes("2")).await;
    assert_eq!(again, Err(ZkError::NodeExists("/a/b/c".to_owned())));
    assert_eq!(store.get("/a/b/c", false).await.unwrap().unwrap().0, bytes("1"));
    recursive::ensure_path(&*store, "/a/b/d").await.unwrap();
    recursive::ensure_path(&*store, "/a/b/d").await.unwrap();
    recursive::ensure_path(&*store, "/ab").await.unwrap();
    assert_eq!(
        recursive::walk(&*store, "/a").await.unwrap(),
        ["/a", "/a/b", "/a/b/c", "/a/b/d"]
    );
    assert_eq!(
        recursive::walk(&*store, "/none").await.unwrap(),
        Vec::<String>::new()
    );
}

async fn every_broker_prepares_the_same_cluster(ensemble: &impl Ensemble) {
    let (one, other) = (ensemble.connect().await, ensemble.connect().await);
    let prepare = async |store: Arc<dyn ZkStore>| {
        cluster::create_persistent_paths(&*store).await.unwrap();
        cluster::get_or_create_cluster_id(&*store).await.unwrap()
    };
    let (first, second) = tokio::join!(prepare(one.clone()), prepare(other));
    assert_eq!(first, second);
    assert_eq!(first.len(), 22);
    for path in paths::PERSISTENT_PATHS {
        assert!(one.exists(path, false).await.unwrap().is_some(), "{path}");
    }
    assert_eq!(
        one.exists(paths::PRODUCER_ID_BLOCK, false).await.unwrap(),
        None,
        "fact 1"
    );
    assert_eq!(cluster::controller(&*one, false).await.unwrap(), None);
    assert_eq!(cluster::controller_epoch(&*one).await.unwrap(), None);
}

async fn broker_ids_are_generated(ensemble: &impl Ensemble) {
    let store = ensemble.connect().await;
    assert_eq!(cluster::generate_broker_id(&*store, 1000).await, Ok(1001));
    assert_eq!(cluster::generate_broker_id(&*store, 1000).await, Ok(1002));
    assert!(cluster::generate_broker_id(&*store, i32::MAX).await.is_err());
}

fn broker_info(port: u16) -> BrokerInfo {
    let endpoint = Endpoint {
        listener: "PLAINTEXT".to_owned(),
        security_protocol: SecurityProtocol::Plaintext,
        host: "127.0.0.1".to_owned(),
        port,
    };
    BrokerInfo::new(vec![endpoint], None, 5)
}

async fn a_broker_registers_and_registers_again(ensemble: &impl Ensemble) {
    let store = ensemble.connect().await;
    cluster::create_persistent_paths(&*store).await.unwrap();
    let mut events = store.subscribe();
    let registration = Registration::new(7);
    let info = broker_info(9092);
    let epoch = registration.register(&*store, &info).await.unwrap();
    let (data, stat) = store.get("/brokers/ids/7", false).await.unwrap().unwrap();
    assert_eq!(
        (stat.czxid, stat.version, stat.ephemeral_owner),
        (epoch, 1, store.session_id())
    );
    assert_eq!(BrokerInfo::decode(&data).as_ref(), Ok(&info));

    // Registering twice in one session, as after a lost answer, succeeds with the same epoch.
    assert_eq!(registration.register(&*store, &info).await, Ok(epoch));
    let brokers = cluster::brokers(
        &*store,
        &cluster::broker_ids(&*store, false).await.unwrap(),
        false,
    )
    .await;
    assert_eq!(
        brokers.unwrap().into_iter().collect::<Vec<_>>(),
        [(7, (info.clone(), epoch))]
    );

    ensemble.expire(&store).await;
    assert_eq!(next(&mut events).await.1, WatchKind::SessionExpired);
    assert_eq!(next(&mut events).await.1, WatchKind::SessionEstablished);
    let new_epoch = registration.register(&*store, &info).await.unwrap();
    assert!(new_epoch > epoch);
}

async fn a_broker_id_belongs_to_one_broker(ensemble: &impl Ensemble) {
    let (one, other) = (ensemble.connect().await, ensemble.connect().await);
    cluster::create_persistent_paths(&*one).await.unwrap();
    let (first, second) = (Registration::new(7), Registration::new(7));
    first.register(&*one, &broker_info(1)).await.unwrap();
    let duplicate = RegistrationError::DuplicateBrokerId {
        broker_id: 7,
        owner: one.session_id(),
    };
    assert_eq!(second.register(&*other, &broker_info(2)).await, Err(duplicate));
    ensemble.close(&one).await;
    second.register(&*other, &broker_info(2)).await.unwrap();
}

async fn an_endpoint_belongs_to_one_broker(ensemble: &impl Ensemble) {
    let store = ensemble.connect().await;
    cluster::create_persistent_paths(&*store).await.unwrap();
    Registration::new(7)
        .register(&*store, &broker_info(9092))
        .await
        .unwrap();
    assert_eq!(check_endpoints(&*store, 7, &broker_info(9092)).await, Ok(()));
    assert_eq!(check_endpoints(&*store, 8, &broker_info(9093)).await, Ok(()));
    let in_use = RegistrationError::EndpointInUse {
        other: 7,
        address: "127.0.0.1:9092".to_owned(),
    };
    assert_eq!(check_endpoints(&*store, 8, &broker_info(9092)).await, Err(in_use));
}

async fn what_is_missing_or_broken_is_left_out_of_reads(ensemble: &impl Ensemble) {
    let store = ensemble.connect().await;
    cluster::create_persistent_paths(&*store).await.unwrap();
    for (path, data) in [
        ("/brokers/topics/good", r#"{"version":3,"partitions":{"0":[1]}}"#),
        ("/brokers/topics/bad", "no json"),
        (
            "/brokers/topics/good/partitions/0/state",
            r#"{"controller_epoch":2,"leader":1,"version":1,"leader_epoch":0,"isr":[1]}"#,
        ),
        ("/config/topics/good", r#"{"version":1,"config":{"a":"b"}}"#),
    ] {
        recursive::create_recursive(&*store, path, bytes(data))
            .await
            .unwrap();
    }
    let names = cluster::topics(&*store, false).await.unwrap();
    assert_eq!(names, ["bad", "good"]);
    let mut names = names;
    names.push("gone".to_owned());
    let topics = cluster::topic_assignments(&*store, &names, false).await.unwrap();
    assert_eq!(topics.keys().collect::<Vec<_>>(), ["good"]);
    let partitions = [0, 1].map(|p| TopicPartition::new("good", p));
    let states = cluster::partition_states(&*store, &partitions).await.unwrap();
    assert_eq!(states.len(), 1);
    assert_eq!(states[&partitions[0]].leader_and_isr.isr, [1]);
    let configs = cluster::configs(&*store, paths::ConfigEntityType::Topics, &names)
        .await
        .unwrap();
    assert_eq!(configs["good"].config["a"], "b");
    let none = cluster::config(&*store, paths::ConfigEntityType::Topics, "bad")
        .await
        .unwrap();
    assert!(none.config.is_empty());
}
