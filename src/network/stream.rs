//! Reads frames as they arrive and writes whole frames: directly to a socket, or through TLS.

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
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::common::file_range::FileRange;
use crate::protocol::Chunk;
use crate::protocol::frame::FrameBuffer;

/// The maximum that one call sends from a file, so that a large response does not block other tasks.
const SENDFILE_BYTES: usize = 1 << 20;

/// The maximum that is read of a frame before its memory is reserved.
const FIRST_BYTES: usize = 8 * 1024;

/// The maximum that is read of a file before it is encrypted: four records of TLS.
const ENCRYPTED_AT_ONCE_BYTES: usize = 64 * 1024;

/// A response up to this size is built in memory and sent in one call.
const SMALL_BYTES: usize = 16 * 1024;

/// Waits for bytes and adds the available bytes to `frames`. Returns 0 at the end of the stream. The future may be
/// dropped at any time without losing a byte. A frame's memory is reserved when its first bytes have arrived. If a read
/// does not fill the buffer, the socket is empty, so no further system call is needed to detect that.
pub(super) async fn read_some<R: AsyncRead + Unpin>(
    stream: &mut R,
    frames: &mut FrameBuffer,
) -> io::Result<usize> {
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

/// Writes chunks through TLS. The parts of files are read and encrypted piece by piece, so that a large response needs
/// little memory. The rules are those of [`write_chunks`].
pub(super) async fn write_chunks_encrypted<W: AsyncWrite + Unpin>(
    stream: &mut W,
    chunks: Vec<Chunk>,
    patience: Duration,
) -> io::Result<()> {
    let total: usize = chunks.iter().map(Chunk::len).sum();
    let mut piece = Vec::with_capacity(total.min(ENCRYPTED_AT_ONCE_BYTES));
    for mut chunk in chunks {
        while !chunk.is_empty() {
            take_from(&mut chunk, &mut piece)?;
            if piece.len() == ENCRYPTED_AT_ONCE_BYTES {
                write_patiently(stream, &piece, patience).await?;
                piece.clear();
            }
        }
    }
    write_patiently(stream, &piece, patience).await?;
    let flushed = tokio::time::timeout(patience, stream.flush());
    flushed.await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// Moves bytes from the front of `chunk` to the end of `piece`, which may grow to [`ENCRYPTED_AT_ONCE_BYTES`].
fn take_from(chunk: &mut Chunk, piece: &mut Vec<u8>) -> io::Result<()> {
    let count = chunk.len().min(ENCRYPTED_AT_ONCE_BYTES - piece.len());
    match chunk {
        Chunk::Bytes(bytes) => {
            piece.extend_from_slice(&bytes[..count]);
            bytes.advance(count);
        }
        Chunk::File(range) => {
            let start = piece.len();
            piece.resize(start + count, 0);
            range.file.read_exact_at(&mut piece[start..], range.position)?;
            range.position += count as u64;
            range.length -= count;
        }
    }
    Ok(())
}

/// Writes all bytes. Fails if the peer accepts none for `patience`.
async fn write_patiently<W: AsyncWrite + Unpin>(
    stream: &mut W,
    mut bytes: &[u8],
    patience: Duration,
) -> io::Result<()> {
    while !bytes.is_empty() {
        // A task must yield to others even if its socket is always ready.
        tokio::task::coop::consume_budget().await;
        let written = tokio::time::timeout(patience, stream.write(bytes));
        match written.await.map_err(|_| io::ErrorKind::TimedOut)?? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => bytes = &bytes[written..],
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
