//! One venue's shared state: its market, its connections, its gate and its progress.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};
use wire::Symbol;

use crate::fault::{self, Fault, Faults, What};
use crate::market::{Event, Market};
use crate::pace::Speed;
use crate::venue::answer::{Budget, Refusal};
use crate::venue::{Class, Kind, Limits};

/// What opens the gate of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartWhen {
    /// The first client that subscribes to a symbol's trades.
    #[default]
    FirstSubscriber,
    /// Every symbol's trades have been subscribed to, by any clients.
    AllSymbols,
    /// At once.
    Immediately,
    /// [`crate::Handle::start`], or `POST /admin/start`.
    Manually,
}

/// How far a venue has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Progress {
    /// Whether the gate has opened.
    pub started: bool,
    /// Whether the source has come to its end. The last message of it has then been handed to every connection;
    /// only the clock goes on showing.
    pub ended: bool,
    /// Trades made so far.
    pub trades: u64,
    /// Trades that there will be, where there is an end.
    pub trades_total: Option<u64>,
    /// The venue's clock, Unix milliseconds.
    pub clock_ms: Option<i64>,
    /// Open connections.
    pub connections: usize,
    /// The fault that the source ended with, in one line.
    pub error: Option<String>,
}

/// One venue.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) kind: Kind,
    pub(crate) limits: Limits,
    pub(crate) speed: Speed,
    /// Faults have their own lock: they are asked for each message, and never while the floor is held.
    faults: Mutex<Faults>,
    budget: Mutex<Budget>,
    /// Where a real-time market's slow readers are cut, a replay at full speed waits for them.
    pub(crate) patient: bool,
    start_when: StartWhen,
    floor: Mutex<Floor>,
    progress: watch::Sender<Progress>,
}

#[derive(Debug)]
struct Floor {
    market: Market,
    connections: BTreeMap<u64, mpsc::Sender<Arc<Event>>>,
    next_connection: u64,
    wanted: BTreeSet<Symbol>,
}

/// A connection's place on the floor.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) id: u64,
    pub(crate) mailbox: mpsc::Receiver<Arc<Event>>,
    /// Events after this position will come to the mailbox.
    pub(crate) position: u64,
}

/// Events between the feed and one connection's task. A connection's task is at most a socket buffer behind, so
/// this is seconds of a busy market (some 1,000 events/s); full, the feed waits if patient, else the reader is cut.
const MAILBOX_LEN: usize = 4_096;

impl Exchange {
    pub(crate) fn new(
        market: Market,
        limits: Limits,
        speed: Speed,
        start_when: StartWhen,
        progress: Progress,
    ) -> Self {
        Self {
            kind: market.kind,
            budget: Mutex::new(market.kind.budget(&limits)),
            limits,
            speed,
            faults: Mutex::new(Faults::default()),
            patient: speed == Speed::Max,
            start_when,
            floor: Mutex::new(Floor {
                market,
                connections: BTreeMap::new(),
                next_connection: 1,
                wanted: BTreeSet::new(),
            }),
            progress: watch::Sender::new(Progress {
                started: start_when == StartWhen::Immediately,
                ..progress
            }),
        }
    }

    /// The floor is changed in steps that cannot panic half-way, so a poisoned one is still sound.
    fn floor(&self) -> MutexGuard<'_, Floor> {
        self.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the market.
    pub(crate) fn with_market<T>(&self, read: impl FnOnce(&Market) -> T) -> T {
        read(&self.floor().market)
    }

    /// Reads or changes the faults. Never called while the floor is held.
    pub(crate) fn with_faults<T>(&self, change: impl FnOnce(&mut Faults) -> T) -> T {
        change(&mut self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What strikes this message.
    pub(crate) fn strikes(&self, now_ms: u64, class: Class, text: &str) -> Vec<What> {
        if self.with_faults(|faults| faults.is_empty()) {
            return Vec::new();
        }
        let clock_ms = self.with_market(Market::clock_ms);
        self.with_faults(|faults| faults.handle_message(now_ms, clock_ms, class, text))
    }

    /// Takes a REST request from the budget. Gives what Binance shows as spent.
    pub(crate) fn spend(&self, now_ms: u64, path: &str) -> Result<Option<u64>, Refusal> {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        if self.limits.enforced {
            budget.handle_request(now_ms, self.kind.weight(path))?;
        }
        Ok((self.kind == Kind::BinanceSpot).then(|| budget.spent()))
    }

    /// Whether a fault refuses a new connection or request.
    pub(crate) fn is_refused(&self, now_ms: u64) -> bool {
        let clock_ms = self.with_market(Market::clock_ms);
        self.with_faults(|faults| faults.handle_attempt(now_ms, clock_ms))
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(crate) fn start(&self) {
        self.progress
            .send_if_modified(|progress| !std::mem::replace(&mut progress.started, true));
    }

    /// Waits for the gate.
    pub(crate) async fn started(&self) {
        // The sender is our own, so that the channel cannot be closed while we wait.
        let _ = self
            .progress
            .subscribe()
            .wait_for(|progress| progress.started)
            .await;
    }

    pub(crate) fn enter(&self) -> Seat {
        let (sender, mailbox) = mpsc::channel(MAILBOX_LEN);
        let mut floor = self.floor();
        let id = floor.next_connection;
        floor.next_connection += 1;
        floor.connections.insert(id, sender);
        let seat = Seat {
            id,
            mailbox,
            position: floor.market.position(),
        };
        let connections = floor.connections.len();
        drop(floor);
        self.progress
            .send_modify(|progress| progress.connections = connections);
        seat
    }

    pub(crate) fn leave(&self, id: u64) {
        let connections = {
            let mut floor = self.floor();
            floor.connections.remove(&id);
            floor.connections.len()
        };
        self.progress
            .send_modify(|progress| progress.connections = connections);
    }

    /// A client subscribed to the trades of a symbol.
    pub(crate) fn wants(&self, symbol: Symbol) {
        let mut floor = self.floor();
        let listed = floor.market.tapes.contains_key(&symbol);
        floor.wanted.insert(symbol);
        let all = floor
            .market
            .tapes
            .keys()
            .all(|symbol| floor.wanted.contains(symbol));
        drop(floor);
        match self.start_when {
            StartWhen::FirstSubscriber if listed => self.start(),
            StartWhen::AllSymbols if all => self.start(),
            _ => {}
        }
    }

    /// Changes the market and tells every connection of it, in order.
    pub(crate) async fn publish(&self, change: impl FnOnce(&mut Market) -> Option<Event>) {
        let (event, targets, trades, clock_ms) = {
            let mut floor = self.floor();
            let Some(event) = change(&mut floor.market) else {
                return;
            };
            let targets: Vec<_> = floor
                .connections
                .iter()
                .map(|(id, sender)| (*id, sender.clone()))
                .collect();
            (
                Arc::new(event),
                targets,
                floor.market.trades(),
                floor.market.clock_ms(),
            )
        };
        for (id, sender) in targets {
            let sent = if self.patient {
                sender.send(Arc::clone(&event)).await.is_ok()
            } else {
                sender.try_send(Arc::clone(&event)).is_ok()
            };
            if !sent {
                tracing::debug!(
                    venue = self.kind.name(),
                    conn_id = id,
                    "connection is gone or too slow"
                );
                self.leave(id);
            }
        }
        self.progress.send_modify(|progress| {
            progress.trades = trades;
            progress.clock_ms = clock_ms;
        });
    }

    pub(crate) fn end(&self, error: Option<String>) {
        self.progress.send_modify(|progress| {
            progress.ended = true;
            progress.error = error;
        });
    }
}

/// Adds a fault to its venue, or to all.
pub(crate) fn inject(
    exchanges: &BTreeMap<Kind, Arc<Exchange>>,
    fault: &Fault,
) -> Result<(), fault::Error> {
    let concerned = exchanges
        .values()
        .filter(|exchange| fault.venue.is_none_or(|venue| venue == exchange.kind));
    for exchange in concerned {
        let id = exchange.with_faults(|faults| faults.handle_fault(fault.clone()))?;
        tracing::info!(venue = exchange.kind.name(), id, fault = %fault.to_json(), "fault added");
    }
    Ok(())
}
