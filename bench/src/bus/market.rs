// Pure: the bars that go through the bus, each with the moment of its making in it.
#![deny(clippy::disallowed_methods)]

use std::fmt::Write;

use anyhow::Result;
use bytes::Bytes;
use runtime::broker::{BarMessage, CheckpointSubject};
use wire::{Bar, Candle, Completeness, Instrument, Interval, Scope, Topic};

use crate::tape::START_MS;

/// Of each symbol.
pub(crate) const INTERVALS: [&str; 4] = ["1s", "1m", "1h", "1d"];
/// What a checkpoint of four open bars and some closed ones is written in.
const CHECKPOINT_BYTES: usize = 2_000;

/// Symbols with their topics, and bars of them in turn.
pub(crate) struct Market {
    pub(crate) scope: Scope,
    instruments: Vec<Instrument>,
    topics: Vec<Topic>,
    intervals: Vec<Interval>,
    candle: Candle,
    epoch: u64,
}

impl Market {
    /// So many symbols of one venue. Their bars are newer than those of lower epochs.
    pub(crate) fn new(symbols: usize, epoch: u64) -> Result<Self> {
        let intervals = INTERVALS.iter().map(|text| Ok(text.parse()?));
        let intervals: Vec<Interval> = intervals.collect::<Result<_>>()?;
        let mut instruments = Vec::new();
        let mut topics = Vec::new();
        for number in 0..symbols {
            let symbol: wire::Symbol = format!("S{number}-USDT").parse()?;
            instruments.push(Instrument::new("binance-spot".parse()?, symbol.clone()));
            let of = |interval: &Interval| Topic::short(*interval, symbol.clone());
            topics.extend(intervals.iter().map(of));
        }
        Ok(Self {
            scope: Scope::new("bench", "local")?,
            instruments,
            topics,
            intervals,
            candle: candle()?,
            epoch,
        })
    }

    /// The `n`-th open bar of all: the topics take turns.
    pub(crate) fn open(&self, n: usize, stamp: i64) -> BarMessage {
        let at = n % self.topics.len();
        let bar = Bar {
            seq: (n / self.topics.len()) as u64 + 1,
            ..self.bar(at, stamp)
        };
        BarMessage::new(&self.scope, bar)
    }

    /// The `n`-th close of all: the symbols take turns with their shortest bars, numbered from 1.
    pub(crate) fn close(&self, n: usize, stamp: i64) -> BarMessage {
        let at = self.instrument_of(n);
        let close_no = (n / self.instruments.len()) as u64 + 1;
        let bar = self.bar(at * self.intervals.len(), stamp);
        let start_ms = START_MS + bar.interval.ms() * i64::try_from(close_no).unwrap_or(0);
        let bar = Bar {
            start_ms,
            closed: true,
            close_no,
            ..bar
        };
        BarMessage::new(&self.scope, bar)
    }

    /// Whether it is of the topic whose turn is the last, and of this market rather than of one of another epoch.
    pub(crate) fn is_last_of_turn(&self, bar: &Bar) -> bool {
        bar.epoch == self.epoch && self.topics.last() == Some(&bar.topic)
    }

    /// How many topics there are.
    pub(crate) fn topics_len(&self) -> usize {
        self.topics.len()
    }

    /// How many symbols there are.
    pub(crate) fn symbols_len(&self) -> usize {
        self.instruments.len()
    }

    /// The number of the symbol that the `n`-th close is of.
    pub(crate) fn instrument_of(&self, n: usize) -> usize {
        n % self.instruments.len()
    }

    /// Where the symbol's checkpoints go.
    pub(crate) fn checkpoint(&self, instrument: usize) -> CheckpointSubject {
        CheckpointSubject::new(&self.scope, &self.instruments[instrument])
    }

    fn bar(&self, at: usize, stamp: i64) -> Bar {
        let topic = self.topics[at].clone();
        Bar {
            interval: topic.interval,
            topic,
            instrument: self.instruments[at / self.intervals.len()].clone(),
            start_ms: START_MS,
            candle: self.candle,
            closed: false,
            rev: 0,
            completeness: Completeness::Complete,
            close_no: 1,
            epoch: self.epoch,
            seq: 1,
            event_time_ms: START_MS,
            publish_time_ms: stamp,
        }
    }
}

/// A second of a busy market, with as many digits as an exchange writes.
fn candle() -> Result<Candle> {
    Ok(Candle {
        open: "63120.01".parse()?,
        high: "63188.97".parse()?,
        low: "63101.5".parse()?,
        close: "63155.43".parse()?,
        volume: "12.48390221".parse()?,
        quote_volume: "788334.1274551903".parse()?,
        taker_buy_volume: "7.00310254".parse()?,
        taker_buy_quote_volume: "442238.9913804122".parse()?,
        count: 118,
        ids: Some((3_812_004_117, 3_812_004_234)),
    })
}

/// A text as long as a checkpoint. The bus does not read it.
pub(crate) fn checkpoint_text() -> Bytes {
    let mut text = String::from("{\"v\":1");
    let mut rng = fastrand::Rng::with_seed(11);
    while text.len() < CHECKPOINT_BYTES {
        let number = rng.u64(..);
        // Writing to a string does not fail.
        let _ = write!(text, ",\"{}\":\"{number}\"", text.len());
    }
    text.push('}');
    Bytes::from(text)
}
