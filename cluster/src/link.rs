//! A process's way to a server: a TCP forwarder of its own, which can be cut and healed.
//!
//! While it is cut, connections stay open and carry nothing, and new ones are refused. What was on its way waits and
//! is carried on when the link heals, as packets are sent again after a real partition.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Bytes that one direction takes from a socket before it hands them on.
const PIECE: usize = 64 * 1024;

/// Forwarders of one process to several servers, cut and healed as one. Dropping it ends every connection.
///
/// It forwards on the runtime on which it was made.
#[derive(Debug)]
pub struct Link {
    addresses: Vec<SocketAddr>,
    whole: watch::Sender<bool>,
    /// The listening tasks, each with its connections; they end with this.
    _tasks: JoinSet<()>,
}

impl Link {
    /// Forwarders to these servers, in their order. The servers need not be up.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn to(servers: &[SocketAddr]) -> Result<Self> {
        let (whole, _) = watch::channel(true);
        let mut addresses = Vec::new();
        let mut tasks = JoinSet::new();
        for &server in servers {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let listener = listener.context("a link finds no port")?;
            addresses.push(listener.local_addr()?);
            tasks.spawn(accept(listener, server, whole.subscribe()));
        }
        Ok(Self {
            addresses,
            whole,
            _tasks: tasks,
        })
    }

    /// Where to connect instead of the servers, in their order.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses as a list of NATS URLs, separated by commas.
    #[must_use]
    pub fn nats_urls(&self) -> String {
        let urls = self.addresses.iter().map(|to| format!("nats://{to}"));
        urls.collect::<Vec<_>>().join(",")
    }

    /// From now on nothing passes.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// All that waited passes, and connections are taken again.
    pub fn heal(&self) {
        self.whole.send_replace(true);
    }

    /// Whether it is cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        !*self.whole.borrow()
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, whole: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Without a file for it nobody can be served; the client tries again.
                let Ok((client, _)) = accepted else { continue };
                if *whole.borrow() {
                    connections.spawn(forward(client, server, whole.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries bytes both ways until either side ends.
async fn forward(client: TcpStream, server: SocketAddr, whole: watch::Receiver<bool>) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    // As between two processes without this one: small messages go at once.
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    tokio::select! {
        () = carry(client_in, server_out, whole.clone()) => {}
        () = carry(server_in, client_out, whole.clone()) => {}
    }
}

/// One direction. Neither bytes nor the end pass while the link is cut.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut whole: watch::Receiver<bool>) {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await.unwrap_or(0);
        if whole.wait_for(|whole| *whole).await.is_err() || read == 0 {
            return;
        }
        if to.write_all(&piece[..read]).await.is_err() {
            return;
        }
    }
}
