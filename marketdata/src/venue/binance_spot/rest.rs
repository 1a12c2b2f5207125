// Pure: Binance's REST paths and their weights; the seam of the repair to come.
#![deny(clippy::disallowed_methods)]

use crate::venue::Rate;

/// Weight that one address may use: 6,000 a minute. A part is left to others behind the same address.
pub const WEIGHT: Rate = Rate {
    burst: 2_400,
    per_ms: 60_000,
};
/// Weight of one [`trades_from`].
pub const TRADES_WEIGHT: u32 = 25;
/// Weight of one [`aggregated_between`].
pub const AGGREGATED_WEIGHT: u32 = 4;
/// Weight of one [`klines_between`].
pub const KLINES_WEIGHT: u32 = 2;
/// Rows in one answer at most.
pub const ROWS_MAX: u32 = 1_000;

/// Trades from an id on, oldest first; the ids are those of the `@trade` stream.
#[must_use]
pub fn trades_from(spelled: &str, from_id: u64) -> String {
    format!("/api/v3/historicalTrades?symbol={spelled}&fromId={from_id}&limit={ROWS_MAX}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(
            trades_from("BTCUSDT", 7),
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
}
