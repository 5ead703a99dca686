//! What is broken in a cluster's znodes: `barnabas zk check`. A znode that cannot be what it should be ([`schema`]), or that
//! contradicts another one ([`contradictions`]), is named together with the reason.
//!
//! A cluster that lives changes while it is read, so that what was read early contradicts what was read late. Nothing is
//! therefore reported that is not found again, word for word, when everything is read once more, twice over.
//!
//! It never writes anything, and it does not repair: what is right, the controller knows or a person.

mod contradictions;
pub(super) mod index;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;

use super::recursive::walk;
use super::store::{Stat, ZkError, ZkStore};

/// How many znodes are read at once.
const BATCH: usize = 1000;
/// How often everything is read again before something is reported.
const CONFIRMATIONS: usize = 2;
/// What a controller needs at most for what it is at, in most cases.
const PAUSE: Duration = Duration::from_secs(2);

/// Everything below the chroot as it was read: data and stat by path.
type Snapshot = BTreeMap<String, (Bytes, Stat)>;

/// Something that is wrong with a znode.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The znode.
    pub path: String,
    /// What is wrong, for a person.
    pub reason: String,
}

impl Finding {
    fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

/// Everything that is wrong and stays so, by path.
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
            // One that has vanished since is gone.
            if let Some(znode) = znode? {
                snapshot.insert(path.clone(), znode);
            }
        }
    }
    Ok(snapshot)
}

/// Everything that is wrong with what was read.
fn find(snapshot: &Snapshot) -> BTreeSet<Finding> {
    let mut findings = schema::violations(snapshot);
    findings.extend(contradictions::find(snapshot));
    findings
}
