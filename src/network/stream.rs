//! Reads frames as they arrive and writes whole frames, for server and client connections.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::pin::{Pin, pin};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rustix::io::Errno;
use rustix::net::SendFlags;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;

use crate::common::file_range::FileRange;
use crate::protocol::Chunk;
use crate::protocol::frame::FrameBuffer;

/// The maximum that one call sends from a file, so that a large response does not block other tasks.
const SENDFILE_BYTES: usize = 1 << 20;

/// The maximum that is read of a frame before its memory is reserved.
const FIRST_BYTES: usize = 8 * 1024;

/// A response up to this size is built in memory and sent in one call.
const SMALL_BYTES: usize = 16 * 1024;

/// Waits for bytes and adds the available bytes to `frames`. Returns 0 at the end of the stream. The future may be
/// dropped at any time without losing a byte. A frame's memory is reserved when its first bytes have arrived. If a read
/// does not fill the buffer, the socket is empty, so no further system call is needed to detect that.
pub(super) async fn read_some(stream: &mut ReadHalf<'_>, frames: &mut FrameBuffer) -> io::Result<usize> {
    poll_fn(|context| {
        if !frames.is_empty() {
            return pin!(stream.read_buf(frames.with_room())).poll(context);
        }
        let mut first = [MaybeUninit::uninit(); FIRST_BYTES];
        let mut first = ReadBuf::uninit(&mut first);
        ready!(Pin::new(&mut *stream).poll_read(context, &mut first))?;
        frames.extend(first.filled());
        Poll::Ready(Ok(first.filled().len()))
    })
    .await
}

/// Writes chunks one after another; uses `sendfile` for chunks in files. Fails if the peer accepts no byte for
/// `patience`. If it fails or is dropped early, the stream must not be used again.
pub(super) async fn write_chunks(
    stream: &TcpStream,
    chunks: Vec<Chunk>,
    patience: Duration,
) -> io::Result<()> {
    let mut chunks = join_if_small(chunks)?
        .into_iter()
        .filter(|chunk| !chunk.is_empty())
        .peekable();
    while let Some(mut chunk) = chunks.next() {
        let more = chunks.peek().is_some();
        while !chunk.is_empty() {
            // A task must yield to others even if its socket is always ready.
            tokio::task::coop::consume_budget().await;
            match stream.try_io(Interest::WRITABLE, || send(stream, &mut chunk, more)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let writable = tokio::time::timeout(patience, stream.writable());
                    writable.await.map_err(|_| io::ErrorKind::TimedOut)??;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Joins small chunks. For a few bytes of a file, one read is cheaper than a system call for each chunk around them.
fn join_if_small(chunks: Vec<Chunk>) -> io::Result<Vec<Chunk>> {
    let size: usize = chunks.iter().map(Chunk::len).sum();
    if chunks.len() < 2 || size > SMALL_BYTES {
        return Ok(chunks);
    }
    let mut joined = BytesMut::with_capacity(size);
    for chunk in chunks {
        match chunk {
            Chunk::Bytes(bytes) => joined.extend_from_slice(&bytes),
            Chunk::File(range) => {
                let start = joined.len();
                joined.resize(start + range.length, 0);
                range.file.read_exact_at(&mut joined[start..], range.position)?;
            }
        }
    }
    Ok(vec![Chunk::Bytes(joined.freeze())])
}

/// Sends a part of `chunk` and removes it from the front. With `more`, the last bytes may wait for the next chunk, so
/// that a header and the records after it share a packet.
fn send(stream: &TcpStream, chunk: &mut Chunk, more: bool) -> io::Result<()> {
    match chunk {
        Chunk::Bytes(bytes) => {
            let mut flags = SendFlags::NOSIGNAL;
            flags.set(SendFlags::MORE, more);
            bytes.advance(rustix::net::send(stream.as_fd(), bytes, flags)?);
        }
        Chunk::File(range) => {
            let sent = send_file(stream, range)?;
            range.position += sent as u64;
            range.length -= sent;
        }
    }
    Ok(())
}

fn send_file(stream: &TcpStream, range: &FileRange) -> io::Result<usize> {
    let mut position = range.position;
    let count = range.length.min(SENDFILE_BYTES);
    match rustix::fs::sendfile(stream.as_fd(), &range.file, Some(&mut position), count) {
        // The length of the frame is already sent, so the only way to report the error is to close the connection.
        Ok(0) => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the file is shorter than what was promised of it",
        )),
        Ok(sent) => Ok(sent),
        Err(Errno::AGAIN) => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error.into()),
    }
}
