//! What server and client connections have in common: reading frames as they arrive, writing all of something.

use std::io;

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::protocol::frame::FrameBuffer;

/// Waits for bytes and adds what is there to `frames`; 0 at the end of the stream. May be dropped at any time
/// without losing a byte. Memory is reserved only once there is something to read.
pub(super) async fn read_some(stream: &TcpStream, frames: &mut FrameBuffer) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        match stream.try_read_buf(frames.with_room()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => frames.release_if_empty(),
            result => return result,
        }
    }
}

/// Writes all of `bytes`. If dropped before it is done, the stream is good for nothing.
pub(super) async fn write_all(stream: &TcpStream, mut bytes: Bytes) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(&bytes) {
            Ok(written) => drop(bytes.split_to(written)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
