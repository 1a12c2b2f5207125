//! How the parts are put together: `marketfeed up`.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use runtime::admin::{self, Readiness};
use runtime::broker::memory::{self, MemoryBroker};
use runtime::broker::{Broker, Bus};
use runtime::shutdown::Shutdown;
use runtime::tasks::{OnExit, TaskError, Tasks};
use runtime::telemetry::Metrics;
use wire::{Instrument, Interval, Scope, TokenError};

use crate::args::{self, Listed, Up};
use crate::carried::Carried;
use crate::history;
use crate::market::{self, Market};
use crate::source::At;
use crate::{api, source};

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to serve; port 0 takes any.
    pub listen: SocketAddr,
    /// A folder to be made if absent; nothing is written there yet.
    pub data_dir: Option<PathBuf>,
    /// Where trades come from.
    pub market: Market,
    /// Which of the market's symbols; all of them if empty.
    pub symbols: Vec<Listed>,
    /// Bar lengths.
    pub intervals: Vec<Interval>,
    /// Closes of each topic that the gateway replays on `after`. At some 900 bytes each, the default of 600 (ten
    /// minutes of 1s) is 45 MB for the demo's twenty symbols at four intervals.
    pub ring_len: usize,
    /// Closed bars that the history keeps over all topics, shared evenly; a topic gets 500 to 10,000 of them. At
    /// some 450 bytes each, the default of 800,000 is at most 360 MB, whatever is carried.
    pub bars_max: usize,
}

/// The fewest and the most bars that the history keeps of a topic: a chart's width even with very many topics (the
/// total is then exceeded), and no more than anyone has scrolled through.
const TOPIC_BARS: std::ops::RangeInclusive<usize> = 500..=10_000;

impl Options {
    /// The defaults around a market.
    #[must_use]
    pub fn new(market: Market) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: None,
            market,
            symbols: Vec::new(),
            intervals: vec![Interval::S1],
            ring_len: 600,
            bars_max: 800_000,
        }
    }
}

impl From<Up> for Options {
    fn from(up: Up) -> Self {
        let market = Market::of(&up);
        let Up {
            listen,
            data_dir,
            live: _,
            endpoint: _,
            replay: _,
            speed: _,
            generate: _,
            seed: _,
            rate: _,
            symbols,
            intervals,
            log: _,
        } = up;
        Self {
            listen,
            data_dir,
            symbols,
            intervals,
            ..Self::new(market)
        }
    }
}

/// Why it cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder cannot be used.
    #[error("--data-dir {}: {source}", path.display())]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The words that name this feed on the bus are not valid.
    #[error(transparent)]
    Scope(#[from] TokenError),
    /// The choice of symbols.
    #[error(transparent)]
    Market(#[from] market::Error),
    /// The simulated exchange.
    #[error(transparent)]
    Exchange(#[from] exchange_sim::Error),
    /// The connectors and the aggregation.
    #[error(transparent)]
    Marketdata(marketdata::service::ConfigError),
    /// An encrypted address, and a build that was made without encryption, as the demo's is.
    #[error(
        "{0} needs encryption, which this build lacks: run `cargo xtask demo --live`, or build with \
         `cargo build --release -p standalone`"
    )]
    NoTls(String),
    /// The side of the clients.
    #[error(transparent)]
    Gateway(#[from] gateway::ServiceError),
    /// A part failed while running.
    #[error(transparent)]
    Task(#[from] TaskError),
}

impl From<marketdata::service::ConfigError> for Error {
    fn from(error: marketdata::service::ConfigError) -> Self {
        match error {
            marketdata::service::ConfigError::NoTls(url) => Self::NoTls(url),
            other => Self::Marketdata(other),
        }
    }
}

/// Everything, bound but not running.
pub struct Service {
    scope: Scope,
    broker: Arc<dyn Broker>,
    history: history::Handle,
    exchange: Option<exchange_sim::Service>,
    marketdata: marketdata::service::Service,
    gateway: gateway::Service,
    address: SocketAddr,
    handle: Handle,
}

/// Looks at the parts from outside.
#[derive(Debug, Clone)]
pub struct Handle {
    /// The simulated exchange, where there is one.
    pub exchange: Option<exchange_sim::Handle>,
    /// What is carried.
    pub carried: Carried,
    /// The connectors and the aggregation.
    pub marketdata: marketdata::service::Handle,
    /// The clients' side.
    pub gateway: gateway::Handle,
    /// What is counted.
    pub metrics: Metrics,
}

impl Service {
    /// Opens recordings, lists what is carried, takes the address.
    ///
    /// # Errors
    /// When something that was asked for is not to be had. Nothing has been started then.
    pub async fn bind(options: Options, shutdown: &Shutdown) -> Result<Self, Error> {
        let Options {
            listen,
            data_dir,
            market,
            symbols,
            intervals,
            ring_len,
            bars_max,
        } = options;
        prepare(data_dir)?;
        let scope = Scope::new("standalone", "local")?;
        let bus: Arc<dyn Bus> = Arc::new(MemoryBroker::new(memory::Options::default()));
        let broker: Arc<dyn Broker> = bus.clone();
        let (exchange, at, instruments) = exchange(market, &symbols).await?;
        let carried = Carried::new(instruments, intervals);

        let metrics = Metrics::new();
        let share = bars_max / carried.list().topics.len().max(1);
        let history = history::Handle::new(share.clamp(*TOPIC_BARS.start(), *TOPIC_BARS.end()));
        let marketdata = source::bind(&scope, &bus, &carried, &at, &metrics)?;
        let readiness = Readiness::new(shutdown.clone());
        let http = api::router(carried.clone(), history.clone())
            .merge(admin::router(readiness.clone(), metrics.clone()))
            .method_not_allowed_fallback(gateway::http::not_allowed);
        let gateway_options = gateway::Options {
            listen,
            topics: carried.list().topics,
            ring_len,
            // Nobody balances load here: a stop is a stop.
            linger: Duration::ZERO,
            drain: Duration::from_millis(500),
            ..gateway::Options::new(scope.clone())
        };
        let gateway = metrics
            .register(|registry| {
                gateway::Service::bind(gateway_options, Arc::clone(&broker), http, registry)
            })?
            .with_ready(readiness.condition("gateway"));
        let handle = Handle {
            exchange: exchange.as_ref().map(exchange_sim::Service::handle),
            carried,
            marketdata: marketdata.handle(),
            gateway: gateway.handle(),
            metrics,
        };
        let address = gateway.local_addr();
        Ok(Self {
            scope,
            broker,
            history,
            exchange,
            marketdata,
            gateway,
            address,
            handle,
        })
    }

    /// Where it serves.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// A way to look at it while it runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Starts every part in a group, readers before writers.
    pub fn start(self, tasks: &Tasks) {
        let Self {
            scope,
            broker,
            history,
            exchange,
            marketdata,
            gateway,
            address: _,
            handle,
        } = self;
        tasks.spawn_until_stop("history", OnExit::StopAll, history.run(broker, scope));
        let stop = tasks.shutdown();
        tasks.spawn("gateway", OnExit::StopAll, gateway.run(stop.clone()));
        if let (Some(exchange), Some(handle)) = (exchange, handle.exchange) {
            let listeners = marketdata.handle();
            // It outlives those who are connected to it, so that a stop is not a lost connection to them.
            let run = exchange.run(Shutdown::new());
            tasks.spawn_to_the_end("exchange-sim", OnExit::StopAll, run);
            tasks.spawn_until_stop("market", OnExit::StopOnFailure, play(handle, listeners));
        }
        tasks.spawn("marketdata", OnExit::StopAll, marketdata.run(stop.clone()));
    }
}

/// How long a stop may take: the gateway's drain, and what the machine takes on top.
pub const DRAIN_MAX: Duration = Duration::from_secs(8);

/// The simulated exchange, where the market is one; where the venues are; and the instruments to carry.
async fn exchange(
    market: Market,
    symbols: &[Listed],
) -> Result<(Option<exchange_sim::Service>, At, Vec<Instrument>), Error> {
    let (play, speed) = match market {
        Market::Simulated { play, speed } => (play, speed),
        Market::Live { endpoints } => {
            let instruments = market::live(symbols);
            market::check_endpoints(&endpoints, &instruments)?;
            return Ok((None, At::Exchanges(endpoints), instruments));
        }
    };
    let venues = market::venues(&play);
    let exchange = exchange_sim::Service::bind(market::simulated(play, speed)).await?;
    let handle = exchange.handle();
    let of_venue = |venue| {
        let symbols = handle.symbols(venue).into_iter();
        symbols.map(move |symbol| args::instrument(venue, symbol))
    };
    let has = venues.into_iter().flat_map(of_venue).collect();
    let at = At::Simulated(exchange.local_addr());
    Ok((Some(exchange), at, market::choose(has, symbols)?))
}

/// Makes the data folder, and sees that it can be written to.
fn prepare(data_dir: Option<PathBuf>) -> Result<(), Error> {
    let Some(path) = data_dir else { return Ok(()) };
    let probe = path.join(".marketfeed");
    let made = fs::create_dir_all(&path)
        .and_then(|()| fs::write(&probe, ""))
        .and_then(|()| fs::remove_file(&probe));
    made.map_err(|source| Error::DataDir {
        path: path.clone(),
        source,
    })?;
    tracing::warn!(path = %path.display(), "--data-dir is not used yet: the history is in memory and ends with the process");
    Ok(())
}

/// Opens the market once everybody listens, so that no trade comes before; says so when it is over, since nothing
/// moves any more then and that is no fault.
async fn play(exchange: exchange_sim::Handle, listeners: marketdata::service::Handle) {
    listeners.settled().await;
    exchange.start();
    for venue in exchange.venues() {
        let Some(mut progress) = exchange.progress(venue) else {
            continue;
        };
        if let Ok(progress) = progress.wait_for(|progress| progress.ended).await {
            let (venue, trades) = (venue.name(), progress.trades);
            tracing::info!(venue, trades, "the market is over; its bars stay");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_listed_venue_has_the_short_topic() {
        let listed = ["coinbase-advanced:BTC-USD", "coinbase:BTC-USD"];
        let check = async |symbols: &[&str], expect: &str| {
            let play = exchange_sim::Play::Generate {
                symbols: listed
                    .map(|text| text.parse::<Listed>().unwrap())
                    .map(|it| (it.venue.unwrap(), it.symbol))
                    .to_vec(),
                rate: 1,
                seed: 1,
                start_ms: None,
                trades_max: None,
            };
            let speed = exchange_sim::Speed::Max;
            let options = Options {
                symbols: symbols.iter().map(|text| text.parse().unwrap()).collect(),
                ..Options::new(Market::Simulated { play, speed })
            };
            let service = Service::bind(options, &Shutdown::new()).await.unwrap();
            let topics = service.handle().carried.list().topics;
            let short = topics
                .iter()
                .find(|it| it.topic.to_string() == "kline:1s:BTC-USD");
            assert_eq!(short.unwrap().venue.as_str(), expect);
        };
        check(&[], "coinbase-advanced").await;
        check(
            &["coinbase:BTC-USD", "coinbase-advanced:BTC-USD"],
            "coinbase",
        )
        .await;
    }

    #[test]
    fn a_build_without_encryption_says_how_to_get_one_with_it() {
        let refusal = marketdata::service::ConfigError::NoTls("wss://x".to_owned());
        let text = Error::from(refusal).to_string();
        assert!(text.contains("wss://x") && text.contains("cargo build --release -p standalone"));
        let other = Error::from(marketdata::service::ConfigError::NoSources);
        assert!(matches!(other, Error::Marketdata(_)));
    }
}
