//! Serves the metrics for Prometheus: `GET /metrics` over HTTP/1.1, one request per connection. Kafka has no such
//! listener; its users load an exporter into the JVM instead.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Registry;

/// The maximum number of connections at one time; further ones are closed at once.
const CONNECTIONS_MAX: usize = 16;
/// The maximum length of a request's head; longer requests are refused.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// The time that a client has to send its request, and again to read the response.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after the operating system failed to accept a connection.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// A bound listener.
pub struct MetricsServer {
    listener: TcpListener,
}

impl MetricsServer {
    /// Binds to `host:port`.
    pub async fn bind(address: &str) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
        })
    }

    /// The address on which the server listens.
    pub fn address(&self) -> io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves the metrics in the registry until `stop` is cancelled.
    pub async fn run(self, registry: Registry, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a scrape");
                    sleep(ACCEPT_BACKOFF).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                continue;
            };
            let (registry, stop) = (registry.clone(), stop.clone());
            tokio::spawn(async move {
                // An error means that the scraper has closed the connection; nothing needs to be done.
                let _ = stop.run_until_cancelled(serve(stream, &registry)).await;
                drop(place);
            });
        }
    }
}

async fn serve(mut stream: TcpStream, registry: &Registry) -> io::Result<()> {
    let head = timeout(PATIENCE, read_head(&mut stream)).await??;
    let response = match head.as_deref().map(route) {
        Some(Route::Metrics) => response(
            "200 OK",
            "text/plain; version=0.0.4; charset=utf-8",
            &registry.exposition(),
        ),
        Some(Route::Elsewhere) => response("404 Not Found", "text/plain", "the metrics are at /metrics\n"),
        Some(Route::OtherMethod) => response("405 Method Not Allowed", "text/plain", "only GET\n"),
        None => response("400 Bad Request", "text/plain", "not an HTTP request\n"),
    };
    timeout(PATIENCE, async {
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await
    })
    .await?
}

/// The head of a request, up to its empty line; `None` if it is too long or ends early.
async fn read_head(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX || stream.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

enum Route {
    Metrics,
    Elsewhere,
    OtherMethod,
}

fn route(head: &[u8]) -> Route {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    match (method, path) {
        (b"GET", b"/metrics") => Route::Metrics,
        (b"GET", _) => Route::Elsewhere,
        _ => Route::OtherMethod,
    }
}

fn response(status: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::super::MetricName;
    use super::*;

    async fn ask(address: std::net::SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server answers a request that is too long, and closes the connection, before it has read everything.
        let _ = stream.write_all(request).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn a_scrape_gets_the_metrics_and_nothing_else_does() {
        let registry = Registry::default();
        registry.gauge(
            MetricName::new("kafka.server", "KafkaServer", "BrokerState"),
            || 3.0,
        );
        let server = MetricsServer::bind("127.0.0.1:0").await.unwrap();
        let address = server.address().unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(server.run(registry, stop.clone()));
        let answer = ask(address, b"GET /metrics?x=1 HTTP/1.1\r\nHost: here\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n# TYPE kafka_server_kafkaserver_brokerstate gauge\nkafka_server_kafkaserver_brokerstate 3\n"));
        for (request, status) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"\x16\x03\x01", "400"),
            (&[b'a'; HEAD_BYTES_MAX], "400"),
        ] {
            let answer = ask(address, request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn connections_are_bounded() {
        let server = MetricsServer::bind("127.0.0.1:0").await.unwrap();
        let address = server.address().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(server.run(Registry::default(), stop.clone()));
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        assert_eq!(ask(address, b"GET /metrics HTTP/1.1\r\n\r\n").await, "");
        stop.cancel();
    }
}
