//! Compares the replicas of a partition byte for byte, in the brokers' own folders.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::wait::wait_for;

/// Waits until every replica of every partition of a topic has the same bytes, and some.
///
/// A follower is a fetch behind its leader, so this needs a topic that nobody writes to any more.
pub async fn assert_equal_replicas(cluster: &Cluster, topic: &str, partitions: i32) -> Result<()> {
    for partition in 0..partitions {
        let name = format!("{topic}-{partition}");
        wait_for(
            &format!("equal replicas of {name}"),
            Duration::from_secs(30),
            || async {
                let logs: Vec<_> = cluster
                    .brokers
                    .iter()
                    .map(|b| log_bytes(&b.log_dir().join(&name)).ok())
                    .collect();
                let written = logs[0].as_ref().is_some_and(|log| !log.is_empty());
                (written && logs.iter().all(|log| *log == logs[0])).then_some(())
            },
        )
        .await
        .with_context(|| differences(cluster, &name))?;
    }
    Ok(())
}

/// The bytes of all segments of a partition, in the order of their offsets.
pub fn log_bytes(partition: &Path) -> Result<Vec<u8>> {
    let mut segments = BTreeMap::new();
    for entry in std::fs::read_dir(partition)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            segments.insert(path.clone(), std::fs::read(path)?);
        }
    }
    Ok(segments.into_values().flatten().collect())
}

/// How long each replica is and where it first differs from that of the last broker.
fn differences(cluster: &Cluster, name: &str) -> String {
    let read = |b: usize| log_bytes(&cluster.brokers[b].log_dir().join(name)).unwrap_or_default();
    let last = cluster.brokers.len() - 1;
    let reference = read(last);
    let describe = |b: usize| {
        let log = read(b);
        let differs = log.iter().zip(&reference).position(|(a, b)| a != b);
        format!(
            "broker {b}: {} bytes, differs from broker {last} at {differs:?}\n",
            log.len()
        )
    };
    (0..=last).map(describe).collect()
}
