//! Maps a group id or transactional id to a partition of the internal topic. Kafka 3.9: `Utils.abs`,
//! `GroupMetadataManager.partitionFor`, `TransactionStateManager.partitionFor`.

/// The partition of an id among `count` partitions, which must be positive: the absolute value of Java's hash of the
/// id's UTF-16 units, where that of the smallest integer is 0 (fact 61).
pub fn partition_for(id: &str, count: i32) -> i32 {
    let hash = id.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    hash.checked_abs().unwrap_or(0) % count
}
