//! Bars through three NATS servers on this machine: from publishing to a gateway's receipt, and what it costs.
//!
//! Publisher and receiver have a thread, a connection and a server each, and their clock in common. Every run has
//! servers of its own. Beside the product's broker goes a client that does no more than writing and reading lines.

/// Bars, and the moment of their making.
pub(crate) mod market;

/// When what is due.
mod pace;

/// When it is measured.
pub(crate) mod window;

/// How long messages took.
mod latency;

/// The servers.
pub(crate) mod servers;

/// The owner's side.
mod publisher;

/// The gateway's side.
mod receiver;

/// Lines to and from a server.
mod thin;

/// The peer.
mod floor;

use std::future::Future;
use std::net::SocketAddr;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use cluster::NatsCluster;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use self::market::Market;
use self::pace::{EVENLY, IN_TURNS, Pace};
use self::publisher::Sent;
use self::receiver::Received;
use self::servers::Places;
use self::window::{MEASURED, Seat, WARM_UP, Window};

/// Each closes a one-second bar a second.
const SYMBOLS: usize = 2_000;

/// One run's figures.
struct Run {
    sent: Sent,
    received: Received,
    /// CPU seconds of each server within the window.
    servers_s: Vec<f64>,
    places: Places,
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Product,
    Thin,
}

/// Runs all of it and prints it.
pub(crate) fn run() -> Result<()> {
    if let Err(error) = cluster::tools::nats_server() {
        println!("bus: skipped: {error:#}\n");
        return Ok(());
    }
    println!(
        "bus: 20,000 open bars/s and 2,000 closes/s through three nats-server on this machine, {} s after {} s",
        MEASURED.as_secs(),
        WARM_UP.as_secs()
    );
    let market = Market::new(SYMBOLS, 1)?;
    let runs = [
        (
            "marketfeed, 200 open bars every 10 ms",
            Client::Product,
            EVENLY,
        ),
        (
            "marketfeed, 5,000 open bars every 250 ms",
            Client::Product,
            IN_TURNS,
        ),
        (
            "a thin client: no stream for open bars, each close and checkpoint acknowledged, 200 every 10 ms",
            Client::Thin,
            EVENLY,
        ),
    ];
    for (name, client, pace) in runs {
        let run = measure(&market, client, pace).with_context(|| format!("bus, {name}"))?;
        print(name, run)?;
    }
    Ok(())
}

/// A runtime of one thread: its CPU time is that thread's.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

fn measure(market: &Market, client: Client, pace: Pace) -> Result<Run> {
    let (cluster, places) = block_on(async {
        let cluster = NatsCluster::start().await?;
        let places = match client {
            Client::Product => {
                servers::prepare(&cluster, &market.scope).await?;
                Places::find(&cluster, "bar.").await?
            }
            Client::Thin => {
                floor::prepare(&cluster).await?;
                Places::find(&cluster, floor::LOG).await?
            }
        };
        Ok((cluster, places))
    })?;
    let (ready, readies) = mpsc::channel(2);
    let (begin, window) = watch::channel(None);
    let seat = || Seat {
        ready: ready.clone(),
        window: window.clone(),
    };
    let (of_publisher, of_receiver) = (seat(), seat());
    drop(ready);
    let at = &places;
    let (sent, received, servers_s) = thread::scope(|scope| {
        let publisher = scope.spawn(move || match client {
            Client::Product => block_on(publisher::run(&at.publisher, market, pace, of_publisher)),
            Client::Thin => block_on(async {
                floor::publish(address(&at.publisher)?, market, pace, of_publisher).await
            }),
        });
        let receiver = scope.spawn(move || match client {
            Client::Product => block_on(receiver::run(&at.receiver, market, of_receiver)),
            Client::Thin => {
                block_on(async { floor::receive(address(&at.receiver)?, of_receiver).await })
            }
        });
        let servers_s = block_on(watch_servers(&cluster, readies, begin));
        (joined(publisher), joined(receiver), servers_s)
    });
    Ok(Run {
        sent: sent.context("the publisher")?,
        received: received.context("the receiver")?,
        servers_s: servers_s?,
        places,
    })
}

fn address(url: &str) -> Result<SocketAddr> {
    let address = url.trim_start_matches("nats://").parse();
    address.with_context(|| format!("{url} is no address"))
}

fn joined<T>(side: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    side.join().unwrap_or_else(|_| Err(anyhow!("it panicked")))
}

/// Begins when both sides are ready. Gives each server's CPU seconds within the window.
async fn watch_servers(
    cluster: &NatsCluster,
    mut readies: mpsc::Receiver<()>,
    begin: watch::Sender<Option<Window>>,
) -> Result<Vec<f64>> {
    for _ in 0..2 {
        readies.recv().await.context("a side did not get ready")?;
    }
    let window = Window::new();
    begin.send_replace(Some(window));
    sleep_until(window.from.into()).await;
    let before = servers::cpu_s(cluster)?;
    sleep_until(window.to.into()).await;
    let after = servers::cpu_s(cluster)?;
    Ok(after
        .iter()
        .zip(before)
        .map(|(after, before)| after - before)
        .collect())
}

fn print(name: &str, run: Run) -> Result<()> {
    let Run {
        mut sent,
        mut received,
        servers_s,
        places,
    } = run;
    let opened = received.opens.len();
    ensure!(
        received.closes.len() == sent.closes,
        "{} closes were committed and {} came",
        sent.closes,
        received.closes.len()
    );
    let rate = |count: usize| {
        let each_second = count as f64 / MEASURED.as_secs_f64();
        crate::grouped_digits(&format!("{each_second:.0}"))
    };
    println!("  {name} (the log's leader: {})", places.leader);
    println!(
        "    open bars  {:>7}/s sent, {:>7}/s received    {}",
        rate(sent.opens),
        rate(opened),
        received.opens.text()
    );
    println!(
        "    closes     {:>7}/s sent, {:>7}/s received    {}",
        rate(sent.closes),
        rate(received.closes.len()),
        received.closes.text()
    );
    println!(
        "               acknowledged                        {}",
        sent.answered.text()
    );
    if sent.commits.len() > 0 {
        println!(
            "               a commit of {:>3} closes             {}",
            sent.closes / sent.commits.len(),
            sent.commits.text()
        );
    }
    print_costs(&sent, &received, &servers_s);
    Ok(())
}

fn print_costs(sent: &Sent, received: &Received, servers_s: &[f64]) {
    let share = |cpu_s: f64| cpu_s / MEASURED.as_secs_f64();
    let servers: Vec<String> = servers_s
        .iter()
        .map(|&one| format!("{:.2}", share(one)))
        .collect();
    println!(
        "    CPU, s/s   publisher {:.2}, receiver {:.2}, servers {:.2} ({})",
        share(sent.cpu_s),
        share(received.cpu_s),
        share(servers_s.iter().sum()),
        servers.join(" + ")
    );
    let rate = |bytes: usize| bytes as f64 / 1e6 / MEASURED.as_secs_f64();
    println!(
        "    payload    open bars {:.1} MB/s, closes with checkpoints {:.1} MB/s\n",
        rate(sent.open_bytes),
        rate(sent.close_bytes)
    );
}
