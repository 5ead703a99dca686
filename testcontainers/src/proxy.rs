//! A listener between brokers that can stop forwarding the bytes of one broker, as a broken network does: connections
//! stay open, but no bytes arrive.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Forwards connections to one broker's port. Dropping this ends the connections.
pub struct Proxy {
    /// The proxy's port on 127.0.0.1.
    pub port: u16,
    cut: Arc<Mutex<BTreeSet<i32>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Accepts connections and forwards them to `127.0.0.1:target`.
    pub async fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let cut = Arc::new(Mutex::new(BTreeSet::new()));
        let rules = cut.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let rules = rules.clone();
                connections.spawn(async move {
                    // The peers notice a failed connection themselves.
                    let _ = forward(client, target, &rules).await;
                });
            }
        });
        Ok(Self { port, cut, task })
    }

    /// Stops forwarding requests from the fetchers of this broker and the responses to them.
    pub fn cut(&self, broker: i32) {
        self.cut.lock().expect("no holder panics").insert(broker);
    }

    /// Forwards everything again.
    pub fn heal(&self) {
        self.cut.lock().expect("no holder panics").clear();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(mut client: TcpStream, target: u16, cut: &Mutex<BTreeSet<i32>>) -> Result<()> {
    let mut first = vec![0; 4];
    client.read_exact(&mut first).await?;
    let size = u32::from_be_bytes(first[..4].try_into()?) as usize;
    first.resize(4 + size.min(64 * 1024), 0);
    client.read_exact(&mut first[4..]).await?;
    let fetcher = fetching_broker(&first[4..]);
    let mut server = TcpStream::connect(("127.0.0.1", target)).await?;
    let open = || fetcher.is_none_or(|broker| !cut.lock().expect("no holder panics").contains(&broker));
    wait_until(open).await;
    server.write_all(&first).await?;
    let (mut client_reads, mut client_writes) = client.split();
    let (mut server_reads, mut server_writes) = server.split();
    tokio::select! {
        end = copy(&mut client_reads, &mut server_writes, open) => end,
        end = copy(&mut server_reads, &mut client_writes, open) => end,
    }
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    open: impl Fn() -> bool + Copy,
) -> Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        wait_until(open).await;
        to.write_all(&buffer[..read]).await?;
    }
}

async fn wait_until(open: impl Fn() -> bool) {
    while !open() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The broker id of a fetcher, taken from the client id of its first request: `broker-2-fetcher-0` belongs to broker 2.
fn fetching_broker(request: &[u8]) -> Option<i32> {
    // API key, API version, correlation id, then the client id with its length.
    let length = u16::from_be_bytes(request.get(8..10)?.try_into().ok()?) as usize;
    let client_id = std::str::from_utf8(request.get(10..10 + length)?).ok()?;
    client_id
        .strip_prefix("broker-")?
        .split_once("-fetcher-")?
        .0
        .parse()
        .ok()
}

/// The configuration of a broker behind a proxy: other brokers reach it through `proxy`, which forwards to port
/// `peers`; clients reach it directly at port `clients`.
pub fn listeners(clients: u16, peers: u16, proxy: &Proxy) -> [(&'static str, String); 4] {
    let here = |name: &str, port: u16| format!("{name}://127.0.0.1:{port}");
    let all = |peers: u16| [here("CLIENTS", clients), here("PEERS", peers)].join(",");
    [
        ("listeners", all(peers)),
        ("advertised.listeners", all(proxy.port)),
        (
            "listener.security.protocol.map",
            "CLIENTS:PLAINTEXT,PEERS:PLAINTEXT".to_owned(),
        ),
        ("inter.broker.listener.name", "PEERS".to_owned()),
    ]
}
