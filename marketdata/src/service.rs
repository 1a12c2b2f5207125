//! The whole of it as one component: options in, a handle out, run until stopped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use runtime::broker::Bus;
use runtime::shutdown::Shutdown;
use runtime::tasks::{OnExit, TaskError, Tasks};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use wire::api::TopicEntry;
use wire::{Assignment, Instrument, Interval};

use crate::carriage::{Carriage, Carried};
use crate::carrier::{Assignments, CONTROLS_LEN, Carrier, DROPPED_LEN};
use crate::listing::{self, Listed};
use crate::metrics::{Metrics, Outcome};
use crate::owner::Status;
use crate::roster::{Change, Roster, Wanted};
use crate::shard::{INBOX_LEN, Shard, ShardContext};

pub use crate::options::{
    ConfigError, Hosted, Options, Ownership, REORDER_WINDOW_MIN, Source, WhenFull,
};

/// How long connections and shards may take to end when asked.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Market data of all sources, not yet running.
pub struct Service {
    options: Arc<Options>,
    bus: Arc<dyn Bus>,
    roster: Roster,
    wanted: Wanted,
    /// What of it this process carries.
    first: Change,
    assignments: Option<Assignments>,
    intervals: Vec<Interval>,
    handle: Handle,
}

impl Service {
    /// Checks the options and places every instrument of their sources.
    ///
    /// # Errors
    /// When the options contradict themselves, or name what there is not.
    pub fn new(
        options: Options,
        bus: Arc<dyn Bus>,
        registry: &mut Registry,
    ) -> Result<Self, ConfigError> {
        let wanted = options.wanted();
        Self::carrying(options, wanted, None, bus, registry)
    }

    /// Checks the options and places the instruments of an assignment, and then of those that follow it. The options'
    /// sources and intervals do not count.
    ///
    /// # Errors
    /// When the options contradict themselves, or the assignment names what there is not.
    pub fn following(
        mut options: Options,
        assignment: &Assignment,
        later: watch::Receiver<Option<Arc<Assignment>>>,
        bus: Arc<dyn Bus>,
        registry: &mut Registry,
    ) -> Result<Self, ConfigError> {
        options.intervals = assignment.intervals().to_vec();
        options.shards = assignment.shards();
        let wanted = Wanted::from(assignment);
        Self::carrying(options, wanted, Some(later), bus, registry)
    }

    fn carrying(
        options: Options,
        wanted: Wanted,
        assignments: Option<Assignments>,
        bus: Arc<dyn Bus>,
        registry: &mut Registry,
    ) -> Result<Self, ConfigError> {
        let intervals = options.checked_intervals()?;
        let mut roster = Roster::new(options.hosted, options.shards);
        let first = roster.handle_wanted(&wanted)?;
        let mut listed: Vec<(usize, Listed)> = first
            .shards
            .iter()
            .flat_map(|shard| &shard.gained)
            .map(|member| (member.at, member.listed.clone()))
            .collect();
        listed.sort_unstable_by_key(|(at, _)| *at);
        let listed: Vec<Listed> = listed.into_iter().map(|(_, listed)| listed).collect();
        let handle = Handle {
            topics: listing::topics(&listed, &intervals).into(),
            carriage: Carriage::new(listed.len()),
            listed: listed.into(),
            metrics: Metrics::new(registry),
            statuses: (0..first.shards.len())
                .map(|_| watch::Sender::new(None))
                .collect(),
            venues: (first.sources.iter())
                .map(|source| source.venue.name())
                .collect(),
        };
        Ok(Self {
            options: Arc::new(options),
            bus,
            roster,
            wanted,
            first,
            assignments,
            intervals,
            handle,
        })
    }

    /// The handle by which it is asked.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until asked to stop: shards commit what is closed and release their leases, connections close.
    ///
    /// # Errors
    /// When a part of it failed: the bus refused its closes for good, or did not take them in time.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), TaskError> {
        let tasks = Tasks::under("marketdata", &shutdown);
        let begun = Instant::now();
        let (dropped_in, dropped) = mpsc::channel(DROPPED_LEN);
        let (mut inboxes, mut controls) = (Vec::new(), Vec::new());
        for index in 0..self.first.shards.len() {
            let (inbox_in, inbox) = mpsc::channel(INBOX_LEN);
            let (control_in, control) = mpsc::channel(CONTROLS_LEN);
            let context = ShardContext {
                shard: self.options.hosted.shard(index),
                options: Arc::clone(&self.options),
                intervals: self.intervals.clone(),
                bus: Arc::clone(&self.bus),
                metrics: self.handle.metrics.clone(),
                carriage: self.handle.carriage.clone(),
                dropped: dropped_in.clone(),
                status: self.handle.statuses[index].clone(),
                shutdown: tasks.shutdown().clone(),
            };
            let shard = Shard::new(context, inbox, control);
            tasks.spawn(format!("shard-{index}"), OnExit::StopAll, shard.run());
            inboxes.push(inbox_in);
            controls.push(control_in);
        }
        let carrier = Carrier {
            options: self.options,
            roster: self.roster,
            wanted: self.wanted,
            assignments: self.assignments,
            inboxes: inboxes.into(),
            controls,
            dropped,
            spawner: tasks.spawner(),
            metrics: self.handle.metrics,
            carriage: self.handle.carriage,
            attempts: BTreeMap::new(),
            closers: BTreeMap::new(),
            begun,
        };
        tasks.spawn("carrier", OnExit::StopAll, carrier.run(self.first));
        tasks.run_until_stopped(DRAIN_MAX).await
    }
}

/// Asks a service; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    topics: Arc<[TopicEntry]>,
    listed: Arc<[Listed]>,
    carriage: Carriage,
    metrics: Metrics,
    /// Of each hosted shard.
    statuses: Arc<[watch::Sender<Option<Status>>]>,
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

    /// What it is to each of its shards; `None` of one that has not begun.
    #[must_use]
    pub fn statuses(&self) -> Vec<Option<Status>> {
        let newest = |status: &watch::Sender<Option<Status>>| status.borrow().clone();
        self.statuses.iter().map(newest).collect()
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
