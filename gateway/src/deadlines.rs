//! Pure: when each connection wants to be looked at without being asked.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeSet;

/// One deadline a connection, ordered by time. Bounded by the number of connections.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    by_time: BTreeSet<(u64, u32)>,
}

impl Deadlines {
    /// Moves a connection's deadline from `before` to `after`, both in milliseconds.
    pub(crate) fn set(&mut self, conn: u32, before: Option<u64>, after: Option<u64>) {
        if before == after {
            return;
        }
        if let Some(at_ms) = before {
            self.by_time.remove(&(at_ms, conn));
        }
        if let Some(at_ms) = after {
            self.by_time.insert((at_ms, conn));
        }
    }

    /// The earliest deadline.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.by_time.first().map(|(at_ms, _)| *at_ms)
    }

    /// The connections whose time has come, earliest first. They stay until set anew.
    pub(crate) fn due(&self, now_ms: u64) -> impl Iterator<Item = u32> {
        self.by_time
            .range(..=(now_ms, u32::MAX))
            .map(|(_, conn)| *conn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_moves() {
        let mut deadlines = Deadlines::default();
        deadlines.set(1, None, Some(30));
        deadlines.set(2, None, Some(10));
        deadlines.set(3, None, Some(20));
        assert_eq!(deadlines.next_ms(), Some(10));
        assert_eq!(deadlines.due(20).collect::<Vec<_>>(), [2, 3]);
        deadlines.set(2, Some(10), Some(40));
        deadlines.set(3, Some(20), None);
        assert_eq!(deadlines.due(35).collect::<Vec<_>>(), [1]);
        assert_eq!(deadlines.due(5).count(), 0);
    }
}
