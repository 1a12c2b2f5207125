use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use runtime::broker::{
    CheckpointSubject, ClosePlace, Commit, CommitError, Committed, LogId, PublishError, ReadError,
    Replay, StoredCheckpoint,
};
use wire::{Bar, Subject};

use super::*;
use crate::tests::Stream;

/// What one subscription gives before it ends.
type Script = Vec<Give>;

enum Give {
    /// The next closes in the log's order, this many.
    Closes(usize),
    /// The next close, after so many that never come.
    BeyondHole(usize),
    /// The last close once more.
    Again,
    /// Open bars.
    Opens(Vec<Bar>),
    /// These sequences are gone.
    Lagged(u64, u64),
    /// The log is removed and made again, and the subscription ends.
    OtherLog,
}

fn ahead() -> SubscribeError {
    SubscribeError::Ahead { after: 9, last: 1 }
}

/// A bus that does as it is told, and whose subscriptions end.
#[derive(Default)]
struct Scripted {
    /// One entry a subscription to come.
    scripts: Mutex<VecDeque<Result<Script, SubscribeError>>>,
    asked: Mutex<Vec<CloseStart>>,
    log: Arc<Mutex<Log>>,
}

/// Makes the closes that it gives.
struct Log {
    number: u64,
    stream: Stream,
    sequence: u64,
}

/// A place in one of the logs, which are numbered from 1.
fn place(log: u64, sequence: u64) -> ClosePlace {
    ClosePlace {
        log: LogId::new(&log.to_string()),
        sequence,
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            number: 1,
            stream: Stream::new("kline:1m:BTC-USDT"),
            sequence: 0,
        }
    }
}

struct Playing {
    script: VecDeque<Give>,
    log: Arc<Mutex<Log>>,
}

fn message(bar: Bar) -> BarMessage {
    BarMessage::new(&Scope::new("test", "eu").unwrap(), bar)
}

impl Scripted {
    fn play(&self) -> Result<Box<Playing>, SubscribeError> {
        let script = self.scripts.lock().unwrap().pop_front();
        let script = script.unwrap_or_else(|| Err(ahead()))?;
        Ok(Box::new(Playing {
            script: script.into(),
            log: Arc::clone(&self.log),
        }))
    }
}

#[async_trait]
impl Broker for Scripted {
    async fn publish_open(&self, _: &[BarMessage]) -> Result<(), PublishError> {
        Ok(())
    }

    async fn commit(&self, _: &Commit) -> Result<Committed, CommitError> {
        Ok(Committed::default())
    }

    async fn checkpoints(
        &self,
        subjects: &[CheckpointSubject],
    ) -> Result<Vec<Option<StoredCheckpoint>>, ReadError> {
        Ok(vec![None; subjects.len()])
    }

    async fn subscribe_open(
        &self,
        _: SubjectFilter,
    ) -> Result<Box<dyn OpenSubscription>, SubscribeError> {
        Ok(self.play()?)
    }

    async fn subscribe_closes(
        &self,
        _: SubjectFilter,
        from: CloseStart,
    ) -> Result<Box<dyn CloseSubscription>, SubscribeError> {
        self.asked.lock().unwrap().push(from);
        Ok(self.play()?)
    }

    async fn last_open(&self, _: &SubjectFilter) -> Result<Vec<BarMessage>, ReadError> {
        Ok(Vec::new())
    }

    async fn closes_after(&self, _: &Subject, _: u64, _: usize) -> Result<Replay, ReadError> {
        Ok(Replay::default())
    }
}

#[async_trait]
impl OpenSubscription for Playing {
    async fn drain(&mut self, into: &mut Vec<BarMessage>) -> Result<(), Closed> {
        let Some(Give::Opens(bars)) = self.script.pop_front() else {
            return Err(Closed);
        };
        into.extend(bars.into_iter().map(message));
        Ok(())
    }
}

#[async_trait]
impl CloseSubscription for Playing {
    async fn drain(&mut self, _: usize, into: &mut Vec<SequencedClose>) -> Result<Drained, Closed> {
        match self.script.pop_front() {
            Some(Give::Closes(count)) => {
                let mut log = self.log.lock().unwrap();
                for _ in 0..count {
                    log.sequence += 1;
                    let sequence = log.sequence;
                    let message = message(log.stream.close());
                    into.push(SequencedClose { sequence, message });
                }
                Ok(Drained::Closes)
            }
            Some(Give::BeyondHole(count)) => {
                let mut log = self.log.lock().unwrap();
                for _ in 0..count {
                    log.stream.close();
                }
                log.sequence += 1;
                let sequence = log.sequence;
                let message = message(log.stream.close());
                into.push(SequencedClose { sequence, message });
                Ok(Drained::Closes)
            }
            Some(Give::Again) => {
                let log = self.log.lock().unwrap();
                let mut stream = log.stream.clone();
                stream.close_no -= 1;
                stream.start_no -= 1;
                into.push(SequencedClose {
                    sequence: log.sequence,
                    message: message(stream.close()),
                });
                Ok(Drained::Closes)
            }
            Some(Give::Lagged(from, to)) => {
                self.log.lock().unwrap().sequence = to;
                Ok(Drained::Lagged { from, to })
            }
            Some(Give::OtherLog) => {
                let mut log = self.log.lock().unwrap();
                log.number += 1;
                log.sequence = 0;
                (log.stream.close_no, log.stream.epoch) = (0, 2);
                Err(Closed)
            }
            _ => Err(Closed),
        }
    }

    fn place(&self) -> ClosePlace {
        let log = self.log.lock().unwrap();
        place(log.number, log.sequence)
    }
}

/// An intake with one shard's inbox, on a bus that plays these scripts and then has nothing more.
fn intake(scripts: Vec<Result<Script, SubscribeError>>) -> (Intake, Arc<Scripted>, mio::Poll) {
    let poll = mio::Poll::new().unwrap();
    let waker = mio::Waker::new(poll.registry(), mio::Token(0)).unwrap();
    let broker = Arc::new(Scripted {
        scripts: Mutex::new(scripts.into()),
        ..Scripted::default()
    });
    let intake = Intake {
        broker: Arc::clone(&broker) as _,
        scope: Scope::new("test", "eu").unwrap(),
        closes_from: CloseStart::First,
        inboxes: Arc::new([Inbox::new(waker)]),
        catalogue: Catalogue::default(),
        heard: Heard::new(Duration::from_secs(30)),
        first_word: FirstWord::default(),
        metrics: Metrics::default(),
        tracer: Tracer::off(),
    };
    (intake, broker, poll)
}

/// Longer than all the waits between the attempts of a test together; the time is paused, and jumps.
const A_WHILE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn closes_are_taken_up_where_they_were_left() {
    let (intake, broker, _poll) = intake(vec![
        Err(ahead()),
        Ok(vec![Give::Closes(2), Give::Closes(1)]),
        Err(ahead()),
        Ok(vec![Give::Lagged(4, 9), Give::Closes(1)]),
    ]);
    let inbox = intake.inboxes[0].clone();
    let _ = tokio::time::timeout(A_WHILE, intake.run_closes()).await;
    let asked = broker.asked.lock().unwrap()[..5].to_vec();
    let expect = [
        CloseStart::First,
        CloseStart::First,
        CloseStart::After(place(1, 3)),
        // The bus said that this place is beyond its log's end.
        CloseStart::First,
        CloseStart::After(place(1, 10)),
    ];
    assert_eq!(asked, expect);
    let close_nos: Vec<u64> = inbox
        .take()
        .closes
        .iter()
        .map(|close| close.bar.close_no)
        .collect();
    assert_eq!(close_nos, [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_was_made_anew_is_read_from_its_beginning_and_its_numbers_are_new() {
    let (intake, broker, _poll) = intake(vec![
        Ok(vec![Give::Closes(3), Give::OtherLog]),
        Err(SubscribeError::OtherLog),
        Ok(vec![Give::Closes(2), Give::Closes(3), Give::OtherLog]),
        Err(SubscribeError::OtherLog),
        // Nothing was given of this one before it was made anew too.
        Ok(vec![Give::OtherLog]),
        Err(SubscribeError::OtherLog),
        Ok(vec![Give::Closes(1)]),
    ]);
    let (inbox, metrics) = (intake.inboxes[0].clone(), intake.metrics.clone());
    let (heard, scope) = (intake.heard.clone(), intake.scope.clone());
    let _ = tokio::time::timeout(A_WHILE, intake.run_closes()).await;
    let asked = broker.asked.lock().unwrap()[..8].to_vec();
    let expect = [
        CloseStart::First,
        CloseStart::After(place(1, 3)),
        CloseStart::First,
        CloseStart::After(place(2, 5)),
        CloseStart::First,
        CloseStart::After(place(3, 0)),
        CloseStart::First,
        CloseStart::After(place(4, 1)),
    ];
    assert_eq!(asked, expect);
    let close_nos = |closes: &VecDeque<BarMessage>| -> Vec<u64> {
        closes.iter().map(|close| close.bar.close_no).collect()
    };
    // Nobody looked meanwhile: of the logs between nothing is left.
    let contents = inbox.take();
    let old_closes = contents.old_closes.as_ref().map(close_nos);
    assert_eq!(old_closes, Some(vec![1, 2, 3]));
    assert_eq!(close_nos(&contents.closes), [1]);
    assert_eq!(
        (metrics.breaks.get(), metrics.refused_bars("duplicate")),
        (0, 0)
    );
    let report = heard.report(&scope);
    assert_eq!((report.totals.closes, report.totals.breaks), (9, 0));
    assert_eq!(report.instruments[0].intervals[0].close_no, 1);
}

#[tokio::test(start_paused = true)]
async fn breaks_are_counted_and_what_came_before_is_dropped() {
    let (intake, _broker, _poll) = intake(vec![
        Ok(vec![
            Give::Closes(2),
            Give::Again,
            Give::BeyondHole(3),
            Give::BeyondHole(1),
            Give::Closes(1),
        ]),
        Ok(vec![Give::Lagged(8, 9), Give::BeyondHole(2), Give::Again]),
    ]);
    let (inbox, metrics) = (intake.inboxes[0].clone(), intake.metrics.clone());
    let (heard, scope) = (intake.heard.clone(), intake.scope.clone());
    let _ = tokio::time::timeout(A_WHILE, intake.run_closes()).await;
    let close_nos: Vec<u64> = inbox
        .take()
        .closes
        .iter()
        .map(|close| close.bar.close_no)
        .collect();
    assert_eq!(close_nos, [1, 2, 6, 8, 9, 12]);
    // What the bus says that it lost is no break.
    assert_eq!(metrics.breaks.get(), 2);
    let totals = heard.report(&scope).totals;
    assert_eq!((totals.closes, totals.breaks), (6, 2));
    assert_eq!(metrics.refused_bars("duplicate"), 2);
}

#[tokio::test(start_paused = true)]
async fn breaks_are_logged_once_in_a_while() {
    let mut order = Order::default();
    let mut logged = Vec::new();
    for _ in 0..3 {
        order.handle_break(|unlogged| logged.push(unlogged));
    }
    tokio::time::advance(BREAK_LOG_PERIOD).await;
    order.handle_break(|unlogged| logged.push(unlogged));
    assert_eq!(logged, [0, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_first_word_is_of_both_kinds_of_bars() {
    let opens = vec![Stream::new("kline:1m:BTC-USDT").open()];
    // Whoever is at its end subscribes again, perhaps at once: there is one left for the closes all the same.
    let mut scripts = vec![Ok(vec![Give::Opens(opens)])];
    scripts.extend((0..8).map(|_| Ok(Vec::new())));
    let (intake, _broker, _poll) = intake(scripts);
    let word = intake.first_word.clone();
    let heard = async || {
        tokio::time::timeout(A_WHILE, word.requested())
            .await
            .is_ok()
    };
    let _ = tokio::time::timeout(Duration::from_millis(1), intake.clone().run_opens()).await;
    assert!(!heard().await);
    let _ = tokio::time::timeout(Duration::from_millis(1), intake.run_closes()).await;
    assert!(heard().await);
}

#[tokio::test(start_paused = true)]
async fn open_bars_reach_the_shards_and_the_catalogue_across_subscriptions() {
    let mut btc = Stream::new("kline:1m:BTC-USDT");
    let mut eth = Stream::new("kline:1m:ETH-USDT");
    let (first, second) = (btc.open(), btc.open());
    let (intake, _broker, _poll) = intake(vec![
        Ok(vec![Give::Opens(vec![first])]),
        Err(ahead()),
        Ok(vec![Give::Opens(vec![second.clone(), eth.open()])]),
    ]);
    let (inbox, catalogue) = (intake.inboxes[0].clone(), intake.catalogue.clone());
    let _ = tokio::time::timeout(A_WHILE, intake.run_opens()).await;
    let opens = inbox.take().opens;
    assert_eq!(opens.len(), 2);
    assert_eq!(*opens[&message(second.clone()).subject].bar, second);
    let topics: Vec<String> = catalogue
        .list()
        .iter()
        .map(|entry| entry.topic.to_string())
        .collect();
    assert_eq!(topics, ["kline:1m:BTC-USDT", "kline:1m:ETH-USDT"]);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_behind_slows_the_intake_but_does_not_stop_it() {
    // More than an inbox holds, while nobody empties it.
    let batch = 1_000;
    let batches = 70;
    let script = (0..batches).map(|_| Give::Closes(batch)).collect();
    let (intake, _broker, _poll) = intake(vec![Ok(script)]);
    let inbox = intake.inboxes[0].clone();
    let metrics = intake.metrics.clone();
    let _ = tokio::time::timeout(A_WHILE, intake.run_closes()).await;
    let closes = inbox.take().closes;
    let newest = (batch * batches) as u64;
    assert_eq!(closes.back().map(|close| close.bar.close_no), Some(newest));
    assert_eq!(closes.len() as u64 + metrics.inbox_dropped.get(), newest);
    assert!(metrics.inbox_dropped.get() > 0);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_late_but_not_too_late_loses_nothing() {
    let (batch, batches) = (1_000, 70);
    let script = (0..batches).map(|_| Give::Closes(batch)).collect();
    let (intake, _broker, _poll) = intake(vec![Ok(script)]);
    let inbox = intake.inboxes[0].clone();
    let metrics = intake.metrics.clone();
    let mut taken = 0;
    let look = async {
        // Nearly as seldom as the intake's patience allows.
        let mut clock = tokio::time::interval(ROOM_LOOK_WAIT * (ROOM_LOOKS as u32 - 10));
        while taken + (metrics.inbox_dropped.get() as usize) < batch * batches {
            clock.tick().await;
            taken += inbox.take().closes.len();
        }
    };
    tokio::select! {
        () = look => {}
        () = intake.run_closes() => {}
    }
    assert_eq!((taken, metrics.inbox_dropped.get()), (batch * batches, 0));
}
