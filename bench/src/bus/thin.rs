//! The thinnest client of NATS: lines written and read, nothing else. What it costs is the floor.

use std::cell::Cell;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;

/// What the server may send at a time before we take it.
const READ_BYTES: usize = 1 << 16;

/// The half that sends. Whoever has a batch writes it at once.
pub(crate) struct Writer {
    half: Mutex<OwnedWriteHalf>,
    /// The server waits for a sign of life.
    pinged: Cell<bool>,
}

/// The half that hears.
pub(crate) struct Reader {
    half: BufReader<OwnedReadHalf>,
    line: String,
    payload: Vec<u8>,
}

/// A message.
#[derive(Clone, Copy)]
pub(crate) struct Heard<'a> {
    pub(crate) subject: &'a str,
    pub(crate) payload: &'a [u8],
}

/// Connects, as a user without a name.
pub(crate) async fn connect(server: SocketAddr) -> Result<(Writer, Reader)> {
    let stream = TcpStream::connect(server).await;
    let stream = stream.with_context(|| format!("cannot connect to {server}"))?;
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let writer = Writer {
        half: Mutex::new(write),
        pinged: Cell::new(false),
    };
    let reader = Reader {
        half: BufReader::with_capacity(READ_BYTES, read),
        line: String::new(),
        payload: Vec::new(),
    };
    let hello = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n";
    writer.write(hello.as_bytes()).await?;
    Ok((writer, reader))
}

/// Appends a message.
pub(crate) fn put(out: &mut Vec<u8>, subject: &str, reply: Option<&str>, payload: &[u8]) {
    out.extend_from_slice(b"PUB ");
    out.extend_from_slice(subject.as_bytes());
    if let Some(reply) = reply {
        out.push(b' ');
        out.extend_from_slice(reply.as_bytes());
    }
    out.push(b' ');
    out.extend_from_slice(payload.len().to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

impl Writer {
    /// Writes lines, and answers a ping that has come.
    pub(crate) async fn write(&self, lines: &[u8]) -> Result<()> {
        let mut half = self.half.lock().await;
        if self.pinged.take() {
            half.write_all(b"PONG\r\n").await?;
        }
        half.write_all(lines).await?;
        Ok(())
    }
}

impl Reader {
    /// Waits for the next message. Not cancel-safe.
    pub(crate) async fn next(&mut self, writer: &Writer) -> Result<Heard<'_>> {
        loop {
            self.line.clear();
            if self.half.read_line(&mut self.line).await? == 0 {
                bail!("the server closed the connection");
            }
            if self.line.starts_with("MSG ") {
                break;
            }
            match self.line.trim_end() {
                "PING" => {
                    writer.pinged.set(true);
                    writer.write(b"").await?;
                }
                "PONG" => {}
                line if line.starts_with("INFO ") => {}
                line => bail!("the server says {line:?}"),
            }
        }
        let mut words = self.line.split_ascii_whitespace().skip(1);
        let subject = words.next().context("a message without a subject")?;
        let bytes = words.last().context("a message without a length")?;
        let bytes: usize = bytes.parse().context("a message's length")?;
        // Its line ends after it.
        self.payload.resize(bytes + 2, 0);
        self.half.read_exact(&mut self.payload).await?;
        Ok(Heard {
            subject,
            payload: &self.payload[..bytes],
        })
    }
}
