use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use runtime::broker::memory::MemoryBroker;
use runtime::broker::{
    Broker, CheckpointSubject, CloseStart, CloseSubscription, Commit, Committed, LeaseEntry,
    LeaseError, Leases, OpenSubscription, PublishError, ReadError, Replay, StoredCheckpoint,
    SubscribeError,
};
use tokio::sync::oneshot;
use wire::subject::Kind;
use wire::{Interval, Scope, Side, Subject, SubjectFilter, Symbol, Trade};

use super::*;
use crate::listing;
use crate::owner;
use crate::roster::{Member, ShardChange};

const T0: i64 = 1_723_161_240_000;

/// Who holds what up, and who does not.
mod held_up;

/// A bus that refuses the next commits, then is one.
struct Flaky {
    bus: MemoryBroker,
    refusals: Mutex<Vec<CommitError>>,
    committed: AtomicUsize,
    /// It answers nothing any more.
    silent: AtomicBool,
}

impl Flaky {
    async fn wait(&self) {
        if self.silent.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Broker for Flaky {
    async fn publish_open(&self, bars: &[BarMessage]) -> Result<(), PublishError> {
        self.bus.publish_open(bars).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError> {
        self.wait().await;
        let refusal = self.refusals.lock().unwrap().pop();
        match refusal {
            Some(error) => Err(error),
            None => {
                // As a bus over a network, it lets others run.
                tokio::task::yield_now().await;
                self.committed
                    .fetch_add(commit.closes.len(), Ordering::Relaxed);
                self.bus.commit(commit).await
            }
        }
    }

    async fn checkpoints(
        &self,
        subjects: &[CheckpointSubject],
    ) -> Result<Vec<Option<StoredCheckpoint>>, ReadError> {
        self.wait().await;
        self.bus.checkpoints(subjects).await
    }

    async fn subscribe_open(
        &self,
        filter: SubjectFilter,
    ) -> Result<Box<dyn OpenSubscription>, SubscribeError> {
        self.bus.subscribe_open(filter).await
    }

    async fn subscribe_closes(
        &self,
        filter: SubjectFilter,
        from: CloseStart,
    ) -> Result<Box<dyn CloseSubscription>, SubscribeError> {
        self.bus.subscribe_closes(filter, from).await
    }

    async fn last_open(&self, filter: &SubjectFilter) -> Result<Vec<BarMessage>, ReadError> {
        self.bus.last_open(filter).await
    }

    async fn closes_after(
        &self,
        subject: &Subject,
        close_no: u64,
        max: usize,
    ) -> Result<Replay, ReadError> {
        self.bus.closes_after(subject, close_no, max).await
    }
}

#[async_trait]
impl Leases for Flaky {
    async fn lease(&self, scope: &Scope, shard: ShardId) -> Result<Option<LeaseEntry>, LeaseError> {
        self.wait().await;
        self.bus.lease(scope, shard).await
    }

    async fn write_lease(
        &self,
        scope: &Scope,
        shard: ShardId,
        value: Bytes,
        expect: u64,
    ) -> Result<u64, LeaseError> {
        self.wait().await;
        self.bus.write_lease(scope, shard, value, expect).await
    }
}

fn busy() -> CommitError {
    CommitError::TooManySubjects { max: 1 }
}

/// A shard of one instrument, with its bus.
fn shard(
    refusals: Vec<CommitError>,
    inbox: mpsc::Receiver<Input>,
    when_full: WhenFull,
) -> (Shard, Arc<Flaky>, Scope) {
    shard_of(&["BTC-USDT"], Vec::new(), refusals, inbox, when_full)
}

/// A shard of these instruments, with its bus.
fn shard_of(
    symbols: &[&str],
    asks: Vec<Ask>,
    refusals: Vec<CommitError>,
    inbox: mpsc::Receiver<Input>,
    when_full: WhenFull,
) -> (Shard, Arc<Flaky>, Scope) {
    let venue = "binance-spot".parse().unwrap();
    let symbols: Vec<Symbol> = symbols.iter().map(|it| it.parse().unwrap()).collect();
    let gained: Vec<Member> = listing::list([(&venue, &symbols[..])])
        .into_iter()
        .enumerate()
        .map(|(at, listed)| Member {
            listed,
            feed: 0,
            at,
        })
        .collect();
    let bus = Arc::new(Flaky {
        bus: MemoryBroker::default(),
        refusals: Mutex::new(refusals),
        committed: AtomicUsize::new(0),
        silent: AtomicBool::new(false),
    });
    let scope = Scope::new("test", "local").unwrap();
    let mut options = Options::new(Vec::new(), vec![Interval::S1], scope.clone());
    options.when_full = when_full;
    options.ownership.unlevel_wait = Duration::ZERO;
    let (dropped, _) = mpsc::channel(1);
    let context = ShardContext {
        shard: ShardId(0),
        options: Arc::new(options),
        intervals: vec![Interval::S1],
        bus: bus.clone(),
        metrics: Metrics::default(),
        carriage: Carriage::new(symbols.len()),
        dropped,
        status: watch::Sender::new(None),
        shutdown: Shutdown::new(),
    };
    let (control_in, control) = mpsc::channel(1);
    let (taken, _) = oneshot::channel();
    let change = ShardChange {
        mine: gained
            .iter()
            .map(|member| member.listed.instrument.clone())
            .collect(),
        gained,
        ..ShardChange::default()
    };
    control_in
        .try_send(Control {
            change,
            asks,
            taken,
        })
        .unwrap();
    (Shard::new(context, inbox, control), bus, scope)
}

fn first_trade() -> Input {
    trade(0, 1)
}

fn trade(series: u32, id: u64) -> Input {
    Input::Trade {
        series,
        trade: Trade {
            id,
            time_ms: T0 + 10,
            price: "5".parse().unwrap(),
            size: "1".parse().unwrap(),
            taker: Side::Buy,
        },
        event_time_ms: T0 + 11,
    }
}

/// Runs a shard over a few minutes of ticks, until it is asked to stop. Gives its end, the numbers of the closes that
/// are on the bus, and the open bars.
async fn run(refusals: Vec<CommitError>) -> (Result<(), CommitError>, Vec<u64>, Vec<BarMessage>) {
    let (inbox_in, inbox) = mpsc::channel(INBOX_LEN);
    let (shard, broker, scope) = shard(refusals, inbox, WhenFull::Wait);
    let shutdown = shard.context.shutdown.clone();
    let feed = async move {
        let up = Input::Up {
            series: 0,
            venue_ms: T0,
        };
        for input in [up, first_trade()] {
            if inbox_in.send(input).await.is_err() {
                return;
            }
        }
        for second in 1..=302 {
            let venue_ms = T0 + second * 1_000;
            let tick = Input::Clock { feed: 0, venue_ms };
            if inbox_in.send(tick).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        shutdown.trigger();
    };
    let (end, ()) = tokio::join!(shard.run(), feed);
    let filter = SubjectFilter::all(Kind::Committed, &scope);
    let mut closes = Vec::new();
    let mut log = broker
        .subscribe_closes(filter, CloseStart::First)
        .await
        .unwrap();
    let _ = tokio::time::timeout(Duration::from_secs(1), log.drain(1_000, &mut closes)).await;
    let numbers = closes
        .iter()
        .map(|close| close.message.bar.close_no)
        .collect();
    let open = broker
        .last_open(&SubjectFilter::all(Kind::Open, &scope))
        .await
        .unwrap();
    (end, numbers, open)
}

#[tokio::test(start_paused = true)]
async fn closes_are_committed_as_they_fall_due_and_open_bars_go_out() {
    let (end, numbers, open) = run(Vec::new()).await;
    assert_eq!(end, Ok(()));
    assert_eq!(numbers, (1..=300).collect::<Vec<u64>>());
    // As of the last tick.
    assert_eq!(open[0].bar.start_ms, T0 + 302_000);
    assert_eq!(open[0].bar.close_no, 300);
    assert!(open[0].bar.seq > 5);
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_refuses_for_now_is_sent_again_in_order() {
    let (end, numbers, _) = run(vec![busy(), busy(), busy(), busy()]).await;
    assert_eq!(end, Ok(()));
    assert_eq!(numbers, (1..=300).collect::<Vec<u64>>());
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_refuses_for_good_ends_the_shard() {
    let denied = CommitError::Denied("no permission".to_owned());
    let (end, numbers, _) = run(vec![denied.clone()]).await;
    assert_eq!(end, Err(denied));
    assert!(numbers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_never_recovers_does_not_hold_up_the_stop() {
    let (end, numbers, _) = run(vec![busy(); 1_000]).await;
    assert_eq!(end, Ok(()));
    assert!(numbers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_drains_sleeps_between_its_attempts() {
    // Its ticks of 250 ms over some seconds, and its attempts.
    const TURNS_MAX: usize = 200;
    let (inbox_in, inbox) = mpsc::channel(8);
    let (shard, broker, _) = shard(vec![busy(); 1_000], inbox, WhenFull::DropNewest);
    let (shutdown, turns) = (shard.context.shutdown.clone(), Arc::clone(&shard.turns));
    let stop = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // It waits for the bus, which refuses everything; and its feed is still there.
        shutdown.trigger();
    };
    // Time stands still while it goes round without a rest, so that it would never end.
    let spins = std::future::poll_fn(|_| match turns.load(Ordering::Relaxed) {
        0..TURNS_MAX => std::task::Poll::Pending,
        turns => std::task::Poll::Ready(turns),
    });
    tokio::select! {
        turns = spins => panic!("{turns} turns"),
        (end, ()) = async { tokio::join!(shard.run(), stop) } => assert_eq!(end, Ok(())),
    }
    assert_eq!(broker.committed.load(Ordering::Relaxed), 0);
    drop(inbox_in);
}

/// A day's outage is closed while more comes in. Gives how many closes were on the bus when the last input was
/// taken, and in the end.
async fn after_an_outage(when_full: WhenFull) -> (usize, usize) {
    const DAY_MS: i64 = 86_400_000;
    let (inbox_in, inbox) = mpsc::channel(64);
    let (mut shard, broker, _) = shard(Vec::new(), inbox, when_full);
    let options = owner::Options {
        pending_max: 16_384,
        ..shard.context.options.ownership.owner()
    };
    let identity = Identity {
        owner: "a".to_owned(),
        shard: ShardId(0),
    };
    shard.owner = Owner::new(identity, options);
    let seen = Arc::clone(&broker);
    let feed = async move {
        let up = |venue_ms| Input::Up {
            series: 0,
            venue_ms,
        };
        let down = Input::Down { series: 0 };
        for input in [up(T0), first_trade(), down, up(T0 + DAY_MS)] {
            inbox_in.send(input).await.unwrap();
        }
        for tick in 1..=200 {
            let venue_ms = T0 + DAY_MS + tick * 100;
            inbox_in
                .send(Input::Clock { feed: 0, venue_ms })
                .await
                .unwrap();
        }
        seen.committed.load(Ordering::Relaxed)
    };
    let (end, early) = tokio::join!(shard.run(), feed);
    assert_eq!(end, Ok(()));
    (early, broker.committed.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn catching_up_does_not_starve_what_comes_now() {
    let (early, all) = after_an_outage(WhenFull::DropNewest).await;
    assert!(all > 86_400 && early < all / 2, "{early} of {all}");
    // A replay waits, until what is left has been fetched and no input can change it.
    let (early, all) = after_an_outage(WhenFull::Wait).await;
    assert!(all > 86_400 && early > all / 2, "{early} of {all}");
}
