// Pure: all instruments of a shard in one process, and what is committed of them.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use wire::Instrument;

use super::batch::{Batch, Part};
use super::checkpoint::{Checkpoint, Snapshots};
use super::entry::{Entry, Hold, Leaving, Level, Standing};
use super::frontier::Frontier;
use super::judge::{Block, Identity};
use super::options::Options;
use super::pending::Accepted;
use crate::aggregate::Closed;

/// Which instruments there are.
mod assigned;

/// What a commit is made of.
mod build;

/// Reading checkpoints of instruments that are not ours, and taking them.
mod look;

/// What became of a commit.
mod outcome;

/// What it looks like from outside.
mod view;

pub use assigned::{Assigned, Stale};
pub use look::newest_generation;

/// All instruments of a shard in one process.
///
/// One thing is asked at a time: [`Ledger::poll_command`] gives nothing until the last command's ticket came back by
/// [`Ledger::handle_checkpoints`] or [`Ledger::handle_commit`], nor before [`Ledger::poll_event`] is drained. Events
/// must be acted on before anything else is handed in. Whoever carries commands out bounds each in time, and answers
/// all the same. What comes with an old ticket is passed over.
///
/// The engine's closes are handed over by [`Ledger::handle_close`] as they are taken out of it, one by one: the state
/// that is written beside them is that of this moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ledger {
    options: Options,
    me: Identity,
    /// Of the assignment in force.
    generation: Option<u64>,
    /// Ours to the shard, while we act as its owner.
    claim: Option<u64>,
    /// Since when.
    granted_ms: u64,
    entries: BTreeMap<Instrument, Entry>,
    /// The owned ones with something to commit.
    ready: BTreeSet<Instrument>,
    /// The ones that the assignment has taken from us.
    leaving: BTreeSet<Instrument>,
    /// The last one that a commit had no room for.
    cursor: Option<Instrument>,
    pending_len: usize,
    /// How many of them are of instruments that are ours.
    owned_len: usize,
    /// Not before this is there anything to look at.
    look_next_ms: u64,
    commit_no: u64,
    /// How many are taken at once: fewer after a conflict, so that a busy old owner cannot keep us out.
    take_len: usize,
    /// Whether commits have their turn before reads.
    commit_turn: bool,
    work: Work,
    /// The ticket that is out.
    out: Option<u64>,
    ticket: u64,
    retry_at_ms: u64,
    fails: u32,
    stopping: bool,
    events: VecDeque<LedgerEvent>,
    counts: Counts,
}

/// What is under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Work {
    Idle,
    /// Reading checkpoints of instruments that are not ours; `may_take` if the lease was ours when it was asked.
    Look {
        of: Vec<Instrument>,
        may_take: bool,
    },
    Commit(Arc<Batch>),
    /// Reading the checkpoints of a batch whose outcome is not known, or that was refused.
    Resolve(Arc<Batch>),
    /// Its answer does not matter any more.
    Abandoned,
}

/// What has been counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Counts {
    /// Closes and amendments committed.
    pub committed: u64,
    /// Closes dropped because another had committed them.
    pub settled: u64,
    /// Instruments whose closes did not follow or had no room.
    pub lost: u64,
    /// Batches refused.
    pub fenced: u64,
    /// Commits without an answer.
    pub unknown: u64,
    /// Instruments taken.
    pub taken: u64,
}

/// What is to be asked of the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LedgerCommand {
    /// Read the newest checkpoints of these, where commits are decided.
    Read {
        /// Comes back with the answer.
        ticket: u64,
        /// Whose.
        instruments: Vec<Instrument>,
    },
    /// Commit.
    Commit {
        /// Comes back with the answer.
        ticket: u64,
        /// What.
        batch: Arc<Batch>,
    },
}

/// A checkpoint as the log has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoredAt {
    /// Its place in the log.
    pub sequence: u64,
    /// What it says; `None` if that cannot be read.
    pub checkpoint: Option<Checkpoint>,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CommitOutcome {
    /// It is in the log; the sequences of its checkpoints, in the order of the parts.
    Committed(Vec<u64>),
    /// It was refused: a checkpoint is not the one that it was to replace.
    Fenced,
    /// There was no answer.
    Unknown,
    /// Nothing was committed, for now.
    Unavailable,
}

/// What the ledger tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LedgerEvent {
    /// The engine must go on from this checkpoint, which has a series' state, instead of from its own.
    Restore {
        /// Whose.
        instrument: Instrument,
        /// From where.
        checkpoint: Box<Checkpoint>,
    },
    /// An instrument is ours; see [`super::Event::Taken`].
    Taken {
        /// Which.
        instrument: Instrument,
        /// As it stands in the log now, under our epoch.
        checkpoint: Box<Checkpoint>,
        /// Whether the engine must go on from it.
        restores: bool,
    },
    /// An instrument is not ours any more, while others are.
    Fenced {
        /// Which.
        instrument: Instrument,
    },
    /// An instrument cannot be taken now.
    Blocked {
        /// Which.
        instrument: Instrument,
        /// Why.
        block: Block,
    },
    /// This is in the log.
    Committed(Arc<Batch>),
    /// An instrument is to be followed from now on.
    Gained {
        /// Which.
        instrument: Instrument,
    },
    /// An instrument has no place here any more: its feed may go.
    Released {
        /// Which.
        instrument: Instrument,
    },
    /// A later owner of the shard has fenced us: we are a standby.
    SteppedDown,
    /// A checkpoint shows this claim to our shard, which is no lower than ours.
    Outclaimed(u64),
}

impl Ledger {
    /// A standby without instruments.
    #[must_use]
    pub fn new(me: Identity, options: Options) -> Self {
        Self {
            options,
            me,
            generation: None,
            claim: None,
            granted_ms: 0,
            entries: BTreeMap::new(),
            ready: BTreeSet::new(),
            leaving: BTreeSet::new(),
            cursor: None,
            pending_len: 0,
            owned_len: 0,
            look_next_ms: u64::MAX,
            commit_no: 0,
            take_len: options.take_max,
            commit_turn: false,
            work: Work::Idle,
            out: None,
            ticket: 0,
            retry_at_ms: 0,
            fails: 0,
            stopping: false,
            events: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// Changes one entry, and all that is kept of it beside.
    fn change<R>(
        &mut self,
        instrument: &Instrument,
        how: impl FnOnce(&mut Entry) -> R,
    ) -> Option<R> {
        let entry = self.entries.get_mut(instrument)?;
        let (len, lost) = (entry.pending.len(), entry.standing == Standing::Lost);
        self.pending_len -= len;
        self.owned_len -= entry.owned_len();
        let result = how(entry);
        self.pending_len += entry.pending.len();
        if !lost && entry.standing == Standing::Lost {
            self.counts.lost += 1;
            // It is to be restored, and until then is not ours to commit.
            if entry.is_owned() {
                entry.hold = Hold::Unowned;
                entry.look_at_ms = 0;
            }
        }
        self.owned_len += entry.owned_len();
        if entry.is_owned() && !entry.pending.is_empty() {
            if !self.ready.contains(instrument) {
                self.ready.insert(instrument.clone());
            }
        } else {
            self.ready.remove(instrument);
        }
        if entry.hold == Hold::Unowned {
            self.look_next_ms = self.look_next_ms.min(entry.look_at_ms);
        }
        Some(result)
    }

    /// The engine has closed or amended a bar. To be called as soon as it is taken out of the engine.
    pub fn handle_close(
        &mut self,
        instrument: &Instrument,
        close: Closed,
        snapshots: &mut dyn Snapshots,
    ) -> Accepted {
        let section_max = self.options.section_max();
        if self.pending_len >= self.options.pending_max {
            self.make_room();
        }
        let accepted = self.change(instrument, |entry| {
            let accepted = entry.handle_close(close);
            if entry.is_owned() && entry.pending.open_len() >= section_max {
                entry.pending.seal(snapshots.snapshot(instrument));
            }
            entry.bound(section_max);
            if entry.block == Some(Block::Behind) && !entry.is_behind(&entry.frontier) {
                entry.look_at_ms = 0;
            }
            match entry.standing {
                Standing::Lost => Accepted::Lost,
                _ => accepted,
            }
        });
        if accepted == Some(Accepted::Settled) {
            self.counts.settled += 1;
        }
        accepted.unwrap_or(Accepted::Unknown)
    }

    /// The engine goes on from the checkpoint of [`LedgerEvent::Taken`] although that did not ask for it; see
    /// [`super::Owner::handle_restored`].
    pub fn handle_restored(&mut self, instrument: &Instrument) {
        self.change(instrument, Entry::handle_restored);
    }

    /// Gives up the most that waits of an instrument that is not ours, which is then made again from its checkpoint;
    /// what is ours stays.
    fn make_room(&mut self) {
        let unowned = self.entries.iter().filter(|(_, entry)| !entry.is_owned());
        let most = unowned.max_by_key(|(_, entry)| entry.pending.len());
        let Some((instrument, _)) = most.filter(|(_, entry)| !entry.pending.is_empty()) else {
            return;
        };
        let instrument = instrument.clone();
        self.change(&instrument, Entry::lose);
    }

    /// What to ask of the log now. `may_take`: the lease is surely ours, see [`super::Lease::is_held`].
    pub fn poll_command(
        &mut self,
        now_ms: u64,
        may_take: bool,
        snapshots: &mut dyn Snapshots,
    ) -> Option<LedgerCommand> {
        if self.out.is_some() || !self.events.is_empty() {
            return None;
        }
        if self.work == Work::Idle {
            self.choose(now_ms, snapshots);
        }
        if now_ms < self.retry_at_ms {
            return None;
        }
        let ticket = self.ticket + 1;
        let command = match &mut self.work {
            Work::Idle | Work::Abandoned => return None,
            Work::Look { of, may_take: may } => {
                *may = may_take;
                LedgerCommand::Read {
                    ticket,
                    instruments: of.clone(),
                }
            }
            Work::Resolve(batch) => LedgerCommand::Read {
                ticket,
                instruments: batch.instruments().cloned().collect(),
            },
            Work::Commit(batch) => LedgerCommand::Commit {
                ticket,
                batch: Arc::clone(batch),
            },
        };
        self.ticket = ticket;
        self.out = Some(ticket);
        Some(command)
    }

    /// Reads and commits take turns, so that neither a busy neighbour nor a long take-over holds up the other.
    fn choose(&mut self, now_ms: u64, snapshots: &mut dyn Snapshots) {
        let batch = if self.commit_turn {
            self.build(snapshots)
        } else {
            None
        };
        if let Some(batch) = batch {
            self.commit_turn = false;
            self.work = Work::Commit(batch);
        } else if let Some(of) = self.due(now_ms) {
            self.commit_turn = true;
            self.work = Work::Look {
                of,
                may_take: false,
            };
        } else if let Some(batch) = self.build(snapshots) {
            self.work = Work::Commit(batch);
        }
    }

    /// The checkpoints that were asked for, in the order of the question: `None` for an instrument without one.
    /// `None` altogether if they could not be read.
    pub fn handle_checkpoints(
        &mut self,
        now_ms: u64,
        ticket: u64,
        stored: Option<Vec<Option<StoredAt>>>,
    ) {
        if self.out != Some(ticket) {
            return;
        }
        self.out = None;
        match (std::mem::replace(&mut self.work, Work::Idle), stored) {
            (Work::Look { of, may_take }, Some(stored)) if of.len() == stored.len() => {
                self.fails = 0;
                self.handle_looked(now_ms, &of, stored, may_take);
            }
            (Work::Resolve(batch), Some(stored)) if batch.parts.len() == stored.len() => {
                self.handle_resolved(now_ms, &batch, &stored);
            }
            (Work::Abandoned, _) => {}
            (work, _) => {
                self.work = work;
                self.wait(now_ms);
            }
        }
        self.settle();
    }

    /// What became of a commit.
    pub fn handle_commit(&mut self, now_ms: u64, ticket: u64, outcome: CommitOutcome) {
        if self.out != Some(ticket) {
            return;
        }
        self.out = None;
        match std::mem::replace(&mut self.work, Work::Idle) {
            Work::Commit(batch) => self.handle_outcome(now_ms, batch, outcome),
            Work::Abandoned => {}
            work => self.work = work,
        }
        self.settle();
    }

    fn wait(&mut self, now_ms: u64) {
        self.retry_at_ms = now_ms + self.options.backoff_ms(self.fails);
        self.fails = self.fails.saturating_add(1);
    }

    /// The shard's lease is ours, or our claim to it was raised.
    pub fn handle_granted(&mut self, now_ms: u64, claim: u64) {
        let raised = self.claim.replace(claim).is_some();
        if !raised {
            self.granted_ms = now_ms;
        }
        for entry in self.entries.values_mut() {
            let again = !raised || entry.block == Some(Block::Outclaimed);
            if entry.hold == Hold::Unowned && again {
                entry.look_at_ms = entry.look_at_ms.min(now_ms);
            }
        }
        self.look_next_ms = now_ms;
        self.take_len = self.options.take_max;
    }

    /// The shard's lease is in other hands.
    pub fn handle_lease_lost(&mut self, now_ms: u64) {
        self.claim = None;
        let section_max = self.options.section_max();
        // One that was lost while it was in a batch is nobody's already; its answer will not be heard either.
        let ours = |(instrument, entry): (&Instrument, &Entry)| {
            (entry.hold != Hold::Unowned || entry.in_flight).then(|| instrument.clone())
        };
        let ours: Vec<Instrument> = self.entries.iter().filter_map(ours).collect();
        for instrument in ours {
            self.change(&instrument, |entry| {
                entry.let_go(section_max);
                entry.look_at_ms = now_ms;
            });
        }
        if matches!(self.work, Work::Commit(_) | Work::Resolve(_)) {
            // It may yet be committed; the checkpoints will tell.
            self.work = match self.out {
                Some(_) => Work::Abandoned,
                None => Work::Idle,
            };
        }
        self.settle();
    }

    /// Nothing more is taken; what waits is committed.
    pub fn handle_stop(&mut self) {
        self.stopping = true;
    }

    /// The next thing to act on.
    pub fn poll_event(&mut self) -> Option<LedgerEvent> {
        self.events.pop_front()
    }
}
