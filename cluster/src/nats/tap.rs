//! The smallest NATS client: a connection that listens, and shows messages as they are on the wire. The product's own
//! client would hide whether a message has headers at all.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection may take to stand.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// One message as the server sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMessage {
    /// What it was published to.
    pub subject: String,
    /// The header block from `NATS/1.0` on (`HMSG`); none for a message without (`MSG`).
    pub headers: Option<String>,
    /// The rest.
    pub payload: Vec<u8>,
}

impl RawMessage {
    /// A header's value; its name is compared without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.headers.as_deref()?.lines();
        let mut pairs = lines.filter_map(|line| line.split_once(':'));
        let found = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }
}

/// A connection that hears all that is published to some subjects.
#[derive(Debug)]
pub struct Tap {
    server: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Tap {
    /// Listens to subjects, wildcards allowed, as a user without a name. What is published at this server after the
    /// return is heard.
    ///
    /// # Errors
    /// When the server does not take it within 5 s.
    pub async fn open(server: SocketAddr, subjects: &[&str]) -> Result<Self> {
        let opened = timeout(CONNECT_MAX, Self::connect(server, subjects)).await;
        opened.with_context(|| format!("{server} took no subscription"))?
    }

    async fn connect(server: SocketAddr, subjects: &[&str]) -> Result<Self> {
        let mut tap = Self {
            server,
            stream: BufReader::new(TcpStream::connect(server).await?),
        };
        let mut ask = String::from(
            "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n",
        );
        for (number, subject) in (1..).zip(subjects) {
            ask += &format!("SUB {subject} {number}\r\n");
        }
        ask += "PING\r\n";
        tap.stream.write_all(ask.as_bytes()).await?;
        // The server does one after another: its PONG says that it has the subscriptions.
        while tap.line().await? != "PONG" {}
        Ok(tap)
    }

    /// Publishes; an answer, or that there is nobody to give one, goes to `reply`.
    pub(super) async fn publish(
        &mut self,
        subject: &str,
        reply: &str,
        payload: &str,
    ) -> Result<()> {
        let text = format!("PUB {subject} {reply} {}\r\n{payload}\r\n", payload.len());
        Ok(self.stream.write_all(text.as_bytes()).await?)
    }

    /// The next message. After an error the connection is of no use.
    ///
    /// # Errors
    /// When none comes within `bound`, or the server closes the connection or refuses something.
    pub async fn next(&mut self, bound: Duration) -> Result<RawMessage> {
        let next = timeout(bound, self.message()).await;
        next.with_context(|| format!("no message from {} within {bound:?}", self.server))?
    }

    async fn message(&mut self) -> Result<RawMessage> {
        loop {
            let line = self.line().await?;
            let words: Vec<&str> = line.split_whitespace().collect();
            // Behind the subject and the subscription there may be where to answer to.
            let (subject, head, all) = match words.as_slice() {
                ["MSG", subject, _, .., all] => (subject, 0, all.parse()?),
                ["HMSG", subject, _, .., head, all] => (subject, head.parse()?, all.parse()?),
                _ => continue,
            };
            let mut payload = vec![0_u8; all];
            self.stream.read_exact(&mut payload).await?;
            self.stream.read_exact(&mut [0; 2]).await?;
            if head > payload.len() {
                bail!("{} sent what is no message: {line}", self.server);
            }
            let rest = payload.split_off(head);
            return Ok(RawMessage {
                subject: (*subject).to_owned(),
                headers: (head > 0).then(|| String::from_utf8_lossy(&payload).into_owned()),
                payload: rest,
            });
        }
    }

    /// The next line of the protocol, without its end. A PING is answered.
    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            bail!("{} closed the connection", self.server);
        }
        let line = line.trim_end();
        if line.starts_with("-ERR") {
            bail!("{} refused: {line}", self.server);
        }
        if line == "PING" {
            self.stream.write_all(b"PONG\r\n").await?;
        }
        Ok(line.to_owned())
    }
}
