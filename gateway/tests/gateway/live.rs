//! Snapshot, live, batches, wildcards, resuming.

use serde_json::json;

use crate::harness::{Running, Stream, options, symbol_topics};

const BTC: &str = "kline:1m:BTC-USDT";
const BTC_LONG: &str = "kline:binance-spot:1m:BTC-USDT";

#[tokio::test]
async fn a_snapshot_comes_before_live_bars() {
    let gateway = Running::start(options());
    let mut btc = Stream::new(BTC);
    btc.open();
    let newest = btc.open();
    gateway.publish([newest.clone()]).await;
    gateway.knows(1).await;
    let mut client = gateway.subscribed(&[BTC]).await;
    client.expect(&newest).await;
    let live = btc.open();
    gateway.publish([live.clone()]).await;
    client.expect(&live).await;
    let close = btc.close();
    gateway.commit([close.clone()]).await;
    client.expect(&close).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_topic_is_the_same_under_its_long_name() {
    let gateway = Running::start(options());
    let mut btc = Stream::new(BTC);
    let mut bar = btc.open();
    gateway.publish([bar.clone()]).await;
    gateway.knows(1).await;
    let mut client = gateway.subscribed(&[BTC_LONG]).await;
    bar.topic = BTC_LONG.parse().unwrap();
    client.expect(&bar).await;
    // Both names, both bars.
    client.subscribe(&[BTC]).await;
    client.next().await;
    let bar = btc.open();
    gateway.publish([bar.clone()]).await;
    let names = [client.next().await, client.next().await].map(|bar| bar["topic"].clone());
    assert_eq!(names, [json!(BTC_LONG), json!(BTC)]);
    gateway.stop().await;
}

#[tokio::test]
async fn an_open_bar_waits_for_the_close_before_it() {
    let gateway = Running::start(options());
    let mut btc = Stream::new(BTC);
    gateway.publish([btc.open()]).await;
    gateway.knows(1).await;
    let mut client = gateway.subscribed(&[BTC]).await;
    client.next().await;
    let (close, open) = (btc.close(), btc.open());
    gateway.publish([open.clone()]).await;
    client.expect_silence().await;
    gateway.commit([close.clone()]).await;
    client.expect(&close).await;
    client.expect(&open).await;
    gateway.stop().await;
}

#[tokio::test]
async fn topics_that_move_together_share_a_frame() {
    let gateway = Running::start(options());
    let topics = symbol_topics(20);
    let mut streams: Vec<Stream> = topics.iter().map(|topic| Stream::new(topic)).collect();
    gateway.publish(streams.iter_mut().map(Stream::open)).await;
    gateway.knows(20).await;
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut client = gateway.subscribed(&names).await;
    for _ in 0..20 {
        client.next().await;
    }
    gateway.publish(streams.iter_mut().map(Stream::open)).await;
    for topic in &names {
        assert_eq!(client.next().await["topic"], *topic);
        assert_eq!(client.last_frame_len, 20);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_wildcard_takes_in_what_appears_later() {
    let gateway = Running::start(options());
    let mut btc = Stream::new(BTC);
    let first = btc.open();
    gateway.publish([first.clone()]).await;
    gateway.knows(1).await;
    let mut client = gateway.subscribed(&["kline:*:BTC-USDT"]).await;
    client.expect(&first).await;
    let mut hour = Stream::new("kline:1h:BTC-USDT");
    let mut other = Stream::new("kline:1h:ETH-USDT");
    let hour_bar = hour.open();
    gateway.publish([other.open(), hour_bar.clone()]).await;
    client.expect(&hour_bar).await;
    client.ask(json!({"op": "list", "id": 2})).await;
    assert_eq!(
        client.next().await,
        json!({"op": "ok", "id": 2, "topics": ["kline:*:BTC-USDT", BTC, "kline:1h:BTC-USDT"]})
    );
    client
        .ask(json!({"op": "unsubscribe", "topics": ["kline:*:BTC-USDT"], "id": 3}))
        .await;
    client.next().await;
    gateway.publish([btc.open(), hour.open()]).await;
    let mut day = Stream::new("kline:1d:BTC-USDT");
    gateway.publish([day.open()]).await;
    gateway.knows(4).await;
    client.expect_silence().await;
    gateway.stop().await;
}

#[tokio::test]
async fn subscribing_twice_changes_nothing_and_unsubscribing_ends_it() {
    let gateway = Running::start(options());
    let mut btc = Stream::new(BTC);
    gateway.publish([btc.open()]).await;
    gateway.knows(1).await;
    let mut client = gateway.subscribed(&[BTC]).await;
    client.next().await;
    client.subscribe(&[BTC]).await;
    client.expect_silence().await;
    let bar = btc.open();
    gateway.publish([bar.clone()]).await;
    client.expect(&bar).await;
    client.expect_silence().await;
    client
        .ask(json!({"op": "unsubscribe", "topics": [BTC], "id": 9}))
        .await;
    assert_eq!(
        client.next().await,
        json!({"op": "ok", "id": 9, "topics": [BTC]})
    );
    let mut witness = gateway.subscribed(&[BTC]).await;
    witness.next().await;
    let bar = btc.open();
    gateway.publish([bar.clone()]).await;
    witness.expect(&bar).await;
    client.expect_silence().await;
    gateway.stop().await;
}

#[tokio::test]
async fn http_is_served_beside_it() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let gateway = Running::start(options());
    let mut socket = tokio::net::TcpStream::connect(gateway.address)
        .await
        .unwrap();
    let request = "GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    crate::harness::within(socket.read_to_string(&mut answer))
        .await
        .unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"),
        "{answer}"
    );
    gateway.stop().await;
}
