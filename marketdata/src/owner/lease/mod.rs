// Pure: which process of a shard should try to publish it.
#![deny(clippy::disallowed_methods)]

/// What an entry says.
mod value;

pub use value::LeaseValue;

use super::options::Options;

/// One process's view of its shard's lease.
///
/// It asks one thing at a time: [`Lease::poll_command`] gives nothing until the answer to the last command was handed
/// to [`Lease::handle_answer`]. Whoever carries commands out bounds each in time (well below the time to live), and
/// answers [`LeaseAnswer::Unavailable`] when the bound is reached. After each answer, [`Lease::poll_event`].
///
/// Times are milliseconds of this process's monotonic clock, which must go on while the process is paused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    options: Options,
    owner: String,
    state: State,
    /// What is asked just now.
    asked: Option<Asked>,
    /// Not before this is anything asked.
    ask_at_ms: u64,
    /// Whether the entry is to be read before it is written: what we know of it may be wrong.
    doubt: bool,
    /// The last write, whose answer may have been lost.
    attempt: Option<Attempt>,
    nonce: u64,
    stopping: bool,
    releasing: bool,
    event: Option<LeaseEvent>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    /// Another has it, or nobody; nothing is known before the first answer.
    Standby(Option<Seen>),
    /// It is ours as far as we know.
    Holder(Held),
    /// Given back, or never to be taken again.
    Done,
}

/// What a standby knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Seen {
    /// 0 where there is no entry.
    revision: u64,
    claim: u64,
    /// From when on it is free, by our clock, if the revision stays.
    free_at_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Held {
    revision: u64,
    claim: u64,
    /// It was ours up to here at least: counted from the sending of the last write that was confirmed.
    until_ms: u64,
    /// A claim to raise ours to.
    wanted: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Asked {
    Read,
    Write,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Attempt {
    nonce: u64,
    claim: u64,
    sent_ms: u64,
    released: bool,
}

/// What is to be done with the shard's entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LeaseCommand {
    /// Read it.
    Read,
    /// Write it if its revision is still `expect`; 0 where there must be none.
    Write {
        /// What to write.
        value: LeaseValue,
        /// The revision that it replaces.
        expect: u64,
    },
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LeaseAnswer {
    /// The entry: its revision, and its value if that could be read.
    Read(Option<(u64, Option<LeaseValue>)>),
    /// It was written, with this revision.
    Written(u64),
    /// Another revision stood there; nothing was written.
    Conflict,
    /// No answer. A write may have happened.
    Unavailable,
}

/// What the lease tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseEvent {
    /// It is ours under this claim; also told when the claim was raised.
    Granted(u64),
    /// It is in other hands.
    Lost,
}

impl Lease {
    /// A standby that knows nothing yet. `owner` is unique to this start of this process.
    #[must_use]
    pub fn new(owner: String, options: Options) -> Self {
        Self {
            options,
            owner,
            state: State::Standby(None),
            asked: None,
            ask_at_ms: 0,
            doubt: true,
            attempt: None,
            nonce: 0,
            stopping: false,
            releasing: false,
            event: None,
        }
    }

    /// What to ask now. `level`: whether this process could go on with all of its instruments at once. `jitter_ms` is
    /// taken off the next wait, so that the standbys of many shards do not ask together; below a fourth of
    /// [`Options::watch_ms`]. `unix_ms` is our wall clock: claims begin with it.
    pub fn poll_command(
        &mut self,
        now_ms: u64,
        unix_ms: u64,
        level: bool,
        jitter_ms: u64,
    ) -> Option<LeaseCommand> {
        if self.asked.is_some() {
            return None;
        }
        match &self.state {
            State::Done => None,
            State::Standby(_) if self.stopping => {
                self.state = State::Done;
                None
            }
            &State::Standby(Some(seen)) if self.may_take(&seen, now_ms, level) => {
                let claim = unix_ms.max(seen.claim + 1);
                Some(self.write(now_ms, seen.revision, claim, false))
            }
            State::Standby(_) if now_ms >= self.ask_at_ms => {
                self.ask_at_ms = now_ms + self.options.watch_ms - jitter_ms;
                Some(self.read())
            }
            State::Standby(_) => None,
            &State::Holder(held) => self.hold_on(held, now_ms),
        }
    }

    fn may_take(&self, seen: &Seen, now_ms: u64, level: bool) -> bool {
        !self.doubt && now_ms >= self.take_at_ms(seen, level)
    }

    fn take_at_ms(&self, seen: &Seen, level: bool) -> u64 {
        let wait_ms = if level {
            0
        } else {
            self.options.unlevel_wait_ms
        };
        seen.free_at_ms.saturating_add(wait_ms)
    }

    fn hold_on(&mut self, held: Held, now_ms: u64) -> Option<LeaseCommand> {
        if self.releasing && !self.doubt {
            return Some(self.write(now_ms, held.revision, held.claim, true));
        }
        if now_ms < self.ask_at_ms && held.wanted <= held.claim {
            return None;
        }
        if self.doubt {
            return Some(self.read());
        }
        let claim = held.claim.max(held.wanted);
        Some(self.write(now_ms, held.revision, claim, false))
    }

    fn read(&mut self) -> LeaseCommand {
        self.asked = Some(Asked::Read);
        LeaseCommand::Read
    }

    fn write(&mut self, now_ms: u64, expect: u64, claim: u64, released: bool) -> LeaseCommand {
        self.nonce += 1;
        self.asked = Some(Asked::Write);
        self.attempt = Some(Attempt {
            nonce: self.nonce,
            claim,
            sent_ms: now_ms,
            released,
        });
        let value = LeaseValue {
            owner: self.owner.clone(),
            claim,
            ttl_ms: self.options.ttl_ms,
            released,
            nonce: self.nonce,
        };
        LeaseCommand::Write { value, expect }
    }

    /// The command was carried out, or not. An answer that nobody waits for is passed over.
    pub fn handle_answer(&mut self, now_ms: u64, answer: LeaseAnswer) {
        match (self.asked.take(), answer) {
            (Some(Asked::Read), LeaseAnswer::Read(entry)) => self.handle_entry(now_ms, entry),
            (Some(Asked::Write), LeaseAnswer::Written(revision)) => self.handle_written(revision),
            (Some(Asked::Write), LeaseAnswer::Conflict) => self.handle_conflict(now_ms),
            (Some(_), _) => self.handle_no_answer(now_ms),
            (None, _) => {}
        }
    }

    fn handle_written(&mut self, revision: u64) {
        let Some(attempt) = self.attempt else {
            return; // A write was asked, so that there is one.
        };
        if attempt.released {
            self.state = State::Done;
            return;
        }
        self.hold(revision, attempt.claim, attempt.sent_ms);
    }

    /// It is ours, by a write that was sent then.
    fn hold(&mut self, revision: u64, claim: u64, sent_ms: u64) {
        let before = match self.state {
            State::Holder(held) => Some(held),
            _ => None,
        };
        self.state = State::Holder(Held {
            revision,
            claim,
            until_ms: sent_ms + self.options.ttl_ms,
            wanted: before.map_or(0, |held| held.wanted),
        });
        self.doubt = false;
        self.ask_at_ms = sent_ms + self.options.ttl_ms / 3;
        if before.is_none_or(|held| held.claim < claim) {
            self.event = Some(LeaseEvent::Granted(claim));
        }
    }

    fn handle_conflict(&mut self, now_ms: u64) {
        if self.attempt.is_some_and(|attempt| attempt.released) {
            // Either an earlier copy of this write got there, or somebody has taken it.
            self.state = State::Done;
            return;
        }
        self.ask_at_ms = now_ms;
        self.doubt = true;
    }

    fn handle_no_answer(&mut self, now_ms: u64) {
        self.ask_at_ms = now_ms + self.options.watch_ms;
        self.doubt = true;
    }

    fn handle_entry(&mut self, now_ms: u64, entry: Option<(u64, Option<LeaseValue>)>) {
        let ours = self.ours(entry.as_ref());
        self.doubt = false;
        match self.state {
            State::Holder(held) => match (ours, &entry) {
                (Some((revision, claim, sent_ms)), _) => {
                    // Unless the read shows our last write, nothing is newly confirmed; renew at once.
                    self.hold(revision, claim.max(held.claim), sent_ms.unwrap_or(0));
                    if let State::Holder(now) = &mut self.state {
                        now.until_ms = now.until_ms.max(held.until_ms);
                    }
                    self.ask_at_ms = now_ms;
                }
                (None, None) => {
                    // The bucket was made anew: nobody else has it.
                    self.state = State::Holder(Held {
                        revision: 0,
                        ..held
                    });
                    self.ask_at_ms = now_ms;
                }
                (None, Some(_)) => {
                    self.state = State::Standby(None);
                    self.event = Some(LeaseEvent::Lost);
                    self.see(now_ms, entry);
                }
            },
            State::Standby(_) => match ours {
                // Our own write, the answer to which was lost.
                Some((revision, claim, Some(sent_ms))) => self.hold(revision, claim, sent_ms),
                _ => self.see(now_ms, entry),
            },
            State::Done => {}
        }
    }

    /// Whether the entry is one that we wrote and hold: its revision, its claim, and when it was sent if it is the
    /// last one that we wrote.
    fn ours(&self, entry: Option<&(u64, Option<LeaseValue>)>) -> Option<(u64, u64, Option<u64>)> {
        let (revision, value) = entry?;
        let value = value.as_ref()?;
        if value.owner != self.owner || value.released {
            return None;
        }
        let last = self.attempt.filter(|last| last.nonce == value.nonce);
        Some((*revision, value.claim, last.map(|last| last.sent_ms)))
    }

    fn see(&mut self, now_ms: u64, entry: Option<(u64, Option<LeaseValue>)>) {
        let State::Standby(seen) = &mut self.state else {
            return;
        };
        let Some((revision, value)) = entry else {
            // Claims seen before still count, should the bucket have been made anew.
            let claim = seen.map_or(0, |seen| seen.claim);
            let since_ms = seen.filter(|seen| seen.revision == 0);
            *seen = Some(Seen {
                revision: 0,
                claim,
                free_at_ms: since_ms.map_or(now_ms, |seen| seen.free_at_ms),
            });
            return;
        };
        if seen.is_some_and(|seen| seen.revision == revision) {
            return;
        }
        let claim = value.as_ref().map_or(0, |value| value.claim);
        let wait_ms = match &value {
            Some(value) if value.released => 0,
            Some(value) => value.ttl_ms,
            None => self.options.ttl_ms,
        };
        *seen = Some(Seen {
            revision,
            claim: claim.max(seen.map_or(0, |seen| seen.claim)),
            free_at_ms: now_ms.saturating_add(wait_ms),
        });
    }

    /// A checkpoint shows a claim to the shard that is no lower than ours. If the lease is truly ours, ours is raised
    /// above it; if not, the attempt shows that.
    pub fn handle_outclaimed(&mut self, claim: u64) {
        if let State::Holder(held) = &mut self.state {
            held.wanted = held.wanted.max(claim + 1);
        }
    }

    /// The log has refused us in favour of a later owner of the shard: the lease is not ours any more.
    pub fn handle_fenced(&mut self, now_ms: u64) {
        if let State::Holder(_) = self.state {
            self.state = State::Standby(None);
            self.ask_at_ms = now_ms;
            self.doubt = true;
        }
    }

    /// It is not to be taken any more. A holder keeps it until [`Lease::handle_release`].
    pub fn handle_stop(&mut self) {
        self.stopping = true;
    }

    /// It is to be given back.
    pub fn handle_release(&mut self) {
        self.stopping = true;
        self.releasing = true;
    }

    /// What has changed, since it was last asked. The newest counts.
    pub fn poll_event(&mut self) -> Option<LeaseEvent> {
        self.event.take()
    }

    /// When [`Lease::poll_command`] may give something without an answer before; `None` while it waits for one.
    #[must_use]
    pub fn wake_at_ms(&self, level: bool) -> Option<u64> {
        if self.asked.is_some() {
            return None;
        }
        match &self.state {
            State::Done => None,
            State::Standby(_) if self.stopping => Some(0),
            State::Standby(Some(seen)) if !self.doubt => {
                Some(self.take_at_ms(seen, level).min(self.ask_at_ms))
            }
            State::Standby(_) => Some(self.ask_at_ms),
            State::Holder(held) if self.releasing && !self.doubt => Some(0),
            State::Holder(held) if held.wanted > held.claim => Some(0),
            State::Holder(_) => Some(self.ask_at_ms),
        }
    }

    /// Whether the lease is surely ours now: before this is confirmed, nothing new is taken. What is taken already
    /// goes on without.
    #[must_use]
    pub fn is_held(&self, now_ms: u64) -> bool {
        matches!(self.state, State::Holder(held) if now_ms < held.until_ms)
    }

    /// Our claim while we act as the owner.
    #[must_use]
    pub fn claim(&self) -> Option<u64> {
        match self.state {
            State::Holder(held) => Some(held.claim),
            _ => None,
        }
    }

    /// Whether it is given back, or was not ours when we stopped.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }
}
