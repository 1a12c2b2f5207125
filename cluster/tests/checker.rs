//! The checking client's socket, against a server that tells what the test wants.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails fails the test that called it"
)]

use std::net::SocketAddr;

use cluster::checker::Ledger;
use cluster::wait::{self, PATIENCE};
use cluster::{Checker, Persistence};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const TOPIC: &str = "kline:1s:BTC-USDT";

struct Server(TcpListener);

/// One connection that has asked for something.
struct Asked {
    socket: WebSocketStream<TcpStream>,
    request: Value,
}

impl Server {
    async fn bind() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Self(listener), address)
    }

    async fn next(&self) -> Asked {
        let (stream, _) = self.0.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let frame = socket.next().await.unwrap().unwrap();
        let request = serde_json::from_str(frame.to_text().unwrap()).unwrap();
        Asked { socket, request }
    }
}

impl Asked {
    async fn says(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }
}

fn ok() -> String {
    format!(r#"{{"op":"ok","id":1,"topics":["{TOPIC}"]}}"#)
}

/// The close of the second of its number.
fn close(close_no: u64) -> String {
    let (start, end) = (close_no * 1_000, close_no * 1_000 + 1_000);
    format!(
        r#"{{"op":"bar","topic":"{TOPIC}","venue":"binance-spot","symbol":"BTC-USDT","interval":"1s","start":{start},"end":{end},"open":"1","high":"1","low":"1","close":"1","volume":"1","quote_volume":"1","taker_buy_volume":"0","taker_buy_quote_volume":"0","count":1,"first_id":{close_no},"last_id":{close_no},"closed":true,"rev":0,"completeness":"complete","close_no":{close_no},"epoch":1,"seq":0,"event_time":1,"publish_time":1}}"#
    )
}

fn check(address: SocketAddr, persistence: Persistence) -> Checker {
    Checker::start("it", address, vec![TOPIC.to_owned()], persistence)
}

async fn count(checker: &Checker, count: usize) {
    let come = async || Ok((checker.look(Ledger::count) >= count).then_some(()));
    wait::until("closes", PATIENCE, come).await.unwrap();
}

#[tokio::test]
async fn one_that_returns_asks_for_what_it_has_not() {
    let (server, address) = Server::bind().await;
    let checker = check(address, Persistence::Returns);
    let mut first = server.next().await;
    assert_eq!(first.request["topics"][0], TOPIC);
    first
        .says(&format!("{}\n{}\n{}", ok(), close(8), close(9)))
        .await;
    count(&checker, 2).await;
    drop(first);
    let mut second = server.next().await;
    assert_eq!(second.request["after"][TOPIC], 9);
    second.says(&format!("{}\n{}", ok(), close(10))).await;
    count(&checker, 3).await;
    // Cut by itself.
    checker.drop_connection();
    let mut third = server.next().await;
    assert_eq!(third.request["after"][TOPIC], 10);
    assert!(checker.violations().is_empty());
    third.says(&format!("{}\n{}", ok(), close(10))).await;
    count(&checker, 4).await;
    assert!(checker.violations()[0].to_string().contains("came again"));
    assert_eq!(checker.subscriptions(), 3);
}

#[tokio::test]
async fn one_that_stays_tells_of_its_end_and_comes_before_the_topic_is_carried() {
    let (server, address) = Server::bind().await;
    let checker = check(address, Persistence::Stays);
    let refusal = r#"{"op":"error","id":1,"code":"unknown_topic","message":"not yet"}"#;
    server.next().await.says(refusal).await;
    let mut asked = server.next().await;
    asked.says(&ok()).await;
    asked.says(&close(8)).await;
    count(&checker, 1).await;
    assert!(checker.violations().is_empty());
    drop(asked);
    let told = async || Ok((!checker.violations().is_empty()).then_some(()));
    wait::until("the violation", PATIENCE, told).await.unwrap();
    assert!(
        checker.violations()[0]
            .to_string()
            .contains("the connection ended")
    );
}

#[tokio::test]
async fn what_is_missed_or_no_contract_is_told() {
    let (server, address) = Server::bind().await;
    let checker = check(address, Persistence::Returns);
    let mut asked = server.next().await;
    let missed = format!(r#"{{"op":"missed","topic":"{TOPIC}","from":3,"to":7}}"#);
    asked
        .says(&format!("{}\n{missed}\nnonsense\n{}", ok(), close(8)))
        .await;
    count(&checker, 1).await;
    let told: Vec<_> = checker
        .violations()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(told.len(), 2);
    assert!(
        told[0].contains("3 to 7") && told[1].contains("nonsense"),
        "{told:?}"
    );
}
