//! Frames: a big-endian `i32` length, then that many bytes. The module does no I/O; the owner of a socket passes it the
//! received bytes. Kafka 3.9: `NetworkReceive`.
//!
//! Kafka reserves the memory that a length prefix announces, so 500 connections that announce 50 MB each and send
//! nothing end a broker with a 1 GB heap. Here memory grows with the received bytes: the buffer is never larger than
//! four times the bytes in it, plus one chunk, and a connection that waits for its next frame holds no buffer at all.

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of the length prefix.
pub const LENGTH_BYTES: usize = 4;
/// Space reserved for the first bytes of a frame.
const CHUNK_BYTES: usize = 8 * 1024;
/// Space reserved for the rest of a frame, as a multiple of its received bytes.
const GROWTH: usize = 3;
/// A frame of at least this size takes the buffer with it, and bytes of the next frame are copied out.
const BIG_FRAME_BYTES: usize = 64 * 1024;

/// An invalid length prefix: the connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("frame of {size} bytes where 0 to {max} are allowed")]
pub struct FrameSizeError {
    /// The size in the prefix.
    pub size: i32,
    /// The allowed size (`socket.request.max.bytes`).
    pub max: usize,
}

/// The received bytes of a connection that have not been taken as a frame yet.
pub struct FrameBuffer {
    buffer: BytesMut,
    max_frame_bytes: usize,
}

impl FrameBuffer {
    /// An empty buffer, which holds no memory yet.
    pub fn new(max_frame_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            max_frame_bytes,
        }
    }

    /// Changes the limit, also for a frame of which bytes have already been received.
    pub fn set_max_frame_bytes(&mut self, max_frame_bytes: usize) {
        self.max_frame_bytes = max_frame_bytes;
    }

    /// The announced size of the current frame, if its prefix has been received.
    fn promised(&self) -> Result<Option<usize>, FrameSizeError> {
        let Some(prefix) = self.buffer.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let size = i32::from_be_bytes(*prefix);
        match usize::try_from(size) {
            Ok(length) if length <= self.max_frame_bytes => Ok(Some(length)),
            _ => Err(FrameSizeError {
                size,
                max: self.max_frame_bytes,
            }),
        }
    }

    /// The next frame without its length prefix, or `None` until all of it has been received.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameSizeError> {
        let Some(length) = self.promised()? else {
            return Ok(None);
        };
        let end = LENGTH_BYTES + length;
        if self.buffer.len() < end {
            return Ok(None);
        }
        let rest = if self.buffer.len() == end {
            BytesMut::new()
        } else if length < BIG_FRAME_BYTES {
            self.buffer.split_off(end)
        } else {
            BytesMut::from(&self.buffer[end..])
        };
        let mut frame = std::mem::replace(&mut self.buffer, rest).freeze();
        frame.truncate(end);
        frame.advance(LENGTH_BYTES);
        Ok(Some(frame))
    }

    /// The buffer with space at its end, to which the caller appends bytes from the socket.
    pub fn with_room(&mut self) -> &mut BytesMut {
        let arrived = self.buffer.len();
        if arrived == self.buffer.capacity() {
            let missing = match self.promised() {
                Ok(Some(length)) => (LENGTH_BYTES + length).saturating_sub(arrived),
                _ => 0,
            };
            self.buffer
                .reserve(missing.min(GROWTH * arrived).max(CHUNK_BYTES));
        }
        &mut self.buffer
    }

    /// Adds bytes that were read elsewhere. Reserves no extra space for the first ones, because most frames are small.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether all received bytes have been taken.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    const MAX: usize = 100 << 20;

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as i32).to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    /// Passes bytes like a socket: never more at once than the buffer has space for.
    fn feed(frames: &mut FrameBuffer, mut bytes: &[u8]) -> usize {
        let mut most = 0;
        while !bytes.is_empty() {
            let buffer = frames.with_room();
            most = most.max(buffer.capacity());
            let n = bytes.len().min(buffer.capacity() - buffer.len());
            buffer.put_slice(&bytes[..n]);
            bytes = &bytes[n..];
        }
        most
    }

    #[test]
    fn frames_come_out_however_their_bytes_go_in() {
        let bytes = [frame(b"one"), frame(b""), frame(&[7; 100_000]), frame(b"three")].concat();
        for step in [1, 3, 5000, bytes.len()] {
            let mut frames = FrameBuffer::new(MAX);
            let mut seen = vec![];
            for piece in bytes.chunks(step) {
                feed(&mut frames, piece);
                while let Some(frame) = frames.next_frame().unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(
                seen,
                [&b"one"[..], b"", &[7; 100_000], b"three"],
                "in steps of {step}"
            );
            assert!(frames.is_empty());
        }
    }

    #[test]
    fn a_size_that_cannot_be_is_refused() {
        for size in [-1, i32::MIN, 11] {
            let mut frames = FrameBuffer::new(10);
            feed(&mut frames, &size.to_be_bytes());
            assert_eq!(frames.next_frame(), Err(FrameSizeError { size, max: 10 }));
        }
    }

    #[test]
    fn memory_follows_what_arrives() {
        let mut frames = FrameBuffer::new(MAX);
        assert_eq!(frames.buffer.capacity(), 0);
        feed(&mut frames, &(50i32 << 20).to_be_bytes());
        assert_eq!(frames.next_frame(), Ok(None));
        assert!(frames.with_room().capacity() <= CHUNK_BYTES);
        let most = feed(&mut frames, &vec![0; 1 << 20]);
        assert!(most <= 5 << 20, "{most} bytes reserved for one megabyte");
    }

    #[test]
    fn a_big_frame_takes_its_memory_with_it() {
        let mut frames = FrameBuffer::new(MAX);
        feed(&mut frames, &frame(&vec![1; 8 << 20]));
        feed(&mut frames, &[0, 0]);
        assert_eq!(frames.next_frame().unwrap().unwrap().len(), 8 << 20);
        assert!(frames.buffer.capacity() < CHUNK_BYTES);
        feed(&mut frames, &[0, 1, 9]);
        assert_eq!(frames.next_frame().unwrap().unwrap(), &[9][..]);
        assert_eq!(frames.buffer.capacity(), 0);
    }
}
