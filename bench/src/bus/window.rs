//! When it is measured, on the one clock that both sides read, and what both need to keep to it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use crate::cpu;

/// The load before anything counts.
pub(crate) const WARM_UP: Duration = Duration::from_secs(3);
/// What is measured.
pub(crate) const MEASURED: Duration = Duration::from_secs(20);
/// How long a receiver waits for what is late.
pub(crate) const LATE: Duration = Duration::from_secs(3);

/// Stamps have as many digits as the milliseconds whose place they take.
const STAMP_ZERO: i64 = 1_000_000_000_000;

/// From the first message on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) begin: Instant,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

impl Window {
    /// The load begins at once.
    pub(crate) fn new() -> Self {
        let begin = Instant::now();
        let from = begin + WARM_UP;
        let to = from + MEASURED;
        Self { begin, from, to }
    }

    /// Nanoseconds since the beginning, as a bar carries them.
    pub(crate) fn stamp(&self, at: Instant) -> i64 {
        let since = at.saturating_duration_since(self.begin).as_nanos();
        STAMP_ZERO + i64::try_from(since).unwrap_or(0)
    }

    /// How old a bar is that counts; none of one that was made before or after what is measured.
    pub(crate) fn age(&self, stamp: i64, now: Instant) -> Option<Duration> {
        let since = u64::try_from(stamp - STAMP_ZERO).ok()?;
        let made = self.begin + Duration::from_nanos(since);
        self.holds(made)
            .then(|| now.saturating_duration_since(made))
    }

    /// Whether what is made now counts.
    pub(crate) fn holds(&self, made: Instant) -> bool {
        made >= self.from && made < self.to
    }

    /// CPU seconds of this thread within the window. Runs beside the work.
    pub(crate) async fn thread_cpu_s(&self) -> f64 {
        sleep_until(self.from.into()).await;
        let before = cpu::thread_s();
        sleep_until(self.to.into()).await;
        cpu::thread_s() - before
    }
}

/// One side's place at the start: it says when it is ready, and hears when the load begins.
pub(crate) struct Seat {
    pub(crate) ready: mpsc::Sender<()>,
    pub(crate) window: watch::Receiver<Option<Window>>,
}

impl Seat {
    /// Says that this side is ready and waits for the other.
    pub(crate) async fn begin(self) -> Result<Window> {
        let Self { ready, mut window } = self;
        let _ = ready.send(()).await;
        drop(ready);
        let given = window.wait_for(Option::is_some).await;
        let given = given.context("the other side did not get ready")?;
        given.context("no window")
    }
}
