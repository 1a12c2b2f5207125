//! The shell around one shard: inbox in, closes and open bars out to the bus, as far as the shard is ours.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use runtime::broker::{BarMessage, Bus, CommitError};
use runtime::shutdown::Shutdown;
use runtime::telemetry::BusCall;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use wire::{Bar, Instrument, Interval, ShardId};

use crate::aggregate::Config;
use crate::carriage::Carriage;
use crate::carrier::Control;
use crate::metrics::{Metrics, Outage, Sparse};
use crate::options::{Options, WhenFull};
use crate::owner::{Accepted, Command, Identity, Level, Owner, Status};
use crate::publish::Numbers;
use crate::route::Input;

/// What it does about what its owner tells and the bus answers.
mod act;

mod core;

mod ops;

mod repairs;

mod sampled;

mod tally;

pub(crate) use self::repairs::Ask;

use self::core::Core;
use self::ops::Ops;
use self::repairs::Repairs;
use self::sampled::Sampled;
use self::tally::Tally;

/// Inputs that wait for a shard. A shard takes some two million a second: a full inbox means that it was away for
/// tens of milliseconds, or that far more arrives than one core can hold. At 80 bytes each, 2.6 MB.
pub(crate) const INBOX_LEN: usize = 32_768;

/// Inputs that are taken in one turn, so that open bars and commits have theirs: half a millisecond's worth.
const TURN_LEN: usize = 1_024;

/// How often all open bars are sent again, for those who missed one.
const REPUBLISH_EVERY: Duration = Duration::from_secs(10);

/// What a shard is made of.
pub(crate) struct ShardContext {
    pub(crate) shard: ShardId,
    pub(crate) options: Arc<Options>,
    pub(crate) intervals: Vec<Interval>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) metrics: Metrics,
    pub(crate) carriage: Carriage,
    /// Told of each instrument that has no place here any more.
    pub(crate) dropped: mpsc::Sender<Instrument>,
    pub(crate) status: watch::Sender<Option<Status>>,
    pub(crate) shutdown: Shutdown,
}

/// One shard.
pub(crate) struct Shard {
    core: Core,
    owner: Owner,
    ops: Ops,
    inbox: mpsc::Receiver<Input>,
    control: mpsc::Receiver<Control>,
    context: ShardContext,
    tally: Tally,
    rng: fastrand::Rng,
    /// By our clock, what is milliseconds zero.
    begun: Instant,
    /// Taken from the inbox and not handled: the closes have no room.
    inputs: VecDeque<Input>,
    /// To be told to the carrier: as many as there are instruments at most.
    dropped: VecDeque<Instrument>,
    /// What the owner was told of each instrument; away where it is not in here.
    levels: BTreeMap<Instrument, Level>,
    repairs: Repairs,
    publish_told: Sparse,
    lost_told: Sparse,
    commits: Outage,
    /// Since when instruments leave, and whether that was told.
    leaving: Option<(Instant, bool)>,
    sampled: Sampled,
    /// How often it has gone round.
    #[cfg(test)]
    turns: Arc<std::sync::atomic::AtomicUsize>,
}

impl Shard {
    pub(crate) fn new(
        context: ShardContext,
        inbox: mpsc::Receiver<Input>,
        control: mpsc::Receiver<Control>,
    ) -> Self {
        let options = &context.options;
        let mut config = Config::new(context.intervals.iter().copied());
        let window_ms = options.reorder_window.as_millis();
        config.reorder_window_ms = i64::try_from(window_ms).unwrap_or(i64::MAX / 4);
        let identity = Identity {
            owner: options.instance.clone(),
            shard: context.shard,
        };
        let ttl = options.ownership.lease_ttl;
        Self {
            core: Core::new(config, context.intervals.clone()),
            owner: Owner::new(identity, options.ownership.owner()),
            ops: Ops::new(
                Arc::clone(&context.bus),
                options.scope.clone(),
                context.shard,
                ttl,
            ),
            inbox,
            control,
            tally: Tally::new(context.metrics.clone()),
            rng: fastrand::Rng::new(),
            begun: Instant::now(),
            inputs: VecDeque::new(),
            dropped: VecDeque::new(),
            levels: BTreeMap::new(),
            repairs: Repairs::default(),
            publish_told: Sparse::default(),
            lost_told: Sparse::default(),
            commits: Outage::default(),
            leaving: None,
            sampled: Sampled::new(options.tracer.clone(), &context.intervals),
            #[cfg(test)]
            turns: Arc::default(),
            context,
        }
    }

    /// Runs until it is asked to stop, what it owns is committed, and its lease is given back.
    ///
    /// # Errors
    /// When the bus refuses this process's closes for good.
    pub(crate) async fn run(mut self) -> Result<(), CommitError> {
        let shutdown = self.context.shutdown.clone();
        let mut taken = Vec::with_capacity(TURN_LEN);
        let mut update = tokio::time::interval(self.context.options.update_interval);
        update.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut republish = tokio::time::interval(REPUBLISH_EVERY);
        let (mut stop_by, mut is_last_told) = (None, false);
        loop {
            #[cfg(test)]
            self.turns
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.act_on_events();
            self.handle_inputs();
            if stop_by.is_some() && !is_last_told && self.owner.ledger().is_drained() {
                // While it is ours: the open bars as they stand.
                is_last_told = true;
                self.update().await;
            }
            self.ask();
            if self.owner.is_stopped() {
                break;
            }
            let wake = self.owner.wake_at_ms().map(|at_ms| self.instant(at_ms));
            let open = self.is_open();
            tokio::select! {
                biased;
                () = shutdown.requested(), if stop_by.is_none() => stop_by = Some(self.handle_stop()),
                () = sleep_until(stop_by), if stop_by.is_some() => {
                    self.tell_given_up();
                    break;
                }
                _ = update.tick() => self.update().await,
                _ = republish.tick() => self.core.handle_republish(),
                answer = self.ops.next() => self.handle_answer(answer)?,
                Some(control) = self.control.recv() => self.handle_control(control),
                () = sleep_until(wake), if wake.is_some() => {}
                count = self.inbox.recv_many(&mut taken, TURN_LEN), if open && stop_by.is_none() => {
                    if count == 0 {
                        // Nobody is left to bring anything.
                        stop_by = Some(self.handle_stop());
                    }
                    self.inputs.extend(taken.drain(..));
                }
            }
            self.tell_dropped();
        }
        Ok(())
    }

    /// What the owner wants to know of the bus, or to commit.
    fn ask(&mut self) {
        loop {
            let now_ms = self.now_ms();
            let command = self
                .owner
                .poll_command(now_ms, unix_ms(), &mut self.rng, &mut self.core);
            match command {
                Some(Command::Lease(command)) => self.ops.ask_lease(command),
                Some(Command::Read {
                    ticket,
                    instruments,
                }) => self.ops.ask_checkpoints(ticket, &instruments),
                Some(Command::Commit { ticket, batch }) => {
                    let commit = self.commit(&batch);
                    self.ops
                        .ask_commit(ticket, commit, self.sampled.tracer.clone());
                }
                None => return,
            }
        }
    }

    /// Whether inputs are taken. A market that waits for its reader waits until the bars that it makes have an owner, and
    /// until those that are closed have gone; a live market does not wait, and would be dropped.
    fn is_open(&self) -> bool {
        match self.context.options.when_full {
            WhenFull::DropNewest => true,
            WhenFull::Wait => self.inputs.is_empty() && self.has_room() && !self.is_unowned(),
        }
    }

    /// Whether the owner takes further closes: they stay in the engine otherwise.
    fn has_room(&self) -> bool {
        !self.owner.ledger().is_full()
    }

    fn is_unowned(&self) -> bool {
        let mut carried = self.core.carried();
        carried.any(|(instrument, ..)| self.owner.may_publish(instrument).is_none())
    }

    fn handle_inputs(&mut self) {
        self.hand_over();
        while (self.context.options.when_full == WhenFull::DropNewest || self.has_room())
            && let Some(input) = self.inputs.pop_front()
        {
            self.sampled.handle_input(&input);
            self.repairs.handle_input(&input);
            if let Some((outcome, instrument)) = self.core.handle_input(&input) {
                self.tally.handle_outcome(outcome, instrument);
                self.sampled.handle_outcome(&input, outcome, instrument);
            }
            self.hand_over();
            while let Some((instrument, event)) = self.core.poll_event() {
                self.tally.handle_event(instrument, event);
            }
        }
    }

    /// What the engine has closed goes to the owner at once, with the state that goes with it: a bar takes trades until
    /// it is taken out, and local scheduling must decide nothing.
    fn hand_over(&mut self) {
        while self.has_room()
            && let Some((instrument, close)) = self.core.poll_close()
        {
            self.sampled
                .handle_close(&instrument, close.interval, close.start_ms);
            let accepted = self.owner.handle_close(&instrument, close, &mut self.core);
            if accepted == Accepted::Lost
                && let Some(count) = self.lost_told.tell()
            {
                tracing::debug!(%instrument, count, "a close that does not follow: to be made again from the checkpoint");
            }
        }
    }

    /// Gives until when it is waited for its end.
    fn handle_stop(&mut self) -> Instant {
        // What is in the inbox has come before the stop. It is not read again: one that is closed is always ready.
        self.inbox.close();
        while let Ok(input) = self.inbox.try_recv() {
            self.inputs.push_back(input);
        }
        self.handle_inputs();
        let now_ms = self.now_ms();
        self.owner.handle_stop(now_ms);
        Instant::now() + STOP_MAX
    }

    /// The bus does not answer. What is not committed is made again by who takes the shard next, from the checkpoint.
    fn tell_given_up(&self) {
        let waiting = self.owner.ledger().pending_len();
        tracing::warn!(
            shard = %self.context.shard, waiting,
            "stopping without an answer from the bus: who has the shard next makes these closes"
        );
    }

    /// What is looked at from time to time: levels, counts, open bars.
    async fn update(&mut self) {
        let now_ms = self.now_ms();
        self.repairs.ask(&mut self.core, now_ms);
        let carried: Vec<(Instrument, Level)> = self
            .core
            .carried()
            .map(|(instrument, at, series)| {
                let level = match self.context.carriage.is_settled(at) {
                    false => Level::Away,
                    true if self.repairs.is_waiting(series) => Level::Filling,
                    true => Level::Whole,
                };
                (instrument.clone(), level)
            })
            .collect();
        for (instrument, level) in carried {
            self.tell_level(&instrument, level);
        }
        self.tally.handle_counters(&self.core.counters());
        let waiting = self.owner.ledger().pending_len();
        let metrics = &self.context.metrics;
        metrics
            .closes_waiting
            .set(i64::try_from(waiting).unwrap_or(i64::MAX));
        let status = self.owner.status(self.now_ms());
        metrics.set_shard(self.context.shard, &status);
        self.tell_leaving(status.leaving);
        self.context.status.send_if_modified(|before| {
            let changed = before.as_ref() != Some(&status);
            if changed {
                *before = Some(status);
            }
            changed
        });
        self.publish_open().await;
    }

    async fn publish_open(&mut self) {
        let publish_time_ms = wall_ms();
        let scope = &self.context.options.scope;
        let owner = &self.owner;
        let numbers = |instrument: &Instrument, interval: Interval| {
            let place = owner.ledger().frontier(instrument)?.place(interval);
            Some(Numbers {
                epoch: owner.may_publish(instrument)?,
                close_no: place.map_or(0, |place| place.close_no),
                publish_time_ms,
            })
        };
        let (core, sampled) = (&mut self.core, &mut self.sampled);
        let message = |bar: Bar| {
            let trace = sampled.take_open(&bar.instrument, bar.interval, bar.start_ms);
            BarMessage::new(scope, bar).with_trace(trace)
        };
        let mut bars: Vec<BarMessage> = std::iter::from_fn(|| core.poll_open(numbers))
            .map(message)
            .collect();
        if bars.is_empty() {
            return;
        }
        let tracer = &self.sampled.tracer;
        let bus = self.context.bus.as_ref();
        let call = BusCall::publish(tracer, &mut bars);
        let sent = bus.publish_open(&bars).await;
        let error = sent.as_ref().err().map(|error| error as &dyn Display);
        call.end(tracer, bus, &bars, error);
        match sent {
            Ok(()) => {
                let count = u64::try_from(bars.len()).unwrap_or(u64::MAX);
                self.context.metrics.open_published.inc_by(count);
            }
            // Nothing is kept: they are sent again within seconds, newer.
            Err(error) => {
                self.context.metrics.publish_failed.inc();
                if let Some(count) = self.publish_told.tell() {
                    tracing::warn!(count, %error, "open bars not sent");
                }
            }
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn instant(&self, at_ms: u64) -> Instant {
        self.begun + Duration::from_millis(at_ms.min(FAR_MS))
    }
}

/// What is further away, a century, is never; a runtime's clock may not reach it.
const FAR_MS: u64 = 100 * 365 * 86_400_000;

/// How long a stop waits for the owner, which commits for three seconds at most and then gives its lease back.
const STOP_MAX: Duration = Duration::from_millis(4_500);

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

/// Our clock, in Unix milliseconds. It decides nothing: it is only written down.
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Our clock, for a claim: one that goes backwards makes none lower.
fn unix_ms() -> u64 {
    u64::try_from(wall_ms()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
