//! The smallest HTTP client: one GET, for health, metrics and monitoring.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take. A process that is paused accepts and does not answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Status and body.
///
/// # Errors
/// When nobody answers within 2 s, or not in HTTP.
pub async fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let answer = timeout(ANSWER_MAX, exchange(address, path)).await;
    let answer = answer.with_context(|| format!("{address}{path} did not answer"))??;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("{address}{path} did not answer in HTTP"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("{address}{path} answered without a status"))?;
    Ok((status, body.to_owned()))
}

/// The JSON body of an answer, whatever its status.
///
/// # Errors
/// As [`get`], and when the body is no JSON.
pub async fn get_json(address: SocketAddr, path: &str) -> Result<Value> {
    let (status, body) = get(address, path).await?;
    serde_json::from_str(&body)
        .with_context(|| format!("{address}{path} answered {status} without JSON"))
}

async fn exchange(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // 1.0: the answer ends with the connection and comes in one piece.
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8(answer)?)
}
