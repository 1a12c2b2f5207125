//! Pure: when to ping a connection, and when to give it up.
#![deny(clippy::disallowed_methods)]

use crate::close::CloseReason;

/// Times in milliseconds, the same for all connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Between two pings.
    pub(crate) ping_period_ms: u64,
    /// From a ping to the close, if no pong comes.
    pub(crate) pong_max_ms: u64,
    /// From a frame's first refused byte to the close, if it does not leave.
    pub(crate) write_lag_max_ms: u64,
    /// From a message's first byte to the close, if its last does not come.
    pub(crate) message_wait_max_ms: u64,
    /// From the decision to close to the cut, if the client does not answer.
    pub(crate) close_wait_ms: u64,
}

/// One connection's clocks. `handle_*` says what happened; then [`Liveness::poll`] at or after
/// [`Liveness::deadline_ms`] says what is due.
#[derive(Debug)]
pub(crate) struct Liveness {
    ping_at_ms: u64,
    /// When the first ping that has no answer was sent.
    unanswered_since_ms: Option<u64>,
    /// Since when a frame has been stuck.
    stalled_since_ms: Option<u64>,
    /// When to close because the gateway stops.
    drain_at_ms: Option<u64>,
    /// When the close was decided; then only the cut is left.
    closing_since_ms: Option<u64>,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing.
    Nothing,
    /// Send a ping.
    Ping,
    /// Close, for this reason.
    Close(CloseReason),
    /// Drop the socket: it was given time to close.
    Cut,
}

impl Liveness {
    /// `jitter_ms`, below the ping period, spreads the pings of connections that came together.
    pub(crate) fn new(now_ms: u64, jitter_ms: u64) -> Self {
        Self {
            ping_at_ms: now_ms + jitter_ms,
            unanswered_since_ms: None,
            stalled_since_ms: None,
            drain_at_ms: None,
            closing_since_ms: None,
        }
    }

    /// A pong came. Gives how long it took, in milliseconds, if it answers a ping.
    pub(crate) fn handle_pong(&mut self, now_ms: u64) -> Option<u64> {
        let since_ms = self.unanswered_since_ms.take()?;
        Some(now_ms.saturating_sub(since_ms))
    }

    /// A frame could not leave in whole.
    pub(crate) fn handle_stuck(&mut self, now_ms: u64) {
        self.stalled_since_ms.get_or_insert(now_ms);
    }

    /// The frame that was stuck has left. Gives how long it was, in milliseconds.
    pub(crate) fn handle_unstuck(&mut self, now_ms: u64) -> Option<u64> {
        let lag_ms = self.lag_ms(now_ms);
        self.stalled_since_ms = None;
        lag_ms
    }

    /// How long a frame has been stuck, in milliseconds, if one is.
    pub(crate) fn lag_ms(&self, now_ms: u64) -> Option<u64> {
        let since_ms = self.stalled_since_ms?;
        Some(now_ms.saturating_sub(since_ms))
    }

    /// The gateway stops: close at this time.
    pub(crate) fn handle_drain(&mut self, at_ms: u64) {
        self.drain_at_ms = Some(at_ms);
    }

    /// The close was decided.
    pub(crate) fn handle_closing(&mut self, now_ms: u64) {
        self.closing_since_ms.get_or_insert(now_ms);
    }

    /// What is due now. `unfinished_since_ms`: when the message began that has not come in whole, if any.
    pub(crate) fn poll(
        &mut self,
        now_ms: u64,
        limits: &Limits,
        unfinished_since_ms: Option<u64>,
    ) -> Due {
        let past =
            |since: Option<u64>, max_ms: u64| since.is_some_and(|since| now_ms >= since + max_ms);
        if self.closing_since_ms.is_some() {
            return if past(self.closing_since_ms, limits.close_wait_ms) {
                Due::Cut
            } else {
                Due::Nothing
            };
        }
        if past(self.drain_at_ms, 0) {
            return Due::Close(CloseReason::Drain);
        }
        if past(self.stalled_since_ms, limits.write_lag_max_ms) {
            return Due::Close(CloseReason::Slow);
        }
        if past(unfinished_since_ms, limits.message_wait_max_ms) {
            return Due::Close(CloseReason::Unfinished);
        }
        if past(self.unanswered_since_ms, limits.pong_max_ms) {
            return Due::Close(CloseReason::PongMissed);
        }
        if now_ms >= self.ping_at_ms {
            // From the plan, not from now, so that the spread stays; unless far behind.
            self.ping_at_ms = (self.ping_at_ms + limits.ping_period_ms).max(now_ms + 1);
            self.unanswered_since_ms.get_or_insert(now_ms);
            return Due::Ping;
        }
        Due::Nothing
    }

    /// When [`Liveness::poll`] has something next.
    pub(crate) fn deadline_ms(&self, limits: &Limits, unfinished_since_ms: Option<u64>) -> u64 {
        if let Some(since) = self.closing_since_ms {
            return since + limits.close_wait_ms;
        }
        [
            self.drain_at_ms,
            self.stalled_since_ms
                .map(|since| since + limits.write_lag_max_ms),
            self.unanswered_since_ms
                .map(|since| since + limits.pong_max_ms),
            unfinished_since_ms.map(|since| since + limits.message_wait_max_ms),
        ]
        .into_iter()
        .flatten()
        .fold(self.ping_at_ms, u64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        ping_period_ms: 20_000,
        pong_max_ms: 60_000,
        write_lag_max_ms: 30_000,
        message_wait_max_ms: 30_000,
        close_wait_ms: 2_000,
    };

    /// Runs the clock from deadline to deadline and says what came when.
    fn run(liveness: &mut Liveness, until_ms: u64, pong: bool) -> Vec<(u64, Due)> {
        let mut seen = Vec::new();
        loop {
            let now_ms = liveness.deadline_ms(&LIMITS, None);
            if now_ms > until_ms {
                return seen;
            }
            let due = liveness.poll(now_ms, &LIMITS, None);
            assert_ne!(due, Due::Nothing, "woken for nothing at {now_ms}");
            match due {
                Due::Close(_) => liveness.handle_closing(now_ms),
                Due::Ping if pong => assert_eq!(liveness.handle_pong(now_ms + 7), Some(7)),
                _ => {}
            }
            let cut = due == Due::Cut;
            seen.push((now_ms, due));
            if cut {
                return seen;
            }
        }
    }

    #[test]
    fn answered_pings_go_on_for_ever_in_step_with_their_jitter() {
        let mut liveness = Liveness::new(1_000, 7_000);
        let times: Vec<u64> = run(&mut liveness, 70_000, true)
            .into_iter()
            .map(|(at_ms, due)| {
                assert_eq!(due, Due::Ping);
                at_ms
            })
            .collect();
        assert_eq!(times, [8_000, 28_000, 48_000, 68_000]);
    }

    #[test]
    fn a_missed_pong_closes_and_then_cuts() {
        let mut liveness = Liveness::new(0, 5_000);
        let seen = run(&mut liveness, 100_000, false);
        assert_eq!(
            seen[seen.len() - 2..],
            [
                (65_000, Due::Close(CloseReason::PongMissed)),
                (67_000, Due::Cut)
            ]
        );
    }

    #[test]
    fn a_stuck_frame_closes_unless_it_leaves() {
        let mut liveness = Liveness::new(0, 19_000);
        liveness.handle_stuck(1_000);
        liveness.handle_stuck(10_000);
        let seen = run(&mut liveness, 40_000, true);
        assert_eq!(
            seen,
            [
                (19_000, Due::Ping),
                (31_000, Due::Close(CloseReason::Slow)),
                (33_000, Due::Cut)
            ]
        );
        let mut liveness = Liveness::new(0, 19_000);
        liveness.handle_stuck(1_000);
        assert_eq!(liveness.lag_ms(1_500), Some(500));
        assert_eq!(liveness.handle_unstuck(3_000), Some(2_000));
        assert_eq!(liveness.handle_unstuck(3_000), None);
        assert_eq!(
            run(&mut liveness, 40_000, true),
            [(19_000, Due::Ping), (39_000, Due::Ping)]
        );
    }

    #[test]
    fn a_drain_closes_at_its_time() {
        let mut liveness = Liveness::new(0, 19_000);
        liveness.handle_drain(3_000);
        assert_eq!(
            run(&mut liveness, 40_000, true),
            [(3_000, Due::Close(CloseReason::Drain)), (5_000, Due::Cut)]
        );
    }

    #[test]
    fn a_clock_that_jumps_sends_one_ping_not_many() {
        let mut liveness = Liveness::new(0, 0);
        assert_eq!(liveness.poll(1_000_000, &LIMITS, None), Due::Ping);
        assert_eq!(liveness.handle_pong(1_000_040), Some(40));
        assert_eq!(liveness.handle_pong(1_000_050), None, "unasked");
        assert_eq!(liveness.poll(1_000_000, &LIMITS, None), Due::Nothing);
    }

    #[test]
    fn a_message_that_does_not_end_closes() {
        let mut liveness = Liveness::new(0, 19_000);
        assert_eq!(liveness.poll(19_000, &LIMITS, Some(1_000)), Due::Ping);
        assert_eq!(liveness.deadline_ms(&LIMITS, Some(1_000)), 31_000);
        assert_eq!(liveness.poll(30_999, &LIMITS, Some(1_000)), Due::Nothing);
        assert_eq!(
            liveness.poll(31_000, &LIMITS, Some(1_000)),
            Due::Close(CloseReason::Unfinished)
        );
    }
}
