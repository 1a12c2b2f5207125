// Pure: the texts of the JetStream API that are read and written here. By hand, because the client's own types leave
// out what the fence rests on, and would decide about retries for us.
#![deny(clippy::disallowed_methods)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The server's own numbers for what it refuses (`errors.json` of nats-server).
pub(super) mod code {
    /// A stream of this name is not there.
    pub(crate) const STREAM_NOT_FOUND: u32 = 10_059;
    /// A stream of this name has another configuration.
    pub(crate) const STREAM_NAME_IN_USE: u32 = 10_058;
    /// No message where one was asked for.
    pub(crate) const NO_MESSAGE: u32 = 10_037;
    /// An expectation of a sequence does not hold: with the sequence that stands, and without.
    pub(crate) const WRONG_SEQUENCE: [u32; 2] = [10_071, 10_164];
    /// More than one replica on a server that is alone.
    pub(crate) const NOT_CLUSTERED: u32 = 10_074;
    /// The stream takes no atomic batches.
    pub(crate) const NO_ATOMIC: u32 = 10_174;
    /// The account has no JetStream.
    pub(crate) const NOT_ENABLED: [u32; 2] = [10_039, 10_076];
}

/// What the server answers when it does not do it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{description} ({err_code})")]
pub(super) struct ApiError {
    /// One of [`code`], or another.
    #[serde(default)]
    pub(super) err_code: u32,
    /// For people.
    #[serde(default)]
    pub(super) description: String,
}

/// The answer to a publish that asked for one.
#[derive(Debug, Deserialize)]
pub(super) struct PubAck {
    /// Place of the message; of a batch's last one.
    pub(super) seq: u64,
}

/// A stream as it stands.
#[derive(Debug, Deserialize)]
pub(super) struct StreamInfo {
    pub(super) config: Value,
    /// When it was made, as the server writes it: two streams of one name have two.
    pub(super) created: String,
    pub(super) state: StreamState,
}

#[derive(Debug, Deserialize)]
pub(super) struct StreamState {
    #[serde(default)]
    pub(super) last_seq: u64,
}

/// A consumer just after it was made.
#[derive(Debug, Deserialize)]
pub(super) struct ConsumerInfo {
    pub(super) name: String,
    /// Messages that it has yet to send.
    #[serde(default)]
    pub(super) num_pending: u64,
}

/// A message as the stream's leader gives it.
#[derive(Debug, Deserialize)]
pub(super) struct StoredAnswer {
    message: StoredMessage,
}

#[derive(Debug, Deserialize)]
struct StoredMessage {
    seq: u64,
    #[serde(default)]
    data: String,
}

impl StoredAnswer {
    /// Its place and its bytes. `None` when it is not base64, which the server always writes.
    pub(super) fn into_parts(self) -> Option<(u64, Bytes)> {
        let StoredMessage { seq, data } = self.message;
        let bytes = STANDARD.decode(data).ok()?;
        Some((seq, Bytes::from(bytes)))
    }
}

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AnswerError {
    /// The server says why.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// It is not what the API's documents say.
    #[error("an answer that cannot be read: {0}")]
    Malformed(String),
}

/// Reads an answer: the server's error if it holds one.
pub(super) fn read_answer<T: DeserializeOwned>(payload: &[u8]) -> Result<T, AnswerError> {
    #[derive(Deserialize)]
    struct Failure {
        error: Option<ApiError>,
    }
    let malformed = |error: serde_json::Error| AnswerError::Malformed(error.to_string());
    let failure: Failure = serde_json::from_slice(payload).map_err(malformed)?;
    match failure.error {
        Some(error) => Err(error.into()),
        None => serde_json::from_slice(payload).map_err(malformed),
    }
}

/// Stream and consumer sequence in the reply subject of a message that a consumer sends:
/// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, or with domain and account
/// hash before the stream.
pub(super) fn read_place(reply: &str) -> Option<(u64, u64)> {
    let tokens: Vec<&str> = reply.split('.').collect();
    if tokens.first() != Some(&"$JS") || tokens.get(1) != Some(&"ACK") {
        return None;
    }
    let at = match tokens.len() {
        9 => 5,
        11.. => 7,
        _ => return None,
    };
    Some((tokens[at].parse().ok()?, tokens[at + 1].parse().ok()?))
}

/// `(2, 12)` of `2.12.3` or `2.12.0-RC.1`.
pub(super) fn read_version(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim_start_matches('v').split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The subject in `Permissions Violation for Publish to "bar.a"`, and whether it is a publish.
pub(super) fn read_violation(error: &str) -> Option<(bool, &str)> {
    let of = error.split_once("ermissions Violation for ")?.1;
    let publish = of.starts_with("Publish");
    let subject = of.split('"').nth(1)?;
    Some((publish, subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let ack: PubAck = read_answer(br#"{"stream":"S","seq":7}"#).unwrap();
        assert_eq!(ack.seq, 7);
        let refused =
            br#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"}}"#;
        let Err(AnswerError::Api(error)) = read_answer::<PubAck>(refused) else {
            panic!("taken");
        };
        assert!(code::WRONG_SEQUENCE.contains(&error.err_code));
        assert_eq!(error.to_string(), "wrong last sequence: 3 (10071)");
        for garbage in [&b""[..], b"{", b"{}", b"[]"] {
            let read = read_answer::<PubAck>(garbage);
            assert!(matches!(read, Err(AnswerError::Malformed(_))));
        }
        let stored = br#"{"message":{"subject":"a","seq":3,"data":"e30="}}"#;
        let stored: StoredAnswer = read_answer(stored).unwrap();
        assert_eq!(stored.into_parts(), Some((3, Bytes::from_static(b"{}"))));
    }

    #[test]
    fn places() {
        let check = |reply: &str, expect| assert_eq!(read_place(reply), expect, "{reply}");
        check("$JS.ACK.S.c.1.20.10.1700000000.0", Some((20, 10)));
        check("$JS.ACK.hub.hash.S.c.1.20.10.1700000000.0", Some((20, 10)));
        check(
            "$JS.ACK.hub.hash.S.c.1.20.10.1700000000.0.x",
            Some((20, 10)),
        );
        check("$JS.ACK.S.c.1.x.10.1700000000.0", None);
        check("_INBOX.S.c.1.20.10.1700000000.0.1", None);
        check("", None);
    }

    #[test]
    fn versions_and_violations() {
        assert_eq!(read_version("2.12.0-RC.1"), Some((2, 12)));
        assert_eq!(read_version("v2.9.25"), Some((2, 9)));
        assert_eq!(read_version("two"), None);
        let text = r#"Permissions Violation for Publish to "bar.a.b""#;
        assert_eq!(read_violation(text), Some((true, "bar.a.b")));
        let text = r#"Permissions Violation for Subscription to "kline.>" using queue "q""#;
        assert_eq!(read_violation(text), Some((false, "kline.>")));
        assert_eq!(read_violation("Stale Connection"), None);
    }
}
