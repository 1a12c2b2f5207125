// Pure: which trade the venue says is the newest, beside which ones came.
#![deny(clippy::disallowed_methods)]

/// What is known of an instrument's newest trade.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LastTrade {
    /// The highest trade id that came.
    last_id: Option<u64>,
    /// A trade that the venue says there is and that has not come, and since when, by the venue's clock.
    awaited: Option<(u64, i64)>,
}

/// How long a trade that a heartbeat spoke of may take to come. Heartbeats come each second and a bar waits two:
/// a trade that is lost is found out before its bar closes.
const AWAIT_MS: i64 = 1_000;

/// How far a heartbeat may trail what came: by one, it is documented, and by what is made while it is on its way.
/// An id that is further ahead was damaged, and would hide every loss until the ids get there.
const TRAIL_MAX: u64 = 10_000;

impl LastTrade {
    /// A trade came.
    #[inline]
    pub(super) fn handle_trade(&mut self, id: u64) {
        self.last_id = self.last_id.max(Some(id));
    }

    /// The venue says that this is the newest. Gives whether one that it spoke of earlier is lost.
    pub(super) fn handle_heartbeat(&mut self, trade_id: u64, venue_ms: i64) -> bool {
        // Before anything has come: what there was before is of no concern, what comes after is.
        let last_id = match self.last_id {
            Some(last_id) if last_id.saturating_sub(trade_id) <= TRAIL_MAX => last_id,
            _ => {
                self.last_id = Some(trade_id);
                self.awaited = None;
                return false;
            }
        };
        let overdue = match self.awaited {
            Some((awaited, _)) if awaited <= last_id => false,
            Some((_, since_ms)) => venue_ms.saturating_sub(since_ms) >= AWAIT_MS,
            None => false,
        };
        match self.awaited {
            Some((awaited, _)) if overdue => {
                self.last_id = Some(awaited);
                self.awaited = (trade_id > awaited).then_some((trade_id, venue_ms));
            }
            Some((awaited, _)) if awaited > last_id => {}
            _ => self.awaited = (trade_id > last_id).then_some((trade_id, venue_ms)),
        }
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_id_does_not_hide_losses_for_ever() {
        let check = |damaged: u64, expect: bool| {
            let mut last = LastTrade::default();
            for id in [5, 6, damaged] {
                last.handle_trade(id);
            }
            let lost = [(6, 0), (7, 1_000), (7, 2_000)]
                .map(|(trade_id, venue_ms)| last.handle_heartbeat(trade_id, venue_ms));
            assert_eq!(lost, [false, false, expect], "{damaged}");
        };
        check(6, true);
        check(u64::MAX, true);
        check(6 + TRAIL_MAX + 1, true);
        check(7, false);
    }
}
