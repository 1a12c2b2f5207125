//! The smallest NATS client: one request and its answer, on a connection of its own. For tests of the harness, and for
//! looking at JetStream from outside the product.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A request to `subject`, as a user without a name; the JSON of the answer.
///
/// # Errors
/// When nobody answers within 5 s, the server refuses, or the answer is no JSON.
pub async fn request(server: SocketAddr, subject: &str, payload: &str) -> Result<Value> {
    let answer = timeout(ANSWER_MAX, exchange(server, subject, payload)).await;
    answer.with_context(|| format!("{server} did not answer on {subject}"))?
}

async fn exchange(server: SocketAddr, subject: &str, payload: &str) -> Result<Value> {
    let mut stream = BufReader::new(TcpStream::connect(server).await?);
    let inbox = format!("_INBOX.{:016x}", fastrand::u64(..));
    let ask = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}}\r\n\
         SUB {inbox} 1\r\nPUB {subject} {inbox} {}\r\n{payload}\r\n",
        payload.len()
    );
    stream.write_all(ask.as_bytes()).await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            bail!("{server} closed the connection");
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["PING"] => stream.write_all(b"PONG\r\n").await?,
            ["-ERR", ..] => bail!("{server} refused: {}", line.trim()),
            ["HMSG", ..] => bail!("nobody answers on {subject}"),
            ["MSG", .., bytes] => {
                let mut body = vec![0; bytes.parse()?];
                stream.read_exact(&mut body).await?;
                return serde_json::from_slice(&body).context("the answer is no JSON");
            }
            _ => {}
        }
    }
}
