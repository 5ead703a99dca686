//! A decoder that checks every count before it reserves memory. Kafka 3.9: the remaining-bytes checks of generated
//! messages.
//!
//! The crate kafka-protocol reserves memory for an array from the count on the wire before it reads the first element,
//! so twelve bytes that claim 2^31 elements would abort the process. The crate reads through the trait `ByteBuf`,
//! however, so this module can check the bytes between the wire and the crate. A correct count never exceeds the number
//! of bytes behind it, because no element is empty.
//!
//! - *Flexible versions* write every count and length as a varint, read byte by byte, and every plain number in another
//!   way. A varint greater than the number of bytes behind it is therefore wrong and ends the decoding. (The rule also
//!   covers numbers in unknown tagged fields, where it is not needed; no client sends such numbers.)
//! - *Older versions* read counts and plain numbers alike as `i32`. The decoder replaces a number greater than the
//!   number of bytes behind it by that number plus 1. If it was a plain number, decoding goes on as before, and the
//!   message is decoded a second time with the original numbers. If it was a count, the bytes end before the elements
//!   do, and decoding ends there.
//!
//! The memory that can still be reserved is at most the frame's size times that of an element, and stays untouched. A
//! limit on the number of reads, which no real request comes near, bounds the memory that is touched: otherwise a
//! hundred megabytes of empty names would become several gigabytes of structs.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::Decodable;
use kafka_protocol::protocol::buf::ByteBuf;

/// Largest number of reads of a number, text or bytes in one message. UpdateMetadata for 200 000 partitions, the most
/// that Kafka recommends for a cluster, takes about four million.
const MAX_READS: u32 = 10_000_000;

/// How far the reader trusts the numbers that it returns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Varints are checked; an `i32` is never a count.
    Flexible,
    /// Every `i32` may be a count and is checked.
    Fixed,
    /// A first pass has checked every count.
    Checked,
}

struct Sceptical {
    bytes: Bytes,
    trust: Trust,
    replaced_any: bool,
    reads_left: u32,
}

/// Decodes a message from the front of `bytes`. `flexible` tells which encoding this version uses.
pub(super) fn decode<T: Decodable>(bytes: &mut Bytes, version: i16, flexible: bool) -> anyhow::Result<T> {
    let trust = if flexible { Trust::Flexible } else { Trust::Fixed };
    let mut reader = Sceptical::new(bytes.clone(), trust);
    let mut message = T::decode(&mut reader, version)?;
    if reader.replaced_any {
        reader = Sceptical::new(bytes.clone(), Trust::Checked);
        message = T::decode(&mut reader, version)?;
    }
    *bytes = reader.bytes;
    Ok(message)
}

impl Sceptical {
    fn new(bytes: Bytes, trust: Trust) -> Self {
        Self {
            bytes,
            trust,
            replaced_any: false,
            reads_left: MAX_READS,
        }
    }

    /// Counts a read. After too many reads it drops the remaining bytes, so that the next read fails.
    fn count_read(&mut self) {
        match self.reads_left.checked_sub(1) {
            Some(left) => self.reads_left = left,
            None => self.bytes.clear(),
        }
    }

    /// The varint that may begin at the next byte, and the number of bytes after it.
    fn peek_varint(&self) -> (u64, usize) {
        let mut value = 0;
        for (i, &byte) in self.bytes.iter().take(5).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                return (value, self.bytes.len() - i - 1);
            }
        }
        (value, self.bytes.len().saturating_sub(5))
    }
}

impl Buf for Sceptical {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.count_read();
    }

    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        // A single byte is at most 127, which is too little to do harm, and it may be a boolean.
        if self.trust == Trust::Flexible && self.bytes.first().is_some_and(|&byte| byte >= 0x80) {
            let (value, behind) = self.peek_varint();
            // Compact counts and lengths are stored as the value plus 1; 0 means null.
            if value > behind as u64 + 1 {
                return Err(TryGetError {
                    requested: usize::try_from(value).unwrap_or(usize::MAX),
                    available: behind,
                });
            }
        }
        self.count_read();
        self.bytes.try_get_u8()
    }

    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        self.count_read();
        let value = self.bytes.try_get_i32()?;
        let behind = self.bytes.len();
        if self.trust != Trust::Fixed || usize::try_from(value).map_or(true, |value| value <= behind) {
            return Ok(value);
        }
        self.replaced_any = true;
        Ok(i32::try_from(behind + 1).unwrap_or(value))
    }
}

impl ByteBuf for Sceptical {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        let bytes = self.bytes.split_to(size);
        self.count_read();
        bytes
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};

    use super::*;

    /// Reads like generated code: a plain number, a count, and that many elements. Panics if this would reserve more
    /// memory than there are bytes.
    #[derive(Debug, PartialEq)]
    struct Message {
        plain: i32,
        elements: Vec<i16>,
    }

    const FIXED: i16 = 0;
    const FLEXIBLE: i16 = 1;

    impl Decodable for Message {
        fn decode<B: ByteBuf>(buffer: &mut B, version: i16) -> anyhow::Result<Self> {
            let plain = buffer.try_get_i32()?;
            let count = if version == FIXED {
                usize::try_from(buffer.try_get_i32()?)?
            } else {
                let mut value = 0usize;
                for i in 0..5 {
                    let byte = buffer.try_get_u8()?;
                    value |= usize::from(byte & 0x7f) << (7 * i);
                    if byte < 0x80 {
                        break;
                    }
                }
                value.checked_sub(1).ok_or_else(|| anyhow::anyhow!("null"))?
            };
            assert!(
                count <= buffer.remaining().max(126) + 1,
                "reserved for {count} elements"
            );
            let elements = (0..count).map(|_| buffer.try_get_i16());
            Ok(Self {
                plain,
                elements: elements.collect::<Result<_, _>>()?,
            })
        }
    }

    fn wire(plain: i32, count: &[u8], elements: &[i16]) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_i32(plain);
        bytes.put_slice(count);
        elements.iter().for_each(|element| bytes.put_i16(*element));
        bytes.freeze()
    }

    #[test]
    fn true_messages_come_through_with_their_large_numbers() {
        let elements = vec![5; 300];
        for plain in [0, -1, 7, 100_000, i32::MAX, i32::MIN] {
            let fixed = wire(plain, &300i32.to_be_bytes(), &elements);
            let flexible = wire(plain, &[0x80 | 0x2d, 0x02], &elements);
            for (bytes, version) in [(fixed, FIXED), (flexible, FLEXIBLE)] {
                let mut rest = bytes;
                let message: Message = decode(&mut rest, version, version == FLEXIBLE).unwrap();
                assert_eq!((message.plain, &message.elements), (plain, &elements));
                assert!(rest.is_empty());
            }
        }
    }

    #[test]
    fn more_reads_than_any_honest_message_takes_end_the_decoding() {
        for (reads, is_enough) in [(5, true), (6, true), (3, false), (0, false)] {
            let bytes = wire(7, &3i32.to_be_bytes(), &[1, 2, 3]);
            let mut reader = Sceptical {
                reads_left: reads,
                ..Sceptical::new(bytes, Trust::Fixed)
            };
            let decoded = Message::decode(&mut reader, FIXED);
            assert_eq!(decoded.is_ok(), is_enough, "{reads} reads");
        }
    }

    #[test]
    fn no_lie_about_a_count_reaches_the_decoder() {
        for plain in [0, 1, i32::MAX] {
            for count in [4, 100, 1 << 20, i32::MAX] {
                let mut fixed = wire(plain, &count.to_be_bytes(), &[1, 2, 3]);
                assert!(decode::<Message>(&mut fixed, FIXED, false).is_err(), "{count}");
            }
            for count in [
                &[5][..],
                &[0x7f],
                &[0x80, 1],
                &[0xff; 5],
                &[0xff, 0xff, 0xff, 0xff, 7],
                &[0xff, 0xff],
            ] {
                let mut flexible = wire(plain, count, &[1, 2, 3]);
                assert!(
                    decode::<Message>(&mut flexible, FLEXIBLE, true).is_err(),
                    "{count:?}"
                );
            }
        }
    }
}
