// Pure: the life of a feed: which connections carry its instruments, and when the next one is opened.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;

use runtime::backoff::Backoff;

mod clocks;

pub use clocks::Clocks;

/// The connections of one set of instruments: one as a rule, two while a new one takes over from an old one
/// (make before break: the aggregator drops what both deliver), none between a loss and the next attempt.
///
/// The shell calls `handle_*`, then drains [`Feed::poll_command`] and waits until [`Feed::poll_timeout`]. Time
/// is any clock that never runs back, in milliseconds.
#[derive(Debug)]
pub struct Feed {
    backoff: Backoff,
    /// How long a connection is used before another takes over, in milliseconds.
    lifetime_ms: Option<u64>,
    connections: Vec<Connection>,
    next_connection: u64,
    open_at_ms: Option<u64>,
    commands: VecDeque<Command>,
}

/// A connection's number within its feed; it counts the attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What the feed wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Open a connection under this number, as soon as the venue's limit on attempts allows.
    Open(ConnectionId),
    /// Close this one: another has taken over.
    Close(ConnectionId),
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    live_since_ms: Option<u64>,
    /// When to close it, once another has taken over.
    close_at_ms: Option<u64>,
    /// It was told to close.
    closing: bool,
}

/// How long an old connection goes on beside the one that has taken over: what it was sent before the new one was
/// subscribed may still be on its way, or unread.
const OVERLAP_MS: u64 = 5_000;

/// A connection that was live this long has worked: the next loss is a new one.
const WORKED_AFTER_MS: u64 = 60_000;

impl Feed {
    /// A feed that opens its first connection at once. `lifetime_ms` is the venue's limit: a successor is
    /// opened when 23 to 23.5 of its 24 parts have passed, at a moment drawn from `rng`, so that not all feeds
    /// move at once.
    pub fn new(
        backoff: Backoff,
        lifetime_ms: Option<u64>,
        rng: &mut fastrand::Rng,
        now_ms: u64,
    ) -> Self {
        let lifetime_ms = lifetime_ms.map(|limit| {
            let part = limit / 48;
            limit - 2 * part + rng.u64(0..=part)
        });
        Self {
            backoff,
            lifetime_ms,
            connections: Vec::new(),
            next_connection: 0,
            open_at_ms: Some(now_ms),
            commands: VecDeque::new(),
        }
    }

    /// A connection carries all that it can.
    pub fn handle_live(&mut self, now_ms: u64, id: ConnectionId) {
        let Some(at) = self.place(id) else { return };
        self.connections[at].live_since_ms = Some(now_ms);
        for older in &mut self.connections[..at] {
            older.close_at_ms.get_or_insert(now_ms + OVERLAP_MS);
        }
    }

    /// A connection's server goes away, so that a successor is wanted at once.
    pub fn handle_retire(&mut self, now_ms: u64, id: ConnectionId) {
        // A connection that is being opened already is the successor.
        let newest = self.connections.last().is_some_and(|last| last.id == id);
        if newest && self.open_at_ms.is_none() {
            self.open_at_ms = Some(now_ms);
        }
    }

    /// A connection is over.
    pub fn handle_ended(&mut self, now_ms: u64, id: ConnectionId) {
        let Some(at) = self.place(id) else { return };
        let newest = at + 1 == self.connections.len();
        let ended = self.connections.remove(at);
        let worked = ended
            .live_since_ms
            .is_some_and(|since| now_ms >= since + WORKED_AFTER_MS);
        if worked {
            self.backoff.reset();
        }
        // An older one that ends is lost only if nothing was to take over.
        if newest && ended.close_at_ms.is_none() {
            let delay_ms = u64::try_from(self.backoff.next_delay().as_millis()).unwrap_or(u64::MAX);
            self.open_at_ms = Some(now_ms.saturating_add(delay_ms));
        }
    }

    /// Time has come to what [`Feed::poll_timeout`] said, or passed it.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        for older in &mut self.connections {
            if !older.closing && older.close_at_ms.is_some_and(|at| now_ms >= at) {
                older.closing = true;
                self.commands.push_back(Command::Close(older.id));
            }
        }
        if self.rotation_ms().is_some_and(|at| now_ms >= at) && self.open_at_ms.is_none() {
            self.open_at_ms = Some(now_ms);
        }
        if self.open_at_ms.is_some_and(|at| now_ms >= at) {
            self.open_at_ms = None;
            let id = ConnectionId(self.next_connection);
            self.next_connection += 1;
            self.connections.push(Connection {
                id,
                live_since_ms: None,
                close_at_ms: None,
                closing: false,
            });
            self.commands.push_back(Command::Open(id));
        }
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// When to call [`Feed::handle_timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        // While an attempt is due, an old connection's end of time wants nothing more.
        let open = self.open_at_ms.or_else(|| self.rotation_ms());
        let closing = self
            .connections
            .iter()
            .filter(|older| !older.closing)
            .filter_map(|older| older.close_at_ms);
        closing.chain(open).min()
    }

    /// When the newest connection, if it is live, has served its time.
    fn rotation_ms(&self) -> Option<u64> {
        let since = self.connections.last()?.live_since_ms?;
        Some(since.saturating_add(self.lifetime_ms?))
    }

    fn place(&self, id: ConnectionId) -> Option<usize> {
        self.connections
            .iter()
            .position(|connection| connection.id == id)
    }
}

#[cfg(test)]
mod tests;
