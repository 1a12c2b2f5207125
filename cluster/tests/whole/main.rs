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
use cluster::{Checker, Persistence, Topology, http};
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

/// A client of a gateway itself that must stay connected, and one of nginx that may be moved.
fn clients(topology: &mut Topology, gateway: usize) -> [Checker; 2] {
    let topics = topology.options().all_topics();
    let at = topology.gateway(gateway).listen();
    let stays = Checker::start("the one that stays", at, topics.clone(), Persistence::Stays);
    let front = topology.front();
    let returns = Checker::start("the one that returns", front, topics, Persistence::Returns);
    [stays, returns]
}

/// Three more closes of every one-second topic for each client, and nothing wrong so far.
async fn goes_on(topology: &Topology, clients: &[Checker]) {
    let topics = topology.options().topics("1s");
    let topics: Vec<Topic> = topics.iter().map(|topic| topic.parse().unwrap()).collect();
    for client in clients {
        let wait = client.wait_for_closes(&topics, client.now(), 3, PATIENCE);
        wait.await.unwrap();
        assert_eq!(client.violations(), []);
    }
}

/// What was told under one number is the same for both.
fn agree([one, other]: &[Checker; 2]) {
    let different = one.look(|one| other.look(|other| one.differences(other)));
    assert_eq!(different, []);
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
        Kind::Kill9Shard,
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
    let first = clients(&mut topology, 1);
    goes_on(&topology, &first).await;
    for node in 0..3 {
        topology.nats().node(node).terminate().await.unwrap();
        topology.nats().node(node).restart().await.unwrap();
        topology.nats().level(PATIENCE).await.unwrap();
        goes_on(&topology, &first).await;
    }
    for shard in 0..2 {
        for nth in 0..2 {
            let ended = topology.marketdata(shard, nth).roll(END_MAX).await.unwrap();
            assert!(ended.success(), "{ended}");
            goes_on(&topology, &first).await;
        }
    }
    // Each gateway is restarted under a client that returns to it, beside one that stays at the other.
    let ended = topology.gateway(0).roll(END_MAX).await.unwrap();
    assert!(ended.success(), "{ended}");
    goes_on(&topology, &first).await;
    let second = clients(&mut topology, 0);
    goes_on(&topology, &second).await;
    let [stayed, returns] = &first;
    assert_eq!((stayed.violations(), stayed.subscriptions()), (vec![], 1));
    agree(&first);
    let ended = topology.gateway(1).roll(END_MAX).await.unwrap();
    assert!(ended.success(), "{ended}");
    goes_on(&topology, &second).await;
    goes_on(&topology, std::slice::from_ref(returns)).await;
    assert_eq!(second[0].subscriptions(), 1);
    // From the first restart to the last one client has had every close.
    agree(&second);
    let different = returns.look(|one| second[0].look(|other| one.differences(other)));
    assert_eq!(different, []);
    // What was ended on purpose is no news; what ends by itself is told.
    assert_eq!(topology.poll_ends().unwrap(), Vec::<String>::new());
    topology.gateway(0).process().ask_to_stop().unwrap();
    let told = wait::until("an end", END_MAX, async || {
        let ends = topology.poll_ends()?;
        Ok((!ends.is_empty()).then_some(ends))
    });
    let told = told.await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("gw-0 ended with exit status: 0: "),
        "{told:?}"
    );
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
    let clients = clients(&mut topology, 0);
    goes_on(&topology, &clients).await;
    // Make before break: the process of the new shard is there before anything is its own.
    topology.launch_shard(shards).await.unwrap();
    topology.ready().await.unwrap();
    goes_on(&topology, &clients).await;
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
    // Read again without a start: the fifth has what is its own, and the others have let it go.
    for shard in 0..=shards {
        let expect = after.values().filter(|of| **of == shard as u64).count();
        let admin = topology.marketdata(shard, 0).admin();
        let owns = async || {
            let view = http::get_json(admin, "/admin/shard").await?;
            let (owned, leaving) = (view["owned"].as_u64(), view["leaving"].as_u64());
            Ok((owned == Some(expect as u64) && leaving == Some(0)).then_some(()))
        };
        let what = format!("{expect} instruments of shard {shard}");
        wait::until(&what, PATIENCE, owns).await.unwrap();
    }
    goes_on(&topology, &clients).await;
    // It goes on when the others are gone.
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
    for client in &clients {
        let wait = client.wait_for_closes(&topics, client.now(), 3, PATIENCE);
        wait.await.unwrap();
        assert_eq!((client.violations(), client.subscriptions()), (vec![], 1));
    }
    agree(&clients);
}
