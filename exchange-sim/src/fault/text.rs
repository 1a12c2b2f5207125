// Pure: what a fault does to the text of a message. Works on the text, so that all else stays byte for byte.
#![deny(clippy::disallowed_methods)]

use std::ops::Range;

use crate::venue::coinbase::frames::time_of;
use crate::venue::coinbase::recorded::micros_of;

/// The price's field, on Binance and on Coinbase.
const PRICES: [&str; 2] = ["p", "price"];
const IDS: [&str; 2] = ["t", "trade_id"];
const TIMES_MS: [&str; 3] = ["E", "T", "t"];
const TIMES_TEXT: [&str; 2] = ["time", "timestamp"];

/// Cuts the message in its middle.
pub(super) fn corrupt(text: &str) -> String {
    let middle = (0..=text.len() / 2)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    text[..middle].to_owned()
}

/// Takes out a field with its comma.
pub(super) fn without(text: &str, field: Option<&str>) -> String {
    let Some((key, value)) = find(text, field, &PRICES) else {
        return text.to_owned();
    };
    let after = &text[value.end..];
    // A first or middle field takes the comma after it, a last one the comma before.
    let (start, end) = match after.strip_prefix(',') {
        Some(_) => (key, value.end + 1),
        None => (key - usize::from(text[..key].ends_with(',')), value.end),
    };
    format!("{}{}", &text[..start], &text[end..])
}

/// Makes a number larger than any type holds; a text stays a text.
pub(super) fn out_of_range(text: &str, field: Option<&str>) -> String {
    let Some((_, value)) = find(text, field, &PRICES) else {
        return text.to_owned();
    };
    let quote = if text[value.clone()].starts_with('"') {
        "\""
    } else {
        ""
    };
    format!(
        "{}{quote}{}{quote}{}",
        &text[..value.start],
        "9".repeat(60),
        &text[value.end..]
    )
}

/// Lowers the first trade id.
pub(super) fn id_back(text: &str, by: u64) -> String {
    with_id(text, |id| id.saturating_sub(by))
}

/// Raises the first trade id.
pub(super) fn id_ahead(text: &str, by: u64) -> String {
    with_id(text, |id| id.saturating_add(by))
}

fn with_id(text: &str, change: impl Fn(u64) -> u64) -> String {
    let Some((_, value)) = find(text, None, &IDS) else {
        return text.to_owned();
    };
    let (before, shown, after) = (
        &text[..value.start],
        &text[value.clone()],
        &text[value.end..],
    );
    let quote = if shown.starts_with('"') { "\"" } else { "" };
    match shown.trim_matches('"').parse::<u64>() {
        Ok(id) => format!("{before}{quote}{}{quote}{after}", change(id)),
        Err(_) => text.to_owned(),
    }
}

/// Moves every time in the message.
pub(super) fn time_jump(text: &str, ms: i64) -> String {
    let mut text = text.to_owned();
    // Binance's trade id and its kline's start share a key; only the one of a kline is a time.
    let kline = text.contains("\"e\":\"kline\"");
    for key in TIMES_MS.into_iter().filter(|key| *key != "t" || kline) {
        text = replace_all(&text, key, |value| {
            Some(value.parse::<i64>().ok()?.checked_add(ms)?.to_string())
        });
    }
    for key in TIMES_TEXT {
        text = replace_all(&text, key, |value| {
            let micros = micros_of(value.trim_matches('"')).ok()?;
            Some(format!(
                "\"{}\"",
                time_of(micros.checked_add(ms.checked_mul(1_000)?)?)
            ))
        });
    }
    text
}

/// The start of a field's key, and where its value is: the first of the named field, or else of the usual ones.
fn find(text: &str, field: Option<&str>, usual: &[&str]) -> Option<(usize, Range<usize>)> {
    match field {
        Some(field) => locate(text, field, 0),
        None => usual.iter().find_map(|field| locate(text, field, 0)),
    }
}

fn locate(text: &str, field: &str, from: usize) -> Option<(usize, Range<usize>)> {
    let mark = format!("\"{field}\":");
    let key = from + text[from..].find(&mark)?;
    let start = key + mark.len();
    let rest = &text[start..];
    let len = match rest.strip_prefix('"') {
        // None of the venues' texts holds an escaped quote.
        Some(inner) => inner.find('"')? + 2,
        None => rest.find([',', '}', ']'])?,
    };
    Some((key, start..start + len))
}

fn replace_all(text: &str, field: &str, change: impl Fn(&str) -> Option<String>) -> String {
    let mut text = text.to_owned();
    let mut from = 0;
    while let Some((_, value)) = locate(&text, field, from) {
        from = value.end;
        if let Some(new) = change(&text[value.clone()]) {
            from = value.start + new.len();
            text.replace_range(value, &new);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINANCE: &str = r#"{"e":"trade","E":1005,"s":"BTCUSDT","t":77,"p":"61837.63","q":"0.02","T":1000,"m":true}"#;
    const COINBASE: &str =
        r#"{"type":"match","trade_id":77,"price":"14.7","time":"2021-04-17T16:43:30.244075Z"}"#;

    #[test]
    fn only_what_is_meant_changes() {
        let check = |text: String, expect: &str| assert_eq!(text, expect);
        check(
            without(BINANCE, None),
            &BINANCE.replace(r#""p":"61837.63","#, ""),
        );
        check(
            without(BINANCE, Some("m")),
            &BINANCE.replace(r#","m":true"#, ""),
        );
        check(without(BINANCE, Some("none")), BINANCE);
        check(
            out_of_range(COINBASE, None),
            &COINBASE.replace("14.7", &"9".repeat(60)),
        );
        check(
            out_of_range(BINANCE, Some("t")),
            &BINANCE.replace("77", &"9".repeat(60)),
        );
        check(id_back(BINANCE, 7), &BINANCE.replace("77", "70"));
        check(id_back(COINBASE, 100), &COINBASE.replace("77", "0"));
        check(id_ahead(BINANCE, 1_000), &BINANCE.replace("77", "1077"));
        check(
            id_ahead(COINBASE, u64::MAX),
            &COINBASE.replace("77", &u64::MAX.to_string()),
        );
        check(
            time_jump(BINANCE, 5_000),
            &BINANCE.replace("1005", "6005").replace("1000", "6000"),
        );
        check(
            time_jump(COINBASE, -30_000),
            &COINBASE.replace("43:30", "43:00"),
        );
        check(corrupt("{\"éé\":1}"), "{\"é");
    }
}
