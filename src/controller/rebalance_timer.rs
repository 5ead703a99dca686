//! The timer of the periodic check of the leader balance. Kafka 3.9: the `auto-leader-rebalance-task` of
//! `KafkaController`.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::event::ControllerEvent;
use super::event_queue::EventQueue;

/// Puts [`ControllerEvent::AutoPreferredReplicaElection`] into the queue after a delay.
pub(super) struct RebalanceTimer {
    events: EventQueue,
    task: Option<JoinHandle<()>>,
}

impl RebalanceTimer {
    /// A timer that is not running.
    pub fn new(events: EventQueue) -> Self {
        Self { events, task: None }
    }

    /// Starts the timer, or starts it anew.
    pub fn schedule(&mut self, delay: Duration) {
        self.cancel();
        let events = self.events.clone();
        self.task = Some(tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            events.put(ControllerEvent::AutoPreferredReplicaElection);
        }));
    }

    /// Stops the timer.
    pub fn cancel(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}
