//! Defines the state that a session's callers and its driver share.

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use zookeeper_client::SessionInfo;

use crate::zk::store::{WatchEvent, WatchKind};

/// The state that a session's callers and its driver share.
pub(super) struct Shared {
    pub(super) session: Mutex<SessionInfo>,
    /// Whether the session has a connection, as far as is known.
    pub(super) connected: watch::Sender<bool>,
    pub(super) subscribers: Mutex<Vec<mpsc::UnboundedSender<WatchEvent>>>,
}

impl Shared {
    pub(super) fn publish(&self, path: String, kind: WatchKind) {
        let event = WatchEvent { path, kind };
        self.subscribers
            .lock()
            .retain(|subscriber| subscriber.send(event.clone()).is_ok());
    }
}
