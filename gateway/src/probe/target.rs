// Pure: where a probe asks.
#![deny(clippy::disallowed_methods)]

use std::fmt;
use std::str::FromStr;

use axum::http::Uri;

/// What is asked there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A live bar: `ws://`.
    WebSocket,
    /// An answer: `http://`.
    Http,
}

/// An address without encryption: what is inside a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    host: String,
    port: u16,
    pub(crate) path: String,
}

impl Target {
    /// `host:port`.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Why text is no address for a probe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write ws://host:port/ws or http://host:port/path, without encryption or query")]
pub(crate) struct TargetError;

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let uri: Uri = text.parse().map_err(|_| TargetError)?;
        let kind = match uri.scheme_str() {
            Some("ws") => Kind::WebSocket,
            Some("http") => Kind::Http,
            _ => return Err(TargetError),
        };
        let (Some(authority), None) = (uri.authority(), uri.query()) else {
            return Err(TargetError);
        };
        // Without a user, and with nothing after the host but a number.
        let (host, port) = (authority.host(), authority.port_u16());
        let whole = port.map_or(host.to_owned(), |port| format!("{host}:{port}"));
        if host.is_empty() || authority.as_str() != whole {
            return Err(TargetError);
        }
        Ok(Self {
            kind,
            host: host.to_owned(),
            port: port.unwrap_or(80),
            path: uri.path().to_owned(),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::WebSocket => "ws",
            Kind::Http => "http",
        };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        #[track_caller]
        fn check(text: &str, kind: Kind, shown: &str) {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.kind, target.to_string()), (kind, shown.to_owned()));
        }
        let here = "ws://crypto-gateway.market.svc:8080/ws";
        check(here, Kind::WebSocket, here);
        check("ws://gateway/ws", Kind::WebSocket, "ws://gateway:80/ws");
        check("ws://[::1]:8080/ws", Kind::WebSocket, "ws://[::1]:8080/ws");
        check(
            "http://10.0.0.1:9090/readyz",
            Kind::Http,
            "http://10.0.0.1:9090/readyz",
        );
    }

    #[test]
    fn refusals() {
        for text in [
            "",
            "gateway:8080",
            "wss://gateway/ws",
            "https://gateway/",
            "ws://gateway:80a/ws",
            "ws://a:b@gateway/ws",
            "http://gateway/readyz?a=b",
        ] {
            assert_eq!(text.parse::<Target>(), Err(TargetError), "{text}");
        }
    }
}
