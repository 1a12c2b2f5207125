// Pure: Coinbase Exchange's REST paths and their budget; the seam of the repair to come.
#![deny(clippy::disallowed_methods)]

use crate::venue::Rate;

/// Requests that one address may send: 10 a second, 15 at once. Some are left to others.
pub const REQUESTS: Rate = Rate {
    burst: 4,
    per_ms: 1_000,
};
/// Rows in one answer of [`trades_before`] at most.
pub const ROWS_MAX: u32 = 1_000;
/// Rows in one answer of [`candles_between`] at most.
pub const CANDLES_MAX: u32 = 300;

/// Trades older than an id, newest first. The venue calls that `after`: later on the way back.
#[must_use]
pub fn trades_before(spelled: &str, id: u64) -> String {
    format!("/products/{spelled}/trades?after={id}&limit={ROWS_MAX}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(
            trades_before("BTC-USD", 7),
            "/products/BTC-USD/trades?after=7&limit=1000"
        );
        assert_eq!(
            candles_between("BTC-USD", "1m".parse().unwrap(), 60, 120),
            "/products/BTC-USD/candles?granularity=60&start=60&end=120"
        );
    }
}
