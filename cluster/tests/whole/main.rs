//! The whole platform as processes, while things are broken, restarted and moved.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails the test that called it"
)]

use std::time::Duration;

use cluster::faults::{self, Kind, Plan};
use cluster::topology::Options;
use cluster::wait::{self, PATIENCE};
use cluster::{Checker, Persistence, Topology};
use tokio::sync::Mutex;
use wire::Topic;

/// Ten processes at a time are enough for one machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// More than any drain.
const END_MAX: Duration = Duration::from_secs(45);

/// Whether the binaries are there; they are when the whole workspace is tested.
fn built() -> bool {
    let absent = Topology::absent();
    if let Some(absent) = absent {
        println!("skipped: {absent} has not been built");
    }
    absent.is_none()
}

fn client(topology: &Topology) -> Checker {
    let topics = topology.options().all_topics();
    Checker::start("it", topology.front(), topics, Persistence::Returns)
}

/// Three more closes of every one-second topic.
async fn goes_on(topology: &Topology, client: &Checker) {
    let topics = topology.options().topics("1s");
    let topics: Vec<Topic> = topics.iter().map(|topic| topic.parse().unwrap()).collect();
    let wait = client.wait_for_closes(&topics, client.now(), 3, PATIENCE);
    wait.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_see_every_close_once_whatever_breaks() {
    let _turn = ONE_AT_A_TIME.lock().await;
    if !built() {
        return;
    }
    let mut topology = Topology::start(Options::default()).await.unwrap();
    for kind in [
        Kind::Kill9Active,
        Kind::StopLongerThanLease,
        Kind::KillNatsLeader,
        Kind::PartitionOwner,
    ] {
        let plan = Plan::of_seed(1, Some(kind), 2, 2);
        let outcome = faults::run(&mut topology, &plan).await.unwrap();
        println!("{}", outcome.lines());
        assert!(outcome.passed(), "{}", outcome.lines());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_restarted_one_after_another() {
    let _turn = ONE_AT_A_TIME.lock().await;
    if !built() {
        return;
    }
    let mut topology = Topology::start(Options::default()).await.unwrap();
    let client = client(&topology);
    goes_on(&topology, &client).await;
    for shard in 0..2 {
        for nth in 0..2 {
            let ended = topology.marketdata(shard, nth).roll(END_MAX).await.unwrap();
            assert!(ended.success(), "{ended}");
            goes_on(&topology, &client).await;
        }
    }
    for gateway in 0..2 {
        let ended = topology.gateway(gateway).roll(END_MAX).await.unwrap();
        assert!(ended.success(), "{ended}");
        goes_on(&topology, &client).await;
    }
    for node in 0..3 {
        topology.nats().node(node).terminate().await.unwrap();
        topology.nats().node(node).restart().await.unwrap();
        topology.nats().level(PATIENCE).await.unwrap();
        goes_on(&topology, &client).await;
    }
    assert_eq!(client.violations(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifth_shard_takes_its_share_and_no_topic_breaks() {
    let _turn = ONE_AT_A_TIME.lock().await;
    if !built() {
        return;
    }
    let symbols = [
        "BTC", "ETH", "SOL", "XRP", "DOGE", "BNB", "ADA", "AVAX", "LINK", "LTC",
    ];
    let symbols: Vec<_> = symbols.iter().map(|base| format!("{base}-USDT")).collect();
    let (count, shards) = (symbols.len(), 4);
    let options = Options {
        sources: vec![("binance-spot".to_owned(), symbols)],
        rate: 100,
        shards,
        instances: 1,
        ..Options::default()
    };
    let mut topology = Topology::start(options).await.unwrap();
    let client = client(&topology);
    goes_on(&topology, &client).await;
    let before = topology.assigned().unwrap();
    topology.assign(shards + 1).await.unwrap();
    let after = topology.assigned().unwrap();
    let moved: Vec<_> = before
        .iter()
        .filter(|(symbol, shard)| after[*symbol] != **shard)
        .collect();
    assert!(
        moved
            .iter()
            .all(|(symbol, _)| after[*symbol] == shards as u64),
        "{moved:?}"
    );
    assert!(
        !moved.is_empty() && moved.len() <= count.div_ceil(shards + 1),
        "{moved:?}"
    );

    topology.launch_shard(shards).await.unwrap();
    topology.ready().await.unwrap();
    let owned = async || topology.owner(shards).await;
    wait::until("an owner of the fifth shard", PATIENCE, owned)
        .await
        .unwrap();
    goes_on(&topology, &client).await;
    // What the others let go is the fifth's now: it goes on when they are gone.
    for shard in 0..shards {
        topology
            .marketdata(shard, 0)
            .process()
            .terminate(END_MAX)
            .await
            .unwrap();
    }
    let topics = moved
        .iter()
        .map(|(symbol, _)| format!("kline:1s:{symbol}").parse().unwrap());
    let topics: Vec<Topic> = topics.collect();
    let wait = client.wait_for_closes(&topics, client.now(), 3, PATIENCE);
    wait.await.unwrap();
    assert_eq!(client.violations(), []);
}
