//! One GET on a connection of its own.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Request, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Bytes of an answer: a list of some ten thousand topics.
const BODY_MAX: usize = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetError {
    /// The address cannot be written in a request.
    #[error(transparent)]
    Request(#[from] axum::http::Error),
    /// The connection broke, or what came is no HTTP.
    #[error(transparent)]
    Http(#[from] hyper::Error),
    /// The body broke off, or is longer than anything that is meant for us.
    #[error(transparent)]
    Body(#[from] axum::Error),
}

/// Status and body of the answer to `GET path`.
///
/// # Errors
/// When there is none.
pub(crate) async fn get(
    stream: TcpStream,
    authority: &str,
    path: &str,
) -> Result<(u16, String), GetError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::CONNECTION, HeaderValue::from_static("close"))
        .body(Body::empty())?;
    let answered = async move {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = to_bytes(Body::new(response.into_body()), BODY_MAX).await?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    // The connection moves only while it is polled; its error is the answer's as well.
    let (answered, _) = tokio::join!(answered, connection);
    answered
}
