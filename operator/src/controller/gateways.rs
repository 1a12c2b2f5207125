//! What gateways hear: one of them is asked, over HTTP, within the cluster.

use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use wire::api::FeedReport;

use crate::build::names::ADMIN_PORT;

/// How long one is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// The largest answer that is taken: 10,000 instruments of some 500 bytes.
const BODY_MAX: usize = 16 << 20;

/// Asks a gateway what it hears.
#[async_trait]
pub trait Ask: Send + Sync {
    /// What the one at this address hears; `None` where it does not say so in time.
    async fn ask(&self, address: &str) -> Option<FeedReport>;
}

/// Over the network.
#[derive(Debug, Clone, Copy)]
pub struct HttpAsk;

#[async_trait]
impl Ask for HttpAsk {
    async fn ask(&self, address: &str) -> Option<FeedReport> {
        match tokio::time::timeout(ANSWER_MAX, get(address)).await {
            Ok(Ok(report)) => Some(report),
            Ok(Err(error)) => {
                tracing::debug!(address, error, "a gateway does not say what it hears");
                None
            }
            Err(_) => None,
        }
    }
}

async fn get(address: &str) -> Result<FeedReport, Box<dyn std::error::Error + Send + Sync>> {
    // An address of version 6 has colons of its own.
    let host = if address.contains(':') {
        format!("[{address}]:{ADMIN_PORT}")
    } else {
        format!("{address}:{ADMIN_PORT}")
    };
    let stream = TcpStream::connect(&host).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = hyper::Request::get("/admin/feed")
        .header("host", &host)
        .body(Empty::<Bytes>::new())?;
    let answer = async move {
        let response = sender.send_request(request).await?;
        if !response.status().is_success() {
            return Err(format!("status {}", response.status()).into());
        }
        let body = Limited::new(response.into_body(), BODY_MAX)
            .collect()
            .await?
            .to_bytes();
        Ok(serde_json::from_slice(&body)?)
    };
    // The connection is driven by whoever waits for the answer, and ends with it.
    tokio::select! {
        answer = answer => answer,
        ended = connection => Err(ended.err().map_or_else(|| "it hung up".into(), Into::into)),
    }
}
