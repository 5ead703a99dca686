//! Behaviour of the Java virtual machine that is visible in the output of Kafka's tool.

/// Text as Java decodes it from bytes: like [`String::from_utf8_lossy`], except that an encoded surrogate is one
/// malformed character, not one per byte.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    // Bytes that still belong to the previous surrogate.
    let mut expected = 0;
    for chunk in bytes.utf8_chunks() {
        if !chunk.valid().is_empty() {
            expected = 0;
            text.push_str(chunk.valid());
        }
        match chunk.invalid() {
            [] => {}
            [0xed] => {
                expected = 2;
                text.push(char::REPLACEMENT_CHARACTER);
            }
            [0xa0..=0xbf] if expected == 2 => expected = 1,
            [0x80..=0xbf] if expected == 1 => expected = 0,
            _ => {
                expected = 0;
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }
    text
}

/// `DefaultRecordBatch.incrementSequence`. For the sequence numbers of corrupt batches its result differs from
/// [`crate::record::sequence`].
pub(super) fn increment_sequence(sequence: i32, delta: i32) -> i32 {
    if sequence > i32::MAX.wrapping_sub(delta) {
        delta
            .wrapping_sub(i32::MAX.wrapping_sub(sequence))
            .wrapping_sub(1)
    } else {
        sequence.wrapping_add(delta)
    }
}

/// `String.hashCode`.
pub(super) fn hash_of(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

/// `TopicPartition.hashCode`.
pub(super) fn hash_of_partition(topic: &str, partition: i32) -> i32 {
    31i32
        .wrapping_add(partition)
        .wrapping_mul(31)
        .wrapping_add(hash_of(topic))
}

/// A table of Scala's mutable maps and sets: its length decides the iteration order of its elements.
pub(super) struct HashTable {
    length: usize,
    size: usize,
}

impl HashTable {
    const LENGTH_MAX: usize = 1 << 30;

    pub(super) fn new() -> Self {
        Self { length: 16, size: 0 }
    }

    /// Reserves space for elements that are added together.
    pub(super) fn expect(&mut self, elements: usize) {
        let slots = (elements as f64 + 1.0) / 0.75;
        let wanted = ((slots as usize).max(5)).next_power_of_two();
        self.length = self.length.max(wanted.min(Self::LENGTH_MAX));
    }

    /// One more element.
    pub(super) fn add(&mut self) {
        if self.size + 1 >= self.length * 3 / 4 && self.length < Self::LENGTH_MAX {
            self.length *= 2;
        }
        self.size += 1;
    }

    /// Sorts the elements into the order of the table's slots; elements of one slot are sorted by hash.
    pub(super) fn sort<T>(&self, elements: &mut [T], hash: impl Fn(&T) -> i32) {
        elements.sort_by_key(|element| {
            let hash = hash(element);
            let hash = hash ^ (hash as u32 >> 16) as i32;
            (hash as usize & (self.length - 1), hash)
        });
    }
}

/// Sorts elements that are added one by one into the iteration order of a Scala map.
pub(super) fn in_hash_order<T>(mut elements: Vec<T>, hash: impl Fn(&T) -> i32) -> Vec<T> {
    let mut table = HashTable::new();
    elements.iter().for_each(|_| table.add());
    table.sort(&mut elements, hash);
    elements
}

/// A number that may be missing, as Java prints it.
pub(super) fn optional_long(value: Option<i64>) -> String {
    value.map_or_else(
        || "OptionalLong.empty".to_owned(),
        |value| format!("OptionalLong[{value}]"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with `new String(bytes, UTF_8)` of Java 17.
    #[test]
    fn malformed_text_is_replaced_as_java_does() {
        let cases: [(&[u8], &str); 10] = [
            ("gr\u{fc}n \u{1f980}".as_bytes(), "gr\u{fc}n \u{1f980}"),
            (b"a\xffb", "a\u{fffd}b"),
            (b"\xe2\x82", "\u{fffd}"),
            (b"\xe2\x82A", "\u{fffd}A"),
            (b"\xc0\x80", "\u{fffd}\u{fffd}"),
            (b"\xe0\x80\x80", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xed\xa0\x80", "\u{fffd}"),
            (b"\xed\xa0\x80\xed\xb0\x80", "\u{fffd}\u{fffd}"),
            (b"\xed\xa0A", "\u{fffd}A"),
            (b"\xf4\x90\x80\x80", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(text_of(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn hashes_are_javas() {
        assert_eq!(hash_of(""), 0);
        assert_eq!(hash_of("orders"), -1_008_770_331);
        assert_eq!(hash_of("polygenelubricants"), i32::MIN);
        assert_eq!(hash_of_partition("t", 0), 31 * 31 + 116);
    }
}
