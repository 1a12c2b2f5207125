//! NATS that cannot be used as it is: exit code 3, one line that says why, and nothing changed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use cluster::nats::request;
use cluster::wait::PATIENCE;
use cluster::{NatsOptions, NatsServer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::{Ended, GATEWAY, MARKETDATA, Place, built, streams, words};

/// What each kind of process is started with, but for the server.
const STARTS: [(&str, &str); 3] = [
    (
        MARKETDATA,
        "run --env it --shard 0 --assignment none.json --nats-replicas 1",
    ),
    (GATEWAY, "--env it --listen 127.0.0.1:0"),
    (MARKETDATA, "purge --env it"),
];

async fn start(place: &Place, start: (&str, &str), nats: &str, more: &str) -> Ended {
    let (binary, args) = start;
    let line = format!("{args} --nats-url {nats} --log off {more}");
    place.ends(binary, &words(&line)).await
}

#[tokio::test]
async fn wrong_credentials() {
    if !built() {
        return;
    }
    let users = NatsOptions::with("authorization { users: [ { user: good, password: pw } ] }");
    let nats = NatsServer::start_with(&users).await.unwrap();
    let place = Place::new();
    let no_seed = place.replace("seed.nk", b"no seed at all\n");
    let no_seed = format!("--nats-nkey {}", no_seed.display());
    let half = b"-----BEGIN NATS USER JWT-----\neyJ0eXAiOiJKV1QiLCJhbGciOi\n";
    let files: [&[u8]; 4] = [b"", b"no credentials at all\n", half, b"\xff\xfe"];
    let creds = files.iter().enumerate().map(|(at, text)| {
        let path = place.replace(&format!("{at}.creds"), text);
        format!("--nats-creds {}", path.display())
    });
    let creds: Vec<String> = creds.collect();
    for of in STARTS {
        let wrong = [
            "",
            "--nats-user good --nats-password bad",
            "--nats-user stranger --nats-password pw",
            "--nats-token t",
            &no_seed,
        ];
        for more in wrong.into_iter().chain(creds.iter().map(String::as_str)) {
            let ended = start(&place, of, &nats.url(), more).await;
            ended.check_alone(3, &["the NATS credentials are refused"]);
            assert!(!ended.stderr.contains("bad"), "a secret is told: {ended:?}");
        }
    }
    assert_eq!(nats.streams().await.unwrap(), []);
    let good = "--nats-user good --nats-password pw";
    let ended = start(&place, STARTS[2], &nats.url(), good).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// A server of an old release, which says hello; and every line that it was told.
async fn old_server() -> (SocketAddr, Arc<Mutex<Vec<String>>>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let mut task = JoinSet::new();
    task.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let info = r#"INFO {"server_id":"X","version":"2.9.0","proto":1,"max_payload":1048576,"headers":true}"#;
            let hello = format!("{info}\r\n");
            stream.write_all(hello.as_bytes()).await.unwrap();
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
                if line.starts_with("PING") && stream.write_all(b"PONG\r\n").await.is_err() {
                    break;
                }
                heard.lock().unwrap().push(std::mem::take(&mut line));
            }
        }
    });
    (address, told, task)
}

#[tokio::test]
async fn a_server_that_is_too_old() {
    if !built() {
        return;
    }
    let (address, told, _task) = old_server().await;
    let (place, url) = (Place::new(), format!("nats://{address}"));
    for of in STARTS {
        let ended = start(&place, of, &url, "").await;
        let version = "is 2.9.0; version 2.12 or later is needed";
        ended.check_alone(3, &[&url, version]);
    }
    let told = told.lock().unwrap();
    assert!(
        told.iter().any(|line| line.starts_with("CONNECT")),
        "{told:?}"
    );
    let greets = |line: &String| {
        let word = line.split_whitespace().next();
        word.is_none_or(|word| ["CONNECT", "PING", "PONG"].contains(&word))
    };
    assert!(told.iter().all(greets), "{told:?}");
}

/// The streams of a feed as a publisher would make them, as far as they must be told apart.
fn stream(env: &str, which: &str, owner: Option<&str>) -> (String, Value) {
    let bucket = format!("MF_{env}_local_LEASES");
    let (name, subjects) = match which {
        "closes" => (
            format!("MF_{env}_local_CLOSES"),
            vec![
                format!("bar.{env}.local.*.*.*"),
                format!("ckpt.{env}.local.*.*"),
            ],
        ),
        "open" => (
            format!("MF_{env}_local_OPEN"),
            vec![format!("kline.{env}.local.*.*.*.open")],
        ),
        _ => (format!("KV_{bucket}"), vec![format!("$KV.{bucket}.>")]),
    };
    let metadata = owner.map(|owner| json!({"marketfeed.dev/owner": owner}));
    let config = json!({
        "name": name, "subjects": subjects, "num_replicas": 1, "max_msgs_per_subject": 7, "metadata": metadata,
    });
    (name, config)
}

async fn make(nats: &NatsServer, (name, config): &(String, Value)) {
    let subject = format!("$JS.API.STREAM.CREATE.{name}");
    let made = request(nats.address(), &subject, &config.to_string()).await;
    assert_eq!(made.unwrap()["config"]["name"], **name);
}

#[tokio::test]
async fn streams_that_are_anothers_or_other_than_they_should_be() {
    if !built() {
        return;
    }
    let nats = NatsServer::start().await.unwrap();
    let place = Place::new();
    let mut number = 0;
    for which in ["closes", "leases", "open"] {
        for owner in [None, Some("somebody"), Some("ours")] {
            number += 1;
            let env = format!("env{number}");
            let made = stream(&env, which, owner);
            make(&nats, &made).await;
            let before = streams(nats.address()).await;
            let line = format!(
                "run --env {env} --shard 0 --assignment none.json --nats-replicas 1 --nats-owner ours"
            );
            let ended = start(&place, (MARKETDATA, &line), &nats.url(), "").await;
            let name = made.0.as_str();
            match owner {
                Some("ours") => {
                    let why = [
                        "exists with other settings; nothing was changed",
                        "is 7, not",
                    ];
                    ended.check_alone(3, &[name, why[0], why[1]]);
                }
                other => {
                    let whose = format!("belongs to {:?}, not to \"ours\"", other.unwrap_or(""));
                    ended.check_alone(3, &[name, &whose, "nothing was changed"]);
                }
            }
            // Nothing is made beside it either.
            assert_eq!(streams(nats.address()).await, before);
        }
    }
}

#[tokio::test]
async fn a_gateway_takes_streams_of_whom_it_was_told_only() {
    if !built() {
        return;
    }
    let nats = NatsServer::start().await.unwrap();
    let place = Place::new();
    for which in ["closes", "leases", "open"] {
        make(&nats, &stream("it", which, Some("somebody"))).await;
    }
    let before = streams(nats.address()).await;
    let ended = start(&place, STARTS[1], &nats.url(), "--nats-owner ours").await;
    ended.check_alone(3, &["MF_it_local_", "\"somebody\", not to \"ours\""]);
    // It makes none, and changes none, so that settings are not its business.
    for more in ["", "--nats-owner somebody"] {
        let mut gateway = place.gateway(&nats.url(), &words(more));
        gateway.ready().await;
        let ended = gateway.process.terminate(PATIENCE).await.unwrap();
        assert_eq!(ended.code(), Some(0));
    }
    assert_eq!(streams(nats.address()).await, before);
}

#[tokio::test]
async fn a_server_without_jetstream_is_told_apart_and_waited_for() {
    if !built() {
        return;
    }
    let without = NatsOptions::with("jetstream: disabled");
    let nats = NatsServer::start_with(&without).await.unwrap();
    let place = Place::new();
    let why = "JetStream is not enabled on this NATS server (nats-server -js)";
    let ended = start(&place, STARTS[2], &nats.url(), "--within 1s").await;
    ended.check_alone(1, &["not done within 1 s", why]);
    let mut marketdata = place.marketdata(&nats.url(), &place.path("none.json"), &[]);
    let mut gateway = place.gateway(&nats.url(), &[]);
    let lacks: [&[&str]; 2] = [&["nats", "assignment"], &["nats"]];
    for (waiting, lacks) in [&mut marketdata, &mut gateway].into_iter().zip(lacks) {
        let line = waiting.process.wait_for_line(why, PATIENCE).await.unwrap();
        assert!(line.contains("NATS cannot be used yet"), "{line}");
        waiting.check_unready(lacks).await;
    }
}

#[tokio::test]
async fn more_replicas_than_servers() {
    if !built() {
        return;
    }
    let nats = NatsServer::start().await.unwrap();
    let line = "run --env it --shard 0 --assignment none.json --nats-replicas 3";
    let ended = start(&Place::new(), (MARKETDATA, line), &nats.url(), "").await;
    ended.check_alone(3, &["3 replicas are wanted", "set --nats-replicas 1"]);
    assert!(streams(nats.address()).await.is_empty());
}
