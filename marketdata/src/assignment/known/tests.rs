use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::time::Instant;

use super::super::tests::text;
use super::*;

const SOURCES: [(&str, &[&str]); 2] = [
    ("binance-spot", &["BTC-USDT", "NOSUCH-USDT"]),
    ("coinbase", &["BTC-USD", "NOSUCH-USD"]),
];

/// An assignment of both venues at this listener, and all of its instruments.
fn at(listener: &TcpListener) -> (Assignment, Vec<Instrument>) {
    let address = listener.local_addr().unwrap();
    let text = text(1, &SOURCES).replace("127.0.0.1:9/", &format!("{address}/"));
    let assignment = Assignment::parse(text.as_bytes()).unwrap();
    let of = |(venue, symbols): (&str, &[&str])| -> Vec<Instrument> {
        let instrument = |it: &&str| Instrument::new(venue.parse().unwrap(), it.parse().unwrap());
        symbols.iter().map(instrument).collect()
    };
    (assignment, SOURCES.into_iter().flat_map(of).collect())
}

/// Takes one request; gives its path, and where the answer goes.
async fn asked(listener: &TcpListener) -> (String, TcpStream) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    (head.split(' ').nth(1).unwrap().to_owned(), stream)
}

async fn answer(stream: TcpStream, body: &str) {
    answer_as(stream, 200, body).await;
}

async fn answer_as(mut stream: TcpStream, status: u16, body: &str) {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} It\r\nContent-Length: {length}\r\n\r\n{body}");
    // Whoever asked may have lost patience.
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// Two venues of which neither answers before both are asked.
async fn answer_late(listener: &TcpListener) {
    let gate = Barrier::new(2);
    let late = async || {
        let (path, stream) = asked(listener).await;
        gate.wait().await;
        match path.as_str() {
            "/binance-spot/api/v3/ticker/price" => {
                answer(stream, r#"[{"symbol":"BTCUSDT","price":"1"}]"#).await;
            }
            "/coinbase/products" => answer(stream, r#"[{"id":"BTC-USD"}]"#).await,
            other => panic!("{other}"),
        }
    };
    tokio::join!(late(), late());
}

#[tokio::test]
async fn venues_are_asked_at_the_same_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (assignment, all) = at(&listener);
    let budgets = RestBudgets::default();
    let said = ask(&assignment, &all, &budgets);
    let (said, ()) = tokio::join!(said, answer_late(&listener));
    let [btc_usdt, no_usdt, btc_usd, no_usd] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!(said.has, [btc_usdt.clone(), btc_usd.clone()]);
    assert_eq!(said.lacks, [no_usdt.clone(), no_usd.clone()]);
}

async fn now() -> Instant {
    tokio::time::interval(ASK_MAX).tick().await
}

#[tokio::test(start_paused = true)]
async fn those_that_never_answer_take_their_time_once() {
    // Nobody accepts what is connected.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (assignment, all) = at(&listener);
    let begun = now().await;
    let said = ask(&assignment, &all, &RestBudgets::default()).await;
    assert_eq!(said, Said::default());
    assert_eq!(now().await - begun, ASK_MAX);
}

/// What is there of Binance and Coinbase is listed in one answer; it must be taken whole.
#[tokio::test]
async fn a_listing_of_a_megabyte_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        let (_, stream) = asked(&listener).await;
        let row = |n| format!(r#"{{"id":"S{n}-USD","note":"{:x>1000}"}}"#, "");
        let rows: Vec<String> = (0..1_200).map(row).collect();
        answer(stream, &format!("[{}]", rows.join(","))).await;
    };
    let symbols = ["S7-USD", "S1200-USD"].map(|it| it.parse().unwrap());
    let venue = venue::adapter(&"coinbase".parse().unwrap(), &symbols).unwrap();
    let budget = RestBudgets::default().of(venue.as_ref());
    let rest = format!("http://{address}");
    let unknown = unknown_symbols(venue.as_ref(), &rest, &budget);
    let (unknown, ()) = tokio::join!(unknown, serve);
    assert_eq!(unknown, Ok(vec![symbols[1].clone()]));
}

#[tokio::test]
async fn an_answer_of_another_status_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rest = format!("http://{}", listener.local_addr().unwrap());
    let symbols = ["BTC-USDT".parse().unwrap()];
    let venue = venue::adapter(&"binance-spot".parse().unwrap(), &symbols).unwrap();
    let budget = RestBudgets::default().of(venue.as_ref());
    let body = r#"[{"symbol":"ETHUSDT","price":"1"}]"#;
    for (status, says) in [
        (200, Ok(symbols.to_vec())),
        (404, Err(Unasked::Unclear(404))),
        (503, Err(Unasked::Unclear(503))),
        (429, Err(Unasked::TooMany)),
    ] {
        let unknown = unknown_symbols(venue.as_ref(), &rest, &budget);
        let serve = async { answer_as(asked(&listener).await.1, status, body).await };
        let (unknown, ()) = tokio::join!(unknown, serve);
        assert_eq!(unknown, says);
    }
    // All that ask the venue leave it alone, though it did not say for how long.
    assert!(budget.with(|it| it.take(budget.now_ms(), 1)).is_err());
}
