//! Brokers and bars for the tests.

use std::time::Duration;

use clap::Parser;
use runtime::broker::nats::{NatsArgs, NatsBroker, NatsOptions, NatsState, Party};
use runtime::broker::{BarMessage, Broker, CloseStart, CloseSubscription, Drained, SequencedClose};
use runtime::telemetry::Metrics;
use wire::subject::Kind;
use wire::{
    Bar, Candle, Completeness, Instrument, Interval, Price, Scope, SubjectFilter, Symbol, Topic,
    Venue,
};

#[derive(Debug, Parser)]
struct Words {
    #[command(flatten)]
    nats: NatsArgs,
}

/// One feed on some servers.
pub struct Feed {
    pub scope: Scope,
    urls: String,
    pub metrics: Metrics,
}

impl Feed {
    pub fn new(env: &str, urls: &[String]) -> Self {
        Self::of(Scope::new(env, "eu").unwrap(), urls)
    }

    pub fn of(scope: Scope, urls: &[String]) -> Self {
        show_logs();
        Self {
            scope,
            urls: urls.join(","),
            metrics: Metrics::new(),
        }
    }

    /// Options by the words of a command line.
    pub fn options(&self, party: Party, words: &str) -> NatsOptions {
        let all = ["x", "--nats-url", &self.urls].into_iter();
        let words = Words::try_parse_from(all.chain(words.split_whitespace())).unwrap();
        words.nats.options(party).unwrap()
    }

    /// A broker that has begun to connect.
    pub fn begun(&self, party: Party, words: &str) -> NatsBroker {
        NatsBroker::connect(
            self.scope.clone(),
            self.options(party, words),
            &self.metrics,
        )
    }

    /// A publisher's broker that is ready.
    pub async fn ready(&self, words: &str) -> NatsBroker {
        let broker = self.begun(Party::Publisher, words);
        until_ready(&broker).await;
        broker
    }

    pub fn close(&self, symbol: &str, close_no: u64) -> BarMessage {
        self.bar(symbol, close_no, true)
    }

    pub fn open(&self, symbol: &str, seq: u64) -> BarMessage {
        self.bar(symbol, seq, false)
    }

    fn bar(&self, symbol: &str, number: u64, closed: bool) -> BarMessage {
        let instrument = self.instrument(symbol);
        let bar = Bar {
            topic: Topic::long(&instrument, Interval::S1),
            instrument,
            interval: Interval::S1,
            start_ms: if closed {
                1_000 * number.cast_signed()
            } else {
                0
            },
            candle: Candle::flat(Price::parse(b"1").unwrap()),
            closed,
            rev: 0,
            completeness: Completeness::Quiet,
            close_no: if closed { number } else { 0 },
            epoch: 1,
            seq: number,
            event_time_ms: 0,
            publish_time_ms: 0,
        };
        BarMessage::new(&self.scope, bar)
    }

    pub fn instrument(&self, symbol: &str) -> Instrument {
        Instrument::new(
            Venue::new("coinbase").unwrap(),
            Symbol::new(symbol).unwrap(),
        )
    }

    pub fn all(&self, kind: Kind) -> SubjectFilter {
        SubjectFilter::all(kind, &self.scope)
    }

    /// Reads all closes from the place on.
    pub async fn read(&self, broker: &NatsBroker, from: CloseStart) -> Box<dyn CloseSubscription> {
        let filter = self.all(Kind::Committed);
        broker.subscribe_closes(filter, from).await.unwrap()
    }

    /// The metric's line has this value.
    pub fn counted(&self, line: &str) -> bool {
        let text = self.metrics.encode().unwrap();
        text.lines().any(|counted| counted == line)
    }
}

/// Waits for it, as long as a slow machine needs and no longer.
pub async fn until_ready(broker: &NatsBroker) {
    let mut states = broker.state();
    let ready = states.wait_for(|state| *state == NatsState::Ready);
    let ready = tokio::time::timeout(Duration::from_secs(60), ready).await;
    if ready.is_err() {
        let state = broker.state().borrow().clone();
        panic!("not ready but {state:?}");
    }
}

/// The next close.
pub async fn next(reader: &mut dyn CloseSubscription) -> SequencedClose {
    let mut closes = Vec::new();
    let drained = reader.drain(1, &mut closes).await;
    assert_eq!(drained, Ok(Drained::Closes));
    closes.remove(0)
}

/// A future that must end.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(Duration::from_secs(60), future).await;
    ended.unwrap_or_else(|_| panic!("{what} hangs"))
}

/// Shows what is logged where `MARKETFEED_LOG` says so.
fn show_logs() {
    if let Ok(filter) = std::env::var("MARKETFEED_LOG") {
        let lines = tracing_subscriber::fmt().with_env_filter(filter);
        // The first test of the process has done it.
        let _ = lines.with_test_writer().try_init();
    }
}
