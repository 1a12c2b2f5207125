// Pure: borrowed JSON text, and times in it.
#![deny(clippy::disallowed_methods)]

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use wire::{AmountError, Price, Size};

use super::event::{Reason, shown};

/// A JSON string, borrowed from the frame unless it holds escapes. Serde borrows a plain `Cow` field, but not
/// one inside an `Option` or a list: this does both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text))
    }
}

/// A field that a message of its kind must have.
pub(super) fn need<T>(field: Option<T>, name: &'static str) -> Result<T, Reason> {
    field.ok_or_else(|| Reason::Field(format!("missing field `{name}`")))
}

/// A price above zero: no venue here trades at nothing or below.
pub(super) fn price(text: &str) -> Result<Price, Reason> {
    let price = Price::parse(text.as_bytes()).map_err(Reason::Price)?;
    if price.is_zero() {
        return Err(Reason::Price(AmountError::OutOfRange));
    }
    Ok(price)
}

/// A size.
pub(super) fn size(text: &str) -> Result<Size, Reason> {
    Size::parse(text.as_bytes()).map_err(Reason::Size)
}

/// Unix milliseconds of an RFC 3339 time; what is finer is cut off, not rounded, so that a bucket's last
/// microsecond stays in it.
pub(super) fn time_ms(text: &str) -> Result<i64, Reason> {
    let time: jiff::Timestamp = text.parse().map_err(|_| Reason::Time)?;
    // Cutting off means downwards also before 1970.
    Ok(time.as_nanosecond().div_euclid(1_000_000))
        .and_then(|ms: i128| i64::try_from(ms).map_err(|_| Reason::Time))
}

/// The text between `key` and the next quote, in a frame that could not be read: a guess at whose it was.
pub(super) fn find_text<'a>(frame: &'a [u8], key: &[u8], end: u8) -> Option<&'a str> {
    let from = frame.windows(key.len()).position(|part| part == key)? + key.len();
    let rest = &frame[from..];
    // No venue's symbol is longer than two sides of twenty and what joins them.
    const SPELLED_LEN_MAX: usize = 41;
    let len = rest
        .iter()
        .take(SPELLED_LEN_MAX + 1)
        .position(|&b| b == end)?;
    std::str::from_utf8(&rest[..len]).ok()
}

/// A refusal's words.
pub(super) fn words(message: Option<&Text<'_>>, reason: Option<&Text<'_>>) -> String {
    match (message, reason) {
        (Some(message), Some(reason)) => {
            shown(&format!("{}: {}", message.as_str(), reason.as_str()))
        }
        (Some(text), None) | (None, Some(text)) => shown(text.as_str()),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_to_milliseconds() {
        let check = |text: &str, expect: Option<i64>| {
            assert_eq!(time_ms(text).ok(), expect, "{text:?}");
        };
        check("2021-04-17T16:43:30.244075Z", Some(1_618_677_810_244));
        check("2026-08-09T21:05:51.999999999Z", Some(1_786_309_551_999));
        check("2021-04-17T16:43:30Z", Some(1_618_677_810_000));
        check("1969-12-31T23:59:59.9999Z", Some(-1));
        check("", None);
        check("2021-04-17", None);
        check("2021-13-17T16:43:30Z", None);
        check("1618677810244", None);
    }

    #[test]
    fn text_is_borrowed_unless_it_has_escapes() {
        let check = |json: &str, expect: &str, borrowed: bool| {
            let text: Option<Text<'_>> = serde_json::from_str(json).unwrap();
            let text = text.unwrap();
            assert_eq!(text.as_str(), expect);
            assert_eq!(matches!(text.0, Cow::Borrowed(_)), borrowed, "{json}");
        };
        check(r#""BTCUSDT""#, "BTCUSDT", true);
        check(r#""BTC\u0055SDT""#, "BTCUSDT", false);
        assert!(serde_json::from_str::<Text<'_>>("5").is_err());
    }

    #[test]
    fn guesses_are_bounded() {
        let check = |frame: &[u8], expect: Option<&str>| {
            assert_eq!(find_text(frame, b"\"s\":\"", b'"'), expect);
        };
        check(br#"{"s":"BTCUSDT","t":"#, Some("BTCUSDT"));
        check(br#"{"s":"BTCUSDT"#, None);
        check(br#"{"s":""#, None);
        check(b"", None);
        check(b"{\"s\":\"\xff\"", None);
        let long = format!(r#"{{"s":"{}""#, "A".repeat(500));
        check(long.as_bytes(), None);
    }
}
