//! Tests of the guarantees of the store itself.

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Ensemble, event, next, suite};
use crate::zk::store::{CreateMode, MultiError, WatchEvent, WatchKind, ZkError, ZkOp, ZkOpResult, ZkStore};

suite! {
    data_is_created_read_replaced_and_deleted
    what_is_wrong_has_a_name
    versions_guard_writes
    ephemerals_belong_to_their_session
    sequential_znodes_are_numbered
    many_znodes_are_read_at_once
    a_multi_happens_wholly_or_not_at_all
    operations_are_applied_in_the_order_of_the_calls
    a_watch_on_data_fires_once
    a_watch_waits_for_creation
    a_watch_on_children_fires_once
    a_deletion_trips_every_watch
    watches_do_not_pile_up
    after_expiry_a_new_session_stands
    closing_removes_ephemerals_at_once
}

const PERSISTENT: CreateMode = CreateMode::Persistent;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn create(path: &str, mode: CreateMode) -> ZkOp {
    ZkOp::Create {
        path: path.to_owned(),
        data: bytes("x"),
        mode,
    }
}

/// Asserts that no event has arrived by the time that a later write of the same session completes.
async fn assert_quiet(store: &dyn ZkStore, events: &mut UnboundedReceiver<WatchEvent>) {
    store.exists("/", false).await.unwrap();
    assert_eq!(events.try_recv().ok(), None);
}

async fn data_is_created_read_replaced_and_deleted(ensemble: &impl Ensemble) {
    let store = ensemble.connect().await;
    let (path, created) = store.create("/a", bytes("one"), PERSISTENT).await.unwrap();
    assert_eq!(
        (path.as_str(), created.version, created.ephemeral_owner),
        ("/a", 0, 0)
    );
    assert_eq!(created.czxid, created.mzxid);
    assert!(created.ctime_ms > 0);
    assert_eq!(
        store.get("/a", false).await.unwrap(),
        Some((bytes("one"), created))
    );

    let set = store.set("/a", bytes("two"), Some(0)).await.unwrap();
    assert_eq!(
        (set.version, set.czxid, set.ctime_ms),
        (1, created.czxid, created.ctime_ms)
    );
    assert!(set.mzxid > created.mzxid);
    assert_eq!(store.get("/a", false).await.unwrap(), Some((bytes("two"), set)));
    assert_eq!(store.exists("/a", false).await.unwrap(), Some(set));

    store.create("/a/z", Bytes::new(), PERSISTENT).await.unwrap();
    store.create("/a/b", Bytes::new(), PERSISTENT).await.unwrap();
    store.create("/a/b/c", Bytes::new(), PERSISTENT).await.unwrap();
    assert_eq!(store.children("/a", false).await.unwrap().unwrap(), ["b", "z"]);
    assert_eq!(store.children("/a/z", false).await.unwrap(), Some(vec![]));
    assert_eq!(store.get("/a/z", false).await.unwrap().unwrap().0, Bytes::new());

    store.delete("/a/z", None).await.unwrap();
    assert_eq!(store.exists("/a/z", false).await.unwrap(), None);
    assert_eq!(store.get("/a/z", false).await.unwrap(), None);
    assert_eq!(store.children("/a/z", false).await.unwrap(), None);
}

async fn what_is_wrong_has_a_name(ensemble: &impl Ensemble) {
    let store = ensemble.connect().await;
    let no_node = |path: &str| ZkError::NoNode(path.to_owned());
    assert_eq!(
        store.create("/a/b", Bytes::new(), PERSISTENT).await,
        Err(no_node("/a/b"))
    );
    assert_eq!(store.set("/a", Bytes::new(), None).await, Err(no_node("/a")));
    assert_eq!(store.delete("/a", None).await, Err(no_node("/a")));
    store.create("/a", Bytes::new(), PERSISTENT).await.unwrap();
    store.create("/a/b", Bytes::new(), PERSISTENT).await.unwrap();
    let exists = ZkError::NodeExists("/a".to_owned());
    assert_eq!(store.create("/a", Bytes::new(), PERSISTENT).await, Err(exists));
    assert_eq!(
        store.delete("/a", None).await,
        Err(ZkError::NotEmpty("/a".to_owned()))
    );
    store
        .create("/e", Bytes::new(), CreateMode::Ephemeral)
        .await
        .unwrap();
    let below_ephemeral = store.create("/e/f", Bytes::new(), PERSISTENT).await;
    assert!(
        matches!(below_ephemeral, Err(ZkError::Other(_))),
        "{below_ephemeral:?}"
    );
    let malformed = store.create("a", Bytes::new(), PERSISTENT).await;
    assert!(matches!(malformed, Err(ZkError::Other(_))), "{malformed:?}");
}

async fn versions_guard_writes(ensemble: &impl Ensemble) {
    let store = ensemble.connect().await;
    let bad_version = || ZkError::BadVersion("/a".to_owned());
    store.create("/a", Bytes::new(), PERSISTENT).await.unwrap();
    store.set("/a", Bytes::new(), None).await.unwrap();
    assert_eq!(store.set("/a", Bytes::new(), Some(0)).await, Err(bad_version()));
    assert_eq!(store.delete("/a", Some(0)).await, Err(bad_version()));
    assert_eq!(store.set("/a", Bytes::new(), Some(1)).await.unwrap().version, 2);
    store.delete("/a", Some(2)).await.unwrap();
}

async fn ephemerals_belong_to_their_session(ensemble: &impl Ensemble) {
    let (one, other) = (ensemble.connect().await, ensemble.connect().await);
    assert_ne!(one.session_id(), other.session_id());
    let (_, stat) = one
        .create("/e", Bytes::new(), CreateMode::Ephemeral)
        .await
        .unwrap();
    assert_eq!(stat.ephemeral_owner, one.session_id());
    assert_eq!(other.exists("/e", false).await.unwrap(), Some(stat));
}

async fn sequential_znodes_are_numbered(ensemble: &impl Ensemble) {
    let store = ensemble.connect().await;
    store.create("/s", Bytes::new(), PERSISTENT).await.unwrap();
    let mode = CreateMode::PersistentSequential;
    let (first, _) = store.create("/s/n_", Bytes::new(), mode).await.unwrap();
    assert_eq!(first, "/s/n_0000000000");
    store.delete(&first, None).await.unwrap();
    let results = store.multi(vec![create("/s/n_", mode)]).await.unwrap();
    let ZkOpResult::Created { path, .. } = &results[0] else {
        panic!("{results:?}");
    };
    assert_eq!(path, "/s/n_0000000001", "a number is never used again");
}

async fn many_znodes_are_read_at_once(ensemble: &impl Ensemble) {
    let store = ensemble.connect().await;
    assert_eq!(store.get_all(vec![]).await, Ok(vec![]));
    let (_, stat) = store.create("/a", bytes("one"), PERSISTENT).await.unwrap();
    let paths = (0..250).map(|i| match i % 3 {
        0 => "/a".to_owned(),
        _ => format!("/missing-{i}"),
    });
    let found = store.get_all(paths.collect()).await.unwrap();
    assert_eq!(found.len(), 250);
    for (i, znode) in found.into_iter().enumerate() {
        assert_eq!(znode, (i % 3 == 0).then(|| (bytes("one"), stat)), "{i}");
    }
}

async fn a_multi_happens_wholly_or_not_at_all(ensemble: &impl Ensemble) {
    let store = ensemble.connect().await;
    store.create("/epoch", bytes("1"), PERSISTENT).await.unwrap();
    let check = |version| ZkOp::Check {
        path: "/epoch".to_owned(),
        version,
    };
    let set = |version| ZkOp::SetData {
        path: "/epoch".to_owned(),
        data: bytes("2"),
        version: Some(version),
    };
    let delete = |path: &str| ZkOp::Delete {
        path: path.to_owned(),
        version: None,
    };
    let ops = vec![
        check(0),
        create("/a", PERSISTENT),
        create("/a/b", CreateMode::Ephemeral),
        set(0),
    ];
    let results = store.multi(ops).await.unwrap();
    assert_eq!(results[0], ZkOpResult::Checked);
    assert!(matches!(&results[1], ZkOpResult::Created { path, .. } if path == "/a"));
    let ZkOpResult::Set { stat } = results[3] else {
        panic!("{results:?}");
    };
    assert_eq!(stat.version, 1);
    let created = store.exists("/a/b", false).await.unwrap().unwrap();
    assert_eq!(
        (created.czxid, created.ephemeral_owner),
        (stat.mzxid, store.session_id())
    );

    for (ops, index, error) in [
        (
            vec![check(0), create("/c", PERSISTENT)],
            0,
            ZkError::BadVersion("/epoch".to_owned()),
        ),
        (
            vec![create("/c", PERSISTENT), set(0)],
            1,
            ZkError::BadVersion("/epoch".to_owned()),
        ),
        (
            vec![create("/c", PERSISTENT), create("/a", PERSISTENT)],
            1,
            ZkError::NodeExists("/a".to_owned()),
        ),
        (
            vec![
                set(1),
                create("/c", PERSISTENT),
                delete("/a/b"),
                delete("/nothing"),
            ],
            3,
            ZkError::NoNode("/nothing".to_owned()),
        ),
        (
            vec![create("/c", PERSISTENT), delete("/a")],
            1,
            ZkError::NotEmpty("/a".to_owned()),
        ),
    ] {
        assert_eq!(store.multi(ops).await, Err(MultiError { index, error }));
        assert_eq!(store.exists("/c", false).await.unwrap(), None);
        assert_eq!(store.exists("/epoch", false).await.unwrap(), Some(stat));
        assert_eq!(store.exists("/a/b", false).await.unwrap(), Some(created));
    }
    assert_eq!(
        store.multi(vec![delete("/a/b"), delete("/a")]).await.unwrap(),
        [ZkOpResult::Deleted, ZkOpResult::Deleted]
    );
}

async fn operations_are_applied_in_the_order_of_the_calls(ensemble: &impl Ensemble) {
    let store = ensemble.connect().await;
    let parent = store.create("/a", Bytes::new(), PERSISTENT);
    let sets: Vec<_> = (0..100)
        .map(|version| store.set("/a", Bytes::new(), Some(version)))
        .collect();
    let read = store.get("/a", false);
    let child = store.create("/a/b", Bytes::new(), PERSISTENT);
    // Dropping the future does not cancel the operation.
    drop(store.create("/a/c", Bytes::new(), PERSISTENT));
    assert_eq!(read.await.unwrap().unwrap().1.version, 100);
    child.await.unwrap();
    for (set, version) in sets.into_iter().rev().zip((1..=100).rev()) {
        assert_eq!(set.await.unwrap().version, version);
    }
    parent.await.unwrap();
    assert_eq!(store.children("/a", false).await.unwrap().unwrap(), ["b", "c"]);
}

async fn a_watch_on_data_fires_once(ensemble: &impl Ensemble) {
    let (watcher, writer) = (ensemble.connect().await, ensemble.connect().await);
    let mut events = watcher.subscribe();
    writer.create("/a", Bytes::new(), PERSISTENT).await.unwrap();
    watcher.get("/a", true).await.unwrap().unwrap();
    assert_quiet(&*watcher, &mut events).await;
    writer.set("/a", bytes("1"), None).await.unwrap();
    assert_eq!(next(&mut events).await, event("/a", WatchKind::NodeDataChanged));
    writer.set("/a", bytes("2"), None).await.unwrap();
    assert_quiet(&*watcher, &mut events).await;

    watcher.exists("/a", true).await.unwrap().unwrap();
    watcher.set("/a", bytes("3"), None).await.unwrap();
    assert_eq!(next(&mut events).await, event("/a", WatchKind::NodeDataChanged));
    watcher.get("/a", false).await.unwrap();
    writer.delete("/a", None).await.unwrap();
    assert_quiet(&*watcher, &mut events).await;
}

async fn a_watch_waits_for_creation(ensemble: &impl Ensemble) {
    let (watcher, writer) = (ensemble.connect().await, ensemble.connect().await);
    let (mut events, mut others) = (watcher.subscribe(), watcher.subscribe());
    assert_eq!(watcher.get("/a", true).await.unwrap(), None);
    assert_eq!(watcher.exists("/b", true).await.unwrap(), None);
    writer.create("/a", Bytes::new(), PERSISTENT).await.unwrap();
    assert_eq!(next(&mut events).await, event("/a", WatchKind::NodeCreated));
    writer.create("/b", Bytes::new(), PERSISTENT).await.unwrap();
    assert_eq!(next(&mut events).await, event("/b", WatchKind::NodeCreated));
    assert_eq!(
        next(&mut others).await,
        event("/a", WatchKind::NodeCreated),
        "everybody hears of it"
    );
}

async fn a_watch_on_children_fires_once(ensemble: &impl Ensemble) {
    let (watcher, writer) = (ensemble.connect().await, ensemble.connect().await);
    let mut events = watcher.subscribe();
    assert_eq!(watcher.children("/a", true).await.unwrap(), None);
    writer.create("/a", Bytes::new(), PERSISTENT).await.unwrap();
    assert_quiet(&*watcher, &mut events).await;
    watcher.children("/a", true).await.unwrap().unwrap();
    writer.set("/a", bytes("1"), None).await.unwrap();
    assert_quiet(&*watcher, &mut events).await;
    writer.create("/a/b", Bytes::new(), PERSISTENT).await.unwrap();
    writer.create("/a/c", Bytes::new(), PERSISTENT).await.unwrap();
    assert_eq!(
        next(&mut events).await,
        event("/a", WatchKind::NodeChildrenChanged)
    );
    assert_eq!(watcher.children("/a", true).await.unwrap().unwrap(), ["b", "c"]);
    assert_quiet(&*watcher, &mut events).await;
    writer.set("/a/b", bytes("1"), None).await.unwrap();
    assert_quiet(&*watcher, &mut events).await;
    writer.delete("/a/b", None).await.unwrap();
    assert_eq!(
        next(&mut events).await,
        event("/a", WatchKind::NodeChildrenChanged)
    );
}

async fn a_deletion_trips_every_watch(ensemble: &impl Ensemble) {
    let (watcher, writer) = (ensemble.connect().await, ensemble.connect().await);
    let mut events = watcher.subscribe();
    writer.create("/a", Bytes::new(), PERSISTENT).await.unwrap();
    writer.create("/b", Bytes::new(), PERSISTENT).await.unwrap();
    watcher.get("/a", true).await.unwrap().unwrap();
    watcher.children("/b", true).await.unwrap().unwrap();
    writer.delete("/a", None).await.unwrap();
    assert_eq!(next(&mut events).await, event("/a", WatchKind::NodeDeleted));
    writer.delete("/b", None).await.unwrap();
    assert_eq!(next(&mut events).await, event("/b", WatchKind::NodeDeleted));
}

async fn watches_do_not_pile_up(ensemble: &impl Ensemble) {
    let (watcher, writer) = (ensemble.connect().await, ensemble.connect().await);
    let mut events = watcher.subscribe();
    writer.create("/a", Bytes::new(), PERSISTENT).await.unwrap();
    for _ in 0..50 {
        watcher.get("/a", true).await.unwrap();
        watcher.exists("/a", true).await.unwrap();
        watcher.children("/a", true).await.unwrap();
        watcher.get("/missing", true).await.unwrap();
    }
    writer.set("/a", bytes("1"), None).await.unwrap();
    assert_eq!(next(&mut events).await, event("/a", WatchKind::NodeDataChanged));
    writer.create("/missing", Bytes::new(), PERSISTENT).await.unwrap();
    assert_eq!(next(&mut events).await, event("/missing", WatchKind::NodeCreated));
    writer.create("/a/b", Bytes::new(), PERSISTENT).await.unwrap();
    assert_eq!(
        next(&mut events).await,
        event("/a", WatchKind::NodeChildrenChanged)
    );
    assert_quiet(&*watcher, &mut events).await;
}

async fn after_expiry_a_new_session_stands(ensemble: &impl Ensemble) {
    let (store, other) = (ensemble.connect().await, ensemble.connect().await);
    let mut events = store.subscribe();
    let old_id = store.session_id();
    store
        .create("/e", Bytes::new(), CreateMode::Ephemeral)
        .await
        .unwrap();
    store.create("/p", Bytes::new(), PERSISTENT).await.unwrap();
    store.get("/p", true).await.unwrap();
    ensemble.expire(&store).await;
    assert_eq!(next(&mut events).await, event("", WatchKind::SessionExpired));
    assert_eq!(next(&mut events).await, event("", WatchKind::SessionEstablished));
    assert_ne!(store.session_id(), old_id);
    assert_eq!(other.exists("/e", false).await.unwrap(), None);

    // The old watch is gone; the store works again.
    store.set("/p", bytes("1"), None).await.unwrap();
    assert_quiet(&*store, &mut events).await;
    let (_, stat) = store
        .create("/e", Bytes::new(), CreateMode::Ephemeral)
        .await
        .unwrap();
    assert_eq!(stat.ephemeral_owner, store.session_id());
    store.get("/p", true).await.unwrap();
    other.set("/p", bytes("2"), None).await.unwrap();
    assert_eq!(next(&mut events).await, event("/p", WatchKind::NodeDataChanged));
}

async fn closing_removes_ephemerals_at_once(ensemble: &impl Ensemble) {
    let (store, other) = (ensemble.connect().await, ensemble.connect().await);
    store
        .create("/e", Bytes::new(), CreateMode::Ephemeral)
        .await
        .unwrap();
    other.get("/e", true).await.unwrap().unwrap();
    let mut events = other.subscribe();
    ensemble.close(&store).await;
    assert_eq!(other.exists("/e", false).await.unwrap(), None);
    assert_eq!(next(&mut events).await, event("/e", WatchKind::NodeDeleted));
    assert!(store.exists("/e", false).await.is_err());
}
