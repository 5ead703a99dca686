//! The sequence numbers of an idempotent producer's records. Kafka 3.9: `DefaultRecordBatch.incrementSequence`.

/// The sequence number `delta` records after `sequence`; after 2³¹-1 comes 0.
pub fn increment_sequence(sequence: i32, delta: i32) -> i32 {
    sequence.wrapping_add(delta) & i32::MAX
}

/// The sequence number `delta` records before `sequence`; before 0 comes 2³¹-1.
pub fn decrement_sequence(sequence: i32, delta: i32) -> i32 {
    sequence.wrapping_sub(delta) & i32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(increment_sequence(0, 1), 1);
        assert_eq!(increment_sequence(i32::MAX - 1, 1), i32::MAX);
        assert_eq!(increment_sequence(i32::MAX, 1), 0);
        assert_eq!(increment_sequence(i32::MAX - 2, 5), 2);
        assert_eq!(decrement_sequence(2, 5), i32::MAX - 2);
        assert_eq!(decrement_sequence(7, 7), 0);
    }
}
