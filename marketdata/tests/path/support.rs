//! The simulated exchange, the service and a bus in memory, joined; and what is asked of the bars that come out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use exchange_sim::{Kind, Play, Speed, StartWhen};
use marketdata::service::{Options, Service, Source, WhenFull};
use marketdata::venue::Endpoints;
use prometheus_client::registry::Registry;
use runtime::broker::memory::MemoryBroker;
use runtime::broker::{Broker, CloseStart, CloseSubscription};
use runtime::shutdown::Shutdown;
use tokio::task::JoinHandle;
use wire::subject::Kind as SubjectKind;
use wire::{Bar, Completeness, Interval, Scope, SubjectFilter, Symbol, Topic};

/// Long enough for a loaded machine, short enough to notice.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) sim: exchange_sim::Handle,
    pub(crate) service: marketdata::service::Handle,
    pub(crate) broker: Arc<MemoryBroker>,
    pub(crate) scope: Scope,
    pub(crate) bars: BTreeMap<Topic, Vec<Bar>>,
    closes: Box<dyn CloseSubscription>,
    shutdown: Shutdown,
    tasks: Vec<JoinHandle<Result<(), String>>>,
}

pub(crate) fn intervals() -> Vec<Interval> {
    ["1s", "1m", "5m"].map(|text| text.parse().unwrap()).into()
}

/// The path of a recording, or `None` with a word about it.
pub(crate) fn recording(name: &str) -> Option<PathBuf> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let path = PathBuf::from(root).join(name);
    if !path.exists() {
        println!("skipped: recordings not present at {root}");
        return None;
    }
    Some(path)
}

/// Options of a simulator on a port of its own, as fast as it is read.
pub(crate) fn sim(play: Play) -> exchange_sim::Options {
    let mut options = exchange_sim::Options::new("127.0.0.1:0".parse().unwrap(), play);
    options.speed = Speed::Max;
    options.start_when = StartWhen::Manually;
    options
}

pub(crate) fn generate(
    symbols: &[(Kind, &str)],
    rate: u32,
    seed: u64,
    trades_max: u64,
) -> exchange_sim::Options {
    sim(Play::Generate {
        symbols: symbols
            .iter()
            .map(|(kind, symbol)| (*kind, symbol.parse().unwrap()))
            .collect(),
        rate,
        seed,
        // Half a minute before midnight, UTC.
        start_ms: Some(1_723_161_570_000),
        trades_max: Some(trades_max),
    })
}

impl World {
    /// Starts the simulator and the service, and opens the gate once all is subscribed.
    pub(crate) async fn start(sim: exchange_sim::Options, tune: impl FnOnce(&mut Options)) -> Self {
        let world = Self::prepare(sim, tune).await;
        world.settled().await;
        world.sim.start();
        world
    }

    /// As [`World::start`], with the gate still closed.
    pub(crate) async fn prepare(
        sim: exchange_sim::Options,
        tune: impl FnOnce(&mut Options),
    ) -> Self {
        let shutdown = Shutdown::new();
        let sim = exchange_sim::Service::bind(sim).await.unwrap();
        let (address, sim_handle) = (sim.local_addr(), sim.handle());
        let source = |kind: Kind| Source {
            venue: kind.name().parse().unwrap(),
            symbols: sim_handle.symbols(kind),
            endpoints: Some(Endpoints {
                ws: format!("ws://{address}/{}", kind.name()),
                rest: format!("http://{address}/{}", kind.name()),
            }),
        };
        let sources = sim_handle.venues().into_iter().map(source).collect();
        let scope = Scope::new("test", "local").unwrap();
        let mut options = Options::new(sources, intervals(), scope.clone());
        options.when_full = WhenFull::Wait;
        options.update_interval = Duration::from_millis(20);
        options.reconnect.base = Duration::from_millis(50);
        options.reconnect.cap = Duration::from_millis(200);
        tune(&mut options);
        let broker = Arc::new(MemoryBroker::default());
        let filter = SubjectFilter::all(SubjectKind::Committed, &scope);
        let closes = broker
            .subscribe_closes(filter, CloseStart::First)
            .await
            .unwrap();
        let service = Service::new(options, broker.clone(), &mut Registry::default()).unwrap();
        let service_handle = service.handle();
        let sim_run = sim.run(shutdown.clone());
        let service_run = service.run(shutdown.clone());
        let tasks = vec![
            tokio::spawn(async { sim_run.await.map_err(|error| error.to_string()) }),
            tokio::spawn(async { service_run.await.map_err(|error| error.to_string()) }),
        ];
        Self {
            sim: sim_handle,
            service: service_handle,
            broker,
            scope,
            bars: BTreeMap::new(),
            closes,
            shutdown,
            tasks,
        }
    }

    pub(crate) async fn settled(&self) {
        tokio::time::timeout(DEADLINE, self.service.settled())
            .await
            .expect("not all instruments were subscribed or refused");
    }

    /// Waits until the venue's market has made this many trades, or has ended.
    pub(crate) async fn played(&self, kind: Kind, trades: u64) -> exchange_sim::Progress {
        let mut progress = self.sim.progress(kind).unwrap();
        let reached = |at: &exchange_sim::Progress| at.ended || at.trades >= trades;
        tokio::time::timeout(DEADLINE, progress.wait_for(reached))
            .await
            .expect("the market did not come that far")
            .unwrap()
            .clone()
    }

    /// How many trades the markets have made.
    pub(crate) fn made(&self) -> u64 {
        let venues = self.sim.venues().into_iter();
        venues
            .map(|kind| self.sim.progress(kind).unwrap().borrow().trades)
            .sum()
    }

    /// Takes closes until `done` says so.
    pub(crate) async fn closes_until(&mut self, done: impl Fn(&BTreeMap<Topic, Vec<Bar>>) -> bool) {
        let take = async {
            while !done(&self.bars) {
                let mut closes = Vec::new();
                self.closes.drain(1_000, &mut closes).await.unwrap();
                for close in closes {
                    let bar = Bar::clone(&close.message.bar);
                    self.bars.entry(bar.topic.clone()).or_default().push(bar);
                }
            }
        };
        let taken = tokio::time::timeout(DEADLINE, take).await;
        assert!(
            taken.is_ok(),
            "closes are missing: {:?}",
            self.service.progress()
        );
    }

    /// Plays to the end, and takes all closes that can come.
    pub(crate) async fn finish(&mut self) {
        let mut ends = BTreeMap::new();
        for kind in self.sim.venues() {
            let end = self.played(kind, u64::MAX).await;
            // What ended three seconds before the last tick is closed, wherever the last tick fell.
            ends.insert(kind.name(), end.clock_ms.unwrap() - 4_000);
        }
        let topics: Vec<_> = self.service.topics().to_vec();
        self.closes_until(|bars| {
            topics.iter().all(|entry| {
                let end = ends[entry.venue.as_str()];
                let step = entry.interval.ms();
                let closed = bars.get(&entry.topic).and_then(|bars| bars.last());
                closed.is_some_and(|bar| bar.end_ms() + step > end)
                    || (closed.is_none() && step > 60_000)
            })
        })
        .await;
    }

    /// Whatever happened: every bucket has one close, in order, with its number; and what claims to be whole is
    /// what the market truly made. Gives how many bars there are of each completeness.
    pub(crate) fn check(&self) -> BTreeMap<Completeness, usize> {
        let mut counts = BTreeMap::new();
        for (topic, closes) in &self.bars {
            let mut newest: BTreeMap<i64, &Bar> = BTreeMap::new();
            for (number, bar) in (1..).zip(closes) {
                assert_eq!(bar.close_no, number, "{topic}");
                let before = newest.insert(bar.start_ms, bar);
                assert_eq!(bar.rev, before.map_or(0, |bar| bar.rev + 1), "{topic}");
                let last = newest.last_key_value().map(|(start, _)| *start);
                assert!(bar.rev > 0 || last == Some(bar.start_ms), "{topic}");
            }
            // As they were last given.
            let bars: Vec<&Bar> = newest.into_values().collect();
            for pair in bars.windows(2) {
                assert_eq!(pair[0].end_ms(), pair[1].start_ms, "{topic}");
            }
            let first = bars[0];
            let kind = Kind::from_name(first.instrument.venue.as_str()).unwrap();
            let truth = self
                .sim
                .truth(
                    kind,
                    &first.instrument.symbol,
                    first.interval,
                    Some(first.start_ms),
                    Some(bars[bars.len() - 1].end_ms()),
                )
                .unwrap();
            let truth: BTreeMap<i64, _> = truth.iter().map(|bar| (bar.start, bar)).collect();
            for (at, bar) in bars.iter().enumerate() {
                *counts.entry(bar.completeness).or_default() += 1;
                if bar.completeness <= Completeness::Complete {
                    if lost_unseen(bar, &bars[at + 1..]) {
                        continue;
                    }
                    let truth = truth.get(&bar.start_ms).unwrap_or_else(|| {
                        panic!("{topic} {}: the market made no such bar", bar.start_ms)
                    });
                    check_equal(bar, truth);
                }
            }
        }
        counts
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        for task in self.tasks {
            let ended = tokio::time::timeout(DEADLINE, task).await;
            assert_eq!(ended.expect("did not stop").unwrap(), Ok(()));
        }
    }
}

/// On a venue that says nothing of its newest trade, nobody can know that a message was lost before the next one
/// comes: a bar that closed by the clock before that lacks it, and the bar of the next trade is a gap.
fn lost_unseen(bar: &Bar, later: &[&Bar]) -> bool {
    let next = later.iter().find(|bar| bar.candle.count > 0);
    bar.instrument.venue.as_str() == Kind::BinanceSpot.name()
        && next.is_none_or(|next| next.completeness == Completeness::Gap)
}

pub(crate) fn check_equal(bar: &Bar, truth: &exchange_sim::market::truth::TrueBar) {
    let candle = &bar.candle;
    let what = format!("{} {}", bar.topic, bar.start_ms);
    assert_eq!(
        (candle.open, candle.high, candle.low, candle.close),
        (truth.open, truth.high, truth.low, truth.close),
        "{what}"
    );
    assert_eq!(
        (candle.count, candle.first_id(), candle.last_id()),
        (truth.count, truth.first_id, truth.last_id),
        "{what}"
    );
    assert_eq!(
        (candle.volume, candle.quote_volume),
        (truth.volume, truth.quote_volume),
        "{what}"
    );
    assert_eq!(
        (candle.taker_buy_volume, candle.taker_buy_quote_volume),
        (truth.taker_buy_volume, truth.taker_buy_quote_volume),
        "{what}"
    );
    assert_eq!(bar.completeness.as_str(), truth.completeness, "{what}");
}

pub(crate) fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}
