// Pure: a series as plain data, so that another process goes on where this one stopped.
#![deny(clippy::disallowed_methods)]

use serde::{Deserialize, Serialize};
use wire::{Candle, Completeness, Interval, Price, Quote, Side, Size, Trade};

/// Everything that a series knows, as of the moment at which its feed was lost. It is kept as JSON, and every later
/// release reads it: fields are only ever added, what is not known is ignored, what is missing has its default. Amounts
/// are decimal strings, times are Unix milliseconds. With four intervals and no holes it takes about 1.5 KB; holes,
/// stretches and bars that may yet be amended are bounded ([`RUNS_MAX`],
/// [`STRETCHES_MAX`], [`HELD_MAX`]).
///
/// Made by [`super::Series::snapshot`], read by [`super::Series::restore`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesSnapshot {
    /// The format: [`FORMAT`]. A reader takes any; it tells a person which release wrote it.
    #[serde(default, rename = "v")]
    pub format: u32,
    /// The newest believed venue time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) claim: Option<i64>,
    #[serde(default)]
    pub(super) lanes: Vec<LaneSnapshot>,
    #[serde(default)]
    pub(super) ids: IdsSnapshot,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) gaps: Vec<StretchSnapshot>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) outages: Vec<OutageSnapshot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) doubt: Option<DoubtSnapshot>,
}

/// The format that this release writes.
pub const FORMAT: u32 = 1;

/// Runs of ids in a snapshot. With more, the oldest holes are given up in it, as [`super::Config::ranges_max`] does.
pub const RUNS_MAX: usize = 32;

/// Gaps, and likewise outages, in a snapshot. With more, the oldest are taken as one.
pub const STRETCHES_MAX: usize = 32;

/// Entries of closed bars in a snapshot, of each interval: the newest of those that are not whole or not proven.
pub const HELD_MAX: usize = 32;

impl SeriesSnapshot {
    /// The start of the interval's next bar to close; `None` where no bar has begun.
    #[must_use]
    pub fn next_ms(&self, interval: Interval) -> Option<i64> {
        let lane = self.lanes.iter().find(|lane| lane.interval == interval)?;
        lane.next
    }

    /// The highest trade id that is in it.
    #[must_use]
    pub fn last_id(&self) -> Option<u64> {
        self.ids.runs.last().map(|run| run.hi)
    }
}

/// One interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LaneSnapshot {
    #[serde(rename = "i")]
    pub(super) interval: Interval,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) origin: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<i64>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) begun: bool,
    /// The trade that flat bars follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<(u64, Price)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) open: Vec<BucketSnapshot>,
    /// The end of the newest whole bar that is left out of `held`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gone: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) held: Vec<HeldSnapshot>,
}

/// A closed bar that may yet be amended, or several flat ones in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeldSnapshot {
    #[serde(rename = "s")]
    pub(super) start: i64,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(super) n: u32,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "c")]
    pub(super) candle: Option<CandleSnapshot>,
    /// Without trades: what it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tip: Option<(u64, Price)>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) lacks: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) repaired: bool,
    #[serde(rename = "is")]
    pub(super) completeness: Completeness,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) rev: u32,
    #[serde(default)]
    pub(super) closed: i64,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) changed: bool,
}

/// One open bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BucketSnapshot {
    #[serde(rename = "s")]
    pub(super) start: i64,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "c")]
    pub(super) candle: Option<CandleSnapshot>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) lacks: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) repaired: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tip: Option<(u64, Price)>,
}

/// A candle with trades.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CandleSnapshot {
    o: Price,
    h: Price,
    l: Price,
    c: Price,
    v: Size,
    q: Quote,
    bv: Size,
    bq: Quote,
    n: u64,
    ids: (u64, u64),
}

/// Ids seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IdsSnapshot {
    #[serde(default)]
    pub(super) runs: Vec<RunSnapshot>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) against: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) newest: Option<i64>,
}

/// Contiguous ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunSnapshot {
    pub(super) lo: u64,
    pub(super) hi: u64,
    pub(super) min: i64,
    pub(super) max: i64,
    pub(super) price: Price,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) told: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) against: bool,
}

/// A stretch in which trades are missing, both ends included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StretchSnapshot {
    pub(super) lo: i64,
    pub(super) hi: i64,
    /// The ids that are missing; without them, and if not a loss, it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ids: Option<(u64, u64)>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) loss: bool,
}

/// A time without a feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OutageSnapshot {
    /// `None` before the first subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<i64>,
    /// `None` until the feed is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<i64>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) told: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) lasting: bool,
}

/// A trade whose id is not believed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DoubtSnapshot {
    id: u64,
    time: i64,
    price: Price,
    size: Size,
    #[serde(default)]
    buy: bool,
    #[serde(default)]
    pub(super) ahead: bool,
    pub(super) heard: i64,
    #[serde(default)]
    pub(super) held: bool,
}

fn one() -> u32 {
    1
}

fn is_one(count: &u32) -> bool {
    *count == 1
}

fn is_zero(rev: &u32) -> bool {
    *rev == 0
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

impl CandleSnapshot {
    /// `None` without trades.
    pub(super) fn of(candle: &Candle) -> Option<Self> {
        Some(Self {
            o: candle.open,
            h: candle.high,
            l: candle.low,
            c: candle.close,
            v: candle.volume,
            q: candle.quote_volume,
            bv: candle.taker_buy_volume,
            bq: candle.taker_buy_quote_volume,
            n: candle.count,
            ids: candle.ids?,
        })
    }

    pub(super) fn candle(&self) -> Candle {
        Candle {
            open: self.o,
            high: self.h,
            low: self.l,
            close: self.c,
            volume: self.v,
            quote_volume: self.q,
            taker_buy_volume: self.bv,
            taker_buy_quote_volume: self.bq,
            count: self.n.max(1),
            ids: Some(self.ids),
        }
    }
}

impl DoubtSnapshot {
    pub(super) fn new(trade: &Trade, ahead: bool, heard: i64, held: bool) -> Self {
        Self {
            id: trade.id,
            time: trade.time_ms,
            price: trade.price,
            size: trade.size,
            buy: trade.taker == Side::Buy,
            ahead,
            heard,
            held,
        }
    }

    pub(super) fn trade(&self) -> Trade {
        Trade {
            id: self.id,
            time_ms: self.time,
            price: self.price,
            size: self.size,
            taker: if self.buy { Side::Buy } else { Side::Sell },
        }
    }
}
