//! Tests of situations that only a real session has: broken connections and missing servers.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use tokio::net::TcpListener;

use super::*;
use crate::zk::WatchKind;
use crate::zk::suite::proxy::{Proxy, Way};
use crate::zk::suite::{Real, next};

#[tokio::test]
async fn an_ensemble_that_is_not_there_is_named() {
    let unused = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let options = ZkOptions {
        connect: format!("{unused}/kafka"),
        session_timeout: Duration::from_secs(4),
        connection_timeout: Duration::from_millis(300),
        max_in_flight: MAX_IN_FLIGHT,
        create_chroot: true,
        security: Default::default(),
    };
    let error = ZkSession::connect(options).await.err().unwrap().to_string();
    let expected = format!("no connection to ZooKeeper at {unused} within 300 ms: no available hosts");
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_connect_string_without_sense_fails_at_once() {
    for connect in ["", "/kafka", "127.0.0.1:port", "127.0.0.1:1/kafka/"] {
        let error = ZkSession::connect(ZkOptions::for_tool(connect))
            .await
            .err()
            .unwrap();
        assert!(
            matches!(error, ZkError::InvalidConnectString { .. }),
            "{connect}: {error}"
        );
    }
}

#[tokio::test]
async fn a_chroot_is_created_for_brokers_only() {
    let Some(real) = Real::for_test("a_chroot_is_created_for_brokers_only") else {
        return;
    };
    let tool = ZkSession::connect(ZkOptions::for_tool(&real.connect))
        .await
        .unwrap();
    assert_eq!(tool.children("/", false).await, Ok(None));
    let broker = ZkSession::connect(real.options()).await.unwrap();
    assert_eq!(tool.children("/", false).await, Ok(Some(vec![])));
    broker.close().await;
    assert_eq!(broker.exists("/", false).await, Err(ZkError::ConnectionLoss));
}

/// Fact 3: the write is applied, its answer is lost, it is sent again, and fails because of itself.
#[tokio::test]
async fn a_write_whose_answer_is_lost_is_sent_again() {
    let Some(real) = Real::for_test("a_write_whose_answer_is_lost_is_sent_again") else {
        return;
    };
    let proxy = Proxy::before(&real).await;
    let (store, witness) = (
        proxy.connect().await,
        ZkSession::connect(real.options()).await.unwrap(),
    );
    let session_id = store.session_id();
    store
        .create("/a", Bytes::new(), CreateMode::Persistent)
        .await
        .unwrap();
    let mut seen = witness.subscribe();
    witness.get("/a", true).await.unwrap();

    proxy.set(Way::Mute);
    let guarded = store.set("/a", Bytes::from_static(b"1"), Some(0));
    let unguarded = store.set("/a", Bytes::from_static(b"2"), None);
    let read = store.get("/a", false);
    assert_eq!(next(&mut seen).await.1, WatchKind::NodeDataChanged);
    proxy.cut().await;
    let late = store.create("/b", Bytes::new(), CreateMode::Persistent);
    proxy.set(Way::Open);

    assert_eq!(guarded.await, Err(ZkError::BadVersion("/a".to_owned())));
    let version = unguarded.await.unwrap().version;
    assert!(
        version == 2 || version == 3,
        "the first attempt may have been applied, the second was: {version}"
    );
    assert_eq!(read.await.unwrap().unwrap().0, Bytes::from_static(b"2"));
    late.await.unwrap();
    assert_eq!(store.session_id(), session_id, "the session has survived");
}

#[tokio::test]
async fn watches_survive_a_lost_connection() {
    let Some(real) = Real::for_test("watches_survive_a_lost_connection") else {
        return;
    };
    let proxy = Proxy::before(&real).await;
    let (store, other) = (
        proxy.connect().await,
        ZkSession::connect(real.options()).await.unwrap(),
    );
    let mut events = store.subscribe();
    store.get("/a", true).await.unwrap();
    proxy.cut().await;
    other
        .create("/a", Bytes::new(), CreateMode::Persistent)
        .await
        .unwrap();
    proxy.set(Way::Open);
    assert_eq!(next(&mut events).await, ("/a".to_owned(), WatchKind::NodeCreated));
}

/// The ensemble keeps the session although this client has given it up: the session has not expired.
#[tokio::test]
async fn a_session_that_lives_is_found_again() {
    let Some(real) = Real::for_test("a_session_that_lives_is_found_again") else {
        return;
    };
    let proxy = Proxy::before(&real).await;
    let (store, other) = (
        proxy.connect().await,
        ZkSession::connect(real.options()).await.unwrap(),
    );
    let session_id = store.session_id();
    let mut events = store.subscribe();
    store
        .create("/e", Bytes::new(), CreateMode::Ephemeral)
        .await
        .unwrap();
    store.get("/e", true).await.unwrap();
    store.get("/created-meanwhile", true).await.unwrap();
    store.children("/", true).await.unwrap();

    // Another client keeps the session alive, as an ensemble does that was down as a whole.
    let servers = real.connect.split('/').next().unwrap();
    let keeper = zookeeper_client::Client::connector()
        .with_detached()
        .with_session(store.session_info());
    proxy.cut().await;
    let keeper = keeper.connect(servers).await.unwrap();
    other
        .create("/created-meanwhile", Bytes::new(), CreateMode::Persistent)
        .await
        .unwrap();
    let waiting = store.set("/e", Bytes::from_static(b"1"), Some(0));
    // A little more than 7/5 of the session timeout, after which crate zookeeper-client gives a session up.
    tokio::time::sleep(Duration::from_millis(7000)).await;
    drop(keeper);
    proxy.set(Way::Open);

    assert_eq!(waiting.await.unwrap().version, 1);
    assert_eq!(store.session_id(), session_id);
    let mut told = vec![
        next(&mut events).await,
        next(&mut events).await,
        next(&mut events).await,
    ];
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("/", WatchKind::NodeChildrenChanged),
        ("/created-meanwhile", WatchKind::NodeCreated),
        ("/e", WatchKind::NodeDataChanged),
    ];
    assert_eq!(told, expected.map(|(path, kind)| (path.to_owned(), kind)));
    assert!(other.exists("/e", false).await.unwrap().is_some());
}

/// Crate zookeeper-client cannot arm more than 128 KiB of watched paths again, and then gives the session up.
#[tokio::test]
async fn more_watches_than_the_crate_can_arm_again_survive_too() {
    let Some(real) = Real::for_test("more_watches_than_the_crate_can_arm_again_survive_too") else {
        return;
    };
    let proxy = Proxy::before(&real).await;
    let (store, other) = (
        proxy.connect().await,
        ZkSession::connect(real.options()).await.unwrap(),
    );
    let session_id = store.session_id();
    let path = |i| format!("/a-topic-with-quite-a-long-name-{i}");
    let create = |i| other.create(&path(i), Bytes::new(), CreateMode::Persistent);
    for i in 0..10 {
        create(i).await.unwrap();
    }
    for watched in join_all((0..5000).map(|i| store.get(&path(i), true))).await {
        watched.unwrap();
    }
    store.children("/", true).await.unwrap();

    for (round, created) in [4711, 4712].into_iter().enumerate() {
        let mut events = store.subscribe();
        proxy.cut().await;
        create(created).await.unwrap();
        other.set(&path(round), Bytes::new(), None).await.unwrap();
        other.delete(&path(9 - round), None).await.unwrap();
        let waiting = store.get(&path(created), false);
        proxy.set(Way::Open);
        // Well below 7/5 of the session timeout, after which the crate would give up.
        let opened = std::time::Instant::now();
        let mut told = Vec::new();
        while told.len() < 4 {
            told.push(next(&mut events).await);
        }
        assert!(
            opened.elapsed() < Duration::from_secs(4),
            "{:?}",
            opened.elapsed()
        );
        told.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [
            ("/".to_owned(), WatchKind::NodeChildrenChanged),
            (path(round), WatchKind::NodeDataChanged),
            (path(created), WatchKind::NodeCreated),
            (path(9 - round), WatchKind::NodeDeleted),
        ];
        let mut expected = expected.to_vec();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(
            told, expected,
            "and nothing of the thousands to which nothing happened"
        );
        assert!(waiting.await.unwrap().is_some());
    }

    // The watches that were armed again work.
    let mut events = store.subscribe();
    create(100).await.unwrap();
    let mut told = [next(&mut events).await, next(&mut events).await];
    told.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(told[0], ("/".to_owned(), WatchKind::NodeChildrenChanged));
    assert_eq!(told[1], (path(100), WatchKind::NodeCreated));
    assert_eq!(store.session_id(), session_id);
}
