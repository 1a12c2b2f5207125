// Pure: Binance's REST paths, their weights, and what the answers say.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeSet;

use serde::Deserialize;
use wire::{Side, Trade};

use crate::venue::json::{Text, price, size};
use crate::venue::{Rate, Reason};

/// A process's share of the weight that one address may use, which is 6,000 a minute. A burst and what is earned
/// meanwhile make two of these in a minute, and an owner and its standby behind one address fetch the same: four.
pub const WEIGHT: Rate = Rate {
    burst: 1_500,
    per_ms: 60_000,
};
/// Weight of one [`trades_from`].
pub const TRADES_WEIGHT: u32 = 25;
/// Weight of one [`aggregated_between`].
pub const AGGREGATED_WEIGHT: u32 = 4;
/// Weight of one [`klines_between`].
pub const KLINES_WEIGHT: u32 = 2;
/// Weight of [`PRICES`].
pub const PRICES_WEIGHT: u32 = 4;
/// Rows in one answer at most.
pub const ROWS_MAX: u32 = 1_000;

/// Trades from an id on, oldest first; the ids are those of the `@trade` stream. Rows of `aggTrades` cost less, but
/// one that spans several ids says nothing of each, so that a bar's count and ids would not be exact.
#[must_use]
pub fn trades_from(spelled: &str, from_id: u64, rows: u32) -> String {
    let rows = rows.min(ROWS_MAX);
    format!("/api/v3/historicalTrades?symbol={spelled}&fromId={from_id}&limit={rows}")
}

/// ```json
/// {"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}
/// ```
#[derive(Debug, Deserialize)]
struct Row<'a> {
    id: u64,
    #[serde(borrow)]
    price: Text<'a>,
    #[serde(borrow)]
    qty: Text<'a>,
    time: i64,
    #[serde(rename = "isBuyerMaker")]
    buyer_is_maker: bool,
}

/// The trades of such a page.
///
/// # Errors
/// When one of them cannot be read exactly.
pub fn decode_trades(body: &[u8]) -> Result<Vec<Trade>, Reason> {
    let rows: Vec<Row<'_>> = serde_json::from_slice(body)?;
    let trade = |row: Row<'_>| {
        Ok(Trade {
            id: row.id,
            time_ms: row.time,
            price: price(row.price.as_str())?,
            size: size(row.qty.as_str())?,
            taker: if row.buyer_is_maker {
                Side::Sell
            } else {
                Side::Buy
            },
        })
    };
    rows.into_iter().map(trade).collect()
}

/// Fills of one taker order at one price, in one row with its first and last trade id.
#[must_use]
pub fn aggregated_between(spelled: &str, start_ms: i64, end_ms: i64) -> String {
    format!(
        "/api/v3/aggTrades?symbol={spelled}&startTime={start_ms}&endTime={end_ms}&limit={ROWS_MAX}"
    )
}

/// The exchange's own bars whose start lies between the two, both included.
#[must_use]
pub fn klines_between(
    spelled: &str,
    interval: wire::Interval,
    start_ms: i64,
    end_ms: i64,
) -> String {
    format!(
        "/api/v3/klines?symbol={spelled}&interval={interval}&startTime={start_ms}&endTime={end_ms}&limit={ROWS_MAX}"
    )
}

/// The last price of every symbol, whatever its trading status: some 3,500 rows, 200 KB. `exchangeInfo` of all of them
/// would be many megabytes, and of some it is refused whole where one is unknown.
pub const PRICES: &str = "/api/v3/ticker/price";

/// `{"symbol":"LTCBTC","price":"4.00000200"}`
#[derive(Debug, Deserialize)]
struct PriceRow {
    symbol: String,
}

/// The symbols of [`PRICES`]; `None` where there are none, or it cannot be read.
#[must_use]
pub fn decode_prices(body: &[u8]) -> Option<BTreeSet<String>> {
    let rows: Vec<PriceRow> = serde_json::from_slice(body).ok()?;
    let names: BTreeSet<String> = rows.into_iter().map(|row| row.symbol).collect();
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is() {
        let body = br#"[{"symbol":"LTCBTC","price":"4.00000200"},{"symbol":"ETHBTC","price":"0.07946600"}]"#;
        let both = ["LTCBTC".to_owned(), "ETHBTC".to_owned()].into();
        assert_eq!(decode_prices(body), Some(both));
        let refused = br#"{"code":-1003,"msg":"Way too much request weight used"}"#;
        for body in [&refused[..], b"[]", b"{}", b"[{}]", b"", b"<html>"] {
            assert_eq!(decode_prices(body), None);
        }
    }

    #[test]
    fn paths() {
        assert_eq!(
            trades_from("BTCUSDT", 7, 9_999),
            "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=7&limit=1000"
        );
        assert_eq!(
            aggregated_between("BTCUSDT", 1, 2),
            "/api/v3/aggTrades?symbol=BTCUSDT&startTime=1&endTime=2&limit=1000"
        );
        assert_eq!(
            klines_between("BTCUSDT", "1m".parse().unwrap(), 1, 2),
            "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1&endTime=2&limit=1000"
        );
    }

    #[test]
    fn pages_are_read_exactly_or_not_at_all() {
        const ROW: &str = r#"{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}"#;
        let trade = Trade {
            id: 28_457,
            time_ms: 1_499_865_549_590,
            price: "4.000001".parse().unwrap(),
            size: "12".parse().unwrap(),
            taker: Side::Sell,
        };
        assert_eq!(
            decode_trades(format!("[{ROW}]").as_bytes()),
            Ok(vec![trade])
        );
        assert_eq!(decode_trades(b"[]"), Ok(vec![]));
        let lacking = ROW.replace(r#""isBuyerMaker":true,"#, "");
        for body in [format!("[{ROW},{lacking}]"), ROW.to_owned(), String::new()] {
            assert!(decode_trades(body.as_bytes()).is_err(), "{body}");
        }
    }
}
