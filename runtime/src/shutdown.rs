//! The request to stop, and the signals that make it.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::tasks::{TaskError, Tasks};

/// Signals within this time of the first are one request: `timeout` and some supervisors send the same to the process
/// and to its group. Nobody asks twice so fast.
const SAME_REQUEST: Duration = Duration::from_millis(200);

/// The request to stop: cheap to clone, made once, never taken back.
///
/// A clone asks and is asked with all its siblings. A [`Shutdown::child`] hears its parent's
/// request but can be asked to stop alone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// A request that nobody has made yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A request of its own that is also made whenever this one is.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
        }
    }

    /// Asks everyone who holds this to stop. Asking again changes nothing.
    pub fn trigger(&self) {
        self.token.cancel();
    }

    /// Whether stopping has been asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until stopping is asked for; returns at once if it already was. Cancel-safe.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// As [`Shutdown::requested`], owning what it waits on (axum's graceful shutdown wants that).
    pub fn requested_owned(self) -> impl Future<Output = ()> + Send + 'static {
        self.token.cancelled_owned()
    }
}

/// Runs a group until it stops by itself or the process is told to.
///
/// The first SIGINT or SIGTERM asks the group to stop and gives it `drain_max`; the second one ends
/// the process at once with the code a shell expects (128 + signal number: 130 or 143). What comes within 200 ms of the
/// first is that same request.
///
/// # Errors
/// What [`Tasks::run_until_stopped`] returns, and [`TaskError::Signals`] if the handlers cannot be
/// installed.
pub async fn run_until_signalled(tasks: Tasks, drain_max: Duration) -> Result<(), TaskError> {
    run_until_signalled_then(tasks, drain_max, std::future::ready(())).await
}

/// As [`run_until_signalled`], with what is to be done after the group has ended, such as closing the connection that
/// its tasks sent by. A second signal cuts that too.
///
/// # Errors
/// As [`run_until_signalled`].
pub async fn run_until_signalled_then(
    tasks: Tasks,
    drain_max: Duration,
    rest: impl Future<Output = ()>,
) -> Result<(), TaskError> {
    let mut signals = Signals::install()?;
    let shutdown = tasks.shutdown().clone();
    let run = async {
        let ended = tasks.run_until_stopped(drain_max).await;
        rest.await;
        ended
    };
    tokio::pin!(run);
    let mut requests = Requests::default();
    loop {
        tokio::select! {
            done = &mut run => return done,
            stop = signals.next() => match requests.handle_signal(Instant::now()) {
                Means::Stop => {
                    tracing::info!(signal = stop.name, drain_ms = drain_max.as_millis(), "stopping");
                    shutdown.trigger();
                }
                Means::Nothing => tracing::debug!(signal = stop.name, "the same request again"),
                Means::Cut => {
                    tracing::warn!(signal = stop.name, "second signal, cutting");
                    std::process::exit(stop.exit_code);
                }
            }
        }
    }
}

/// What a signal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// Stop, and take the time for it.
    Stop,
    /// It belongs to the one before.
    Nothing,
    /// End now.
    Cut,
}

/// What was asked so far.
#[derive(Debug, Default)]
struct Requests {
    first: Option<Instant>,
}

impl Requests {
    fn handle_signal(&mut self, now: Instant) -> Means {
        match self.first {
            None => {
                self.first = Some(now);
                Means::Stop
            }
            Some(first) if now.duration_since(first) < SAME_REQUEST => Means::Nothing,
            Some(_) => Means::Cut,
        }
    }
}

/// Which signal came, as the log and the exit code name it.
struct Stop {
    name: &'static str,
    exit_code: i32,
}

/// The two signals by which a process is asked to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn install() -> Result<Self, TaskError> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(TaskError::Signals)?,
            terminate: signal(SignalKind::terminate()).map_err(TaskError::Signals)?,
        })
    }

    async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop { name: "SIGINT", exit_code: 130 },
            _ = self.terminate.recv() => Stop { name: "SIGTERM", exit_code: 143 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn signals_that_come_together_are_one_request() {
        let mut requests = Requests::default();
        let mut after = async |ms: u64| {
            tokio::time::advance(Duration::from_millis(ms)).await;
            requests.handle_signal(Instant::now())
        };
        assert_eq!(after(0).await, Means::Stop);
        assert_eq!(after(3).await, Means::Nothing);
        // From the first one on, so that who insists is heard.
        assert_eq!(after(196).await, Means::Nothing);
        assert_eq!(after(1).await, Means::Cut);
    }
}
