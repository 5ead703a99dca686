//! Owns the stream of one connection: plain, or within TLS. Only this file and `stream` know which. Kafka 3.9:
//! `TransportLayer`, `PlaintextTransportLayer`, `SslTransportLayer`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::stream;
use crate::protocol::Chunk;
use crate::protocol::frame::FrameBuffer;

/// A TCP connection, plain or within TLS.
pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The half of a transport that is read.
pub(super) type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
/// The half of a transport that is written.
pub(super) type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

impl Transport {
    /// The server's side of a TLS handshake. If it fails, the client has been sent an alert.
    pub(super) async fn accept(stream: TcpStream, config: Arc<rustls::ServerConfig>) -> io::Result<Self> {
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        Ok(Self::Tls(Box::new(stream.into())))
    }

    /// The client's side of a TLS handshake.
    pub(super) async fn connect(
        stream: TcpStream,
        config: Arc<rustls::ClientConfig>,
        host: &str,
    ) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok(Self::Tls(Box::new(stream.into())))
    }

    /// The certificates that the peer has proved to own, its own first.
    pub(super) fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.peer_certificates(),
        }
    }

    /// Waits for bytes and adds the available ones to `frames`. Returns 0 at the end of the stream. The future may be
    /// dropped at any time without losing a byte.
    pub(super) async fn read_some(&mut self, frames: &mut FrameBuffer) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream::read_some(stream, frames).await,
            Self::Tls(stream) => stream::read_some(&mut **stream, frames).await,
        }
    }

    /// Writes chunks one after another. Fails if the peer accepts no byte for `patience`. If it fails or is dropped
    /// early, the transport must not be used again.
    pub(super) async fn write_chunks(&mut self, chunks: Vec<Chunk>, patience: Duration) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream::write_chunks(stream, chunks, patience).await,
            Self::Tls(stream) => stream::write_chunks_encrypted(stream, chunks, patience).await,
        }
    }

    /// Both halves, to be used at the same time.
    pub(super) fn split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Plain(stream) => {
                let (read, write) = stream.into_split();
                (Box::new(read), Box::new(write))
            }
            Self::Tls(stream) => {
                let (read, write) = tokio::io::split(*stream);
                (Box::new(read), Box::new(write))
            }
        }
    }
}
