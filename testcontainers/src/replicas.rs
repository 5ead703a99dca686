//! Compares the replicas of a partition byte for byte, as files in the brokers' folders.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::wait::wait_for;

/// Waits until all replicas of each partition of a topic have the same bytes and are not empty.
///
/// A follower is one fetch behind its leader. So this works only after all producers have stopped writing to the topic.
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

/// For each replica: its length and the first position where it differs from the last broker's replica.
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
