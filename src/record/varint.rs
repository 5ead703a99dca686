//! Zigzag variable-length integers, as in protocol buffers. Kafka 3.9: `ByteUtils`.
//!
//! Seven bits in each byte, lowest first; the top bit means that more bytes follow. At most five bytes for 32 bits and
//! ten for 64; further bits are dropped, as in Java.

/// Reads a 32-bit number from the front; `None` if the bytes end or it is too long.
#[inline]
pub fn read_varint(bytes: &mut &[u8]) -> Option<i32> {
    let raw = read_unsigned(bytes, 5)? as u32;
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Reads a 64-bit number from the front; `None` if the bytes end or it is too long.
#[inline]
pub fn read_varlong(bytes: &mut &[u8]) -> Option<i64> {
    let raw = read_unsigned(bytes, 10)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// Appends a 32-bit number.
pub fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_unsigned(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
}

/// Appends a 64-bit number.
pub fn put_varlong(out: &mut Vec<u8>, value: i64) {
    put_unsigned(out, ((value << 1) ^ (value >> 63)) as u64);
}

#[inline]
fn read_unsigned(bytes: &mut &[u8], max_bytes: usize) -> Option<u64> {
    // Most numbers in a record are one byte long.
    if let [byte @ ..0x80, rest @ ..] = *bytes {
        *bytes = rest;
        return Some(u64::from(*byte));
    }
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(max_bytes).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Some(value);
        }
    }
    None
}

fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_answers() {
        let cases: [(i32, &[u8]); 8] = [
            (0, &[0x00]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (63, &[0x7e]),
            (-65, &[0x81, 0x01]),
            (8191, &[0xfe, 0x7f]),
            (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ];
        for (value, bytes) in cases {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(read_varint(&mut &bytes[..]), Some(value));
        }
        let mut out = Vec::new();
        put_varlong(&mut out, i64::MIN);
        assert_eq!(out, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    }

    #[test]
    fn too_short_and_too_long_are_refused() {
        assert_eq!(read_varint(&mut &[][..]), None);
        assert_eq!(read_varint(&mut &[0x80, 0x80][..]), None);
        assert_eq!(read_varint(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..]), None);
        assert_eq!(read_varlong(&mut &[0x80; 11][..]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(int in any::<i32>(), long in any::<i64>()) {
            let mut out = Vec::new();
            put_varint(&mut out, int);
            put_varlong(&mut out, long);
            out.push(0xaa);
            let mut rest = &out[..];
            prop_assert_eq!(read_varint(&mut rest), Some(int));
            prop_assert_eq!(read_varlong(&mut rest), Some(long));
            prop_assert_eq!(rest, &[0xaa][..]);
        }
    }
}
