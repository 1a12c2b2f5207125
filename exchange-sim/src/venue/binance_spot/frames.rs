// Pure: Binance's messages as text.
#![deny(clippy::disallowed_methods)]

use wire::{Interval, Side};

use crate::market::row::Row;
use crate::market::tape::Execution;

/// `{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000",
/// "T":1723161255342,"m":true,"M":true}`
pub(crate) fn trade(native: &str, execution: &Execution) -> String {
    let trade = &execution.trade;
    format!(
        r#"{{"e":"trade","E":{},"s":"{native}","t":{},"p":"{}","q":"{}","T":{},"m":{},"M":true}}"#,
        execution.event_ms,
        trade.id,
        fixed8(trade.price),
        fixed8(trade.size),
        trade.time_ms,
        trade.taker == Side::Sell,
    )
}

/// The trades of one aggregate: `{"e":"aggTrade","E":1672515782136,"s":"BNBBTC","a":12345,"p":"0.001","q":"100",
/// "f":100,"l":105,"T":1672515782136,"m":true,"M":true}`. `None` for no trades.
pub(crate) fn aggregate(native: &str, group: &[Execution]) -> Option<String> {
    let (first, last) = (group.first()?, group.last()?);
    let mut size = wire::Size::ZERO;
    for execution in group {
        size = size.checked_add(execution.trade.size)?;
    }
    Some(format!(
        r#"{{"e":"aggTrade","E":{},"s":"{native}","a":{},"p":"{}","q":"{}","f":{},"l":{},"T":{},"m":{},"M":true}}"#,
        first.event_ms,
        first.aggregate_id,
        fixed8(first.trade.price),
        fixed8(size),
        first.trade.id,
        last.trade.id,
        first.trade.time_ms,
        first.trade.taker == Side::Sell,
    ))
}

/// `{"e":"kline","E":1682244928001,"s":"ETHUSDT","k":{"t":1682244927000,"T":1682244927999,"s":"ETHUSDT","i":"1s",
/// "f":-1,"L":-1,"o":"1870.76000000","c":"1870.76000000","h":"1870.76000000","l":"1870.76000000","v":"0.00000000",
/// "n":0,"x":true,"q":"0.00000000","V":"0.00000000","Q":"0.00000000","B":"0"}}`
pub(crate) fn kline(
    native: &str,
    interval: Interval,
    row: &Row,
    event_ms: i64,
    closed: bool,
) -> String {
    let (first, last) = row
        .ids
        .map_or(("-1".to_owned(), "-1".to_owned()), |(f, l)| {
            (f.to_string(), l.to_string())
        });
    format!(
        concat!(
            r#"{{"e":"kline","E":{},"s":"{}","k":{{"t":{},"T":{},"s":"{}","i":"{}","f":{},"L":{},"#,
            r#""o":"{}","c":"{}","h":"{}","l":"{}","v":"{}","n":{},"x":{},"q":"{}","V":"{}","Q":"{}","B":"0"}}}}"#,
        ),
        event_ms,
        native,
        row.start_ms,
        row.end_ms - 1,
        native,
        interval,
        first,
        last,
        fixed8(row.open),
        fixed8(row.close),
        fixed8(row.high),
        fixed8(row.low),
        fixed8(row.volume),
        row.count,
        closed,
        fixed8(row.quote_volume),
        fixed8(row.taker_buy_volume),
        fixed8(row.taker_buy_quote_volume),
    )
}

/// One row of `GET /api/v3/klines`.
pub(crate) fn kline_row(row: &Row) -> String {
    format!(
        r#"[{},"{}","{}","{}","{}","{}",{},"{}",{},"{}","{}","0"]"#,
        row.start_ms,
        fixed8(row.open),
        fixed8(row.high),
        fixed8(row.low),
        fixed8(row.close),
        fixed8(row.volume),
        row.end_ms - 1,
        fixed8(row.quote_volume),
        row.count,
        fixed8(row.taker_buy_volume),
        fixed8(row.taker_buy_quote_volume),
    )
}

/// `{"stream":"serverShutdown"...}`: the server announces that it goes away.
pub(crate) fn server_shutdown(event_ms: i64) -> String {
    format!(r#"{{"e":"serverShutdown","E":{event_ms}}}"#)
}

/// A combined connection's wrapping of a stream's message.
pub(crate) fn combined(stream: &str, data: &str) -> String {
    format!(r#"{{"stream":"{stream}","data":{data}}}"#)
}

/// Binance writes eight decimals always. Digits beyond them are cut, as the exchange's own sums are.
pub(crate) fn fixed8(amount: impl std::fmt::Display) -> String {
    const DECIMALS: usize = 8;
    let mut text = amount.to_string();
    match text.find('.') {
        None => text.push_str(".00000000"),
        Some(point) => {
            text.truncate(point + 1 + DECIMALS);
            while text.len() < point + 1 + DECIMALS {
                text.push('0');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_eight_decimals() {
        let check = |text: &str, expect: &str| {
            assert_eq!(fixed8(text.parse::<wire::Quote>().unwrap()), expect);
        };
        check("61837.63", "61837.63000000");
        check("0", "0.00000000");
        check("12304668.0254055", "12304668.02540550");
        check("0.123456789", "0.12345678");
        check("92233720368", "92233720368.00000000");
    }

    #[test]
    fn a_rendered_trade_reads_as_the_recorded_one() {
        let recorded = r#"{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}"#;
        let execution = Execution {
            trade: wire::Trade {
                id: 3_735_683_259,
                time_ms: 1_723_161_255_342,
                price: "61837.63".parse().unwrap(),
                size: "0.02".parse().unwrap(),
                taker: Side::Sell,
            },
            time_us: 1_723_161_255_342_000,
            event_ms: 1_723_161_255_343,
            aggregate_id: 1,
            position: 1,
        };
        assert_eq!(trade("BTCUSDT", &execution), recorded);
    }

    #[test]
    fn a_quiet_kline_is_flat() {
        let row = Row::flat(
            1_682_244_927_000,
            1_682_244_928_000,
            "1870.76".parse().unwrap(),
        );
        let text = kline("ETHUSDT", Interval::S1, &row, 1_682_244_928_001, true);
        assert!(text.starts_with(
            r#"{"e":"kline","E":1682244928001,"s":"ETHUSDT","k":{"t":1682244927000,"T":1682244927999,"s":"ETHUSDT","i":"1s","f":-1,"L":-1,"o":"1870.76000000","c":"1870.76000000","h":"1870.76000000","l":"1870.76000000","v":"0.00000000","n":0,"x":true,"q":"0.00000000","V":"0.00000000","Q":"0.00000000""#
        ), "{text}");
    }
}
