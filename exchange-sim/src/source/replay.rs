//! Plays the recordings of one venue: several files in the order given are one session.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;

use indexmap::IndexMap;
use wire::{Symbol, Trade};

use super::{Source, Summary};
use crate::market::tape::Listing;
use crate::market::{Body, Listed, Step};
use crate::recording::{self, Recording};
use crate::venue::{Kind, binance_spot, coinbase, coinbase_advanced};

/// The files of one venue as steps.
#[derive(Debug)]
pub struct Replay {
    kind: Kind,
    paths: Vec<PathBuf>,
    summary: Summary,
    reader: Reader,
    passes: Passes,
}

impl Replay {
    /// Reads the files through once, to know their instruments, and stands at their beginning.
    ///
    /// Gives the replay and, where a file breaks off or is malformed, the error that playing it will end with.
    ///
    /// # Errors
    /// [`recording::Error`] when a file cannot be opened, or when nothing in them can be played.
    pub fn open(
        kind: Kind,
        paths: Vec<PathBuf>,
        endless: bool,
    ) -> Result<(Self, Option<recording::Error>), recording::Error> {
        for (index, path) in paths.iter().enumerate() {
            recording::open(path)?;
            if paths[..index].contains(path) {
                return Err(recording::Error::Twice { path: path.clone() });
            }
        }
        let mut scan = Scan::default();
        let fault = scan.read(kind, &paths)?;
        if scan.trades == 0
            && let Some(error) = fault
        {
            return Err(error);
        }
        let passes = Passes::new(&scan, endless);
        let reader = Reader::new(kind, &paths);
        Ok((
            Self {
                kind,
                paths,
                summary: scan.summary(endless),
                reader,
                passes,
            },
            fault,
        ))
    }
}

impl Source for Replay {
    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn next_step(&mut self) -> Option<Result<Step, recording::Error>> {
        loop {
            match self.reader.next_step() {
                Some(Ok(step)) => {
                    if let Some(step) = self.passes.shift(step) {
                        return Some(Ok(step));
                    }
                }
                Some(Err(error)) => {
                    self.passes.endless = false;
                    return Some(Err(error));
                }
                None if self.passes.endless => {
                    self.passes.pass += 1;
                    self.reader = Reader::new(self.kind, &self.paths);
                }
                None => return None,
            }
        }
    }
}

/// Reads file after file, and messages as steps.
#[derive(Debug)]
struct Reader {
    kind: Kind,
    paths: VecDeque<PathBuf>,
    current: Option<Recording>,
    /// Steps of a message that holds several.
    pending: VecDeque<Step>,
    /// The latest receive time or, in recordings without any, venue time.
    at_ns: i64,
    /// Whether any message so far was one of the venue's.
    recognised: bool,
}

impl Reader {
    fn new(kind: Kind, paths: &[PathBuf]) -> Self {
        Self {
            kind,
            paths: paths.iter().cloned().collect(),
            current: None,
            pending: VecDeque::new(),
            at_ns: i64::MIN,
            recognised: false,
        }
    }

    fn next_step(&mut self) -> Option<Result<Step, recording::Error>> {
        loop {
            if let Some(step) = self.pending.pop_front() {
                return Some(Ok(step));
            }
            let Some(current) = &mut self.current else {
                match recording::open(&self.paths.pop_front()?) {
                    Ok(recording) => self.current = Some(recording),
                    Err(error) => return self.fail(error),
                }
                continue;
            };
            match current.next() {
                None => self.current = None,
                Some(Err(error)) => return self.fail(error),
                Some(Ok(entry)) => match read(self.kind, &entry.text) {
                    Ok(bodies) => self.take(entry.receive_ns, bodies),
                    Err(reason) if self.recognised => {
                        let error = current.malformed(reason);
                        return self.fail(error);
                    }
                    Err(reason) => {
                        let hint = format!(
                            "{reason} (is it of another venue than {}?)",
                            self.kind.name()
                        );
                        let error = current.malformed(hint);
                        return self.fail(error);
                    }
                },
            }
        }
    }

    /// What follows a fault is not played: it would look like a session with a hole that nobody recorded.
    fn fail(&mut self, error: recording::Error) -> Option<Result<Step, recording::Error>> {
        self.current = None;
        self.paths.clear();
        Some(Err(error))
    }

    fn take(&mut self, receive_ns: Option<i64>, bodies: Vec<(Body, Option<i64>)>) {
        self.recognised |= !bodies.is_empty();
        for (body, clock_ms) in bodies {
            let at_ns = receive_ns.or(clock_ms.map(|ms| ms.saturating_mul(1_000_000)));
            self.at_ns = self.at_ns.max(at_ns.unwrap_or(i64::MIN));
            self.pending.push_back(Step {
                at_ns: self.at_ns,
                clock_ms,
                body,
            });
        }
    }
}

fn read(kind: Kind, text: &str) -> Result<Vec<(Body, Option<i64>)>, String> {
    match kind {
        Kind::BinanceSpot => {
            binance_spot::recorded::read(text).map(|body| body.into_iter().collect())
        }
        Kind::Coinbase => coinbase::recorded::read(text).map(|body| body.into_iter().collect()),
        Kind::CoinbaseAdvanced => coinbase_advanced::recorded::read(text),
    }
}

/// What the first reading gathers.
#[derive(Debug, Default)]
struct Scan {
    instruments: IndexMap<Symbol, Seen>,
    recorded_streams: BTreeSet<String>,
    trades: u64,
    span: Option<Span>,
    clock_ms_min: Option<i64>,
    clock_ms_max: Option<i64>,
}

/// From when to when steps are played, Unix nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Span {
    first_ns: i64,
    last_ns: i64,
}

impl Span {
    /// The span with one more step; steps before the first that shows a time have none.
    fn with(span: Option<Self>, at_ns: i64) -> Option<Self> {
        if at_ns == i64::MIN {
            return span;
        }
        let span = span.unwrap_or(Self {
            first_ns: at_ns,
            last_ns: at_ns,
        });
        Some(Self {
            first_ns: span.first_ns.min(at_ns),
            last_ns: span.last_ns.max(at_ns),
        })
    }

    fn is_after(self, other: Self) -> bool {
        self.first_ns > other.first_ns
            && self.first_ns.saturating_add(OVERLAP_NS_MAX) >= other.last_ns
    }
}

/// A recorder that begins a file before it has ended the last one is in time within a second.
const OVERLAP_NS_MAX: i64 = 1_000_000_000;

#[derive(Debug)]
struct Seen {
    first: Trade,
    last_id: u64,
}

impl Scan {
    /// Reads the files one after the other, each by its own times, up to the first fault, which it gives back.
    ///
    /// A file that begins before the one given before it ends is refused: its trades would pass for ones that were
    /// there already, and those of another instrument would all be played at the end of the first.
    fn read(
        &mut self,
        kind: Kind,
        paths: &[PathBuf],
    ) -> Result<Option<recording::Error>, recording::Error> {
        let mut before: Option<(&PathBuf, Span)> = None;
        for path in paths {
            let mut reader = Reader::new(kind, std::slice::from_ref(path));
            let (mut span, mut fault) = (None::<Span>, None);
            while let Some(step) = reader.next_step() {
                match step {
                    Ok(step) => {
                        self.handle_step(&step);
                        span = Span::with(span, step.at_ns);
                    }
                    Err(error) => fault = Some(error),
                }
            }
            if let (Some((earlier, before)), Some(span)) = (before, span)
                && !span.is_after(before)
            {
                return Err(recording::Error::Order {
                    earlier: earlier.clone(),
                    later: path.clone(),
                });
            }
            if fault.is_some() {
                return Ok(fault);
            }
            before = span.map(|span| (path, span)).or(before);
        }
        Ok(None)
    }

    fn handle_step(&mut self, step: &Step) {
        self.span = Span::with(self.span, step.at_ns);
        if let Some(ms) = step.clock_ms {
            self.clock_ms_min = Some(self.clock_ms_min.map_or(ms, |min| min.min(ms)));
            self.clock_ms_max = Some(self.clock_ms_max.map_or(ms, |max| max.max(ms)));
        }
        match &step.body {
            Body::Other { stream, .. } => {
                if !self.recorded_streams.contains(stream) {
                    self.recorded_streams.insert(stream.clone());
                }
            }
            Body::Trades { symbol, fills, .. } => {
                for (trade, _) in fills {
                    let seen = self.instruments.entry(symbol.clone()).or_insert(Seen {
                        first: *trade,
                        last_id: 0,
                    });
                    // A reconnect within the recording repeats trades; they are played and counted once.
                    if seen.last_id < trade.id {
                        seen.last_id = trade.id;
                        self.trades += 1;
                    }
                }
            }
        }
    }

    fn summary(&self, endless: bool) -> Summary {
        // A recording does not say how prices step; these are what most instruments of the venues have.
        let listing = Listing {
            tick_decimals: 2,
            lot_decimals: 5,
        };
        let listed = |(symbol, seen): (&Symbol, &Seen)| Listed {
            symbol: symbol.clone(),
            listing,
            reference: Some(seen.first.price),
        };
        Summary {
            listed: self.instruments.iter().map(listed).collect(),
            recorded_streams: self.recorded_streams.clone(),
            trades: (!endless).then_some(self.trades),
            opening_ms: self.clock_ms_min,
        }
    }
}

/// Repeats of a session, each later in time and with ids that go on from the one before.
#[derive(Debug)]
struct Passes {
    endless: bool,
    pass: u32,
    /// How much later each pass is, milliseconds: whole seconds, so that trades keep their place in them.
    span_ms: i64,
    /// How many ids each pass takes, by symbol.
    ids: IndexMap<Symbol, u64>,
}

impl Passes {
    fn new(scan: &Scan, endless: bool) -> Self {
        let received_ms = scan.span.map_or(0, |span| {
            (span.last_ns.saturating_sub(span.first_ns)).div_euclid(1_000_000)
        });
        let clock_ms = scan
            .clock_ms_max
            .unwrap_or(0)
            .saturating_sub(scan.clock_ms_min.unwrap_or(0));
        let span_ms = (received_ms.max(clock_ms).div_euclid(1_000) + 1) * 1_000;
        let ids = scan
            .instruments
            .iter()
            .map(|(s, seen)| (s.clone(), seen.last_id - seen.first.id + 1))
            .collect();
        Self {
            endless: endless && scan.trades > 0,
            pass: 0,
            span_ms,
            ids,
        }
    }

    /// The step as this pass plays it. The first pass is the recording, byte for byte; in later ones the trades
    /// are written anew, and other streams, whose numbers cannot be moved, are left out.
    fn shift(&self, step: Step) -> Option<Step> {
        if self.pass == 0 {
            return Some(step);
        }
        let later_ms = self.span_ms.checked_mul(i64::from(self.pass))?;
        let Body::Trades {
            symbol, mut fills, ..
        } = step.body
        else {
            return None;
        };
        let later_id = self.ids.get(&symbol)?.checked_mul(u64::from(self.pass))?;
        for (trade, time_us) in &mut fills {
            trade.id = trade.id.checked_add(later_id)?;
            trade.time_ms = trade.time_ms.checked_add(later_ms)?;
            *time_us = time_us.checked_add(later_ms.checked_mul(1_000)?)?;
        }
        Some(Step {
            at_ns: step.at_ns.checked_add(later_ms.checked_mul(1_000_000)?)?,
            clock_ms: step.clock_ms.and_then(|ms| ms.checked_add(later_ms)),
            body: Body::Trades {
                symbol,
                fills,
                frame: None,
            },
        })
    }
}
