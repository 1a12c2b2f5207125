// Pure: the lease and the ledger of one shard in one process, joined.
#![deny(clippy::disallowed_methods)]

use std::sync::Arc;

use wire::Instrument;

use super::batch::Batch;
use super::checkpoint::{Checkpoint, Snapshots};
use super::entry::Level;
use super::judge::{Block, Identity};
use super::lease::{Lease, LeaseAnswer, LeaseCommand, LeaseEvent};
use super::ledger::{Assigned, CommitOutcome, Ledger, LedgerCommand, LedgerEvent, Stale, StoredAt};
use super::options::Options;
use super::pending::Accepted;
use super::status::{Role, Status};
use crate::aggregate::Closed;

/// One process's part in owning one shard.
///
/// The shell's turn, in this order:
/// 1. what has come: answers ([`Owner::handle_lease`], [`Owner::handle_checkpoints`], [`Owner::handle_commit`]),
///    assignments, levels, a stop;
/// 2. [`Owner::poll_event`] until it gives nothing; each event is acted on before the next is asked for. Until then
///    nothing is asked of the log;
/// 3. inputs to the engine, and each close out of it into [`Owner::handle_close`] at once;
/// 4. [`Owner::poll_command`] until it gives nothing. Of what it gives, one lease command and one log command may be
///    under way at a time. Each is bounded in time (the lease's well below its time to live), and answered;
/// 5. open bars, of instruments with [`Owner::may_publish`], under that epoch;
/// 6. waiting, until [`Owner::wake_at_ms`] at the latest.
///
/// Times are milliseconds of this process's monotonic clock, which must go on while the process is paused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    options: Options,
    lease: Lease,
    ledger: Ledger,
    /// When a stop stops waiting.
    stop_at_ms: Option<u64>,
    is_releasing: bool,
}

/// What is to be asked of the bus.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// Of the shard's lease, as its quorum has it; the answer goes to [`Owner::handle_lease`].
    Lease(LeaseCommand),
    /// Of the log: read the newest checkpoints where commits are decided; to [`Owner::handle_checkpoints`].
    Read {
        /// Comes back with the answer.
        ticket: u64,
        /// Whose.
        instruments: Vec<Instrument>,
    },
    /// Of the log: commit; to [`Owner::handle_commit`].
    Commit {
        /// Comes back with the answer.
        ticket: u64,
        /// What.
        batch: Arc<Batch>,
    },
}

/// What the shell acts on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// The shard is ours under this claim, or our claim was raised. For the log only.
    Granted(u64),
    /// The shard is not ours any more: nothing of it may be published. For the log only, as
    /// [`Owner::may_publish`] says the same.
    SteppedDown,
    /// A standby's engine must go on from this checkpoint, which has a series' state, as if its own feed had been down
    /// since.
    Restore {
        /// Whose.
        instrument: Instrument,
        /// From where.
        checkpoint: Box<Checkpoint>,
    },
    /// An instrument is ours. If it `restores`, the engine goes on from this checkpoint as by [`Event::Restore`]; from
    /// nothing, as if it had just been added, where the checkpoint has no series' state.
    /// Otherwise the engine's own state reaches back to it, and has closed every bar that it has: those bars stay as
    /// they were committed, with their `rev`, and where the engine has trades that one lacks, it amends. Where its own
    /// state turns out to lack what the checkpoint has, it goes on from the checkpoint, and [`Owner::handle_restored`]
    /// is told. Then all open bars of the instrument are published anew.
    Taken {
        /// Which.
        instrument: Instrument,
        /// As it stands in the log now, under our epoch. It has no series' state before the first close.
        checkpoint: Box<Checkpoint>,
        /// Whether the engine must go on from it.
        restores: bool,
    },
    /// An instrument is not ours any more. For the log only.
    Fenced {
        /// Which.
        instrument: Instrument,
    },
    /// An instrument cannot be taken now. For the log only.
    Blocked {
        /// Which.
        instrument: Instrument,
        /// Why.
        block: Block,
    },
    /// This is in the log.
    Committed(Arc<Batch>),
    /// An instrument is to be followed from now on, by a feed and a series that begin anew.
    Gained {
        /// Which.
        instrument: Instrument,
    },
    /// An instrument has no place here any more: its feed and its series may go. One that the assignment takes from us
    /// is followed until then.
    Released {
        /// Which.
        instrument: Instrument,
    },
}

impl Owner {
    /// A standby without instruments. The identity's owner is unique to this start of this process.
    #[must_use]
    pub fn new(me: Identity, options: Options) -> Self {
        Self {
            options,
            lease: Lease::new(me.owner.clone(), options),
            ledger: Ledger::new(me, options),
            stop_at_ms: None,
            is_releasing: false,
        }
    }

    /// A newer assignment is in force: [`Event::Gained`] and [`Event::Released`] say what comes of it. One of the same
    /// generation changes nothing.
    ///
    /// # Errors
    /// When it is older than the one in force.
    pub fn handle_assignment(&mut self, now_ms: u64, assigned: &Assigned) -> Result<(), Stale> {
        self.ledger.handle_assignment(now_ms, assigned)
    }

    /// How well we hear the instrument, when that has changed.
    pub fn handle_level(&mut self, now_ms: u64, instrument: &Instrument, level: Level) {
        self.ledger.handle_level(now_ms, instrument, level);
    }

    /// The engine goes on from the checkpoint of [`Event::Taken`] although that did not ask for it. To be told while that
    /// event is acted on.
    pub fn handle_restored(&mut self, instrument: &Instrument) {
        self.ledger.handle_restored(instrument);
    }

    /// The engine has closed or amended a bar; to be called as soon as it is taken out of the engine.
    pub fn handle_close(
        &mut self,
        instrument: &Instrument,
        close: Closed,
        snapshots: &mut dyn Snapshots,
    ) -> Accepted {
        self.ledger.handle_close(instrument, close, snapshots)
    }

    /// What to ask of the bus now. `unix_ms` is our wall clock: claims begin with it, and nothing else depends on it.
    pub fn poll_command(
        &mut self,
        now_ms: u64,
        unix_ms: u64,
        rng: &mut fastrand::Rng,
        snapshots: &mut dyn Snapshots,
    ) -> Option<Command> {
        self.advance_stop(now_ms);
        let is_level = self.ledger.is_level();
        let jitter_ms = rng.u64(0..=self.options.watch_ms / 4);
        let lease = self
            .lease
            .poll_command(now_ms, unix_ms, is_level, jitter_ms);
        if let Some(command) = lease {
            return Some(Command::Lease(command));
        }
        let may_take = self.lease.is_held(now_ms);
        Some(
            match self.ledger.poll_command(now_ms, may_take, snapshots)? {
                LedgerCommand::Read {
                    ticket,
                    instruments,
                } => Command::Read {
                    ticket,
                    instruments,
                },
                LedgerCommand::Commit { ticket, batch } => Command::Commit { ticket, batch },
            },
        )
    }

    /// What became of a lease command.
    pub fn handle_lease(&mut self, now_ms: u64, answer: LeaseAnswer) {
        self.lease.handle_answer(now_ms, answer);
    }

    /// The checkpoints that were asked for, in the order of the question: `None` for an instrument without one.
    /// `None` altogether if they could not be read.
    pub fn handle_checkpoints(
        &mut self,
        now_ms: u64,
        ticket: u64,
        stored: Option<Vec<Option<StoredAt>>>,
    ) {
        self.ledger.handle_checkpoints(now_ms, ticket, stored);
    }

    /// What became of a commit.
    pub fn handle_commit(&mut self, now_ms: u64, ticket: u64, outcome: CommitOutcome) {
        self.ledger.handle_commit(now_ms, ticket, outcome);
    }

    /// The next thing to act on.
    pub fn poll_event(&mut self, now_ms: u64) -> Option<Event> {
        if let Some(event) = self.lease.poll_event() {
            return Some(match event {
                LeaseEvent::Granted(claim) => {
                    self.ledger.handle_granted(now_ms, claim);
                    Event::Granted(claim)
                }
                LeaseEvent::Lost => {
                    self.ledger.handle_lease_lost(now_ms);
                    Event::SteppedDown
                }
            });
        }
        loop {
            return Some(match self.ledger.poll_event()? {
                LedgerEvent::Outclaimed(claim) => {
                    self.lease.handle_outclaimed(claim);
                    continue;
                }
                LedgerEvent::SteppedDown => {
                    self.lease.handle_fenced(now_ms);
                    Event::SteppedDown
                }
                LedgerEvent::Restore {
                    instrument,
                    checkpoint,
                } => Event::Restore {
                    instrument,
                    checkpoint,
                },
                LedgerEvent::Taken {
                    instrument,
                    checkpoint,
                    restores,
                } => Event::Taken {
                    instrument,
                    checkpoint,
                    restores,
                },
                LedgerEvent::Fenced { instrument } => Event::Fenced { instrument },
                LedgerEvent::Blocked { instrument, block } => Event::Blocked { instrument, block },
                LedgerEvent::Committed(batch) => Event::Committed(batch),
                LedgerEvent::Gained { instrument } => Event::Gained { instrument },
                LedgerEvent::Released { instrument } => Event::Released { instrument },
            });
        }
    }

    /// Nothing more is taken. What waits is committed, for [`Options::stop_ms`] at most; then the lease is given back,
    /// and [`Owner::is_stopped`].
    pub fn handle_stop(&mut self, now_ms: u64) {
        self.stop_at_ms.get_or_insert(now_ms + self.options.stop_ms);
        self.ledger.handle_stop();
        self.lease.handle_stop();
    }

    fn advance_stop(&mut self, now_ms: u64) {
        let Some(stop_at_ms) = self.stop_at_ms else {
            return;
        };
        if !self.is_releasing && (self.ledger.is_drained() || now_ms >= stop_at_ms) {
            self.is_releasing = true;
            self.ledger.handle_lease_lost(now_ms);
            self.lease.handle_release();
        }
    }

    /// Whether a stop has come to its end. If the lease cannot be given back it comes to none, and ages out.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.is_releasing && self.lease.is_done()
    }

    /// When [`Owner::poll_command`] may give something though nothing has come; `None` while it waits for answers.
    #[must_use]
    pub fn wake_at_ms(&self) -> Option<u64> {
        let lease = self.lease.wake_at_ms(self.ledger.is_level());
        let stop = self.stop_at_ms.filter(|_| !self.is_releasing);
        let wakes = [lease, self.ledger.wake_at_ms(), stop];
        wakes.into_iter().flatten().min()
    }

    /// The epoch under which the instrument's open bars may be published; `None` if they may not.
    #[must_use]
    pub fn may_publish(&self, instrument: &Instrument) -> Option<u64> {
        self.ledger.may_publish(instrument)
    }

    /// The instruments, the closes that wait, and what is committed.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What it looks like from outside.
    #[must_use]
    pub fn status(&self, now_ms: u64) -> Status {
        let mut status = self.ledger.status();
        status.is_lease_held = self.lease.is_held(now_ms);
        status.role = match self.lease.claim() {
            None => Role::Standby,
            Some(_) if status.unowned + status.taking > 0 => Role::Taking,
            Some(_) => Role::Active,
        };
        status
    }
}
