//! Carries what the assignment in force says: tells the shards, then opens and closes feeds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use runtime::backoff::Backoff;
use runtime::shutdown::Shutdown;
use runtime::tasks::{OnExit, Spawner};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use wire::{Assignment, Instrument};

use crate::budget::Budget;
use crate::carriage::Carriage;
use crate::connection::FeedContext;
use crate::feed::Feed;
use crate::feeder::{Attempts, Feeder};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::repair::{self, Repairer};
use crate::roster::{Change, PlacedSource, Roster, ShardChange, Wanted};
use crate::route::Input;
use crate::shard::Ask;

/// What a shard is told of its instruments.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) change: ShardChange,
    /// Where what is missing of what it gained is asked for.
    pub(crate) asks: Vec<Ask>,
    /// Told once the shard takes inputs of what it gained.
    pub(crate) taken: oneshot::Sender<()>,
}

/// The assignment in force, as it changes; `None` before the first.
pub(crate) type Assignments = watch::Receiver<Option<Arc<Assignment>>>;

/// A change of the assignment waits until the one before it is done.
pub(crate) const CONTROLS_LEN: usize = 1;

/// Instruments that shards let go are told one by one, and the carrier does nothing that waits for long; beyond that
/// the shard waits.
pub(crate) const DROPPED_LEN: usize = 64;

/// One process's feeds.
pub(crate) struct Carrier {
    pub(crate) options: Arc<Options>,
    pub(crate) roster: Roster,
    /// What is in force.
    pub(crate) wanted: Wanted,
    pub(crate) assignments: Option<Assignments>,
    pub(crate) inboxes: Arc<[mpsc::Sender<Input>]>,
    pub(crate) controls: Vec<mpsc::Sender<Control>>,
    pub(crate) dropped: mpsc::Receiver<Instrument>,
    pub(crate) spawner: Spawner,
    pub(crate) metrics: Metrics,
    pub(crate) carriage: Carriage,
    /// By venue: its limit on attempts holds for all its feeds.
    pub(crate) attempts: BTreeMap<&'static str, Attempts>,
    pub(crate) closers: BTreeMap<u32, Shutdown>,
    pub(crate) begun: Instant,
}

impl Carrier {
    /// Carries the first change, then whatever comes, until stopping is asked for.
    pub(crate) async fn run(mut self, first: Change) {
        let shutdown = self.spawner.shutdown().clone();
        self.carry_out(first).await;
        loop {
            let next = async {
                match &mut self.assignments {
                    Some(assignments) => match assignments.changed().await {
                        Ok(()) => (assignments.borrow_and_update().as_deref()).map(Wanted::from),
                        // Whoever read the file is gone; what is in force stays.
                        Err(_) => std::future::pending().await,
                    },
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = shutdown.requested() => return,
                Some(instrument) = self.dropped.recv() => self.handle_dropped(&instrument).await,
                Some(wanted) = next => {
                    tracing::info!(generation = wanted.generation, "a new assignment");
                    self.handle_wanted(wanted).await;
                }
            }
        }
    }

    async fn handle_wanted(&mut self, wanted: Wanted) {
        match self.roster.handle_wanted(&wanted) {
            Ok(change) => {
                self.wanted = wanted;
                self.carry_out(change).await;
            }
            // Whoever reads the file has checked the same; the one in force stays.
            Err(error) => {
                tracing::warn!(generation = wanted.generation, %error, "assignment not taken");
            }
        }
    }

    async fn handle_dropped(&mut self, instrument: &Instrument) {
        if let Some(feed) = self.roster.handle_dropped(instrument)
            && let Some(closer) = self.closers.remove(&feed)
        {
            closer.trigger();
        }
        // It may have been wanted again in the meantime.
        let wanted = self.wanted.clone();
        self.handle_wanted(wanted).await;
    }

    async fn carry_out(&mut self, change: Change) {
        let gained = change.shards.iter().flat_map(|shard| &shard.gained);
        if let Some(last) = gained.map(|member| member.at).max() {
            self.carriage.handle_listed(last + 1);
        }
        let mut asks: Vec<Vec<Ask>> = self.controls.iter().map(|_| Vec::new()).collect();
        if self.options.repair {
            for source in &change.sources {
                self.repair(source, &mut asks);
            }
        }
        for ((control, change), asks) in self.controls.iter().zip(change.shards).zip(asks) {
            let (taken, done) = oneshot::channel();
            let control_sent = control.send(Control {
                change,
                asks,
                taken,
            });
            // A shard that has ended is a reason to stop, which it tells itself.
            if control_sent.await.is_ok() {
                let _ = done.await;
            }
        }
        for source in change.sources {
            self.open(&source);
        }
    }

    /// Starts what fetches a source's missing trades, and says where each of its series asks for them.
    fn repair(&self, source: &PlacedSource, asks: &mut [Vec<Ask>]) {
        let (requests_in, requests) = repair::requests();
        for (instrument, place) in source.venue.symbols().indices().zip(source.places.iter()) {
            asks[place.shard].push(Ask {
                place: *place,
                instrument,
                requests: requests_in.clone(),
            });
        }
        let repairer = Repairer::new(
            Arc::clone(&source.venue),
            &source.rest,
            requests,
            Arc::clone(&self.inboxes),
            fastrand::Rng::new(),
            self.options.rest_budgets.of(source.venue.as_ref()),
        );
        let first = source.feeds.first().map_or(0, |(feed, _)| *feed);
        let name = format!("repair-{}-{first}", source.venue.name());
        let shutdown = self.spawner.shutdown().clone();
        self.spawner
            .spawn(name, OnExit::StopOnFailure, repairer.run(shutdown));
    }

    fn open(&mut self, source: &PlacedSource) {
        let limits = source.venue.limits();
        let attempts = self.attempts.entry(source.venue.name()).or_insert_with(|| {
            let now_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            Arc::new(Mutex::new(Budget::new(limits.attempts, now_ms)))
        });
        for (feed, instruments) in &source.feeds {
            let shutdown = self.spawner.shutdown().child();
            self.closers.insert(*feed, shutdown.clone());
            let context = FeedContext {
                feed: *feed,
                venue: Arc::clone(&source.venue),
                url: source.url.clone(),
                instruments: instruments.clone(),
                places: Arc::clone(&source.places),
                listed_from: source.listed_from,
                session: self.options.session,
                when_full: self.options.when_full,
                metrics: self.metrics.clone(),
                carriage: self.carriage.clone(),
                clocks: Mutex::default(),
                begun: self.begun,
                tracer: self.options.tracer.clone(),
            };
            let mut rng = fastrand::Rng::new();
            let backoff = Backoff::new(self.options.reconnect, rng.fork());
            let now_ms = context.now_ms();
            let feeder = Feeder {
                feed: Feed::new(backoff, limits.lifetime_ms, &mut rng, now_ms),
                context: Arc::new(context),
                attempts: Arc::clone(attempts),
                inboxes: Arc::clone(&self.inboxes),
                spawner: self.spawner.clone(),
                shutdown,
            };
            let name = format!("feed-{}-{feed}", source.venue.name());
            // One that is closed ends for good, and the others go on.
            self.spawner
                .spawn(name, OnExit::StopOnFailure, feeder.run());
        }
    }
}
