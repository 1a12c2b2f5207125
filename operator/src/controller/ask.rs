//! What pods say of themselves: they are asked over HTTP, within the cluster.

use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use wire::api::FeedReport;

use crate::build::names::{ADMIN_PORT, CONNECTIONS_METRIC};

/// How long a pod is waited for: few feeds are looked at at one time, and one whose pods do not answer holds up others.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// The largest answer that is taken: 10,000 instruments of some 500 bytes.
const BODY_MAX: usize = 16 << 20;

/// 1 while the bus can be used.
const BUS_METRIC: &str = "broker_ready";

/// What a process of a shard says that it is, as far as it matters here: `GET /admin/shard`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ShardAnswer {
    /// `active` and `taking` for an owner.
    pub role: String,
    /// The number by which it has taken the shard, if it has.
    #[serde(default)]
    pub claim: Option<u64>,
    /// The assignment that it has read, if it has.
    #[serde(default)]
    pub generation: Option<u64>,
    /// How many instruments it publishes.
    #[serde(default)]
    pub owned: Option<u64>,
    /// And how many it has that others are to take.
    #[serde(default)]
    pub leaving: Option<u64>,
}

/// Asks pods. Each answer is `None` where a pod does not give it in time.
#[async_trait]
pub trait Ask: Send + Sync {
    /// What the gateway at this address hears.
    async fn feed(&self, address: &str) -> Option<FeedReport>;

    /// What the process at this address is to its shard.
    async fn shard(&self, address: &str) -> Option<ShardAnswer>;

    /// How many clients the gateway at this address has.
    async fn connections(&self, address: &str) -> Option<u64>;

    /// Whether the gateway at this address has a connection to NATS.
    async fn bus_ready(&self, address: &str) -> Option<bool>;
}

/// Over the network.
#[derive(Debug, Clone, Copy)]
pub struct HttpAsk;

#[async_trait]
impl Ask for HttpAsk {
    async fn feed(&self, address: &str) -> Option<FeedReport> {
        let body = get(address, "/admin/feed", ANSWER_MAX).await?;
        understood(address, serde_json::from_slice(&body))
    }

    async fn shard(&self, address: &str) -> Option<ShardAnswer> {
        let body = get(address, "/admin/shard", ANSWER_MAX).await?;
        understood(address, serde_json::from_slice(&body))
    }

    async fn connections(&self, address: &str) -> Option<u64> {
        let body = get(address, "/metrics", ANSWER_MAX).await?;
        gauge(&String::from_utf8_lossy(&body), CONNECTIONS_METRIC)
    }

    async fn bus_ready(&self, address: &str) -> Option<bool> {
        let body = get(address, "/metrics", ANSWER_MAX).await?;
        gauge(&String::from_utf8_lossy(&body), BUS_METRIC).map(|ready| ready > 0)
    }
}

fn understood<T>(address: &str, answer: serde_json::Result<T>) -> Option<T> {
    answer
        .inspect_err(|error| tracing::debug!(address, %error, "a pod's answer is not understood"))
        .ok()
}

/// A gauge without labels, of a text in the `OpenMetrics` format.
fn gauge(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

async fn get(address: &str, path: &str, within: Duration) -> Option<Bytes> {
    match tokio::time::timeout(within, fetch(address, path)).await {
        Ok(Ok(body)) => Some(body),
        Ok(Err(error)) => {
            tracing::debug!(address, path, error, "a pod does not answer");
            None
        }
        Err(_) => None,
    }
}

async fn fetch(
    address: &str,
    path: &str,
) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    // An address of version 6 has colons of its own.
    let host = if address.contains(':') {
        format!("[{address}]:{ADMIN_PORT}")
    } else {
        format!("{address}:{ADMIN_PORT}")
    };
    let stream = TcpStream::connect(&host).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = hyper::Request::get(path)
        .header("host", &host)
        .body(Empty::<Bytes>::new())?;
    let answer = async move {
        let response = sender.send_request(request).await?;
        if !response.status().is_success() {
            return Err(format!("status {}", response.status()).into());
        }
        let body = Limited::new(response.into_body(), BODY_MAX).collect();
        Ok(body.await?.to_bytes())
    };
    // The connection is driven by whoever waits for the answer, and ends with it.
    tokio::select! {
        answer = answer => answer,
        ended = connection => Err(ended.err().map_or_else(|| "it hung up".into(), Into::into)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_read_by_its_whole_name() {
        let text = "# TYPE ws_connections gauge\nws_connections_max 9\nws_connections 42\nws_connections{a=\"b\"} 7\n# EOF\n";
        assert_eq!(gauge(text, "ws_connections"), Some(42));
        assert_eq!(gauge(text, "ws"), None);
        assert_eq!(gauge("ws_connections -1\n", "ws_connections"), None);
    }

    /// As `marketdata/src/process/view.rs` writes it, and with more fields some day.
    #[test]
    fn a_shards_answer_is_understood() {
        let of = |text: &str| serde_json::from_str::<ShardAnswer>(text).unwrap();
        let owner = of(
            r#"{"instance":"p-1","shard":0,"role":"active","lease_held":true,"claim":7,"new":{}}"#,
        );
        assert_eq!((&owner.role[..], owner.claim), ("active", Some(7)));
        assert_eq!(of(r#"{"role":"waiting","claim":null}"#).claim, None);
    }
}
