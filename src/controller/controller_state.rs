//! The kinds of work that a controller's metrics tell apart. Kafka 3.9: `ControllerState`.

/// The kind of work that a controller does at present. The metric `ControllerState` shows the numbers, which are
/// Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "Kafka's own names")]
#[repr(usize)]
pub enum ControllerState {
    Idle = 0,
    ControllerChange = 1,
    BrokerChange = 2,
    TopicChange = 3,
    TopicDeletion = 4,
    AlterPartitionReassignment = 5,
    AutoLeaderBalance = 6,
    ManualLeaderBalance = 7,
    ControlledShutdown = 8,
    IsrChange = 9,
    LeaderAndIsrResponseReceived = 10,
    LogDirChange = 11,
    #[expect(dead_code, reason = "a controller here stops without an event")]
    ControllerShutdown = 12,
    UncleanLeaderElectionEnable = 13,
    TopicUncleanLeaderElectionEnable = 14,
    ListPartitionReassignment = 15,
    UpdateMetadataResponseReceived = 16,
    UpdateFeatures = 17,
}
