//! The whole simulator as one component: options in, a handle out, run until stopped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use runtime::shutdown::Shutdown;
use runtime::tasks::{OnExit, TaskError, Tasks};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use wire::{Interval, Symbol};

use crate::exchange::{Exchange, Progress, StartWhen};
use crate::fault::{self, Fault};
use crate::market::Market;
use crate::market::truth::{self, TrueBar};
use crate::pace::Speed;
use crate::server::{self, App};
use crate::source::generate::{Generator, Live, Plan};
use crate::source::replay::Replay;
use crate::source::{Source, Summary};
use crate::venue::{Kind, Limits};
use crate::{exchange, feed, recording};

/// What to play, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes any.
    pub listen: SocketAddr,
    /// Where the markets come from.
    pub play: Play,
    /// How fast they play.
    pub speed: Speed,
    /// What opens the gate of each venue's feed.
    pub start_when: StartWhen,
    /// The limits of each connection; not enforced at [`Speed::Max`].
    pub limits: Limits,
    /// Faults to begin with.
    pub faults: Vec<Fault>,
    /// How many trades to keep a venue, for REST and truth: at some 100 bytes each, the default two million are
    /// 200 MB, and up to twice that as they grow.
    pub trades_kept_max: usize,
}

impl Options {
    /// Everything as the exchanges have it, in real time, from the first subscriber on.
    #[must_use]
    pub fn new(listen: SocketAddr, play: Play) -> Self {
        Self {
            listen,
            play,
            speed: Speed::Times(1.0),
            start_when: StartWhen::default(),
            limits: Limits::default(),
            faults: Vec::new(),
            trades_kept_max: 2_000_000,
        }
    }
}

/// Where markets come from.
#[derive(Debug, Clone)]
pub enum Play {
    /// Recordings; the files of one venue play in the order given, as one session.
    Replay {
        /// Venue and file.
        files: Vec<(Kind, PathBuf)>,
        /// Whether to play them again and again, each time later and with ids that go on.
        endless: bool,
    },
    /// Markets from a seed. At [`Speed::Times`]`(1.0)` they begin at the wall clock's time, when their gate opens.
    Generate {
        /// The instruments of each venue, busiest first.
        symbols: Vec<(Kind, Symbol)>,
        /// Trades a second over all of them, in the mean.
        rate: u32,
        /// The same seed makes the same markets.
        seed: u64,
        /// When they begin, Unix milliseconds; `None` is when the gate opens.
        start_ms: Option<i64>,
        /// After how many trades each venue ends, if ever.
        trades_max: Option<u64>,
    },
}

/// Why the simulator cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to play.
    #[error("nothing to play: name a recording, or symbols to generate")]
    Nothing,
    /// A recording cannot be played.
    #[error(transparent)]
    Recording(#[from] recording::Error),
    /// A recording holds no trades of the venue that it is said to be of.
    #[error("the recording for {0} holds no trades of that venue: is it another venue's?")]
    NoTrades(&'static str),
    /// The faults to begin with are too many.
    #[error(transparent)]
    Fault(#[from] fault::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said; in the text, and so no source.
        cause: std::io::Error,
    },
    /// A task failed while running.
    #[error(transparent)]
    Tasks(#[from] TaskError),
}

/// The simulator, listening but not yet serving.
pub struct Service {
    listener: TcpListener,
    address: SocketAddr,
    handle: Handle,
    sources: Sources,
}

impl Service {
    /// Listens, and reads recordings through once to know what is in them.
    ///
    /// A recording that breaks off in the middle is no error here: what stands before the break is played, and
    /// [`Progress::error`] tells it in the end.
    ///
    /// # Errors
    /// [`Error::Nothing`], [`Error::Recording`], [`Error::NoTrades`], [`Error::Listen`].
    pub async fn bind(options: Options) -> Result<Self, Error> {
        let sources = open(&options.play)?;
        let mut exchanges = BTreeMap::new();
        for (kind, source) in &sources {
            exchanges.insert(
                *kind,
                Arc::new(new_exchange(*kind, source.summary(), &options)),
            );
        }
        for fault in &options.faults {
            exchange::inject(&exchanges, fault)?;
        }
        let failed = |cause| Error::Listen {
            address: options.listen,
            cause,
        };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let handle = Handle {
            exchanges: Arc::new(exchanges),
        };
        Ok(Self {
            listener,
            address,
            handle,
            sources,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The handle by which it is driven and asked.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until asked to stop. The end of a recording is not an end of the service.
    ///
    /// # Errors
    /// [`Error::Tasks`] when a part of it failed.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Error> {
        let tasks = Tasks::under("exchange-sim", &shutdown);
        for (kind, source) in self.sources {
            let exchange = self.handle.exchanges.get(&kind).cloned();
            tasks.spawn_until_stop(
                format!("feed-{}", kind.name()),
                OnExit::StopOnFailure,
                async move {
                    if let Some(exchange) = exchange {
                        feed::run(exchange, source).await;
                    }
                },
            );
        }
        let app = App {
            exchanges: self.handle.exchanges,
            spawner: tasks.spawner(),
            begun: Instant::now(),
        };
        let serve = server::run(self.listener, app, tasks.shutdown().clone());
        tasks.spawn("server", OnExit::StopOnFailure, serve);
        tasks.run_until_stopped(DRAIN_MAX).await?;
        Ok(())
    }
}

/// Connections are cut at once, requests in flight get this long.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// Drives the simulator and asks it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    exchanges: Arc<BTreeMap<Kind, Arc<Exchange>>>,
}

impl Handle {
    /// Opens every gate.
    pub fn start(&self) {
        self.exchanges
            .values()
            .for_each(|exchange| exchange.start());
    }

    /// The venues that are played.
    #[must_use]
    pub fn venues(&self) -> Vec<Kind> {
        self.exchanges.keys().copied().collect()
    }

    /// The symbols of a venue, in listing order.
    #[must_use]
    pub fn symbols(&self, kind: Kind) -> Vec<Symbol> {
        let listed = |exchange: &Arc<Exchange>| {
            exchange.with_market(|market| market.tapes.keys().cloned().collect())
        };
        self.exchanges.get(&kind).map(listed).unwrap_or_default()
    }

    /// How far a venue has come, to read and to wait on; `None` if it is not played.
    #[must_use]
    pub fn progress(&self, kind: Kind) -> Option<watch::Receiver<Progress>> {
        self.exchanges
            .get(&kind)
            .map(|exchange| exchange.progress())
    }

    /// The bars that should come out; see [`Market::truth`].
    ///
    /// # Errors
    /// See [`truth::Error`]; a venue that is not played knows no symbol.
    pub fn truth(
        &self,
        kind: Kind,
        symbol: &Symbol,
        interval: Interval,
        start_ms: Option<i64>,
        end_ms: Option<i64>,
    ) -> Result<Vec<TrueBar>, truth::Error> {
        let exchange = self
            .exchanges
            .get(&kind)
            .ok_or_else(|| truth::Error::UnknownSymbol(symbol.clone()))?;
        exchange.with_market(|market| market.truth(symbol, interval, start_ms, end_ms))
    }

    /// Adds a fault, at its venue or at all.
    ///
    /// # Errors
    /// [`fault::Error::TooMany`].
    pub fn inject(&self, fault: &Fault) -> Result<(), fault::Error> {
        exchange::inject(&self.exchanges, fault)
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.exchanges
            .values()
            .for_each(|exchange| exchange.with_faults(fault::Faults::handle_clear));
    }

    /// Announces on every connection that the venue goes away (Binance's `serverShutdown`).
    pub async fn announce_shutdown(&self) {
        for exchange in self.exchanges.values() {
            feed::announce_shutdown(exchange).await;
        }
    }
}

/// Each venue's source.
type Sources = Vec<(Kind, Box<dyn Source>)>;

fn open(play: &Play) -> Result<Sources, Error> {
    let mut sources = Sources::new();
    match play {
        Play::Replay { files, endless } => {
            let mut by_venue: BTreeMap<Kind, Vec<PathBuf>> = BTreeMap::new();
            for (kind, path) in files {
                by_venue.entry(*kind).or_default().push(path.clone());
            }
            for (kind, paths) in by_venue {
                let (replay, fault) = Replay::open(kind, paths, *endless)?;
                if let Some(fault) = fault {
                    tracing::warn!(venue = kind.name(), error = %fault, "what stands before it will be played");
                }
                if replay.summary().listed.is_empty() {
                    return Err(Error::NoTrades(kind.name()));
                }
                sources.push((kind, Box::new(replay)));
            }
        }
        Play::Generate {
            symbols,
            rate,
            seed,
            start_ms,
            trades_max,
        } => {
            for (kind, plan) in plans(symbols, *rate, *seed, *trades_max) {
                sources.push(match start_ms {
                    Some(start_ms) => (
                        kind,
                        Box::new(Generator::new(Plan {
                            start_ms: *start_ms,
                            ..plan
                        })),
                    ),
                    None => (kind, Box::new(Live::new(plan))),
                });
            }
        }
    }
    if sources.is_empty() {
        Err(Error::Nothing)
    } else {
        Ok(sources)
    }
}

/// One plan a venue; each has its share of the rate, and a seed of its own.
fn plans(
    symbols: &[(Kind, Symbol)],
    rate: u32,
    seed: u64,
    trades_max: Option<u64>,
) -> BTreeMap<Kind, Plan> {
    let mut plans = BTreeMap::new();
    for (number, kind) in (0u64..).zip(Kind::ALL) {
        let mut own: Vec<Symbol> = Vec::new();
        for (_, symbol) in symbols.iter().filter(|(of, _)| *of == kind) {
            if !own.contains(symbol) {
                own.push(symbol.clone());
            }
        }
        if !own.is_empty() {
            let share = u64::from(rate) * own.len() as u64 / symbols.len() as u64;
            let rate = u32::try_from(share).unwrap_or(rate).max(1);
            let seed = seed.wrapping_add(number << 32);
            plans.insert(
                kind,
                Plan {
                    symbols: own,
                    rate,
                    seed,
                    start_ms: 0,
                    trades_max,
                },
            );
        }
    }
    plans
}

fn new_exchange(kind: Kind, summary: &Summary, options: &Options) -> Exchange {
    let mut market = Market::new(kind, &summary.listed, options.trades_kept_max);
    let wall_ms = || jiff::Timestamp::now().as_millisecond();
    market.handle_opening(summary.opening_ms.unwrap_or_else(wall_ms));
    market
        .recorded_streams
        .clone_from(&summary.recorded_streams);
    let mut limits = options.limits.clone();
    limits.enforced &= options.speed != Speed::Max;
    let progress = Progress {
        trades_total: summary.trades,
        ..Progress::default()
    };
    Exchange::new(market, limits, options.speed, options.start_when, progress)
}
