//! The log of closes is removed and made again while the gateway runs, as by `marketfeed-marketdata purge`.

use runtime::broker::CloseStart;
use serde_json::{Value, json};
use wire::Bar;

use crate::harness::{Client, Running, Stream, options};

const BTC: &str = "kline:1m:BTC-USDT";

/// A gateway with a ring of 4 whose clients have got the closes 1 to 10 and the open bar behind them.
async fn level() -> (Running, Stream, [Client; 2]) {
    let gateway = Running::start(gateway::Options {
        ring_len: 4,
        closes_from: CloseStart::First,
        ..options()
    });
    let mut btc = Stream::new(BTC);
    gateway.publish([btc.open()]).await;
    gateway.knows(1).await;
    // One a shard.
    let mut clients = [gateway.client().await, gateway.client().await];
    for client in &mut clients {
        client.subscribe(&[BTC]).await;
    }
    let closes: Vec<Bar> = (0..10).map(|_| btc.close()).collect();
    gateway.commit(closes).await;
    let open = btc.open();
    gateway.publish([open.clone()]).await;
    for client in &mut clients {
        client.read_to(&open).await;
    }
    (gateway, btc, clients)
}

/// Epochs and numbers of what came, which must be bars.
fn numbers(seen: &[Value]) -> Vec<(u64, u64)> {
    let number = |object: &Value, name: &str| object[name].as_u64();
    let pair = |object: &Value| Some((number(object, "epoch")?, number(object, "close_no")?));
    let pairs = seen
        .iter()
        .map(|object| pair(object).unwrap_or_else(|| panic!("{object}")));
    pairs.collect()
}

#[tokio::test]
async fn clients_get_every_close_of_the_new_log() {
    // Fewer closes than the old log had, and more than that and the ring.
    for count in [1, 3, 25] {
        let (gateway, mut btc, mut clients) = level().await;
        gateway.broker.make_log_anew();
        btc.begin_anew();
        let closes: Vec<Bar> = (0..count).map(|_| btc.close()).collect();
        gateway.commit(closes).await;
        let open = btc.open();
        gateway.publish([open.clone()]).await;
        let mut expect: Vec<(u64, u64)> = (1..=count).map(|close_no| (2, close_no)).collect();
        for client in &mut clients {
            let mut seen = client.read_to(&open).await;
            // The open bar travels apart, and may be here before anything says that the log is another.
            if numbers(&seen) == [(2, count)] {
                while seen.len() <= expect.len() {
                    seen.push(client.next().await);
                }
                seen.remove(0);
            } else {
                seen.pop();
            }
            assert_eq!(numbers(&seen), expect);
            client.expect_silence().await;
        }
        // And so it goes on, for who was there and for who comes now, with numbers of the new log or of the old.
        let mut late = gateway.client().await;
        let resume = json!({"op": "subscribe", "topics": [BTC], "after": {BTC: 0}, "id": 1});
        late.ask(resume).await;
        assert_eq!(late.next().await["op"], "ok");
        let mut lost = gateway.client().await;
        let resume = json!({"op": "subscribe", "topics": [BTC], "after": {BTC: 999}, "id": 1});
        lost.ask(resume).await;
        assert_eq!(lost.next().await["op"], "ok");
        lost.expect(&open).await;
        let next = btc.close();
        gateway.commit([next.clone()]).await;
        for client in &mut clients {
            client.expect(&next).await;
        }
        expect.push((2, count + 1));
        let mut seen = late.read_to(&next).await;
        seen.retain(|object| object["closed"] == true);
        assert_eq!(numbers(&seen), expect);
        lost.expect(&next).await;
        assert_eq!(gateway.metric("broker_close_breaks_total"), 0);
        assert_eq!(gateway.metric("ws_missed_total"), 0);
        gateway.stop().await;
    }
}
