//! Decoding that believes no count it cannot check. Kafka 3.9: the remaining-bytes checks of generated messages.
//!
//! The crate kafka-protocol reserves memory for an array from the count on the wire before it reads the first
//! element, so twelve bytes that claim 2^31 elements would abort the process. It reads through the trait
//! `ByteBuf`, however, and so the bytes can be looked at between the wire and the crate. An honest count never
//! exceeds the number of bytes behind it, since no element is empty.
//!
//! - *Flexible versions* write every count and length as a varint of single-byte reads and every plain number
//!   otherwise, so a varint greater than the bytes behind it is a lie and ends the decoding. (Only numbers of
//!   unknown tagged fields are held to that rule without need; no client sends such numbers.)
//! - *Older versions* read counts and plain numbers alike as `i32`. A number greater than the bytes behind it
//!   is replaced by one more than those bytes. If it was a plain number, decoding goes on as before and the
//!   message is decoded a second time with the true numbers; if it was a count, the bytes run out before
//!   the elements do, and decoding ends there.
//!
//! What is left to reserve is bounded by the frame's own size times that of an element, and untouched. What is
//! touched is bounded by a number of reads that no honest request comes near: otherwise a hundred megabytes of
//! empty names would become several gigabytes of structs.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::Decodable;
use kafka_protocol::protocol::buf::ByteBuf;

/// Reads of a number, text or bytes in one message. UpdateMetadata for the 200 000 partitions that Kafka
/// recommends at most for a cluster takes some four million.
const MAX_READS: u32 = 10_000_000;

/// How far the reader trusts the numbers it passes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Varints are checked; an `i32` is never a count.
    Flexible,
    /// Every `i32` may be a count.
    Fixed,
    /// A first pass has found every count possible.
    Checked,
}

struct Sceptical {
    bytes: Bytes,
    trust: Trust,
    replaced_any: bool,
    reads_left: u32,
}

/// Decodes a message from the front of `bytes`. `flexible` says how this version of it is written.
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

    /// Counts a read. After too many there is nothing more to read, so that the next one fails.
    fn count_read(&mut self) {
        match self.reads_left.checked_sub(1) {
            Some(left) => self.reads_left = left,
            None => self.bytes.clear(),
        }
    }

    /// The varint that may begin at the next byte, and the number of bytes behind it.
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
        // One byte alone says at most 127: too little to do harm, and it may be a boolean.
        if self.trust == Trust::Flexible && self.bytes.first().is_some_and(|&byte| byte >= 0x80) {
            let (value, behind) = self.peek_varint();
            // Compact counts and lengths are written one too high; 0 stands for null.
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

    /// Reads as generated code does: a plain number, a count, so many elements. Panics where that would
    /// reserve more memory than there are bytes.
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
