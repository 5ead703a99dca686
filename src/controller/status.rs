//! The controller's status, which the rest of the broker reads without an event: whether the controller is active and
//! has started, and the broker's epoch.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::common::ids::BrokerEpoch;

/// The status that the controller's task sets and other tasks read.
pub(super) struct ControllerStatus {
    active: AtomicBool,
    started: watch::Sender<bool>,
    broker_epoch: watch::Sender<BrokerEpoch>,
}

impl ControllerStatus {
    pub(super) fn new(broker_epoch: BrokerEpoch) -> Self {
        Self {
            active: AtomicBool::new(false),
            started: watch::Sender::new(false),
            broker_epoch: watch::Sender::new(broker_epoch),
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    pub(super) fn set_active(&self, active: bool) {
        self.active.store(active, Ordering::Release);
    }

    pub(super) fn watch_started(&self) -> watch::Receiver<bool> {
        self.started.subscribe()
    }

    pub(super) fn broker_epoch(&self) -> BrokerEpoch {
        *self.broker_epoch.borrow()
    }

    pub(super) fn watch_broker_epoch(&self) -> watch::Receiver<BrokerEpoch> {
        self.broker_epoch.subscribe()
    }

    pub(super) fn set_started(&self) {
        self.started.send_replace(true);
    }

    pub(super) fn set_broker_epoch(&self, epoch: BrokerEpoch) {
        self.broker_epoch.send_replace(epoch);
    }
}
