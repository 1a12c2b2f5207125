//! The task that asks a venue for what is missing, and hands it over.

use std::sync::Arc;

use runtime::shutdown::Shutdown;
use tokio::sync::mpsc;

use super::budgets::RestBudget;
use super::http::Base;
use super::plan::{Failure, Plan, Step, ToRepairer};
use crate::route::Input;
use crate::venue::Venue;

/// Requests on their way to a repairer. When it is full, whoever asks does so again later, see
/// [`crate::aggregate::Engine::handle_missing_again`].
pub const REQUESTS_LEN: usize = 256;

/// The way to a source's repairer.
#[must_use]
pub fn requests() -> (mpsc::Sender<ToRepairer>, mpsc::Receiver<ToRepairer>) {
    mpsc::channel(REQUESTS_LEN)
}

/// Asks one venue for what is missing.
#[derive(Debug)]
pub struct Repairer {
    venue: Arc<dyn Venue>,
    base: Option<Base>,
    requests: mpsc::Receiver<ToRepairer>,
    inboxes: Arc<[mpsc::Sender<Input>]>,
    plan: Plan,
    budget: RestBudget,
}

impl Repairer {
    /// `rest` is the base address, without a slash at its end; what cannot be asked there stays a gap. `inboxes` are
    /// the shards', by number; they are held until it ends. `budget` is the venue's, which others share.
    #[must_use]
    pub fn new(
        venue: Arc<dyn Venue>,
        rest: &str,
        requests: mpsc::Receiver<ToRepairer>,
        inboxes: Arc<[mpsc::Sender<Input>]>,
        rng: fastrand::Rng,
        budget: RestBudget,
    ) -> Self {
        let base = Base::parse(rest);
        if base.is_none() {
            tracing::warn!(
                venue = venue.name(),
                rest,
                "no repair: not an address that can be asked"
            );
        }
        Self {
            base,
            requests,
            inboxes,
            plan: Plan::new(rng),
            venue,
            budget,
        }
    }

    /// Runs until asked to stop, or until nobody can ask any more and all is done.
    pub async fn run(mut self, shutdown: Shutdown) {
        tokio::select! {
            () = shutdown.requested() => {}
            () = self.work() => {}
        }
    }

    async fn work(&mut self) {
        loop {
            // Before each page: what is released by then is not asked for.
            while let Ok(told) = self.requests.try_recv() {
                self.plan.handle_told(told);
            }
            let now_ms = self.budget.now_ms();
            let (plan, venue) = (&mut self.plan, self.venue.as_ref());
            let step = self.budget.with(|pace| plan.poll_step(venue, pace, now_ms));
            self.hand_over().await;
            match step {
                Step::Send(path) => self.ask(&path).await,
                Step::Wait(until_ms) => {
                    let until = self.budget.instant(until_ms);
                    tokio::select! {
                        () = tokio::time::sleep_until(until) => {}
                        Some(told) = self.requests.recv() => self.plan.handle_told(told),
                    }
                }
                Step::Idle => match self.requests.recv().await {
                    Some(told) => self.plan.handle_told(told),
                    None => return,
                },
            }
        }
    }

    async fn hand_over(&mut self) {
        while let Some((shard, input)) = self.plan.poll_input() {
            // A full inbox makes it wait: nothing here is in a hurry, and what is fetched is worth keeping.
            if let Some(inbox) = self.inboxes.get(shard) {
                let _ = inbox.send(input).await;
            }
        }
    }

    async fn ask(&mut self, path: &str) {
        let answer = match &self.base {
            Some(base) => base.get(path).await,
            None => Err(Failure::Refused),
        };
        let read = answer.and_then(|body| {
            self.venue.decode_page(&body).map_err(|error| {
                tracing::warn!(venue = self.venue.name(), path, %error, "an answer that cannot be read");
                Failure::Unavailable
            })
        });
        let now_ms = self.budget.now_ms();
        match read {
            Ok(trades) => self.plan.handle_page(trades, now_ms),
            Err(failure) => {
                tracing::debug!(
                    venue = self.venue.name(),
                    path,
                    ?failure,
                    "not repaired yet"
                );
                let plan = &mut self.plan;
                self.budget
                    .with(|pace| plan.handle_failure(failure, pace, now_ms));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpListener;

    use super::*;
    use crate::aggregate::Missing;
    use crate::repair::RepairRequest;
    use crate::route::Place;
    use crate::venue::InstrumentIndex;
    use crate::venue::binance_spot::BinanceSpot;

    #[tokio::test(start_paused = true)]
    async fn what_is_released_before_its_turn_is_not_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let rest = format!("http://{}", listener.local_addr().unwrap());
        let venue = Arc::new(BinanceSpot::new(&["BTC-USDT".parse().unwrap()]).unwrap());
        let budget = RestBudget::new(venue.as_ref());
        let (ask, requests) = requests();
        let (inbox_in, mut inbox) = mpsc::channel(16);
        let rng = fastrand::Rng::with_seed(1);
        let inboxes = vec![inbox_in].into();
        let repairer = Repairer::new(venue, &rest, requests, inboxes, rng, budget);
        let place = Place {
            shard: 0,
            series: 0,
        };
        for from_id in [10, 20] {
            let request = RepairRequest {
                instrument: InstrumentIndex(0),
                place,
                missing: Missing {
                    from_id,
                    to_id: from_id,
                    after_ms: 0,
                    before_ms: 0,
                },
            };
            ask.try_send(ToRepairer::Fill(request)).unwrap();
        }
        ask.try_send(ToRepairer::Released(place)).unwrap();
        drop(ask);
        repairer.run(Shutdown::new()).await;
        assert_eq!(inbox.recv().await, None);
        // Nobody has connected.
        let connected = listener.accept().map_err(|error| error.kind());
        assert_eq!(connected.err(), Some(ErrorKind::WouldBlock));
    }
}
