// Pure: Coinbase Advanced Trade's public REST paths and their budget.
#![deny(clippy::disallowed_methods)]

use crate::venue::Rate;

/// A process's share of the requests that one address may send, which is 10 a second: as for Coinbase Exchange.
pub const REQUESTS: Rate = Rate {
    burst: 2,
    per_ms: 1_000,
};
/// Rows in one answer at most.
pub const ROWS_MAX: u32 = 1_000;

/// Trades between two times in Unix seconds, newest first.
#[must_use]
pub fn trades_between(spelled: &str, start_s: i64, end_s: i64) -> String {
    format!(
        "/api/v3/brokerage/market/products/{spelled}/ticker?limit={ROWS_MAX}&start={start_s}&end={end_s}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(
            trades_between("BTC-USD", 60, 120),
            "/api/v3/brokerage/market/products/BTC-USD/ticker?limit=1000&start=60&end=120"
        );
    }
}
