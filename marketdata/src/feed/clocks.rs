// Pure: the venue's time as each of a feed's connections shows it.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use super::ConnectionId;

/// What a connection's clock is measured by when it starts beside others: two at most, while one takes over.
#[derive(Debug, Default)]
pub struct Clocks {
    newest_ms: BTreeMap<ConnectionId, i64>,
}

impl Clocks {
    /// The connection shows this time, in Unix milliseconds.
    pub fn handle_time(&mut self, id: ConnectionId, venue_ms: i64) {
        self.newest_ms.insert(id, venue_ms);
    }

    /// The connection is over.
    pub fn handle_ended(&mut self, id: ConnectionId) {
        self.newest_ms.remove(&id);
    }

    /// The newest time that a connection other than this one shows.
    #[must_use]
    pub fn newest_beside(&self, id: ConnectionId) -> Option<i64> {
        let others = self.newest_ms.iter().filter(|(other, _)| **other != id);
        others.map(|(_, &newest_ms)| newest_ms).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_measured_by_the_others() {
        let (a, b, c) = (ConnectionId(0), ConnectionId(1), ConnectionId(2));
        let mut clocks = Clocks::default();
        assert_eq!(clocks.newest_beside(a), None);
        clocks.handle_time(a, 5);
        assert_eq!(clocks.newest_beside(a), None);
        clocks.handle_time(b, 7);
        clocks.handle_time(a, 6);
        let beside = |clocks: &Clocks| [a, b, c].map(|id| clocks.newest_beside(id));
        assert_eq!(beside(&clocks), [Some(7), Some(6), Some(7)]);
        clocks.handle_ended(b);
        assert_eq!(beside(&clocks), [None, Some(6), Some(6)]);
    }
}
