//! The whole of it as one component: options in, a handle out, run until stopped.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::registry::Registry;
use runtime::backoff::Backoff;
use runtime::broker::Broker;
use runtime::shutdown::Shutdown;
use runtime::tasks::{OnExit, TaskError, Tasks};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::api::TopicEntry;
use wire::{Instrument, Interval, ShardId};

use crate::aggregate::Config;
use crate::budget::Budget;
use crate::carriage::{Carriage, Carried};
use crate::connection::FeedContext;
use crate::feed::Feed;
use crate::feeder::{Attempts, Feeder};
use crate::listing::{self, Listed};
use crate::metrics::{Metrics, Outcome};
use crate::route::{Input, Place};
use crate::shard::{Core, INBOX_LEN, Member, Shard, ShardContext, wall_ms};
use crate::venue::{self, InstrumentIndex, Venue};

pub use crate::options::{ConfigError, Options, REORDER_WINDOW_MIN, Source, WhenFull};

/// How long connections and shards may take to end when asked.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Market data of all sources, not yet running.
pub struct Service {
    options: Options,
    broker: Arc<dyn Broker>,
    sources: Vec<PlacedSource>,
    /// Of each shard, its instruments by series number.
    shards: Vec<Vec<Member>>,
    intervals: Vec<Interval>,
    handle: Handle,
}

/// A source whose instruments have their shards and feeds.
struct PlacedSource {
    venue: Arc<dyn Venue>,
    url: String,
    listed_from: usize,
    places: Arc<[Place]>,
    /// The instruments of each feed, with its number over all sources.
    feeds: Vec<(u32, Vec<InstrumentIndex>)>,
}

impl Service {
    /// Checks the options and places every instrument.
    ///
    /// # Errors
    /// When the options contradict themselves, or name what there is not.
    pub fn new(
        options: Options,
        broker: Arc<dyn Broker>,
        registry: &mut Registry,
    ) -> Result<Self, ConfigError> {
        let intervals = options.checked_intervals()?;
        let listed = listing::list(
            options
                .sources
                .iter()
                .map(|source| (&source.venue, source.symbols.as_slice())),
        );
        let mut shards = vec![Vec::new(); usize::from(options.shards.get())];
        let mut sources: Vec<PlacedSource> = Vec::new();
        let mut listed_from = 0;
        for source in &options.sources {
            let feeds_before = sources.iter().map(|source| source.feeds.len()).sum();
            let listed = &listed[listed_from..][..source.symbols.len()];
            let placed = place(source, listed, listed_from, feeds_before, &mut shards)?;
            sources.push(placed);
            listed_from += source.symbols.len();
        }
        let handle = Handle {
            topics: listing::topics(&listed, &intervals).into(),
            carriage: Carriage::new(listed.len()),
            listed: listed.into(),
            metrics: Metrics::new(registry),
            venues: sources.iter().map(|source| source.venue.name()).collect(),
        };
        Ok(Self {
            options,
            broker,
            sources,
            shards,
            intervals,
            handle,
        })
    }

    /// The handle by which it is asked.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until asked to stop: connections close, shards commit what is closed.
    ///
    /// # Errors
    /// When a part of it failed: the bus refused its closes for good, or did not take them in time.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), TaskError> {
        let tasks = Tasks::under("marketdata", &shutdown);
        let inboxes = self.spawn_shards(&tasks);
        self.spawn_feeds(&tasks, &inboxes);
        // The shards end once all connections have let go of their inboxes.
        drop(inboxes);
        drop(self);
        tasks.run_until_stopped(DRAIN_MAX).await
    }

    fn spawn_shards(&self, tasks: &Tasks) -> Arc<[mpsc::Sender<Input>]> {
        // An owner that starts later has a higher number.
        let epoch = u64::try_from(wall_ms()).unwrap_or(0);
        let mut inboxes = Vec::with_capacity(self.shards.len());
        for (number, members) in self.shards.iter().enumerate() {
            let window_ms = self.options.reorder_window.as_millis();
            let mut config = Config::new(self.intervals.iter().copied());
            config.reorder_window_ms = i64::try_from(window_ms).unwrap_or(i64::MAX / 4);
            let (inbox_in, inbox) = mpsc::channel(INBOX_LEN);
            let context = ShardContext {
                broker: Arc::clone(&self.broker),
                scope: self.options.scope.clone(),
                update_interval: self.options.update_interval,
                when_full: self.options.when_full,
                metrics: self.handle.metrics.clone(),
                rng: fastrand::Rng::new(),
                tracer: self.options.tracer.clone(),
            };
            let shard = Shard::new(Core::new(config, epoch, members), inbox, context);
            tasks.spawn(format!("shard-{number}"), OnExit::StopAll, shard.run());
            inboxes.push(inbox_in);
        }
        inboxes.into()
    }

    fn spawn_feeds(&self, tasks: &Tasks, inboxes: &Arc<[mpsc::Sender<Input>]>) {
        let begun = Instant::now();
        for source in &self.sources {
            let limits = source.venue.limits();
            let attempts: Attempts = Arc::new(Mutex::new(Budget::new(limits.attempts, 0)));
            for (feed, instruments) in &source.feeds {
                let context = FeedContext {
                    feed: *feed,
                    venue: Arc::clone(&source.venue),
                    url: source.url.clone(),
                    instruments: instruments.clone(),
                    places: Arc::clone(&source.places),
                    listed_from: source.listed_from,
                    session: self.options.session,
                    when_full: self.options.when_full,
                    metrics: self.handle.metrics.clone(),
                    carriage: self.handle.carriage.clone(),
                    clocks: Mutex::default(),
                    begun,
                    tracer: self.options.tracer.clone(),
                };
                let mut rng = fastrand::Rng::new();
                let backoff = Backoff::new(self.options.reconnect, rng.fork());
                let feeder = Feeder {
                    feed: Feed::new(backoff, limits.lifetime_ms, &mut rng, 0),
                    context: Arc::new(context),
                    attempts: Arc::clone(&attempts),
                    inboxes: Arc::clone(inboxes),
                    spawner: tasks.spawner(),
                };
                let name = format!("feed-{}-{feed}", source.venue.name());
                tasks.spawn(name, OnExit::StopAll, feeder.run());
            }
        }
    }
}

/// Gives a source's instruments their shards, series numbers and feeds.
fn place(
    source: &Source,
    listed: &[Listed],
    listed_from: usize,
    feeds_before: usize,
    shards: &mut [Vec<Member>],
) -> Result<PlacedSource, ConfigError> {
    let venue: Arc<dyn Venue> = venue::adapter(&source.venue, &source.symbols)?.into();
    let endpoints = source
        .endpoints
        .clone()
        .unwrap_or_else(|| venue.endpoints());
    let url = venue.stream_url(endpoints.ws.trim_end_matches('/'));
    if url.starts_with("wss://") && !cfg!(feature = "tls") {
        return Err(ConfigError::NoTls(url));
    }
    let indices: Vec<InstrumentIndex> = venue.symbols().indices().collect();
    let count = std::num::NonZeroU16::new(u16::try_from(shards.len()).unwrap_or(u16::MAX));
    let mut places = Vec::with_capacity(listed.len());
    let mut feeds = Vec::new();
    let mut at = 0;
    for chunk in indices.chunks(venue.limits().symbols_per_connection.max(1)) {
        // Neither feeds nor instruments are as many as 32 bits count: a source's list was checked for it.
        let feed = u32::try_from(feeds_before + feeds.len()).unwrap_or(u32::MAX);
        for _ in chunk {
            let listed = &listed[at];
            let shard = count.map_or(0, |count| {
                usize::from(ShardId::of(&listed.instrument, count).0)
            });
            places.push(Place {
                shard,
                series: u32::try_from(shards[shard].len()).unwrap_or(u32::MAX),
            });
            shards[shard].push(Member {
                listed: listed.clone(),
                feed,
            });
            at += 1;
        }
        feeds.push((feed, chunk.to_vec()));
    }
    Ok(PlacedSource {
        url,
        venue,
        listed_from,
        places: places.into(),
        feeds,
    })
}

/// Asks a service; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    topics: Arc<[TopicEntry]>,
    listed: Arc<[Listed]>,
    carriage: Carriage,
    metrics: Metrics,
    venues: Arc<[&'static str]>,
}

/// How far a service has come, in counts since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Instruments whose trades come.
    pub subscribed: usize,
    /// Instruments that their venue does not carry.
    pub refused: usize,
    /// Connections that came to carry all they can.
    pub connections: u64,
    /// Frames received.
    pub messages: u64,
    /// Frames that could not be read, in whole or in part.
    pub decode_errors: u64,
    /// Trades in bars.
    pub added: u64,
    /// Trades that were there before.
    pub duplicate: u64,
    /// Trades whose bar was closed.
    pub late: u64,
    /// Trades from before the first bar.
    pub reference: u64,
    /// Trades that cannot be.
    pub rejected: u64,
    /// Trades for which an inbox had no room.
    pub dropped: u64,
    /// Closes on the bus.
    pub closes_committed: u64,
}

impl Progress {
    /// Trades that the shards have taken, whatever became of them.
    #[must_use]
    pub const fn trades(&self) -> u64 {
        self.added + self.duplicate + self.late + self.reference + self.rejected
    }
}

impl Handle {
    /// What is carried, in listing order, under the names that the bars bear.
    #[must_use]
    pub fn topics(&self) -> &[TopicEntry] {
        &self.topics
    }

    /// The instruments in listing order.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.listed.iter().map(|listed| &listed.instrument)
    }

    /// Of each instrument, in listing order, whether its trades come.
    #[must_use]
    pub fn carried(&self) -> Vec<Carried> {
        self.carriage.states()
    }

    /// Waits until each instrument is subscribed, or refused by its venue: then a replay may begin. Cancel-safe.
    pub async fn settled(&self) {
        self.carriage.settled().await;
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let carried = self.carriage.states();
        let trades = |outcome| self.metrics.trades(outcome).get();
        let messages = |venue: &&'static str| self.metrics.messages(venue).get();
        Progress {
            subscribed: carried.iter().filter(|at| at.connections > 0).count(),
            refused: carried.iter().filter(|at| at.refused).count(),
            connections: self.metrics.connections_established.get(),
            messages: self.venues.iter().map(messages).sum(),
            decode_errors: self.metrics.decode_errors_sum.get(),
            added: trades(Outcome::Added),
            duplicate: trades(Outcome::Duplicate),
            late: trades(Outcome::Late),
            reference: trades(Outcome::Reference),
            rejected: trades(Outcome::Rejected),
            dropped: trades(Outcome::Dropped),
            closes_committed: self.metrics.closes_committed.get(),
        }
    }
}
