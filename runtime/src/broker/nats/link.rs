//! The task that keeps a connection: makes one, prepares the streams, waits for its end, makes the next.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::NatsState;
use super::error::{NatsError, Trouble};
use super::session::{self, Session};
use super::shared::Shared;
use super::streams;
use crate::backoff::{self, Backoff};
use crate::shutdown::Shutdown;

/// Short at first, since a lost node is made good by the next one; a server that is away for long is tried every few
/// seconds.
const BACKOFF: backoff::Options = backoff::Options {
    base: Duration::from_millis(200),
    cap: Duration::from_secs(5),
};

/// The client may lose the event of its own end in a flood of others; its state is looked at as often as this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a stop waits for what is on its way.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// Runs until the stop or a trouble that no retry mends; the state says which.
pub(super) async fn run(shared: Arc<Shared>, stop: Shutdown) {
    saying_end(&shared, keep(&shared, &stop)).await;
}

async fn saying_end(shared: &Shared, link: impl Future<Output = ()>) {
    let _said = SayEnd(shared);
    link.await;
}

/// Says that the link has ended, however it does: who waits for the bus would wait for ever otherwise.
struct SayEnd<'s>(&'s Shared);

impl Drop for SayEnd<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("link", NatsError::Panicked);
        } else {
            self.0.set_state(NatsState::Stopped);
        }
    }
}

async fn keep(shared: &Shared, stop: &Shutdown) {
    let mut backoff = Backoff::new(BACKOFF, fastrand::Rng::new());
    let mut was_ready = false;
    while !stop.is_requested() {
        let begun = tokio::select! {
            begun = begin(shared, was_ready) => begun,
            () = stop.requested() => return,
            _ = shared.failure() => return,
        };
        match begun {
            Ok(session) => {
                let again = std::mem::replace(&mut was_ready, true);
                backoff.reset();
                hold(shared, session, stop, again).await;
            }
            Err(Trouble::Terminal(error)) if !(was_ready && may_pass(&error)) => {
                shared.fail("connect", error);
                return;
            }
            Err(Trouble::Terminal(error)) => {
                wait(shared, &error.to_string(), &mut backoff, stop).await;
            }
            Err(Trouble::Transient(why)) => wait(shared, &why, &mut backoff, stop).await,
        }
    }
}

/// Whether a trouble that would be the end at the start is none while we are at work: it may be one of a rolling change,
/// credentials that the servers have not all learnt yet, a node that is still of the old version; or settings that were
/// changed on purpose, and with which a process that starts is told to agree.
pub(super) fn may_pass(error: &NatsError) -> bool {
    match error {
        NatsError::Credentials(_)
        | NatsError::ServerTooOld { .. }
        | NatsError::OtherSettings { .. }
        | NatsError::NotClustered { .. }
        | NatsError::NoJetStream(_)
        | NatsError::Denied(_) => true,
        NatsError::OwnedByOther { .. } | NatsError::Panicked => false,
    }
}

/// The streams are looked at before the first session begins. A later one does not wait for them: while the servers
/// elect, which is when connections break, they cannot be asked, and can be read all the same.
async fn begin(shared: &Shared, was_ready: bool) -> Result<Arc<Session>, Trouble> {
    let Shared {
        options,
        names,
        counts,
        ..
    } = shared;
    let session = session::connect(options, names, counts).await?;
    if !was_ready {
        streams::prepare(&session, shared).await?;
    }
    Ok(Arc::new(session))
}

/// Offers the session until it is over, and sees to the streams beside that if it is not the first.
async fn hold(shared: &Shared, session: Arc<Session>, stop: &Shutdown, again: bool) {
    if !shared.set_state(NatsState::Ready) {
        return;
    }
    tracing::info!(server = session.server, "NATS is ready");
    shared.counts.sessions.inc();
    shared.counts.ready.set(1);
    shared.session.send_replace(Some(Arc::clone(&session)));
    let streams = async {
        if again {
            look_after(shared, &session).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::pin!(streams);
    while !session.is_over() {
        tokio::select! {
            () = session.over() => {}
            () = &mut streams => {}
            () = sleep(LOOK_EVERY) => {}
            _ = shared.failure() => break,
            () = stop.requested() => {
                let _ = timeout(DRAIN_MAX, session.drain()).await;
                break;
            }
        }
    }
    shared.counts.ready.set(0);
    shared.session.send_replace(None);
    if !stop.is_requested() {
        tracing::warn!(server = session.server, "NATS is lost");
        let error = Some("the connection broke".to_owned());
        shared.set_state(NatsState::Connecting { error });
    }
}

/// A server that was alone and began anew has lost what was in its memory: that stream is made again. One that is
/// another's by now is the end.
async fn look_after(shared: &Shared, session: &Session) {
    loop {
        match streams::prepare(session, shared).await {
            Ok(()) => return,
            Err(Trouble::Terminal(error)) if !may_pass(&error) => {
                shared.fail("streams", error);
                return;
            }
            Err(Trouble::Terminal(error @ NatsError::OtherSettings { .. })) => {
                shared.counts.error("streams", error.as_str());
                tracing::warn!(%error, "gone on with; a process that starts is refused");
                return;
            }
            Err(Trouble::Terminal(error)) => {
                shared.counts.error("streams", error.as_str());
                tracing::debug!(%error, "streams may not be looked at now");
            }
            Err(Trouble::Transient(why)) => {
                tracing::debug!(why, "streams cannot be looked at yet");
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Says why there is no session, once an attempt, and waits for the next one; a stop is not waited for.
async fn wait(shared: &Shared, why: &str, backoff: &mut Backoff, stop: &Shutdown) {
    let delay = backoff.next_delay();
    let (attempt, delay_ms) = (backoff.attempts(), delay.as_millis());
    tracing::warn!(error = why, attempt, delay_ms, "NATS cannot be used yet");
    shared.counts.error("connect", "transient");
    let error = Some(why.to_owned());
    shared.set_state(NatsState::Connecting { error });
    tokio::select! {
        () = sleep(delay) => {}
        () = stop.requested() => {}
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use wire::Scope;

    use super::super::metrics::Counts;
    use super::super::{NatsArgs, NatsBroker, Party};
    use super::*;
    use crate::tasks::{OnExit, Tasks};
    use crate::telemetry::Metrics;

    #[derive(Debug, Parser)]
    struct Words {
        #[command(flatten)]
        nats: NatsArgs,
    }

    fn shared() -> Arc<Shared> {
        // Nobody listens there.
        let words = ["x", "--nats-url", "nats://127.0.0.1:1"];
        let words = Words::try_parse_from(words).unwrap();
        let options = words.nats.options(Party::Publisher).unwrap();
        let scope = Scope::new("test", "local").unwrap();
        let counts = Counts::register(&Metrics::new());
        Arc::new(Shared::new(scope, options, counts))
    }

    /// A broker with this for its link.
    fn broker<F>(link: impl FnOnce(Arc<Shared>) -> F) -> NatsBroker
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shared = shared();
        let (tasks, _stop) = Tasks::new("nats");
        tasks.spawn("link", OnExit::Log, link(Arc::clone(&shared)));
        NatsBroker { shared, tasks }
    }

    /// An hour of a clock that is moved on whenever everything waits.
    async fn ends<T>(future: impl Future<Output = T>) -> T {
        let ended = timeout(Duration::from_secs(3_600), future).await;
        ended.unwrap_or_else(|_| panic!("it waits for ever"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_a_failure() {
        let broker = broker(async |shared| {
            shared.set_state(NatsState::Ready);
            saying_end(&shared, async { panic!("a fault") }).await;
        });
        assert_eq!(ends(broker.failed()).await, NatsError::Panicked);
        assert!(!broker.is_ready() && !ends(broker.reached()).await);
        // Nothing that comes later takes it back.
        broker.shared.set_state(NatsState::Stopped);
        assert_eq!(ends(broker.failed()).await, NatsError::Panicked);
        ends(broker.drain()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_is_cut_has_stopped() {
        let broker = broker(async |shared| saying_end(&shared, std::future::pending()).await);
        let mut states = broker.state();
        tokio::task::yield_now().await;
        drop(broker);
        let stopped = states.wait_for(|state| *state == NatsState::Stopped);
        ends(stopped).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_does_not_wait_for_a_link_that_is_stuck() {
        ends(broker(async |_| std::future::pending().await).drain()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_link_hears_of_a_failure_elsewhere() {
        let broker = broker(async |shared| run(shared, Shutdown::new()).await);
        let mut states = broker.state();
        let is_tried =
            |state: &NatsState| matches!(state, NatsState::Connecting { error: Some(_) });
        ends(states.wait_for(is_tried)).await.unwrap();
        broker
            .shared
            .fail("streams", NatsError::Denied(String::new()));
        let failed = NatsState::Failed(NatsError::Denied(String::new()));
        // The group's stop is none of this link's; it has ended by itself.
        broker.tasks.shutdown().trigger();
        let link = broker.tasks.run_until_stopped(Duration::from_secs(60));
        ends(link).await.unwrap();
        assert_eq!(*states.borrow(), failed);
    }
}
