//! `barnabas zk check`: finds what is broken in a cluster's znodes. A finding names a znode and the reason: the znode
//! is invalid by itself ([`schema`]), or contradicts another znode ([`contradictions`]).
//!
//! A running cluster changes while the check reads it, so an early read may contradict a late one. The check therefore
//! reads everything three times and reports only what it finds word for word in every pass.
//!
//! The check writes nothing and repairs nothing: only the controller or an operator knows what is right.

mod contradictions;
mod finding;
pub(super) mod index;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;

use super::recursive::walk;
use super::store::{ZkError, ZkStore};

pub use finding::Finding;
use finding::Snapshot;

/// How many znodes one request reads.
const BATCH: usize = 1000;
/// How often the check reads everything again before it reports a finding.
const CONFIRMATIONS: usize = 2;
/// Pause between two passes: in most cases the controller completes its current work within this time.
const PAUSE: Duration = Duration::from_secs(2);

/// All lasting problems, by path.
pub async fn check(store: &dyn ZkStore) -> Result<BTreeSet<Finding>, ZkError> {
    let mut findings = find(&read(store).await?);
    for _ in 0..CONFIRMATIONS {
        if findings.is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        let again = find(&read(store).await?);
        findings.retain(|finding| again.contains(finding));
    }
    Ok(findings)
}

async fn read(store: &dyn ZkStore) -> Result<Snapshot, ZkError> {
    let paths = walk(store, "/").await?;
    let mut snapshot = Snapshot::new();
    for batch in paths.chunks(BATCH) {
        let znodes = join_all(batch.iter().map(|path| store.get(path, false))).await;
        for (path, znode) in batch.iter().zip(znodes) {
            // A znode that has been deleted since the listing is left out.
            if let Some(znode) = znode? {
                snapshot.insert(path.clone(), znode);
            }
        }
    }
    Ok(snapshot)
}

/// All problems of one snapshot.
fn find(snapshot: &Snapshot) -> BTreeSet<Finding> {
    let mut findings = schema::violations(snapshot);
    findings.extend(contradictions::find(snapshot));
    findings
}
