// Pure: what `GET /api/v1/klines` is asked, checked, and how its answer is written.
#![deny(clippy::disallowed_methods)]

use wire::{Instrument, Interval, Symbol, Venue};

use super::store::{Page, Range};
use crate::carried::Carried;

/// Bars in one answer, where the request does not say.
pub const LIMIT_DEFAULT: usize = 500;

/// Bars in one answer at most.
pub const LIMIT_MAX: usize = 5_000;

/// A checked request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Whose bars.
    pub instrument: Instrument,
    /// Of which length.
    pub interval: Interval,
    /// Which of them.
    pub range: Range,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The symbol is absent or not one.
    #[error("{0}")]
    BadSymbol(String),
    /// The venue is not one.
    #[error("{0}")]
    BadVenue(String),
    /// The interval is absent or not one.
    #[error("{0}")]
    BadInterval(String),
    /// `start` or `end` is not a time, or they are in the wrong order.
    #[error("{0}")]
    BadRange(String),
    /// `limit` is not a number from 1 on.
    #[error("limit {0:?} is not a number from 1 to {LIMIT_MAX}")]
    BadLimit(String),
    /// `cursor` is none that an answer has given for this request.
    #[error("cursor {0:?} is none that an answer to this request has given")]
    BadCursor(String),
    /// A parameter that stands there twice.
    #[error("{0} is given more than once")]
    Repeated(String),
    /// Well-formed, but not carried here.
    #[error("{0} is not carried here; GET /api/v1/topics lists what is")]
    UnknownTopic(String),
}

impl Refusal {
    /// The contract's word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadSymbol(_) => "bad_symbol",
            Self::BadVenue(_) => "bad_venue",
            Self::BadInterval(_) => "bad_interval",
            Self::BadRange(_) => "bad_range",
            Self::BadLimit(_) => "bad_limit",
            Self::BadCursor(_) => "bad_cursor",
            Self::Repeated(_) => "bad_request",
            Self::UnknownTopic(_) => "unknown_topic",
        }
    }

    /// The HTTP status that fits.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::UnknownTopic(_) => 404,
            _ => 400,
        }
    }
}

impl Query {
    /// Checks the request's parameters. Empty ones count as absent, unknown ones are ignored.
    ///
    /// # Errors
    /// A [`Refusal`] about the first parameter that is wrong.
    pub fn read(pairs: &[(String, String)], carried: &Carried) -> Result<Self, Refusal> {
        let symbol = one(pairs, "symbol")?.ok_or_else(|| {
            Refusal::BadSymbol("symbol is missing: write symbol=BTC-USDT".to_owned())
        })?;
        let symbol = Symbol::new(symbol).map_err(|e| Refusal::BadSymbol(e.to_string()))?;
        let interval = one(pairs, "interval")?.ok_or_else(|| {
            Refusal::BadInterval("interval is missing: write interval=1m".to_owned())
        })?;
        let interval: Interval = interval
            .parse()
            .map_err(|e: wire::interval::IntervalError| Refusal::BadInterval(e.to_string()))?;
        let venue = match one(pairs, "venue")? {
            None => None,
            Some(text) => Some(Venue::new(text).map_err(|e| Refusal::BadVenue(e.to_string()))?),
        };
        let range = range(pairs, interval)?;
        let unknown = || match &venue {
            None => Refusal::UnknownTopic(format!("kline:{interval}:{symbol}")),
            Some(venue) => Refusal::UnknownTopic(format!("kline:{venue}:{interval}:{symbol}")),
        };
        let instrument = carried.find(venue.as_ref(), &symbol).ok_or_else(unknown)?;
        if !carried.intervals().contains(&interval) {
            return Err(unknown());
        }
        Ok(Self {
            instrument: instrument.clone(),
            interval,
            range,
        })
    }
}

/// Writes the answer: `{"bars":[...],"next":"<cursor>"}`.
#[must_use]
pub fn answer(page: &Page) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + page.bars.len() * BAR_LEN_TYPICAL);
    out.extend_from_slice(b"{\"bars\":[");
    for (index, bar) in page.bars.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        bar.encode_to(&mut out);
    }
    match page.next_ms {
        None => out.extend_from_slice(b"],\"next\":null}"),
        Some(next_ms) => out.extend_from_slice(format!("],\"next\":\"{next_ms}\"}}").as_bytes()),
    }
    out
}

/// A bar's text has some 500 bytes.
const BAR_LEN_TYPICAL: usize = 560;

fn range(pairs: &[(String, String)], interval: Interval) -> Result<Range, Refusal> {
    let time = |name: &str| -> Result<Option<i64>, Refusal> {
        let Some(text) = one(pairs, name)? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            Refusal::BadRange(format!(
                "{name} {:?} is not a time in Unix milliseconds",
                shown(text)
            ))
        })
    };
    let (mut start_ms, end_ms) = (time("start")?, time("end")?);
    if let (Some(start_ms), Some(end_ms)) = (start_ms, end_ms)
        && start_ms > end_ms
    {
        return Err(Refusal::BadRange("start is after end".to_owned()));
    }
    if let Some(text) = one(pairs, "cursor")? {
        // A cursor is the start of the next bar, so that it stays good while bars come and go.
        let bad = || Refusal::BadCursor(shown(text));
        let next_ms: i64 = text.parse().map_err(|_| bad())?;
        let fits = next_ms.rem_euclid(interval.ms()) == 0
            && start_ms.is_none_or(|start_ms| start_ms <= next_ms)
            && end_ms.is_none_or(|end_ms| next_ms < end_ms);
        if !fits {
            return Err(bad());
        }
        start_ms = Some(next_ms);
    }
    let limit = match one(pairs, "limit")? {
        None => LIMIT_DEFAULT,
        Some(text) => match text.parse() {
            Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => limit,
            _ => return Err(Refusal::BadLimit(shown(text))),
        },
    };
    Ok(Range {
        start_ms,
        end_ms,
        limit,
    })
}

/// The parameter's value; `None` where it is absent or empty.
fn one<'a>(pairs: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = pairs
        .iter()
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.as_str());
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Refusal::Repeated(name.to_owned())),
        (value, None) => Ok(value.filter(|value| !value.is_empty())),
    }
}

/// What was given, short enough to be shown.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carried::tests::carried;
    use crate::history::store::tests::bar;

    fn read(query: &str) -> Result<Query, Refusal> {
        let pair = |part: &str| {
            let (key, value) = part.split_once('=').unwrap();
            (key.to_owned(), value.to_owned())
        };
        let pairs: Vec<_> = query.split('&').map(pair).collect();
        Query::read(&pairs, &carried())
    }

    #[test]
    fn good_requests() {
        #[track_caller]
        fn check(query: &str, venue: &str, start: Option<i64>, end: Option<i64>, limit: usize) {
            let query = read(query).unwrap();
            assert_eq!(query.instrument.venue.as_str(), venue);
            let Range {
                start_ms,
                end_ms,
                limit: got,
            } = query.range;
            assert_eq!((start_ms, end_ms, got), (start, end, limit));
        }
        check("symbol=BTC-USD&interval=1m", "coinbase", None, None, 500);
        check(
            "symbol=BTC-USD&interval=1m&venue=coinbase-advanced",
            "coinbase-advanced",
            None,
            None,
            500,
        );
        check(
            "symbol=ETH-USD&interval=1s&limit=5000",
            "coinbase-advanced",
            None,
            None,
            5_000,
        );
        check(
            "symbol=BTC-USD&interval=1m&start=&end=&limit=&cursor=&venue=&extra=1",
            "coinbase",
            None,
            None,
            500,
        );
        check(
            "symbol=BTC-USD&interval=1m&start=1&end=70000",
            "coinbase",
            Some(1),
            Some(70_000),
            500,
        );
        check(
            "symbol=BTC-USD&interval=1m&start=1&end=70000&cursor=60000",
            "coinbase",
            Some(60_000),
            Some(70_000),
            500,
        );
    }

    #[test]
    fn refused_requests_say_why() {
        #[track_caller]
        fn check(query: &str, code: &str, status: u16, part: &str) {
            let refusal = read(query).unwrap_err();
            assert_eq!(
                (refusal.code(), refusal.status()),
                (code, status),
                "{refusal}"
            );
            let text = refusal.to_string();
            assert!(text.contains(part) && !text.contains(": is"), "{text}");
        }
        check("interval=1m", "bad_symbol", 400, "symbol=BTC-USDT");
        check("symbol=btc&interval=1m", "bad_symbol", 400, "BASE-QUOTE");
        check("symbol=BTC-USD", "bad_interval", 400, "interval=1m");
        check(
            "symbol=BTC-USD&interval=60s",
            "bad_interval",
            400,
            "interval \"60s\" has a shorter spelling: write 1m",
        );
        check(
            "symbol=BTC-USD&interval=1m&venue=A.B",
            "bad_venue",
            400,
            "venue",
        );
        check(
            "symbol=BTC-USD&interval=1m&start=yesterday",
            "bad_range",
            400,
            "Unix milliseconds",
        );
        check(
            "symbol=BTC-USD&interval=1m&start=9223372036854775808",
            "bad_range",
            400,
            "Unix",
        );
        check(
            "symbol=BTC-USD&interval=1m&start=2&end=1",
            "bad_range",
            400,
            "after end",
        );
        check(
            "symbol=BTC-USD&interval=1m&limit=0",
            "bad_limit",
            400,
            "1 to 5000",
        );
        check(
            "symbol=BTC-USD&interval=1m&limit=5001",
            "bad_limit",
            400,
            "1 to 5000",
        );
        check(
            "symbol=BTC-USD&interval=1m&limit=-1",
            "bad_limit",
            400,
            "1 to 5000",
        );
        check(
            "symbol=BTC-USD&interval=1m&cursor=abc",
            "bad_cursor",
            400,
            "abc",
        );
        check(
            "symbol=BTC-USD&interval=1m&cursor=-9223372036854775808",
            "bad_cursor",
            400,
            "-9223372036854775808",
        );
        check(
            "symbol=BTC-USD&interval=1m&cursor=61000",
            "bad_cursor",
            400,
            "61000",
        );
        check(
            "symbol=BTC-USD&interval=1m&cursor=60000&end=60000",
            "bad_cursor",
            400,
            "60000",
        );
        check(
            "symbol=BTC-USD&interval=1m&interval=1s",
            "bad_request",
            400,
            "interval",
        );
        check(
            "symbol=SOL-USD&interval=1m",
            "unknown_topic",
            404,
            "kline:1m:SOL-USD",
        );
        check(
            "symbol=BTC-USD&interval=1h",
            "unknown_topic",
            404,
            "kline:1h:BTC-USD",
        );
        check(
            "symbol=ETH-USD&interval=1m&venue=coinbase",
            "unknown_topic",
            404,
            "kline:coinbase:1m:ETH-USD",
        );
    }

    #[test]
    fn answers_are_bars_and_a_cursor() {
        let text = |page: &Page| String::from_utf8(answer(page)).unwrap();
        assert_eq!(text(&Page::default()), r#"{"bars":[],"next":null}"#);
        let page = Page {
            bars: vec![bar(1, 0), bar(2, 0)],
            next_ms: Some(3_000),
        };
        let value: serde_json::Value = serde_json::from_str(&text(&page)).unwrap();
        assert_eq!(value["bars"][1]["start"], 2_000);
        assert_eq!(value["next"], "3000");
    }
}
