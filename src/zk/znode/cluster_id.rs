//! `/cluster/id`: the cluster's id, JSON version "1". Kafka 3.9: `ClusterIdZNode`.

use bytes::Bytes;
use serde_json::json;

use super::ZnodeError;
use super::json::{Object, to_bytes};

/// The JSON of a cluster id, which is the text of a random UUID.
pub fn encode(cluster_id: &str) -> Bytes {
    to_bytes(&json!({"version": "1", "id": cluster_id}))
}

/// Requires only `id`.
pub fn decode(data: &[u8]) -> Result<String, ZnodeError> {
    Ok(Object::parse(data)?.str("id")?.to_owned())
}
