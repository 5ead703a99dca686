//! The classic group coordinator. Kafka 3.9: `GroupCoordinator`, `GroupMetadataManager`.

/// All groups whose `__consumer_offsets` partition this broker leads.
pub struct GroupCoordinator {}
