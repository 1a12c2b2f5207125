// Pure: Coinbase Exchange's REST paths, their budget, and what the answers say.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeSet;

use serde::Deserialize;
use wire::{Side, Trade};

use crate::venue::event::shown;
use crate::venue::json::{Text, price, size, time_ms};
use crate::venue::{Rate, Reason};

/// A process's share of the requests that one address may send, which is 10 a second, 15 at once. A burst and what is
/// earned meanwhile make two of these in a second, and an owner and its standby behind one address fetch the same: four.
pub const REQUESTS: Rate = Rate {
    burst: 2,
    per_ms: 1_000,
};
/// Rows in one answer of [`trades_before`] at most.
pub const ROWS_MAX: u32 = 1_000;
/// Rows in one answer of [`candles_between`] at most.
pub const CANDLES_MAX: u32 = 300;

/// Trades older than an id, newest first. The venue calls that `after`: later on the way back.
#[must_use]
pub fn trades_before(spelled: &str, id: u64, rows: u32) -> String {
    let rows = rows.min(ROWS_MAX);
    format!("/products/{spelled}/trades?after={id}&limit={rows}")
}

/// The side is the maker's, as on the stream.
///
/// ```json
/// {"trade_id":881613,"side":"sell","size":"0.04","price":"14.7775","time":"2021-04-17T16:43:30.244075Z"}
/// ```
#[derive(Debug, Deserialize)]
struct Row<'a> {
    trade_id: u64,
    #[serde(borrow)]
    side: Text<'a>,
    #[serde(borrow)]
    size: Text<'a>,
    #[serde(borrow)]
    price: Text<'a>,
    #[serde(borrow)]
    time: Text<'a>,
}

/// The trades of such a page.
///
/// # Errors
/// When one of them cannot be read exactly.
pub fn decode_trades(body: &[u8]) -> Result<Vec<Trade>, Reason> {
    let rows: Vec<Row<'_>> = serde_json::from_slice(body)?;
    let trade = |row: Row<'_>| {
        Ok(Trade {
            id: row.trade_id,
            time_ms: time_ms(row.time.as_str())?,
            price: price(row.price.as_str())?,
            size: size(row.size.as_str())?,
            taker: match row.side.as_str() {
                "sell" => Side::Buy,
                "buy" => Side::Sell,
                side => return Err(Reason::Field(format!("side {:?}", shown(side)))),
            },
        })
    };
    rows.into_iter().map(trade).collect()
}

/// The exchange's own bars, newest first; empty ones are omitted.
#[must_use]
pub fn candles_between(
    spelled: &str,
    interval: wire::Interval,
    start_s: i64,
    end_s: i64,
) -> String {
    let granularity = interval.secs();
    format!("/products/{spelled}/candles?granularity={granularity}&start={start_s}&end={end_s}")
}

/// All products, in one answer of some hundred kilobytes.
pub const PRODUCTS: &str = "/products";

/// `[{"id":"BTC-USD","status":"online",…}]`. One that is halted is there nonetheless.
#[derive(Debug, Deserialize)]
struct Product {
    id: String,
}

/// The products of [`PRODUCTS`]; `None` where there are none, or it cannot be read.
#[must_use]
pub fn decode_products(body: &[u8]) -> Option<BTreeSet<String>> {
    let products: Vec<Product> = serde_json::from_slice(body).ok()?;
    let names: BTreeSet<String> = products.into_iter().map(|it| it.id).collect();
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is() {
        let body = br#"[{"id":"BTC-USD","status":"online"},{"id":"ETH-USD","status":"delisted"}]"#;
        let both = ["BTC-USD".to_owned(), "ETH-USD".to_owned()].into();
        assert_eq!(decode_products(body), Some(both));
        for body in [&b"[]"[..], b"{}", b"[{}]", b""] {
            assert_eq!(decode_products(body), None);
        }
    }

    #[test]
    fn paths() {
        assert_eq!(
            trades_before("BTC-USD", 7, 9_999),
            "/products/BTC-USD/trades?after=7&limit=1000"
        );
        assert_eq!(
            candles_between("BTC-USD", "1m".parse().unwrap(), 60, 120),
            "/products/BTC-USD/candles?granularity=60&start=60&end=120"
        );
    }

    #[test]
    fn pages_are_read_exactly_or_not_at_all() {
        const ROW: &str = r#"{"trade_id":28457,"side":"buy","size":"12","price":"4.000001","time":"2017-07-12T13:19:09.590000Z"}"#;
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
        let lacking = ROW.replace(r#""side":"buy","#, "");
        for body in [format!("[{ROW},{lacking}]"), ROW.to_owned(), String::new()] {
            assert!(decode_trades(body.as_bytes()).is_err(), "{body}");
        }
    }
}
