//! The limits of a connection, enforced over real sockets. The sessions' own tests show when exactly; these show
//! that the server asks them in time and does what they say.

use exchange_sim::{Kind, Play};
use futures_util::StreamExt;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, Sim, within};

fn play() -> Play {
    let symbols = Kind::ALL.map(|kind| (kind, "BTC-USD".parse().unwrap()));
    let symbols = symbols.map(|(kind, symbol)| match kind {
        Kind::BinanceSpot => (kind, "BTC-USDT".parse().unwrap()),
        _ => (kind, symbol),
    });
    Play::Generate {
        symbols: symbols.into(),
        rate: 1,
        seed: 1,
        start_ms: None,
        trades_max: None,
    }
}

/// The code with which the server closes; the client answers pings while it waits, as all do.
async fn close_code(client: &mut Client) -> u16 {
    loop {
        match client.message().await {
            Some(Message::Close(frame)) => return frame.unwrap().code.into(),
            Some(_) => {}
            None => panic!("no close frame"),
        }
    }
}

#[tokio::test]
async fn a_connection_lives_as_long_as_it_may() {
    let sim = Sim::start(play(), |options| options.limits.lifetime_ms = 100).await;
    let mut client = sim.connect("/binance-spot/ws").await;
    assert_eq!(close_code(&mut client).await, 1001);
    sim.stop().await;
}

#[tokio::test]
async fn who_says_too_much_is_cut() {
    let sim = Sim::start(play(), |_| {}).await;
    let mut client = sim.connect("/binance-spot/ws").await;
    for _ in 0..6 {
        client
            .send(r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#)
            .await;
    }
    assert_eq!(close_code(&mut client).await, 1008);
    sim.stop().await;
}

#[tokio::test]
async fn who_says_nothing_to_coinbase_is_cut() {
    let sim = Sim::start(play(), |options| {
        options.limits.subscribe_within_ms = 100;
        options.limits.silence_ms = 100;
    })
    .await;
    let mut client = sim.connect("/coinbase").await;
    assert_eq!(close_code(&mut client).await, 1008);
    let mut client = sim.connect("/coinbase-advanced").await;
    assert_eq!(close_code(&mut client).await, 1001);
    sim.stop().await;
}

#[tokio::test]
async fn pings_come_with_a_payload_and_pongs_keep_the_connection() {
    let sim = Sim::start(play(), |options| {
        options.limits.ping_every_ms = 300;
        options.limits.pong_within_ms = 10_000;
    })
    .await;
    let mut client = sim.connect("/binance-spot/ws").await;
    // The client's library answers each ping by itself when it reads on.
    for expect in ["1", "2", "3"] {
        match within(client.socket.next()).await {
            Some(Ok(Message::Ping(payload))) => assert_eq!(payload, expect),
            other => panic!("{other:?}"),
        }
    }
    sim.stop().await;
}

#[tokio::test]
async fn a_client_without_pongs_is_cut() {
    let sim = Sim::start(play(), |options| {
        options.limits.ping_every_ms = 20;
        options.limits.pong_within_ms = 100;
    })
    .await;
    // Reads one ping, whose pong would go out with the next read; and then does not read.
    let mut client = sim.connect("/binance-spot/ws").await;
    let ping = within(client.socket.next()).await;
    assert!(matches!(ping, Some(Ok(Message::Ping(_)))), "{ping:?}");
    let mut progress = sim.handle.progress(Kind::BinanceSpot).unwrap();
    within(progress.wait_for(|progress| progress.connections == 0))
        .await
        .unwrap();
    sim.stop().await;
}

#[tokio::test]
async fn what_is_too_big_or_no_text_is_refused() {
    let sim = Sim::start(play(), |_| {}).await;
    let mut client = sim.connect("/binance-spot/ws").await;
    client.send(&"x".repeat(300 << 10)).await;
    assert_eq!(close_code(&mut client).await, 1009);
    let mut client = sim.connect("/coinbase").await;
    futures_util::SinkExt::send(&mut client.socket, Message::binary(vec![1, 2]))
        .await
        .unwrap();
    assert_eq!(
        client.text().await,
        r#"{"type":"error","message":"Malformed JSON"}"#
    );
    sim.stop().await;
}
