//! A market that is connected to as the exchanges are, at another address.

use std::net::SocketAddr;

use crate::client::{Client, Feed, Object};
use exchange_sim::{Kind, Play};
use runtime::tasks::Tasks;
use standalone::market::Market;
use standalone::up::{DRAIN_MAX, Options};
use wire::Symbol;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_venue_at_another_address_is_carried() {
    let play = Play::Generate {
        symbols: vec![(Kind::Coinbase, Symbol::new("BTC-USD").unwrap())],
        rate: 100,
        seed: 1,
        start_ms: None,
        trades_max: None,
    };
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let exchange = exchange_sim::Service::bind(exchange_sim::Options::new(listen, play))
        .await
        .unwrap();
    let endpoint = format!("coinbase=ws://{}/coinbase/", exchange.local_addr());
    let (tasks, shutdown) = Tasks::new("exchange");
    tasks.spawn(
        "exchange-sim",
        runtime::tasks::OnExit::StopAll,
        exchange.run(shutdown.clone()),
    );
    let running = tokio::spawn(tasks.run_until_stopped(DRAIN_MAX));

    let endpoints = vec![endpoint.parse().unwrap()];
    let feed = Feed::start(Options {
        symbols: vec!["coinbase:BTC-USD".parse().unwrap()],
        ..Options::new(Market::Live { endpoints })
    })
    .await;
    let mut client = Client::connect(feed.address).await;
    client.subscribe(&["kline:1s:BTC-USD"], false).await;
    assert!(matches!(client.next().await, Some(Object::Bar(_))));
    feed.stop().await;
    shutdown.trigger();
    running.await.unwrap().unwrap();
}
