use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::common::clock::ManualClock;
use crate::zk::Stat;
use crate::zk::memory::{MemorySession, MemoryZooKeeper};
use crate::zk::recursive::create_recursive;
use crate::zk::store::CreateMode;

const CAPTURE: &str = include_str!("../../../zk-schema/captures/kafka-3.9.1.txt");
const STATE: &str = "/brokers/topics/t/partitions/0/state";
const ID: &str = "AAAAAAAAAAAAAAAAAAAAAQ";

fn znode(data: &str, owner: i64) -> (Bytes, Stat) {
    let stat = Stat {
        ephemeral_owner: owner,
        ..Stat::default()
    };
    (Bytes::copy_from_slice(data.as_bytes()), stat)
}

/// Two brokers, 1 the controller, and a topic of one partition on both.
fn healthy() -> Snapshot {
    let registration = |port| {
        format!(
            r#"{{"version":5,"host":"h","port":{port},"jmx_port":-1,"timestamp":"1","endpoints":["PLAINTEXT://h:{port}"]}}"#
        )
    };
    let mut snapshot = Snapshot::new();
    for path in [
        "/",
        "/brokers",
        "/brokers/ids",
        "/brokers/topics",
        "/admin",
        "/admin/delete_topics",
    ] {
        snapshot.insert(path.into(), znode("", 0));
    }
    let topic = format!(r#"{{"version":3,"topic_id":"{ID}","partitions":{{"0":[1,2]}}}}"#);
    for (path, data, owner) in [
        ("/brokers/ids/1", registration(9001), 71),
        ("/brokers/ids/2", registration(9002), 72),
        (
            "/controller",
            r#"{"version":2,"brokerid":1,"timestamp":"1"}"#.into(),
            71,
        ),
        ("/controller_epoch", "5".into(), 0),
        ("/brokers/topics/t", topic, 0),
        ("/brokers/topics/t/partitions", String::new(), 0),
        ("/brokers/topics/t/partitions/0", String::new(), 0),
        (STATE, state(1, "[1,2]", 5), 0),
    ] {
        snapshot.insert(path.into(), znode(&data, owner));
    }
    snapshot
}

fn state(leader: i32, isr: &str, controller_epoch: i32) -> String {
    format!(
        r#"{{"version":1,"leader":{leader},"leader_epoch":3,"isr":{isr},"controller_epoch":{controller_epoch}}}"#
    )
}

fn topic(partitions: &str) -> String {
    format!(r#"{{"version":3,"topic_id":"{ID}","partitions":{partitions}}}"#)
}

#[test]
fn a_healthy_cluster_and_the_one_of_a_real_kafka_are_clean() {
    assert_eq!(find(&healthy()), BTreeSet::new());
    let captured = CAPTURE.lines().map(|line| {
        let columns: Vec<_> = line.split(" |").map(str::trim).collect();
        let data = if columns[1] == "null" { "" } else { columns[1] };
        // One broker, and therefore one session, owns all ephemeral znodes of the capture.
        let owner = i64::from(columns[2] == "EPHEMERAL");
        (columns[0].to_owned(), znode(data, owner))
    });
    let findings = find(&captured.collect());
    // The capture leaves out the states of Kafka's own topics.
    let left_out = |finding: &&Finding| {
        finding.path.starts_with("/brokers/topics/__") && finding.reason.contains("has no state")
    };
    let strange: Vec<_> = findings.iter().filter(|finding| !left_out(finding)).collect();
    assert!(strange.is_empty(), "{strange:#?}");
}

/// Changes to a healthy cluster (no data: delete the znode), and the findings that each causes.
#[test]
fn what_is_broken_is_named() {
    let whole = |partitions| Some(topic(partitions));
    let cases: Vec<(&str, Option<String>, &str)> = vec![
        (STATE, Some(state(1, "[2]", 5)), "leader 1 is not in the isr [2]"),
        (
            STATE,
            Some(state(1, "[1,3]", 5)),
            "isr [3] outside of the assignment [1, 2]",
        ),
        (STATE, Some(state(-1, "[]", 5)), "the isr is empty"),
        (STATE, Some(state(1, "[1,1]", 5)), "broker 1 is in the isr twice"),
        (
            STATE,
            Some(state(-2, "[1]", 5)),
            "leader -2 in leader epoch 3 cannot be",
        ),
        (
            STATE,
            Some(state(1, "[1]", 6)),
            "written in controller epoch 6, but /controller_epoch is 5",
        ),
        (STATE, Some("{".into()), "malformed"),
        (STATE, Some(r#"{"version":1,"leader":1}"#.into()), "is missing"),
        (
            STATE,
            Some(state(1, "[1]", 5).replace(":1,", ":9,")),
            "version 9 is not known, the highest is 1",
        ),
        (STATE, None, "partition 0 has no state, though broker 1 is alive"),
        (
            "/brokers/topics/t",
            whole(r#"{"0":[1,7]}"#),
            "7: not registered, though 1 partitions are assigned",
        ),
        (
            "/brokers/topics/t",
            whole(r#"{"0":[1,1]}"#),
            "is assigned to broker 1 twice",
        ),
        ("/brokers/topics/t", whole(r#"{"0":[]}"#), "has no replicas"),
        (
            "/brokers/topics/t",
            whole(r#"{"1":[1]}"#),
            "has partition 1 but no partition 0",
        ),
        ("/brokers/topics/t", whole("{}"), "topic t has no partition 0"),
        ("/brokers/topics/t", whole("{}"), "has no partitions"),
        (
            "/brokers/topics/t",
            Some(topic(r#"{"0":[1,2]},"adding_replicas":{"0":[4]}"#)),
            "adds replica 4, which is not among its replicas",
        ),
        (
            "/brokers/topics/t",
            Some(r#"{"partitions":{"0":[1,2]}}"#.into()),
            "has no topic id",
        ),
        (
            "/brokers/topics/u",
            whole(r#"{"0":[1]}"#),
            "has the same topic id as t",
        ),
        ("/config/topics/t", Some(r#"{"config":"#.into()), "not JSON"),
        ("/brokers/ids/1", Some("{}".into()), "is missing"),
        ("/brokers/ids/1", None, "/controller: broker 1 is not registered"),
        ("/brokers/ids/1", None, "leader 1 is not registered"),
        ("/controller", None, "missing, though 2 brokers are registered"),
        (
            "/controller",
            Some(r#"{"brokerid":2}"#.into()),
            "in another session than broker 2's registration",
        ),
        ("/controller_epoch", None, "missing, though there is a controller"),
        ("/controller_epoch", Some("one".into()), "not a number: one"),
        (
            "/admin/delete_topics/gone",
            Some(String::new()),
            "there is no topic gone",
        ),
        (
            "/config/topics/gone",
            Some(r#"{"version":1,"config":{}}"#.into()),
            "there is no topic gone",
        ),
        (
            "/brokers/topics/t/partitions/0/states",
            Some(String::new()),
            "has such a znode",
        ),
    ];
    for (path, data, expected) in cases {
        let mut snapshot = healthy();
        match &data {
            Some(data) => {
                let owner = snapshot.get(path).map_or(0, |(_, stat)| stat.ephemeral_owner);
                snapshot.insert(path.into(), znode(data, owner));
            }
            None => drop(snapshot.remove(path)),
        }
        let findings = find(&snapshot);
        let found = findings
            .iter()
            .any(|finding| finding.to_string().contains(expected));
        assert!(found, "{path} {data:?}: {findings:#?}, expected {expected}");
    }
}

#[test]
fn znodes_go_with_sessions_or_do_not() {
    let mut snapshot = healthy();
    snapshot.insert("/brokers/ids/2".into(), znode(r#"{"version":5}"#, 0));
    snapshot.get_mut(STATE).unwrap().1.ephemeral_owner = -7;
    let findings: Vec<_> = find(&snapshot).iter().map(ToString::to_string).collect();
    assert!(findings.contains(&"/brokers/ids/2: persistent, though it should go with a session".to_owned()));
    assert!(findings.contains(&format!(
        "{STATE}: goes with a session, though it should be persistent"
    )));
}

#[test]
fn a_cluster_at_rest_and_a_topic_that_goes_are_no_contradiction() {
    let mut at_rest = healthy();
    for path in ["/brokers/ids/1", "/brokers/ids/2", "/controller"] {
        at_rest.remove(path);
    }
    assert_eq!(find(&at_rest), BTreeSet::new());
    let mut going = healthy();
    going.insert("/admin/delete_topics/t".into(), znode("", 0));
    going.remove(STATE);
    assert_eq!(find(&going), BTreeSet::new());
}

async fn live() -> Arc<MemorySession> {
    let store = MemoryZooKeeper::new(ManualClock::at(1)).connect();
    for (path, (data, stat)) in healthy() {
        let mode = CreateMode::Ephemeral;
        match stat.ephemeral_owner {
            _ if path == "/" => {}
            0 => create_recursive(&*store, &path, data).await.unwrap(),
            _ => drop(store.create(&path, data, mode).await.unwrap()),
        }
    }
    store
}

#[tokio::test(start_paused = true)]
async fn what_is_put_right_meanwhile_is_not_reported() {
    let store = live().await;
    assert_eq!(check(&*store).await, Ok(BTreeSet::new()));
    let broken = Bytes::from(state(1, "[2]", 5));
    store.set(STATE, broken.clone(), None).await.unwrap();
    let mending = {
        let store = store.clone();
        tokio::spawn(async move {
            tokio::time::sleep(PAUSE / 2).await;
            store.set(STATE, state(1, "[1]", 5).into(), None).await
        })
    };
    assert_eq!(check(&*store).await, Ok(BTreeSet::new()));
    mending.await.unwrap().unwrap();
    store.set(STATE, broken, None).await.unwrap();
    let findings = check(&*store).await.unwrap();
    assert_eq!(
        findings.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(),
        [STATE]
    );
}
