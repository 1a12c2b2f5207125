//! One HTTP/1.1 request on a connection of its own: repairs are few, and none is worth keeping one open for.
//!
//! On hyper, which is in the tree for the gateway and for the admin pages: a client of its own size would bring its
//! pools, redirects and proxies, none of which a repair wants.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{CONNECTION, HOST, RETRY_AFTER, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::plan::Failure;

/// How long a request may take in all.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// The largest answer that is taken: a thousand trades are 200 KB, all products of Coinbase about 1 MB.
const BODY_MAX: usize = 4 << 20;

/// `scheme://host:port/prefix`.
#[derive(Debug, Clone)]
pub(super) struct Base {
    host: String,
    port: u16,
    prefix: String,
    encrypted: bool,
}

/// What a venue said.
#[derive(Debug)]
pub(super) struct Answer {
    /// HTTP status; neither 418 nor 429.
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl Base {
    /// `None` where it is no address of HTTP, or encrypted and this build has no encryption.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let uri: hyper::Uri = text.parse().ok()?;
        let encrypted = match uri.scheme_str()? {
            "http" => false,
            "https" if cfg!(feature = "tls") => true,
            _ => return None,
        };
        Some(Self {
            host: uri.host()?.to_owned(),
            port: uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 }),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            encrypted,
        })
    }

    /// The body of a `GET` that was granted.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn get(&self, path: &str) -> Result<Bytes, Failure> {
        let Answer { status, body } = self.answer(path).await?;
        match status {
            200 => Ok(body),
            400..500 => Err(Failure::Refused),
            _ => Err(Failure::Unavailable),
        }
    }

    /// The answer to a `GET`, whatever it says.
    ///
    /// # Errors
    /// When there is none, or the venue was asked too much.
    pub(super) async fn answer(&self, path: &str) -> Result<Answer, Failure> {
        match tokio::time::timeout(REQUEST_MAX, self.get_unbounded(path)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Unavailable),
        }
    }

    async fn get_unbounded(&self, path: &str) -> Result<Answer, Failure> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|_| Failure::Unavailable)?;
        if self.encrypted {
            #[cfg(feature = "tls")]
            return self
                .ask(tls::connect(&self.host, stream).await?, path)
                .await;
        }
        self.ask(stream, path).await
    }

    async fn ask<S>(&self, stream: S, path: &str) -> Result<Answer, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let gone = |_: hyper::Error| Failure::Unavailable;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(gone)?;
        let request = hyper::Request::get(format!("{}{path}", self.prefix))
            .header(HOST, format!("{}:{}", self.host, self.port))
            .header(
                USER_AGENT,
                concat!("marketfeed/", env!("CARGO_PKG_VERSION")),
            )
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|_| Failure::Refused)?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(gone)?;
            let status = answer.status().as_u16();
            let wait = answer.headers().get(RETRY_AFTER);
            let wait_s: Option<u64> = wait.and_then(|text| text.to_str().ok()?.parse().ok());
            if matches!(status, 418 | 429) {
                return Err(Failure::TooMany(wait_s.map(|s| s.saturating_mul(1_000))));
            }
            let body = Limited::new(answer.into_body(), BODY_MAX).collect().await;
            let body = body.map_err(|_| Failure::Unavailable)?.to_bytes();
            Ok(Answer { status, body })
        };
        // The connection is worked on here, and ends with the request.
        tokio::pin!(connection, exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            _ = &mut connection => exchange.await,
        }
    }
}

#[cfg(feature = "tls")]
mod tls {
    use std::sync::{Arc, LazyLock};

    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore};
    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;

    use crate::repair::plan::Failure;

    static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
        let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let config = ClientConfig::builder().with_root_certificates(roots);
        Arc::new(config.with_no_client_auth())
    });

    pub(super) async fn connect(
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Failure::Refused)?;
        let connector = TlsConnector::from(Arc::clone(&CONFIG));
        connector
            .connect(name, stream)
            .await
            .map_err(|_| Failure::Unavailable)
    }
}
