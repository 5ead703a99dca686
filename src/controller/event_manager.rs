//! The two tasks at the ends of the event queue: one turns ZooKeeper's watch events into controller events, the other
//! passes these to the processor one by one. Kafka 3.9: `ControllerEventManager`, `ControllerEventThread`.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::event::ControllerEvent;
use super::event_queue::EventQueue;
use crate::zk::{WatchEvent, WatchKind, paths};

/// Handles the events of the queue. Kafka 3.9: `ControllerEventProcessor`.
pub(super) trait ControllerEventProcessor: Send {
    /// Handles one event that has `waited` in the queue. The next event follows whether this one succeeds or not.
    fn process(&mut self, event: ControllerEvent, waited: Duration) -> impl Future<Output = ()> + Send;

    /// Ends the processor's work. The loop calls it once, after the last event.
    fn stop(&mut self);
}

/// Passes events to the processor until `shutdown`. Then it drops the current event and the queued ones.
pub(super) async fn run(
    mut processor: impl ControllerEventProcessor,
    queue: EventQueue,
    shutdown: CancellationToken,
) {
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = async {
                let (event, waited) = queue.next().await;
                processor.process(event, waited).await;
            } => {}
        }
    }
    processor.stop();
    queue.clear();
}

/// Turns watch events into controller events until `shutdown` or until the store is gone.
pub(super) async fn translate_watches(
    mut watches: mpsc::UnboundedReceiver<WatchEvent>,
    queue: EventQueue,
    shutdown: CancellationToken,
) {
    loop {
        let watch = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            watch = watches.recv() => watch,
        };
        match watch {
            None => return,
            // Events of the old session are void, also those whose callers wait for a reply (fact 28).
            Some(WatchEvent {
                kind: WatchKind::SessionExpired,
                ..
            }) => {
                queue.clear_and_put(ControllerEvent::Expire);
            }
            Some(watch) => {
                if let Some(event) = event_of(&watch) {
                    queue.put(event);
                }
            }
        }
    }
}

/// The controller event for a watch event, if there is one.
fn event_of(watch: &WatchEvent) -> Option<ControllerEvent> {
    use ControllerEvent as E;
    use WatchKind as K;
    Some(match (watch.kind, &*watch.path) {
        (K::SessionEstablished, _) => E::RegisterBrokerAndReelect,
        (K::NodeCreated | K::NodeDataChanged, paths::CONTROLLER) => E::ControllerChange,
        (K::NodeDeleted, paths::CONTROLLER | paths::MIGRATION) => E::Reelect,
        (K::NodeChildrenChanged, paths::BROKER_IDS) => E::BrokerChange,
        (K::NodeChildrenChanged, paths::TOPICS) => E::TopicChange,
        (K::NodeChildrenChanged, paths::DELETE_TOPICS) => E::TopicDeletion,
        (K::NodeChildrenChanged, paths::ISR_CHANGE_NOTIFICATION) => E::IsrChangeNotification,
        (K::NodeChildrenChanged, paths::LOG_DIR_EVENT_NOTIFICATION) => E::LogDirEventNotification,
        (K::NodeCreated, paths::REASSIGN_PARTITIONS) => E::ZnodeReassignment,
        (K::NodeCreated, paths::PREFERRED_REPLICA_ELECTION) => E::ZnodePreferredElection,
        (K::NodeDataChanged, path) => {
            match (child_of(path, paths::BROKER_IDS), child_of(path, paths::TOPICS)) {
                (Some(id), _) => E::BrokerModification(id.parse().ok()?),
                (_, Some(topic)) => E::PartitionModification(topic.into()),
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// The name of the znode at `path`, if it is a direct child of `parent`.
fn child_of<'a>(path: &'a str, parent: &str) -> Option<&'a str> {
    path.strip_prefix(parent)?
        .strip_prefix('/')
        .filter(|name| !name.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: WatchKind, path: &str) -> String {
        let watch = WatchEvent {
            path: path.to_owned(),
            kind,
        };
        format!("{:?}", event_of(&watch))
    }

    #[test]
    fn watches_become_events() {
        use WatchKind::*;
        assert_eq!(event(NodeDeleted, "/controller"), "Some(Reelect)");
        assert_eq!(event(NodeCreated, "/controller"), "Some(ControllerChange)");
        assert_eq!(event(NodeChildrenChanged, "/brokers/ids"), "Some(BrokerChange)");
        assert_eq!(
            event(NodeDataChanged, "/brokers/ids/7"),
            "Some(BrokerModification(7))"
        );
        assert_eq!(event(NodeDeleted, "/brokers/ids/7"), "None");
        assert_eq!(
            event(NodeDataChanged, "/brokers/topics/t"),
            "Some(PartitionModification(\"t\"))"
        );
        assert_eq!(
            event(NodeDataChanged, "/brokers/topics/t/partitions/0/state"),
            "None"
        );
        assert_eq!(event(NodeCreated, "/brokers/topics/t"), "None");
        assert_eq!(event(NodeDeleted, "/admin/reassign_partitions"), "None");
        assert_eq!(event(SessionEstablished, ""), "Some(RegisterBrokerAndReelect)");
    }
}
