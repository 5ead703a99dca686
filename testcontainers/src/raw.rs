//! Builds requests byte by byte that no client library sends, and reads the answers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The time limit for an answer or for the end of a connection.
const LIMIT: Duration = Duration::from_secs(20);

/// A request, or a part of a request, under construction. Every number is big-endian.
#[derive(Clone, Debug, Default)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// Begins with a request header of version 1, with a client id and the correlation id 7.
    pub fn request(api_key: i16, version: i16) -> Self {
        Self::default().i16(api_key).i16(version).i32(7).string("raw")
    }

    /// One byte.
    pub fn i8(mut self, value: i8) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Two bytes.
    pub fn i16(mut self, value: i16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Four bytes.
    pub fn i32(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Two bytes of length, then the text.
    pub fn string(self, text: &str) -> Self {
        let mut longer = self.i16(text.len() as i16);
        longer.0.extend(text.as_bytes());
        longer
    }

    /// Four bytes of length, then the bytes.
    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.i32(bytes.len() as i32).plain(bytes)
    }

    /// The bytes without a length.
    pub fn plain(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

/// A connection to a broker.
pub struct Raw(TcpStream);

impl Raw {
    /// Connects to `HOST:PORT`.
    pub async fn connect(address: &str) -> Result<Self> {
        Ok(Self(TcpStream::connect(address).await?))
    }

    /// Sends bytes as they are. It is no failure if the broker has closed the connection: see [`Self::answer`].
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// Sends a request in a frame.
    pub async fn request(&mut self, request: &Bytes) {
        self.send(&Bytes::default().bytes(&request.0).0).await;
    }

    /// The next response without its size, or `None` if the broker closed the connection instead.
    pub async fn answer(&mut self) -> Result<Option<Vec<u8>>> {
        let answer = tokio::time::timeout(LIMIT, self.read());
        answer.await.context("neither an answer nor the end")?
    }

    async fn read(&mut self) -> Result<Option<Vec<u8>>> {
        let mut size = [0; 4];
        // If the broker has not read all bytes when it closes, the system sends a reset. So an error here also means a
        // close.
        if self.0.read_exact(&mut size).await.is_err() {
            return Ok(None);
        }
        let size = i32::from_be_bytes(size);
        ensure!((0..10_000_000).contains(&size), "an answer of {size} bytes");
        let mut answer = vec![0; size as usize];
        self.0.read_exact(&mut answer).await?;
        Ok(Some(answer))
    }
}

/// The 16-bit number at position `at` of an answer: an error code.
pub fn i16_at(answer: &[u8], at: usize) -> Result<i16> {
    let bytes = answer.get(at..at + 2).context("the answer is too short")?;
    Ok(i16::from_be_bytes([bytes[0], bytes[1]]))
}
