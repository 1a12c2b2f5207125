//! Who holds a shard's lease, read from the bucket itself and not from what a process says of itself.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::nats::request;

/// The owner that a shard's lease names; none where it was released, and where there is no bucket or no lease yet.
///
/// # Errors
/// When `server` does not answer, or the lease is none.
pub(super) async fn read(server: SocketAddr, shard: usize) -> Result<Option<String>> {
    let names = request(server, "$JS.API.STREAM.NAMES", "{}").await?;
    let names = names["streams"].as_array().into_iter().flatten();
    let buckets = names
        .filter_map(Value::as_str)
        .filter(|name| name.starts_with("KV_"));
    for bucket in buckets {
        let info = request(
            server,
            &format!("$JS.API.STREAM.INFO.{bucket}"),
            &json!({"subjects_filter": ">"}).to_string(),
        )
        .await?;
        let subjects = info["state"]["subjects"].as_object();
        let own = subjects.and_then(|all| all.keys().find(|subject| is_of(subject, shard)));
        let Some(subject) = own else { continue };
        let message = request(
            server,
            &format!("$JS.API.STREAM.MSG.GET.{bucket}"),
            &json!({"last_by_subj": subject}).to_string(),
        )
        .await?;
        let data = message["message"]["data"].as_str().unwrap_or_default();
        let text =
            decode(data).with_context(|| format!("the lease of shard {shard} is no text"))?;
        return holder(&text);
    }
    Ok(None)
}

/// Reads `{"owner":"...","released":false,...}`.
fn holder(lease: &str) -> Result<Option<String>> {
    let lease: Value = serde_json::from_str(lease).context("a lease is no JSON")?;
    if lease["released"].as_bool() == Some(true) {
        return Ok(None);
    }
    Ok(lease["owner"].as_str().map(str::to_owned))
}

/// Whether a key is the shard's: it ends with the shard's number.
fn is_of(subject: &str, shard: usize) -> bool {
    let digits = subject.trim_start_matches(|c: char| !c.is_ascii_digit());
    let last = subject.rsplit(|c: char| !c.is_ascii_digit()).next();
    !digits.is_empty() && last.is_some_and(|last| last.parse() == Ok(shard))
}

/// Base64 with padding, as JetStream's interface writes payloads.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_was_released_has_no_holder() {
        let lease = |released| format!(r#"{{"owner":"a","claim":1,"released":{released}}}"#);
        assert_eq!(holder(&lease(false)).unwrap().as_deref(), Some("a"));
        assert_eq!(holder(&lease(true)).unwrap(), None);
        assert!(holder("a").is_err());
    }

    #[test]
    fn payloads_and_keys_are_read() {
        assert_eq!(
            decode("eyJvd25lciI6ImEifQ==").as_deref(),
            Some("{\"owner\":\"a\"}")
        );
        assert_eq!(decode("YQ==").as_deref(), Some("a"));
        assert_eq!(decode("").as_deref(), Some(""));
        assert_eq!(decode("*"), None);
        assert!(is_of("$KV.leases_a_b.shard.12", 12) && is_of("$KV.x.0", 0));
        assert!(!is_of("$KV.x1.shard.12", 2) && !is_of("$KV.x1.shard", 1));
    }
}
