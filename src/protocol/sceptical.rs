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
//! What is left to reserve is bounded by the frame's own size times that of an element.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::Decodable;
use kafka_protocol::protocol::buf::ByteBuf;

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
}

/// Decodes a message from the front of `bytes`. `flexible` says how this version of it is written.
pub(super) fn decode<T: Decodable>(bytes: &mut Bytes, version: i16, flexible: bool) -> anyhow::Result<T> {
    let mut reader = Sceptical {
        bytes: bytes.clone(),
        trust: if flexible { Trust::Flexible } else { Trust::Fixed },
        replaced_any: false,
    };
    let mut message = T::decode(&mut reader, version)?;
    if reader.replaced_any {
        reader = Sceptical {
            bytes: bytes.clone(),
            trust: Trust::Checked,
            replaced_any: false,
        };
        message = T::decode(&mut reader, version)?;
    }
    *bytes = reader.bytes;
    Ok(message)
}

impl Sceptical {
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
        self.bytes.try_get_u8()
    }

    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
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
        self.bytes.split_to(size)
    }
}
