//! Reads and writes the identity of the log dirs at start, and handles unreadable dirs.

use std::path::PathBuf;

use super::start_error::StartError;
use crate::common::ids::BrokerId;
use crate::log::checkpoint::meta_properties::MetaPropertiesEnsemble;
use crate::log::fs::Fs;

/// Step 3: reads `meta.properties` of every log dir.
pub(super) fn read_meta_properties(log_dirs: &[PathBuf]) -> Result<MetaPropertiesEnsemble, StartError> {
    MetaPropertiesEnsemble::load(&Fs::default(), log_dirs)
        .map_err(|error| StartError::Identity(error.to_string()))
}

/// Step 7: writes `meta.properties` to the dirs where it has changed. A dir where the write fails is left to the log
/// manager, which detects the failure itself.
pub(super) fn write_meta_properties(
    ensemble: &mut MetaPropertiesEnsemble,
    cluster_id: &str,
    broker_id: BrokerId,
) {
    ensemble.write_changed(&Fs::default(), cluster_id, broker_id);
}
