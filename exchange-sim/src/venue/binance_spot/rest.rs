// Pure: Binance's REST answers.
#![deny(clippy::disallowed_methods)]

use wire::{Interval, Side};

use super::frames::{fixed8, kline_row};
use crate::market::Market;
use crate::market::tape::{Execution, Tape};
use crate::venue::answer::{Answer, Query, Refusal};

/// What a request costs, of 6,000 a minute.
#[must_use]
pub fn weight(path: &str) -> u64 {
    match path {
        "/api/v3/historicalTrades" => 25,
        "/api/v3/aggTrades" => 4,
        "/api/v3/klines" => 2,
        "/api/v3/ticker/price" => 4,
        _ => 1,
    }
}

/// How often a client may go on after a 429 before it is banned.
const REFUSED_MAX: u64 = 10;

/// Over the budget: 429, and 418 for who does not stop.
#[must_use]
pub fn refuse(refusal: Refusal) -> Answer {
    let banned = refusal.refused > REFUSED_MAX;
    let message = if banned {
        "Way too much request weight used; IP banned. Please use WebSocket Streams for live updates to avoid bans."
    } else {
        "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."
    };
    Answer::code(if banned { 418 } else { 429 }, -1003, message)
        .with("Retry-After", refusal.retry_after_s)
}

/// The answer to a `GET` of this path.
#[must_use]
pub fn answer(path: &str, query: Query<'_>, market: &Market, wall_ms: i64) -> Answer {
    let answered = match path {
        "/api/v3/ping" => Ok(Answer::ok("{}".to_owned())),
        "/api/v3/time" => Ok(Answer::ok(format!(
            r#"{{"serverTime":{}}}"#,
            market.clock_ms().unwrap_or(wall_ms)
        ))),
        "/api/v3/ticker/price" => prices(query, market),
        "/api/v3/historicalTrades" => historical_trades(query, market),
        "/api/v3/aggTrades" => aggregate_trades(query, market),
        "/api/v3/klines" => klines(query, market),
        _ => Ok(Answer::code(404, -1000, "No such path.")),
    };
    answered.unwrap_or_else(|error| error)
}

fn tape<'a>(query: Query<'_>, market: &'a Market) -> Result<&'a Tape, Answer> {
    let native = query.get("symbol").ok_or_else(|| missing("symbol"))?;
    market
        .by_native(native)
        .map(|(_, tape)| tape)
        .ok_or_else(invalid_symbol)
}

fn invalid_symbol() -> Answer {
    Answer::code(400, -1121, "Invalid symbol.")
}

fn missing(name: &str) -> Answer {
    Answer::code(
        400,
        -1102,
        &format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."),
    )
}

fn illegal(name: &str) -> Answer {
    let message = format!(
        "Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
    );
    Answer::code(400, -1100, &message)
}

/// 500 if not given; more than 1,000 are cut to that.
fn limit(query: Query<'_>) -> Result<usize, Answer> {
    Ok(query
        .number::<usize>("limit")
        .map_err(illegal)?
        .unwrap_or(500)
        .min(1_000))
}

/// `[{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,
/// "isBuyerMaker":true,"isBestMatch":true}]`, oldest first; the newest ones without `fromId`.
fn historical_trades(query: Query<'_>, market: &Market) -> Result<Answer, Answer> {
    let (tape, limit) = (tape(query, market)?, limit(query)?);
    let page: Vec<&Execution> = match query.number::<u64>("fromId").map_err(illegal)? {
        Some(id) => tape.from_id(id).take(limit).collect(),
        None => tape
            .executions()
            .skip(tape.executions().len().saturating_sub(limit))
            .collect(),
    };
    Ok(Answer::list(page.into_iter().map(|execution| {
        let trade = &execution.trade;
        let value = trade
            .price
            .checked_mul(trade.size)
            .map(fixed8)
            .unwrap_or_default();
        format!(
            concat!(
                r#"{{"id":{},"price":"{}","qty":"{}","quoteQty":"{}","time":{},"#,
                r#""isBuyerMaker":{},"isBestMatch":true}}"#
            ),
            trade.id,
            fixed8(trade.price),
            fixed8(trade.size),
            value,
            trade.time_ms,
            trade.taker == Side::Sell,
        )
    })))
}

/// `[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true}]`
fn aggregate_trades(query: Query<'_>, market: &Market) -> Result<Answer, Answer> {
    let (tape, limit) = (tape(query, market)?, limit(query)?);
    let from = query.number::<u64>("fromId").map_err(illegal)?;
    let start_ms = query.number::<i64>("startTime").map_err(illegal)?;
    let end_ms = query.number::<i64>("endTime").map_err(illegal)?;
    let wanted = |execution: &&Execution| {
        from.is_none_or(|id| execution.aggregate_id >= id)
            && start_ms.is_none_or(|ms| execution.trade.time_ms >= ms)
            && end_ms.is_none_or(|ms| execution.trade.time_ms <= ms)
    };
    let wanted: Vec<Execution> = tape.executions().filter(wanted).copied().collect();
    let groups: Vec<&[Execution]> = wanted
        .chunk_by(|a, b| a.aggregate_id == b.aggregate_id)
        .collect();
    let newest = from.is_none() && start_ms.is_none();
    let skip = if newest {
        groups.len().saturating_sub(limit)
    } else {
        0
    };
    Ok(Answer::list(
        groups
            .into_iter()
            .skip(skip)
            .take(limit)
            .filter_map(|group| {
                let (first, last) = (group.first()?, group.last()?);
                let size = group
                    .iter()
                    .try_fold(wire::Size::ZERO, |sum, e| sum.checked_add(e.trade.size))?;
                Some(format!(
                    r#"{{"a":{},"p":"{}","q":"{}","f":{},"l":{},"T":{},"m":{},"M":true}}"#,
                    first.aggregate_id,
                    fixed8(first.trade.price),
                    fixed8(size),
                    first.trade.id,
                    last.trade.id,
                    first.trade.time_ms,
                    first.trade.taker == Side::Sell,
                ))
            }),
    ))
}

/// Rows whose open time is in `[startTime, endTime]`, oldest first: from `startTime` on if it is given, else the
/// newest. The first row is that of the first trade that is kept.
fn klines(query: Query<'_>, market: &Market) -> Result<Answer, Answer> {
    let (tape, limit) = (tape(query, market)?, limit(query)?);
    let interval = query.get("interval").ok_or_else(|| missing("interval"))?;
    let interval: Interval = interval
        .parse()
        .map_err(|_| Answer::code(400, -1120, "Invalid interval."))?;
    let start_ms = query.number::<i64>("startTime").map_err(illegal)?;
    let end_ms = query.number::<i64>("endTime").map_err(illegal)?;
    let (Some(oldest), Some(clock_ms)) = (tape.executions().next(), market.clock_ms()) else {
        return Ok(Answer::list(std::iter::empty()));
    };
    let first = interval.start_of(oldest.trade.time_ms);
    let last = interval.start_of(clock_ms).min(end_ms.unwrap_or(i64::MAX));
    let from = match start_ms {
        // Up to the next bucket that starts there or after.
        Some(ms) => interval
            .start_of(ms.saturating_add(interval.ms() - 1))
            .max(first),
        None => {
            let rows = i64::try_from(limit).unwrap_or(1_000);
            let back = (rows - 1).max(0) * interval.ms();
            interval.start_of(last).saturating_sub(back).max(first)
        }
    };
    let starts = (0..limit).map_while(|n| {
        let start = from.checked_add(i64::try_from(n).ok()?.checked_mul(interval.ms())?)?;
        (start <= last).then_some(start)
    });
    let rows = starts.filter_map(|start| tape.row(interval, start, market.position()));
    Ok(Answer::list(rows.map(|row| kline_row(&row))))
}

/// `[{"symbol":"LTCBTC","price":"4.00000200"}]`, or one row of it where a symbol is named. The real one costs less then.
fn prices(query: Query<'_>, market: &Market) -> Result<Answer, Answer> {
    let row = |tape: &Tape| {
        let price = tape.last_price().map(fixed8);
        let price = price.unwrap_or_else(|| fixed8(0));
        format!(r#"{{"symbol":"{}","price":"{price}"}}"#, tape.native)
    };
    match query.get("symbol") {
        Some(_) => tape(query, market).map(|tape| Answer::ok(row(tape))),
        None => Ok(Answer::list(market.tapes.values().map(row))),
    }
}
