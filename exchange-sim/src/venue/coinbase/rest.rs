// Pure: Coinbase Exchange's REST answers.
#![deny(clippy::disallowed_methods)]

use wire::{Interval, Symbol};

use super::frames::rest_trade;
use super::recorded::micros_of;
use crate::market::Market;
use crate::market::tape::{Execution, Tape};
use crate::venue::answer::{Answer, Query, Refusal};

/// Over the budget.
#[must_use]
pub fn refuse(refusal: Refusal) -> Answer {
    Answer::message(429, "Public rate limit exceeded").with("Retry-After", refusal.retry_after_s)
}

/// The answer to a `GET` of this path.
#[must_use]
pub fn answer(path: &str, query: Query<'_>, market: &Market, wall_ms: i64) -> Answer {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let found = |id: &str| {
        Symbol::new(id)
            .ok()
            .and_then(|symbol| market.tapes.get_key_value(&symbol))
    };
    let answered = match parts[..] {
        ["products"] => Ok(Answer::list(
            market
                .tapes
                .iter()
                .map(|(symbol, tape)| product(symbol, tape)),
        )),
        ["products", id] => found(id)
            .map(|(symbol, tape)| Answer::ok(product(symbol, tape)))
            .ok_or_else(not_found),
        ["products", id, "trades"] => found(id)
            .ok_or_else(not_found)
            .and_then(|(_, tape)| trades(query, tape)),
        ["products", id, "candles"] => {
            let now_ms = market.clock_ms().unwrap_or(wall_ms);
            found(id)
                .ok_or_else(not_found)
                .and_then(|(_, tape)| candles(query, tape, market.position(), now_ms))
        }
        _ => Err(not_found()),
    };
    answered.unwrap_or_else(|error| error)
}

fn not_found() -> Answer {
    Answer::message(404, "NotFound")
}

/// Newest first. `after` gives what is older than a trade id, `before` what is newer; the page's own newest and
/// oldest ids are in `CB-BEFORE` and `CB-AFTER`.
///
/// As on the exchange, `before` with more than a page of newer trades gives the newest of them, not the next.
fn trades(query: Query<'_>, tape: &Tape) -> Result<Answer, Answer> {
    let bad = |name: &str| Answer::message(400, &format!("{name} must be a number"));
    let limit = query
        .number::<usize>("limit")
        .map_err(bad)?
        .unwrap_or(1_000);
    if !(1..=1_000).contains(&limit) {
        return Err(Answer::message(400, "limit must be from 1 to 1000"));
    }
    let after = query.number::<u64>("after").map_err(bad)?;
    let before = query.number::<u64>("before").map_err(bad)?;
    let from = before.map_or(0, |id| id.saturating_add(1));
    let older = |execution: &&Execution| after.is_none_or(|id| execution.trade.id < id);
    let page: Vec<&Execution> = tape.from_id(from).rev().filter(older).take(limit).collect();
    let mut answer = Answer::list(page.iter().map(|execution| rest_trade(execution)));
    if let (Some(newest), Some(oldest)) = (page.first(), page.last()) {
        answer = answer
            .with("CB-BEFORE", newest.trade.id)
            .with("CB-AFTER", oldest.trade.id);
    }
    Ok(answer)
}

/// The lengths that the exchange knows, in seconds.
const GRANULARITIES: [u32; 6] = [60, 300, 900, 3_600, 21_600, 86_400];
const CANDLES_MAX: i64 = 300;

/// `[[1415398768,0.32,4.2,0.35,4.2,12.3]]`: time, low, high, open, close, volume; newest first, empty ones omitted.
fn candles(query: Query<'_>, tape: &Tape, position: u64, now_ms: i64) -> Result<Answer, Answer> {
    let granularity = query
        .number::<u32>("granularity")
        .ok()
        .flatten()
        .unwrap_or(60);
    let interval =
        Interval::from_secs(granularity).filter(|_| GRANULARITIES.contains(&granularity));
    let interval = interval.ok_or_else(|| Answer::message(400, "Unsupported granularity"))?;
    let end_ms = time(query, "end")?.unwrap_or(now_ms);
    let start_ms =
        time(query, "start")?.unwrap_or(end_ms.saturating_sub((CANDLES_MAX - 1) * interval.ms()));
    let (first, last) = (interval.start_of(start_ms), interval.start_of(end_ms));
    if last.saturating_sub(first) / interval.ms() + 1 > CANDLES_MAX {
        let message = concat!(
            "granularity too small for the requested time range. ",
            "Count of aggregations requested exceeds 300"
        );
        return Err(Answer::message(400, message));
    }
    let starts = (0..CANDLES_MAX)
        .map(|n| last - n * interval.ms())
        .take_while(|start| *start >= first);
    let rows = starts
        .filter_map(|start| tape.row(interval, start, position))
        .filter(|row| row.count > 0);
    Ok(Answer::list(rows.map(|row| {
        // The exchange writes JSON numbers here.
        let time_s = row.start_ms / 1_000;
        format!(
            "[{time_s},{},{},{},{},{}]",
            row.low, row.high, row.open, row.close, row.volume
        )
    })))
}

/// A time as `2021-04-17T16:43:30Z` or in Unix seconds, in milliseconds.
fn time(query: Query<'_>, name: &str) -> Result<Option<i64>, Answer> {
    let Some(text) = query.get(name) else {
        return Ok(None);
    };
    let text = text.replace("%3A", ":").replace("%3a", ":");
    let seconds = text
        .parse::<i64>()
        .ok()
        .and_then(|seconds| seconds.checked_mul(1_000));
    let parsed = seconds.or_else(|| micros_of(&text).ok().map(|us| us.div_euclid(1_000)));
    // Within a thousand years or so, so that no sum below overflows.
    match parsed.filter(|ms| ms.unsigned_abs() < 1 << 45) {
        Some(ms) => Ok(Some(ms)),
        None => Err(Answer::message(400, &format!("{name} is not a valid time"))),
    }
}

fn product(symbol: &Symbol, tape: &Tape) -> String {
    let step = |decimals: u32| {
        if decimals == 0 {
            "1".to_owned()
        } else {
            format!("0.{:0>1$}", 1, decimals as usize)
        }
    };
    format!(
        concat!(
            r#"{{"id":"{}","base_currency":"{}","quote_currency":"{}","quote_increment":"{}","#,
            r#""base_increment":"{}","display_name":"{}","status":"online"}}"#
        ),
        symbol,
        symbol.base(),
        symbol.quote(),
        step(tape.listing.tick_decimals),
        step(tape.listing.lot_decimals),
        symbol.as_str().replace('-', "/"),
    )
}
