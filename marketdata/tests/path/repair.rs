//! Holes are filled from the simulated exchange's REST interface, and the bars are what its market truly made.

use std::sync::Arc;

use exchange_sim::Kind;
use marketdata::aggregate::{Closed, Config, Engine, Missing, SeriesIndex};
use marketdata::repair::{RepairRequest, Repairer, RestBudget, ToRepairer, requests};
use marketdata::route::{Input, Place};
use marketdata::venue::{self, Venue};
use runtime::shutdown::Shutdown;
use runtime::tasks::{OnExit, Tasks};
use tokio::sync::mpsc;
use wire::{Completeness, Instrument, Interval, Symbol, Trade};

use crate::support::{DEADLINE, generate};

const TRADES: u64 = 1_500;

/// A simulator whose market has ended, and the task that asks it.
struct Asked {
    sim: exchange_sim::Handle,
    kind: Kind,
    symbol: Symbol,
    venue: Arc<dyn Venue>,
    requests: mpsc::Sender<ToRepairer>,
    inbox: mpsc::Receiver<Input>,
    tasks: Tasks,
}

impl Asked {
    async fn start(kind: Kind, symbol: &str) -> Self {
        let options = generate(&[(kind, symbol)], 30, 11, TRADES);
        let sim = exchange_sim::Service::bind(options).await.unwrap();
        let (address, handle) = (sim.local_addr(), sim.handle());
        let (tasks, shutdown) = Tasks::new("test");
        let symbol: Symbol = symbol.parse().unwrap();
        let venue: Arc<dyn Venue> =
            venue::adapter(&kind.name().parse().unwrap(), std::slice::from_ref(&symbol))
                .unwrap()
                .into();
        let (ask, requests) = requests();
        let (inbox_in, inbox) = mpsc::channel(16);
        let repairer = Repairer::new(
            Arc::clone(&venue),
            &format!("http://{address}/{}", kind.name()),
            requests,
            vec![inbox_in].into(),
            fastrand::Rng::with_seed(1),
            RestBudget::new(venue.as_ref()),
        );
        tasks.spawn("sim", OnExit::StopAll, sim.run(shutdown.clone()));
        tasks.spawn("repair", OnExit::StopAll, repairer.run(shutdown.clone()));
        handle.start();
        let mut progress = handle.progress(kind).unwrap();
        let ended = progress.wait_for(|at| at.ended);
        tokio::time::timeout(DEADLINE, ended)
            .await
            .unwrap()
            .unwrap();
        drop(progress);
        Self {
            sim: handle,
            kind,
            symbol,
            venue,
            requests: ask,
            inbox,
            tasks,
        }
    }

    async fn ask(&self, missing: Missing) {
        let request = RepairRequest {
            instrument: self.venue.symbols().indices().next().unwrap(),
            place: Place {
                shard: 0,
                series: 0,
            },
            missing,
        };
        self.requests.send(ToRepairer::Fill(request)).await.unwrap();
    }

    async fn next(&mut self) -> Input {
        let input = tokio::time::timeout(DEADLINE, self.inbox.recv()).await;
        input.expect("nothing was handed over").unwrap()
    }

    /// All trades of the market.
    async fn trades(&mut self, from_id: u64, to_id: u64) -> Vec<Trade> {
        self.ask(Missing {
            from_id,
            to_id,
            after_ms: 0,
            before_ms: 0,
        })
        .await;
        let mut trades = Vec::new();
        loop {
            match self.next().await {
                Input::Repaired { trade, .. } => trades.push(trade),
                Input::RepairEnd { again, .. } => break assert!(!again),
                other => panic!("{other:?}"),
            }
        }
        trades.sort_unstable_by_key(|trade| trade.id);
        trades
    }

    fn truth(&self, interval: Interval) -> Vec<exchange_sim::market::truth::TrueBar> {
        let truth = self
            .sim
            .truth(self.kind, &self.symbol, interval, None, None);
        truth.unwrap()
    }
}

fn drain(engine: &mut Engine, closed: &mut Vec<Closed>) {
    closed.extend(std::iter::from_fn(|| engine.poll_close()).map(|(_, bar)| bar));
    while engine.poll_event().is_some() {}
}

/// Hands what is missing to the repair, and what it fetched to the engine.
async fn repair(asked: &mut Asked, engine: &mut Engine, index: SeriesIndex, now_ms: i64) -> usize {
    let mut missing = Vec::new();
    engine.poll_missing(now_ms, 500, &mut missing);
    for (_, missing) in &missing {
        asked.ask(*missing).await;
    }
    let mut ended = 0;
    while ended < missing.len() {
        match asked.next().await {
            Input::Repaired { trade, .. } => {
                engine.handle_repaired(index, &trade);
            }
            Input::Void { from_id, to_id, .. } => engine.handle_void(index, from_id, to_id),
            Input::RepairEnd { .. } => {
                engine.handle_batch_end(index);
                ended += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    missing.len()
}

/// Trades are lost, one by one and two seconds of them at once, after their bars are closed or before; each bar that
/// comes out in the end is the market's own.
async fn holes_are_filled(kind: Kind, symbol: &str) {
    let mut asked = Asked::start(kind, symbol).await;
    let second: Interval = "1s".parse().unwrap();
    let minute: Interval = "1m".parse().unwrap();
    let truth = asked.truth(second);
    let first_id = truth.iter().find_map(|bar| bar.first_id).unwrap();
    let last_id = truth.iter().rev().find_map(|bar| bar.last_id).unwrap();
    let trades = asked.trades(first_id, last_id).await;
    assert_eq!(trades.len() as u64, TRADES);
    let mut engine = Engine::new(Config::new([second, minute]));
    let feed = engine.add_feed();
    let venue = kind.name().parse().unwrap();
    let index = engine.add(Instrument::new(venue, asked.symbol.clone()), feed);
    let mut closed = Vec::new();
    engine.handle_series_up(index, Some(second.start_of(trades[0].time_ms)));
    let mut filled = 0;
    for (at, trade) in trades.iter().enumerate() {
        let lost = at > 0 && (at % 97 == 0 || (400..460).contains(&at)) && at + 1 < trades.len();
        if !lost {
            engine.handle_trade(index, trade, trade.time_ms);
            drain(&mut engine, &mut closed);
        }
        // Now and then, so that some holes are told before they are filled.
        if at % 150 == 149 {
            filled += repair(&mut asked, &mut engine, index, trade.time_ms).await;
            drain(&mut engine, &mut closed);
        }
    }
    let last_ms = trades[trades.len() - 1].time_ms;
    engine.handle_clock(feed, last_ms + 30_000);
    filled += repair(&mut asked, &mut engine, index, last_ms + 60_000).await;
    drain(&mut engine, &mut closed);
    assert!(filled >= 14, "{filled}");
    assert!(closed.iter().any(|bar| bar.rev > 0));
    let (mut compared, mut repaired) = (0, 0);
    for interval in [second, minute] {
        for truth in asked.truth(interval) {
            let mut revs = closed
                .iter()
                .filter(|bar| bar.interval == interval && bar.start_ms == truth.start);
            // The first minute began before anything was heard.
            let begun = truth.start >= second.start_of(trades[0].time_ms);
            let Some(bar) = revs.next_back().filter(|_| begun) else {
                continue;
            };
            compared += 1;
            let candle = &bar.candle;
            let what = format!("{interval} {} {}", truth.start, bar.completeness);
            assert_eq!(
                (candle.open, candle.high, candle.low, candle.close),
                (truth.open, truth.high, truth.low, truth.close),
                "{what}"
            );
            assert_eq!(
                (candle.count, candle.volume, candle.quote_volume),
                (truth.count, truth.volume, truth.quote_volume),
                "{what}"
            );
            assert!(bar.completeness <= Completeness::Repaired, "{what}");
            repaired += usize::from(bar.completeness == Completeness::Repaired);
        }
    }
    assert!(compared > 40 && repaired > 10, "{compared} {repaired}");
    let stop: &Shutdown = asked.tasks.shutdown();
    stop.trigger();
    asked.tasks.run_until_stopped(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn holes_are_filled_from_binance() {
    holes_are_filled(Kind::BinanceSpot, "BTC-USDT").await;
}

#[tokio::test]
async fn holes_are_filled_from_coinbase() {
    holes_are_filled(Kind::Coinbase, "BTC-USD").await;
}

#[tokio::test]
async fn a_venue_without_trades_by_id_says_so_at_once() {
    let mut asked = Asked::start(Kind::CoinbaseAdvanced, "BTC-USD").await;
    assert_eq!(asked.trades(1, 9).await, []);
}
