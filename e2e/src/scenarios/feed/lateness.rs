//! How long closes are waited for while something is done to a feed, and how long they may be. Each topic closes a bar a second, so
//! that seconds are periods of which nothing was told. The bounds are several times of what a quiet machine has: they tell a
//! hand-over from an outage, not a good one from a better.

use std::time::Duration;

use anyhow::{Result, ensure};
use cluster::checker::Ledger;
use wire::Topic;

use super::Feed;

/// Nothing on the way from the exchange to the client is touched: what a busy machine adds.
pub(crate) const UNTOUCHED_MAX: Duration = Duration::from_secs(5);

/// An owner ends without a word: its lease runs out and a standby takes over, within 4 s; and what a busy machine adds.
pub(crate) const CRASH_MAX: Duration = Duration::from_secs(10);

/// Pods that carry it are asked to stop, one after another: a second each; and what their successors' start takes of a busy
/// machine's processors.
pub(crate) const HANDOVER_MAX: Duration = Duration::from_secs(15);

/// The NATS server that leads is lost: the others choose another one, in 4 to 9 s, and who was connected to it connects again.
pub(crate) const ELECTION_MAX: Duration = Duration::from_secs(20);

impl Feed {
    /// How late closes were at most since then, for people.
    ///
    /// # Errors
    /// When that is more than it may be.
    pub(crate) fn late_since(&self, since: Duration, bound: Duration) -> Result<String> {
        let gap = self.gap_since(since).as_secs_f64();
        let bound = bound.as_secs_f64();
        ensure!(
            gap <= bound,
            "closes were late by {gap:.1} s, {bound} s may be"
        );
        Ok(format!("closes late by {gap:.1} s at most, of {bound} s"))
    }

    /// The longest that closes of any topic were waited for since then.
    pub(crate) fn gap_since(&self, since: Duration) -> Duration {
        let now = self.client.now();
        let gaps = |ledger: &Ledger| {
            let gaps = self.topics.iter();
            gaps.map(|topic| gap(ledger, topic, since, now)).max()
        };
        self.client.look(gaps).unwrap_or_default()
    }
}

/// One that has not come yet counts too.
fn gap(ledger: &Ledger, topic: &Topic, since: Duration, now: Duration) -> Duration {
    let came = ledger.waited_since(topic, since).map(|(waited, _)| waited);
    let mut firsts = ledger.of(topic).iter().filter(|entry| entry.rev == 0);
    let next_ms = firsts
        .next_back()
        .map(|last| last.end_ms + (last.end_ms - last.start_ms));
    let next = next_ms.and_then(|ms| u64::try_from(ms).ok());
    let next = Duration::from_millis(next.unwrap_or(0));
    let lacking = now.saturating_sub(since.max(next));
    came.unwrap_or_default().max(lacking)
}

#[cfg(test)]
mod tests {
    use wire::{Bar, Candle, Completeness, Instrument, Symbol, Venue};

    use super::*;

    /// A second's that closes then.
    fn close(topic: &Topic, close_no: u64, end_ms: i64) -> Bar {
        let price = "100.5".parse().unwrap();
        let (size, quote) = ("1".parse().unwrap(), "100.5".parse().unwrap());
        Bar {
            topic: topic.clone(),
            instrument: Instrument::new(
                Venue::new("coinbase").unwrap(),
                Symbol::new("A-B").unwrap(),
            ),
            interval: "1s".parse().unwrap(),
            start_ms: end_ms - 1_000,
            candle: Candle {
                open: price,
                high: price,
                low: price,
                close: price,
                volume: size,
                quote_volume: quote,
                taker_buy_volume: size,
                taker_buy_quote_volume: quote,
                count: 1,
                ids: None,
            },
            closed: true,
            rev: 0,
            completeness: Completeness::Complete,
            close_no,
            epoch: 5,
            seq: 0,
            event_time_ms: 0,
            publish_time_ms: 0,
        }
    }

    fn ledger(closes: &[(i64, u64)]) -> (Ledger, Topic) {
        let topic: Topic = "kline:1s:A-B".parse().unwrap();
        let mut ledger = Ledger::default();
        for (number, (end_s, at_s)) in closes.iter().enumerate() {
            let bar = close(&topic, u64::try_from(number).unwrap() + 1, end_s * 1_000);
            ledger.handle_bar(&bar, Duration::from_secs(*at_s));
        }
        (ledger, topic)
    }

    #[test]
    fn the_longest_wait_counts_whether_or_not_it_is_over() {
        let gap_of = |closes: &[(i64, u64)], since: u64, now: u64| {
            let (ledger, topic) = ledger(closes);
            let (since, now) = (Duration::from_secs(since), Duration::from_secs(now));
            gap(&ledger, &topic, since, now).as_secs()
        };
        assert_eq!(gap_of(&[(10, 10), (11, 11), (12, 12)], 10, 13), 0);
        // A burst after an outage.
        assert_eq!(gap_of(&[(10, 10), (11, 19), (12, 19)], 10, 20), 8);
        // An outage that has not ended: the bar of 11 to 12 s does not come.
        assert_eq!(gap_of(&[(10, 10), (11, 11)], 10, 30), 18);
        // What was late before does not count, and nothing at all is the worst.
        assert_eq!(gap_of(&[(10, 20), (21, 21)], 20, 22), 0);
        assert_eq!(gap_of(&[], 10, 70), 60);
    }
}
