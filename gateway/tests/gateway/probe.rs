//! `marketfeed-gateway probe` against a gateway, as a pod of `helm test` runs it.

use std::net::SocketAddr;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{Running, Stream, options, within};

/// What a probe says, while this test's gateway goes on.
async fn probe(args: Vec<String>) -> (Option<i32>, String, String) {
    let run = move || {
        Command::new(env!("CARGO_BIN_EXE_marketfeed-gateway"))
            .arg("probe")
            .args(args)
            .output()
            .unwrap()
    };
    let ended = within(tokio::task::spawn_blocking(run)).await.unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = ended;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn words(address: SocketAddr, more: &str) -> Vec<String> {
    let line = format!("--url ws://{address}/ws {more}");
    line.split_whitespace().map(str::to_owned).collect()
}

/// It begins before there is anything, and ends with a bar of the shortest interval that came after the one that it was
/// given first.
#[tokio::test]
async fn it_waits_for_a_live_bar() {
    let gateway = Running::start_whole(options());
    let mut probe = Box::pin(probe(words(gateway.address, "--timeout 20s")));
    let (mut minute, mut second) = (
        Stream::new("kline:1m:BTC-USDT"),
        Stream::new("kline:1s:BTC-USDT"),
    );
    let (code, stdout, stderr) = loop {
        gateway.publish([minute.open(), second.open()]).await;
        let tick = std::time::Duration::from_millis(50);
        tokio::select! {
            ended = &mut probe => break ended,
            () = tokio::time::sleep(tick) => {}
        }
    };
    assert_eq!((code, &stderr[..]), (Some(0), ""), "{stdout}");
    let bar: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(bar["op"], "bar");
    assert_eq!(bar["topic"], "kline:1s:BTC-USDT");
    assert!(bar["seq"].as_u64().unwrap() > 1, "{bar}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_bar_that_was_there_is_not_a_live_one() {
    let gateway = Running::start_whole(options());
    gateway
        .publish([Stream::new("kline:1s:BTC-USDT").open()])
        .await;
    gateway.knows(1).await;
    let (code, stdout, stderr) = probe(words(gateway.address, "--timeout 3s")).await;
    assert_eq!((code, &stdout[..]), (Some(1), ""));
    assert_eq!(
        stderr,
        "error: no live bar within 3s: it was waiting for a live bar of kline:1s:BTC-USDT\n"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_in_the_way_is_said() {
    let gateway = Running::start_whole(options());
    let check = async |args: Vec<String>, parts: &[&str]| {
        let (code, stdout, stderr) = probe(args.clone()).await;
        assert_eq!((code, &stdout[..]), (Some(1), ""), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{args:?}: no {part:?} in {stderr}");
        }
    };
    let address = gateway.address;
    check(words(address, "--timeout 3s"), &["carries no topic yet"]).await;
    let topic = "--timeout 3s --topic kline:1s:ETH-USDT";
    check(words(address, topic), &["kline:1s:ETH-USDT"]).await;
    let page = vec![
        format!("--url=http://{address}/nothing"),
        "--timeout=3s".to_owned(),
    ];
    check(page, &["no answer 200", "with 404", "/nothing"]).await;
    // A page is no WebSocket.
    let page = vec![
        format!("--url=ws://{address}/hello"),
        "--topic=kline:1s:BTC-USDT".to_owned(),
        "--timeout=3s".to_owned(),
    ];
    check(page, &["the WebSocket failed", "200"]).await;
    gateway.stop().await;
    check(
        words(address, "--timeout 3s"),
        &["cannot connect to", &address.to_string()],
    )
    .await;
}

#[tokio::test]
async fn an_answer_is_enough_where_http_is_asked_for() {
    let gateway = Running::start_whole(options());
    let url = format!("http://{}/api/v1/topics", gateway.address);
    let (code, stdout, stderr) = probe(vec![format!("--url={url}")]).await;
    assert_eq!((code, &stderr[..]), (Some(0), ""));
    assert_eq!(stdout, format!("{url} answers 200: {{\"topics\":[]}}\n"));
    gateway.stop().await;
}
