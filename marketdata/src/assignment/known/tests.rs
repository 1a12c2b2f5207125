use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Barrier;

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

/// Two venues of which neither answers before both are asked.
async fn answer_late(listener: &TcpListener) {
    let asked = Barrier::new(2);
    let answer = async || {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let body = match head.split(' ').nth(1).unwrap() {
            "/binance-spot/api/v3/ticker/price" => r#"[{"symbol":"BTCUSDT","price":"1"}]"#,
            "/coinbase/products" => r#"[{"id":"BTC-USD"}]"#,
            other => panic!("{other}"),
        };
        asked.wait().await;
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        // Whoever asked may have lost patience.
        let _ = stream.write_all(answer.as_bytes()).await;
    };
    tokio::join!(answer(), answer());
}

#[tokio::test]
async fn venues_are_asked_at_the_same_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (assignment, all) = at(&listener);
    let budgets = RestBudgets::default();
    let asked = ask(&assignment, &all, &budgets);
    let (said, ()) = tokio::join!(asked, answer_late(&listener));
    let [btc_usdt, no_usdt, btc_usd, no_usd] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!(said.has, [btc_usdt.clone(), btc_usd.clone()]);
    assert_eq!(said.lacks, [no_usdt.clone(), no_usd.clone()]);
}

#[tokio::test(start_paused = true)]
async fn those_that_never_answer_take_their_time_once() {
    // Nobody accepts what is connected.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (assignment, all) = at(&listener);
    let begun = Instant::now();
    let said = ask(&assignment, &all, &RestBudgets::default()).await;
    assert_eq!(said, Said::default());
    assert_eq!(begun.elapsed(), ASK_MAX);
}

/// What is there of Binance and Coinbase is listed in one answer; it must be taken whole.
#[tokio::test]
async fn a_listing_of_a_megabyte_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let row = |n| format!(r#"{{"id":"S{n}-USD","note":"{:x>1000}"}}"#, "");
        let rows: Vec<String> = (0..1_200).map(row).collect();
        let body = format!("[{}]", rows.join(","));
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await.unwrap();
        // What was asked, so that the connection is not reset with it unread.
        let mut asked = Vec::new();
        stream.read_to_end(&mut asked).await.unwrap();
    };
    let symbols = ["S7-USD", "S1200-USD"].map(|it| it.parse().unwrap());
    let venue = venue::adapter(&"coinbase".parse().unwrap(), &symbols).unwrap();
    let budget = RestBudgets::default().of(venue.as_ref());
    let rest = format!("http://{address}");
    let asked = unknown_symbols(venue.as_ref(), &rest, &budget);
    let (unknown, ()) = tokio::join!(asked, serve);
    assert_eq!(unknown, Ok(vec![symbols[1].clone()]));
}
