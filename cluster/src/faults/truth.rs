//! The simulator's bars beside those that a client was told to be whole, and the bars that never got whole.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use wire::{Candle, Completeness, Topic, Venue};

use crate::checker::{Checker, Entry, Ledger};
use crate::topology::{Options, Topology};

/// Venues that give trades by their ids: what a process missed there is fetched by whoever goes on.
const REPAIRED: [&str; 2] = [Venue::BINANCE_SPOT, Venue::COINBASE];

/// Where the newest word on a bar claims to be whole and is not what the market was. Bars that say themselves that
/// something may be missing are not compared: [`in_doubt`] tells those.
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

/// Bars of venues that can be asked for missing trades.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Doubts {
    /// How many were told to lack trades at some time.
    pub(super) ever: usize,
    /// What the newest word on a bar says where that is so still.
    pub(super) still: Vec<String>,
}

/// The bars that a client was told to lack trades. One amendment is enough to end that, whatever it was by. The first
/// bar of a topic is none of them: it began before anybody listened.
pub(super) fn in_doubt(options: &Options, ledger: &Ledger) -> Result<Doubts> {
    let mut doubts = Doubts::default();
    let repaired = options.sources.iter();
    let repaired = repaired.filter(|(venue, _)| REPAIRED.contains(&venue.as_str()));
    for symbol in repaired.flat_map(|(_, symbols)| symbols) {
        for interval in &options.intervals {
            let topic: Topic = format!("kline:{interval}:{symbol}").parse()?;
            doubts.add(&topic, ledger.of(&topic));
        }
    }
    Ok(doubts)
}

impl Doubts {
    fn add(&mut self, topic: &Topic, entries: &[Entry]) {
        let first = entries.iter().find(|entry| entry.close_no == 1);
        let first = first.map(|entry| entry.start_ms);
        let counts = |entry: &&Entry| Some(entry.start_ms) != first;
        let doubtful = |entry: &&Entry| !claims(entry);
        let doubted = entries.iter().filter(counts).filter(doubtful);
        let starts: BTreeSet<i64> = doubted.map(|entry| entry.start_ms).collect();
        self.ever += starts.len();
        let newest = newest(entries);
        let still = starts.iter().filter_map(|start_ms| newest.get(start_ms));
        self.still
            .extend(still.filter(doubtful).map(|entry| {
                let Entry { start_ms, rev, completeness, .. } = entry;
                format!("{topic}: the bar of {start_ms} (rev {rev}) says {completeness} and was never repaired")
            }));
    }
}

/// How many bars of these topics were told after this time of the client's clock to lack trades, or to have lacked them.
/// Of the shortest ones: a longer one may be told so for what was missed before.
pub(super) fn marked(ledger: &Ledger, topics: &[Topic], since: Duration) -> usize {
    let of_topic = |topic| marked_of(ledger.of(topic), since);
    topics.iter().map(of_topic).sum()
}

fn marked_of(entries: &[Entry], since: Duration) -> usize {
    use Completeness::{Complete, Quiet};
    let told = entries.iter().filter(|entry| entry.at > since);
    let marked = told.filter(|entry| !matches!(entry.completeness, Complete | Quiet));
    let starts: BTreeSet<i64> = marked.map(|entry| entry.start_ms).collect();
    starts.len()
}

/// Whether it claims that no trade is missing.
fn claims(entry: &Entry) -> bool {
    use Completeness::{Complete, Quiet, Repaired};
    matches!(entry.completeness, Complete | Repaired | Quiet)
}

/// The newest word on each bar, by its start.
fn newest(entries: &[Entry]) -> BTreeMap<i64, Entry> {
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

    fn entry(close_no: u64, start_ms: i64, rev: u32, completeness: Completeness) -> Entry {
        Entry {
            close_no,
            start_ms,
            end_ms: start_ms + 1_000,
            rev,
            epoch: 1,
            candle: Candle::flat("1".parse().unwrap()),
            completeness,
            at: Duration::ZERO,
        }
    }

    #[test]
    fn a_bar_is_in_doubt_until_an_amendment_says_that_it_is_whole() {
        use Completeness::{Complete, Gap, Repaired, Unknown};
        let topic: Topic = "kline:1s:BTC-USDT".parse().unwrap();
        let mut entries = vec![
            // The first of the topic.
            entry(1, 1_000, 0, Unknown),
            entry(2, 2_000, 0, Gap),
            entry(3, 3_000, 0, Unknown),
            entry(4, 4_000, 0, Complete),
        ];
        let doubts = |entries: &[Entry]| {
            let mut doubts = Doubts::default();
            doubts.add(&topic, entries);
            (doubts.ever, doubts.still)
        };
        let (ever, still) = doubts(&entries);
        assert_eq!((ever, still.len()), (2, 2), "{still:?}");
        entries.push(entry(5, 3_000, 1, Repaired));
        let (ever, still) = doubts(&entries);
        assert_eq!((ever, still.len()), (2, 1), "{still:?}");
        assert!(
            still[0].contains("the bar of 2000 (rev 0) says gap"),
            "{still:?}"
        );
        // An amendment that still lacks trades ends nothing, and what was whole may come to be in doubt.
        entries.push(entry(6, 2_000, 1, Gap));
        entries.push(entry(7, 4_000, 1, Gap));
        assert_eq!(doubts(&entries).1.len(), 2);
        entries.push(entry(8, 2_000, 2, Repaired));
        entries.push(entry(9, 4_000, 2, Repaired));
        assert_eq!(doubts(&entries), (3, vec![]));
        // Who came later has not seen the first close, and is told of the second bar's all the same.
        assert_eq!(doubts(&entries[1..2]).1.len(), 1);
    }

    #[test]
    fn a_bar_that_is_repaired_at_once_has_missed_trades_too() {
        use Completeness::{Complete, Gap, Quiet, Repaired, Unknown};
        let told = [Unknown, Complete, Quiet, Repaired, Gap, Unknown];
        let entries = (1..).zip(told).map(|(no, completeness)| Entry {
            at: Duration::from_secs(no),
            ..entry(no, no.cast_signed() * 1_000, 0, completeness)
        });
        let mut entries: Vec<Entry> = entries.collect();
        // Told twice, of one bar.
        entries.push(Entry {
            at: Duration::from_secs(7),
            ..entry(7, 5_000, 1, Repaired)
        });
        let marked = |since| marked_of(&entries, Duration::from_secs(since));
        assert_eq!([0, 1, 4, 7].map(marked), [4, 3, 2, 0]);
    }

    #[test]
    fn only_what_claims_to_be_whole_is_held_to_the_truth() {
        let topic: Topic = "kline:1s:BTC-USDT".parse().unwrap();
        let truth = json!({"start": 1000, "open": "1", "high": "2", "low": "1", "close": "2",
            "volume": "3", "quote_volume": "4.5", "taker_buy_volume": "0", "taker_buy_quote_volume": "0",
            "count": 2, "first_id": 4, "last_id": 5});
        let mut entry = Entry {
            candle: candle(&truth).unwrap(),
            ..entry(1, 1_000, 0, Completeness::Complete)
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
