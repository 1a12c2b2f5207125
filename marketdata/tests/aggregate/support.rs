//! A script for one series, and how its output is shown.

use std::sync::Arc;

use marketdata::aggregate::{Closed, Config, Event, Series, TradeOutcome};
use wire::{Bar, Instrument, Interval, Price, Side, Size, Trade};

/// 2024-08-09 00:00 UTC: times in scripts are milliseconds after it.
pub(crate) const DAY_MS: i64 = 1_723_161_600_000;

pub(crate) fn interval(text: &str) -> Interval {
    text.parse().unwrap()
}

pub(crate) fn config(intervals: &str) -> Config {
    Config::new(intervals.split_whitespace().map(interval))
}

/// A trade whose price, size and side follow from its id, so that a wrong candle shows.
pub(crate) fn trade(id: u64, at_ms: i64) -> Trade {
    Trade {
        id,
        time_ms: DAY_MS + at_ms,
        price: Price::from_units((1_000 + i128::from(id % 101 * 37 % 101)) * 1_000_000_000_000)
            .unwrap(),
        size: Size::from_units(1 + i128::from(id % 17 * 13 % 17)).unwrap(),
        taker: if id.is_multiple_of(3) {
            Side::Buy
        } else {
            Side::Sell
        },
    }
}

/// What is done to a series. Times count from [`DAY_MS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Trade { id: u64, at: i64, event: i64 },
    Reference { id: u64, at: i64 },
    Clock(i64),
    Up(Option<i64>),
    Down,
    Loss,
    Fetched { id: u64, at: i64 },
    Void(u64, u64),
    End,
}

impl Op {
    /// `7@100` is trade 7 at 100 ms, `7@100/150` one that was sent at 150 ms, `ref:7@100` one that a snapshot
    /// told; `clock:200`, `up`, `up:200`, `down`, `loss`; `get:7@100` one that was fetched, `void:5-6`, and `end` for
    /// the end of a batch of those.
    pub(crate) fn parse(text: &str) -> Self {
        let number = |text: &str| text.parse::<i64>().unwrap();
        let id_at = |text: &str| {
            let (id, at) = text.split_once('@').unwrap();
            (id.parse().unwrap(), at.to_owned())
        };
        match text.split_once(':') {
            Some(("clock", ms)) => Self::Clock(number(ms)),
            Some(("up", ms)) => Self::Up(Some(number(ms))),
            Some((told @ ("ref" | "get"), rest)) => {
                let (id, at) = id_at(rest);
                let at = number(&at);
                if told == "ref" {
                    Self::Reference { id, at }
                } else {
                    Self::Fetched { id, at }
                }
            }
            Some(("void", rest)) => {
                let (from, to) = rest.split_once('-').unwrap_or((rest, rest));
                Self::Void(from.parse().unwrap(), to.parse().unwrap())
            }
            None if text == "end" => Self::End,
            None if text == "up" => Self::Up(None),
            None if text == "down" => Self::Down,
            None if text == "loss" => Self::Loss,
            None => {
                let (id, at) = id_at(text);
                let (at, event) = at.split_once('/').unwrap_or((&at, &at));
                Self::Trade {
                    id,
                    at: number(at),
                    event: number(event),
                }
            }
            Some(_) => panic!("{text:?} is no step"),
        }
    }

    pub(crate) fn apply(self, series: &mut Series) -> Option<TradeOutcome> {
        match self {
            Self::Trade { id, at, event } => {
                return Some(series.handle_trade(&trade(id, at), DAY_MS + event));
            }
            Self::Reference { id, at } => return Some(series.handle_reference(&trade(id, at))),
            Self::Clock(at) => series.handle_clock(DAY_MS + at),
            Self::Up(at) => series.handle_feed_up(at.map(|at| DAY_MS + at)),
            Self::Down => series.handle_feed_down(),
            Self::Loss => series.handle_loss(),
            Self::Fetched { id, at } => return Some(series.handle_repaired(&trade(id, at))),
            Self::Void(from_id, to_id) => series.handle_void(from_id, to_id),
            Self::End => series.handle_batch_end(),
        }
        None
    }
}

pub(crate) fn drain(series: &mut Series) -> Vec<Closed> {
    std::iter::from_fn(|| series.poll_close()).collect()
}

pub(crate) fn run(config: Config, ops: impl IntoIterator<Item = Op>) -> (Series, Vec<Closed>) {
    let mut series = Series::new(&Arc::new(config));
    let mut closed = Vec::new();
    for op in ops {
        op.apply(&mut series);
        closed.extend(drain(&mut series));
    }
    (series, closed)
}

/// `1s:1000=complete[4-7]`, `1s:2000=quiet`, `1s:2000=repaired[3]r1` for its first amendment.
pub(crate) fn show(bar: &Closed) -> String {
    let ids = match bar.candle.ids {
        Some((first, last)) if first == last => format!("[{first}]"),
        Some((first, last)) => format!("[{first}-{last}]"),
        None => String::new(),
    };
    let at = bar.start_ms - DAY_MS;
    let rev = match bar.rev {
        0 => String::new(),
        rev => format!("r{rev}"),
    };
    format!("{}:{at}={}{ids}{rev}", bar.interval, bar.completeness)
}

/// What a reader makes of the bar: whatever we send must be one to it.
pub(crate) fn read_back(of: &Closed, closed: bool) -> Result<Bar, String> {
    let instrument = Instrument::new("coinbase".parse().unwrap(), "A-B".parse().unwrap());
    let bar = Bar {
        topic: format!("kline:{}:A-B", of.interval).parse().unwrap(),
        instrument,
        interval: of.interval,
        start_ms: of.start_ms,
        candle: of.candle,
        closed,
        rev: of.rev,
        completeness: of.completeness,
        close_no: 1,
        epoch: 1,
        seq: 0,
        event_time_ms: of.event_time_ms,
        publish_time_ms: 0,
    };
    Bar::decode(bar.encode().as_ref()).map_err(|error| error.to_string())
}

fn show_outcome(outcome: TradeOutcome) -> Option<String> {
    (outcome != TradeOutcome::Added).then(|| format!("{outcome:?}"))
}

fn show_event(event: &Event) -> String {
    match event {
        Event::Gap {
            from_id,
            to_id,
            after_ms,
            before_ms,
        } => format!(
            "gap({from_id}-{to_id} in {}..{})",
            after_ms - DAY_MS,
            before_ms - DAY_MS
        ),
        Event::Outage { from_ms, to_ms } => {
            format!("outage({}..{})", from_ms - DAY_MS, to_ms - DAY_MS)
        }
        Event::Late(trade) => format!("late({})", trade.id),
        Event::Overflow(trade) => format!("overflow({})", trade.id),
        Event::TimesRunAgainstIds => "against".to_owned(),
        Event::IdsCut(id) => format!("cut({id})"),
    }
}

/// Runs a script such as `up:0 1@100 => ; 2@1000 => 1s:0=complete[1]`: steps, and after each arrow what they bring
/// about: of each step, its outcome if not `Added`, then events, then closed bars.
pub(crate) fn check_with(config: Config, script: &str) {
    let mut series = Series::new(&Arc::new(config));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (mut got, mut expected) = (Vec::new(), Vec::new());
    for part in script.split(';') {
        let (steps, expect) = part.split_once("=>").unwrap();
        let mut came = Vec::new();
        for step in steps.split_whitespace() {
            let outcome = Op::parse(step).apply(&mut series);
            came.extend(outcome.and_then(show_outcome));
            came.extend(std::iter::from_fn(|| series.poll_event()).map(|event| show_event(&event)));
            for bar in drain(&mut series) {
                let read = read_back(&bar, true);
                assert!(read.is_ok(), "{}: {read:?}", show(&bar));
                came.push(show(&bar));
            }
        }
        got.push(format!("{} => {}", words(steps), came.join(" ")));
        expected.push(format!("{} => {}", words(steps), words(expect)));
    }
    assert!(
        got == expected,
        "got\n{}\nbut not\n{}",
        got.join(";\n"),
        expected.join(";\n")
    );
}

/// [`check_with`] the defaults.
pub(crate) fn check(intervals: &str, script: &str) {
    check_with(config(intervals), script);
}
