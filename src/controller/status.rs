//! The controller's status, which the rest of the broker reads without an event: whether the controller is active,
//! and the broker's epoch.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::common::ids::BrokerEpoch;

/// The status that the controller's task sets and other tasks read.
pub(super) struct ControllerStatus {
    active: AtomicBool,
    broker_epoch: AtomicI64,
}

impl ControllerStatus {
    pub(super) fn new(broker_epoch: BrokerEpoch) -> Self {
        Self {
            active: AtomicBool::new(false),
            broker_epoch: AtomicI64::new(broker_epoch),
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    pub(super) fn set_active(&self, active: bool) {
        self.active.store(active, Ordering::Release);
    }

    pub(super) fn broker_epoch(&self) -> BrokerEpoch {
        self.broker_epoch.load(Ordering::Acquire)
    }

    pub(super) fn set_broker_epoch(&self, epoch: BrokerEpoch) {
        self.broker_epoch.store(epoch, Ordering::Release);
    }
}
