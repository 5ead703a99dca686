//! A TCP proxy that breaks connections, or loses answers, on command.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Real;
use crate::zk::session::{ZkOptions, ZkSession};

/// What the proxy between the session and ZooKeeper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Requests arrive, answers are lost.
    Mute,
    /// Connections break and new ones are refused.
    Cut,
}

/// A proxy in front of ZooKeeper.
pub struct Proxy {
    way: watch::Sender<Way>,
    /// How many connections there are.
    connections: watch::Sender<usize>,
    options: ZkOptions,
}

impl Proxy {
    /// A proxy from a port of its own to the ZooKeeper of `real`.
    pub async fn before(real: &Real) -> Self {
        let (servers, chroot) = real.connect.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (way, cut) = watch::channel(Way::Open);
        let (connections, _) = watch::channel(0);
        let count = connections.clone();
        let servers = servers.to_owned();
        let options = ZkOptions {
            connect: format!("127.0.0.1:{port}/{chroot}"),
            ..real.options()
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *cut.borrow() == Way::Cut {
                    continue;
                }
                count.send_modify(|count| *count += 1);
                let forwarding = forward(client, servers.clone(), cut.clone());
                let count = count.clone();
                tokio::spawn(async move {
                    forwarding.await;
                    count.send_modify(|count| *count -= 1);
                });
            }
        });
        Self {
            way,
            connections,
            options,
        }
    }

    /// A session through this proxy.
    pub async fn connect(&self) -> ZkSession {
        ZkSession::connect(self.options.clone()).await.unwrap()
    }

    /// Sets what the proxy does from now on.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Breaks every connection; returns when they are broken.
    pub async fn cut(&self) {
        self.set(Way::Cut);
        self.connections
            .subscribe()
            .wait_for(|count| *count == 0)
            .await
            .unwrap();
    }
}

async fn forward(mut client: TcpStream, servers: String, way: watch::Receiver<Way>) {
    let mut cut = way.clone();
    let Ok(mut server) = TcpStream::connect(servers).await else {
        return;
    };
    let (mut up, mut down) = ([0; 4096], [0; 4096]);
    loop {
        let sent = tokio::select! {
            _ = async { drop(cut.wait_for(|way| *way == Way::Cut).await) } => return,
            n = client.read(&mut up) => match n {
                Ok(n) if n > 0 => server.write_all(&up[..n]).await,
                _ => return,
            },
            n = server.read(&mut down) => match n {
                Ok(_) if *way.borrow() != Way::Open => Ok(()),
                Ok(n) if n > 0 => client.write_all(&down[..n]).await,
                _ => return,
            },
        };
        if sent.is_err() {
            return;
        }
    }
}
