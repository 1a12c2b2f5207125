//! Bars and shorthands for the cases.
#![expect(
    clippy::expect_used,
    reason = "a contract suite fails by panicking, and its literals are valid"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use wire::subject::Kind;
use wire::{
    Bar, Candle, Completeness, Instrument, Interval, Price, Scope, Subject, SubjectFilter, Symbol,
    Topic, Venue,
};

use crate::broker::{
    self, BarMessage, CheckpointSubject, CheckpointWrite, ClosePlace, CloseStart,
    CloseSubscription, Commit, CommitError, Committed, Drained, OpenSubscription, SequencedClose,
    StoredCheckpoint, commit_alone,
};

/// The bus under test and the scope that the cases use.
pub(super) struct Bus {
    pub(super) broker: Arc<dyn broker::Bus>,
    pub(super) scope: Scope,
    /// Markers that were committed: see [`Bus::whole_log`].
    markers: AtomicU64,
}

/// What a bar is of, written `venue/interval/symbol`.
pub(super) const BTC_1S: &str = "binance-spot/1s/BTC-USDT";
pub(super) const BTC_1M: &str = "binance-spot/1m/BTC-USDT";
pub(super) const ETH_1S: &str = "binance-spot/1s/ETH-USDT";
pub(super) const USD_1S: &str = "coinbase/1s/BTC-USD";
/// No case uses it for anything but the log's end.
const MARKER: &str = "coinbase/1m/END-OF";

impl Bus {
    pub(super) fn new(broker: Arc<dyn broker::Bus>, scope: Scope) -> Self {
        Self {
            broker,
            scope,
            markers: AtomicU64::new(0),
        }
    }

    /// An open bar; `at` is its number of intervals since 1970, its epoch and its seq.
    pub(super) fn open(&self, of: &str, at: (i64, u64, u64)) -> BarMessage {
        let (start, epoch, seq) = at;
        let mut bar = bar(of);
        bar.start_ms = start * bar.interval.ms();
        (bar.epoch, bar.seq) = (epoch, seq);
        BarMessage::new(&self.scope, bar)
    }

    /// A close, one interval later for each number.
    pub(super) fn close(&self, of: &str, close_no: u64, epoch: u64) -> BarMessage {
        let mut bar = bar(of);
        bar.start_ms = close_no.cast_signed() * bar.interval.ms();
        (bar.close_no, bar.epoch, bar.closed) = (close_no, epoch, true);
        BarMessage::new(&self.scope, bar)
    }

    pub(super) fn closes(
        &self,
        of: &str,
        numbers: std::ops::RangeInclusive<u64>,
    ) -> Vec<BarMessage> {
        numbers
            .map(|close_no| self.close(of, close_no, 1))
            .collect()
    }

    pub(super) fn all(&self, kind: Kind) -> SubjectFilter {
        SubjectFilter::all(kind, &self.scope)
    }

    pub(super) fn committed(&self, of: &str) -> Subject {
        let (instrument, interval) = parse(of);
        Subject::new(Kind::Committed, &self.scope, &instrument, interval)
    }

    pub(super) async fn publish(&self, bars: &[BarMessage]) {
        self.broker.publish_open(bars).await.expect("published");
    }

    pub(super) async fn commit(&self, bars: &[BarMessage]) -> u64 {
        let committed = commit_alone(self.broker.as_ref(), bars)
            .await
            .expect("committed");
        committed.last_sequence
    }

    pub(super) async fn refused(&self, bars: &[BarMessage]) -> CommitError {
        commit_alone(self.broker.as_ref(), bars)
            .await
            .expect_err("refused")
    }

    pub(super) fn checkpoint(&self, of: &str) -> CheckpointSubject {
        CheckpointSubject::new(&self.scope, &parse(of).0)
    }

    /// A checkpoint of the instrument that replaces the one with sequence `expect`.
    pub(super) fn write(&self, of: &str, expect: u64, says: &'static str) -> CheckpointWrite {
        CheckpointWrite {
            subject: self.checkpoint(of),
            expect,
            json: Bytes::from_static(says.as_bytes()),
        }
    }

    pub(super) async fn commit_with(
        &self,
        closes: impl Into<Vec<BarMessage>>,
        checkpoints: impl Into<Vec<CheckpointWrite>>,
    ) -> Result<Committed, CommitError> {
        let commit = Commit {
            closes: closes.into(),
            checkpoints: checkpoints.into(),
        };
        self.broker.commit(&commit).await
    }

    pub(super) async fn stored(&self, of: &[&str]) -> Vec<Option<StoredCheckpoint>> {
        let subjects: Vec<_> = of.iter().map(|of| self.checkpoint(of)).collect();
        self.broker.checkpoints(&subjects).await.expect("read")
    }

    /// All closes that the log holds, up to a marker that is committed now.
    pub(super) async fn whole_log(&self) -> Vec<SequencedClose> {
        let close_no = self.markers.fetch_add(1, Ordering::Relaxed) + 1;
        self.commit(&[self.close(MARKER, close_no, 1)]).await;
        let marker = (MARKER.to_owned(), close_no);
        let mut reader = self.read(CloseStart::First).await;
        let mut closes = Vec::new();
        while closes.last().map(shown_close).as_ref() != Some(&marker) {
            closes.extend(take(&mut *reader, 1, 1).await);
        }
        let rises = |pair: &[SequencedClose]| pair[0].sequence < pair[1].sequence;
        assert!(closes.windows(2).all(rises), "sequences rise");
        closes.retain(|close| shown_close(close).0 != MARKER);
        closes
    }

    pub(super) async fn watch(&self) -> Box<dyn OpenSubscription> {
        self.watch_some(self.all(Kind::Open)).await
    }

    pub(super) async fn watch_some(&self, filter: SubjectFilter) -> Box<dyn OpenSubscription> {
        let subscribed = self.broker.subscribe_open(filter).await;
        subscribed.expect("subscribed")
    }

    pub(super) async fn read(&self, from: CloseStart) -> Box<dyn CloseSubscription> {
        self.read_some(self.all(Kind::Committed), from).await
    }

    /// Behind a sequence of the log that is there now.
    pub(super) async fn after(&self, sequence: u64) -> CloseStart {
        let log = self.read(CloseStart::First).await.place().log;
        CloseStart::After(ClosePlace { log, sequence })
    }

    pub(super) async fn read_some(
        &self,
        filter: SubjectFilter,
        from: CloseStart,
    ) -> Box<dyn CloseSubscription> {
        let subscribed = self.broker.subscribe_closes(filter, from).await;
        subscribed.expect("subscribed")
    }
}

/// `venue/interval/symbol` of a message, and its place: what the cases compare.
pub(super) fn shown_open(message: &BarMessage) -> (String, (i64, u64, u64)) {
    let bar = &message.bar;
    let place = (bar.start_ms / bar.interval.ms(), bar.epoch, bar.seq);
    (of(bar), place)
}

/// `venue/interval/symbol` and `close_no`.
pub(super) fn shown_close(close: &SequencedClose) -> (String, u64) {
    let bar = &close.message.bar;
    (of(bar), bar.close_no)
}

/// What open bars a drain gives, oldest subject first.
pub(super) async fn drain_open(
    subscription: &mut dyn OpenSubscription,
) -> Vec<(String, (i64, u64, u64))> {
    let mut bars = Vec::new();
    subscription.drain(&mut bars).await.expect("not closed");
    assert!(!bars.is_empty(), "a drain returned with nothing");
    bars.iter().map(shown_open).collect()
}

/// Drains until the marker subject's bar has come, and gives everything before it in order: a bus
/// may deliver in more than one step.
pub(super) async fn drain_to(
    marker: &BarMessage,
    subscription: &mut dyn OpenSubscription,
) -> Vec<(String, (i64, u64, u64))> {
    let marker = shown_open(marker);
    let mut seen = Vec::new();
    while !seen.contains(&marker) {
        seen.extend(drain_open(subscription).await);
    }
    seen.retain(|bar| *bar != marker);
    seen
}

/// Reads `count` closes, up to `max` a drain.
pub(super) async fn take(
    subscription: &mut dyn CloseSubscription,
    count: usize,
    max: usize,
) -> Vec<SequencedClose> {
    let mut closes = Vec::new();
    while closes.len() < count {
        let before = closes.len();
        let drained = subscription.drain(max, &mut closes).await;
        assert_eq!(drained.expect("not closed"), Drained::Closes);
        let got = closes.len() - before;
        assert!((1..=max).contains(&got), "{got} closes in a drain of {max}");
    }
    closes
}

fn of(bar: &Bar) -> String {
    let Instrument { venue, symbol } = &bar.instrument;
    format!("{venue}/{}/{symbol}", bar.interval)
}

fn parse(of: &str) -> (Instrument, Interval) {
    let mut words = of.split('/');
    let mut word = || words.next().expect("three words");
    let venue = Venue::new(word()).expect("a venue");
    let interval = word().parse().expect("an interval");
    let symbol = Symbol::new(word()).expect("a symbol");
    (Instrument::new(venue, symbol), interval)
}

fn bar(of: &str) -> Bar {
    let (instrument, interval) = parse(of);
    Bar {
        topic: Topic::long(&instrument, interval),
        instrument,
        interval,
        start_ms: 0,
        candle: Candle::flat(Price::parse(b"1.5").expect("an amount")),
        closed: false,
        rev: 0,
        completeness: Completeness::Quiet,
        close_no: 0,
        epoch: 1,
        seq: 0,
        event_time_ms: 0,
        publish_time_ms: 0,
    }
}
