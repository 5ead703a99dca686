//! Follows `/feature`. ApiVersions sends the version of this znode to clients. Kafka 3.9:
//! `FinalizedFeatureChangeListener`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::zk::{WatchKind, ZkStore, paths};

const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Sets `epoch` to the znode's version (-1 if the znode does not exist) until `stop` is cancelled.
pub(super) async fn follow(zk: Arc<dyn ZkStore>, epoch: watch::Sender<i64>, stop: CancellationToken) {
    let mut events = zk.subscribe();
    let following = async {
        loop {
            match zk.exists(paths::FEATURE, true).await {
                Ok(stat) => drop(epoch.send_replace(stat.map_or(-1, |s| i64::from(s.version)))),
                Err(error) => {
                    warn!(%error, path = paths::FEATURE, "cannot read");
                    tokio::time::sleep(RETRY_PAUSE).await;
                    continue;
                }
            }
            loop {
                match events.recv().await {
                    Some(event) if event.path == paths::FEATURE => break,
                    Some(event) if event.kind == WatchKind::SessionEstablished => break,
                    Some(_) => {}
                    None => return,
                }
            }
        }
    };
    tokio::select! {
        () = following => {}
        () = stop.cancelled() => {}
    }
}
