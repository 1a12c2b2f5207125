// Pure: one line of a recording, in any of the formats that are read.
#![deny(clippy::disallowed_methods)]

use serde::de::IgnoredAny;

/// What a line turned out to hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A message from the exchange, and when it was received (Unix nanoseconds) if the line says so.
    Message {
        /// Receive time, Unix nanoseconds.
        receive_ns: Option<i64>,
        /// The message's own text, byte for byte.
        text: &'a str,
    },
    /// Nothing from the exchange: an empty line, or a note of what the recorder itself connected to or sent.
    Nothing,
}

/// Reads one line, without its line end.
///
/// Formats: `<receive_ns> <json>`, `<receive_s>: <json>`, plain JSON, and cryptofeed's
/// `wss://host <- <s>: <json>` (what the client sent) and `wss://host <-> <s>` (a connect), both skipped.
pub(super) fn parse(line: &str) -> Result<Line<'_>, &'static str> {
    let line = line.trim_end_matches(['\r', '\n']);
    if line.trim().is_empty() || is_note(line) {
        return Ok(Line::Nothing);
    }
    if line.starts_with(['{', '[']) {
        return message(None, line);
    }
    let (stamp, text) = line
        .split_once(' ')
        .ok_or("no message after the receive time")?;
    let receive_ns = match stamp.strip_suffix(':') {
        Some(seconds) => nanoseconds_of(seconds),
        None => stamp.parse().ok(),
    };
    let receive_ns = receive_ns.ok_or("the line begins with neither a receive time nor JSON")?;
    message(Some(receive_ns), text)
}

fn is_note(line: &str) -> bool {
    ["wss://", "ws://", "https://", "http://"]
        .iter()
        .any(|scheme| line.starts_with(scheme))
}

fn message(receive_ns: Option<i64>, text: &str) -> Result<Line<'_>, &'static str> {
    let whole = text.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok();
    if whole {
        Ok(Line::Message { receive_ns, text })
    } else {
        Err("the message is not whole JSON")
    }
}

/// `1618677817.077736` as nanoseconds. Digit by digit: a float would already be off by some 200 ns here.
fn nanoseconds_of(seconds: &str) -> Option<i64> {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: i64 = format!("{fraction:0<9}").parse().ok()?;
    whole
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000_000_000)?
        .checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_read() {
        let check = |line: &str, expect: Line<'_>| assert_eq!(parse(line), Ok(expect), "{line:?}");
        let message = |receive_ns, text| Line::Message { receive_ns, text };
        check(
            "1723161253937085768 {\"a\":1}",
            message(Some(1_723_161_253_937_085_768), "{\"a\":1}"),
        );
        check(
            "1618677817.077736: {\"a\":1}\n",
            message(Some(1_618_677_817_077_736_000), "{\"a\":1}"),
        );
        check(
            "1618677817: [1]\r\n",
            message(Some(1_618_677_817_000_000_000), "[1]"),
        );
        check("{\"a\": 1}", message(None, "{\"a\": 1}"));
        check("", Line::Nothing);
        check(
            "wss://ws-feed.pro.coinbase.com <-> 1618677816.8434298",
            Line::Nothing,
        );
        check(
            "wss://x <- 1618677817.020616: {\"type\":\"subscribe\"}",
            Line::Nothing,
        );
    }

    #[test]
    fn what_is_cut_or_foreign_is_refused() {
        let check = |line: &str, expect: &str| {
            let error = parse(line).unwrap_err();
            assert!(error.contains(expect), "{line:?}: {error}");
        };
        check("1723161253937085768", "no message");
        check("1723161253937085768 {\"a\":1", "not whole");
        check("{\"a\":", "not whole");
        check("hello world", "neither");
        check("1618677817.0777361234: {}", "neither");
        check("12 \"text\"", "not whole");
    }
}
