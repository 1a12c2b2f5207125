//! The simulator's bars beside those that a client was told to be whole.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;
use wire::{Candle, Completeness, Topic};

use crate::checker::{Checker, Entry};
use crate::topology::Topology;

/// Where the newest word on a bar claims to be whole and is not what the market was. Bars that say themselves that
/// something may be missing are not compared.
///
/// # Errors
/// When the simulator does not answer.
pub(super) async fn compare(topology: &Topology, client: &Checker) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (venue, symbols) in topology.options().sources.clone() {
        for (symbol, interval) in symbols.iter().flat_map(|symbol| {
            let intervals = topology.options().intervals.iter();
            intervals.map(move |interval| (symbol, interval))
        }) {
            let topic: Topic = format!("kline:{interval}:{symbol}").parse()?;
            let told = client.look(|ledger| newest(ledger.of(&topic)));
            let Some(first) = told.keys().next() else {
                continue;
            };
            let range = format!("{interval}&start={first}");
            let truth = topology.truth(&venue, symbol, &range).await?;
            let bars = truth["bars"]
                .as_array()
                .context("the simulator tells no truth")?;
            wrong.extend(bars.iter().filter_map(|bar| differs(&topic, bar, &told)));
        }
    }
    Ok(wrong)
}

/// Whether it claims that no trade is missing.
pub(super) fn claims(entry: &Entry) -> bool {
    use Completeness::{Complete, Quiet, Repaired};
    matches!(entry.completeness, Complete | Repaired | Quiet)
}

/// The newest word on each bar, by its start.
pub(super) fn newest(entries: &[Entry]) -> BTreeMap<i64, Entry> {
    // In the order of coming, so that the newest stays.
    let by_start = entries.iter().map(|entry| (entry.start_ms, entry.clone()));
    by_start.collect()
}

/// What is wrong with the bar that was told, if the true one is another.
fn differs(topic: &Topic, truth: &Value, told: &BTreeMap<i64, Entry>) -> Option<String> {
    let start_ms = truth["start"].as_i64()?;
    let told = told.get(&start_ms)?;
    if !claims(told) || candle(truth).as_ref() == Some(&told.candle) {
        return None;
    }
    Some(format!(
        "{topic}: the bar of {start_ms} says {} with {} trades, and there were {}",
        told.completeness, told.candle.count, truth["count"]
    ))
}

fn candle(bar: &Value) -> Option<Candle> {
    let text = |name: &str| bar[name].as_str();
    let ids = bar["first_id"].as_u64().zip(bar["last_id"].as_u64());
    Some(Candle {
        open: text("open")?.parse().ok()?,
        high: text("high")?.parse().ok()?,
        low: text("low")?.parse().ok()?,
        close: text("close")?.parse().ok()?,
        volume: text("volume")?.parse().ok()?,
        quote_volume: text("quote_volume")?.parse().ok()?,
        taker_buy_volume: text("taker_buy_volume")?.parse().ok()?,
        taker_buy_quote_volume: text("taker_buy_quote_volume")?.parse().ok()?,
        count: bar["count"].as_u64()?,
        ids,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn only_what_claims_to_be_whole_is_held_to_the_truth() {
        let topic: Topic = "kline:1s:BTC-USDT".parse().unwrap();
        let truth = json!({"start": 1000, "open": "1", "high": "2", "low": "1", "close": "2",
            "volume": "3", "quote_volume": "4.5", "taker_buy_volume": "0", "taker_buy_quote_volume": "0",
            "count": 2, "first_id": 4, "last_id": 5});
        let mut entry = Entry {
            close_no: 1,
            start_ms: 1000,
            end_ms: 2000,
            rev: 0,
            epoch: 1,
            candle: candle(&truth).unwrap(),
            completeness: Completeness::Complete,
            at: Duration::ZERO,
        };
        let told = |entry: &Entry| newest(std::slice::from_ref(entry));
        assert_eq!(differs(&topic, &truth, &told(&entry)), None);
        entry.candle.count = 1;
        let wrong = differs(&topic, &truth, &told(&entry)).unwrap();
        assert!(
            wrong.contains("says complete with 1 trades, and there were 2"),
            "{wrong}"
        );
        entry.completeness = Completeness::Unknown;
        assert_eq!(differs(&topic, &truth, &told(&entry)), None);
        // A later word counts, not the first.
        let amended = Entry {
            rev: 1,
            completeness: Completeness::Repaired,
            ..entry.clone()
        };
        assert_eq!(newest(&[entry, amended])[&1000].rev, 1);
    }
}
