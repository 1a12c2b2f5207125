//! The guards, against real servers: what is killed comes back with its data, what is cut carries nothing, and what is
//! dropped is gone.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails fails the test that called it"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use cluster::nats::request;
use cluster::wait::{self, PATIENCE};
use cluster::{Link, NatsCluster, NatsOptions, NatsServer, Nginx, Program, http, ports};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Creates a file stream and waits until it is there.
async fn create_stream(server: SocketAddr, name: &str, replicas: u64) {
    let subject = format!("$JS.API.STREAM.CREATE.{name}");
    let config = json!({"name": name, "subjects": [format!("{name}.>")], "num_replicas": replicas});
    let answer = request(server, &subject, &config.to_string())
        .await
        .unwrap();
    assert_eq!(answer["config"]["name"], name, "{answer}");
}

/// Publishes until the stream acknowledges, which it does not while it has no leader.
async fn publish(server: SocketAddr, subject: &str) -> u64 {
    wait::until("an acknowledgement", PATIENCE, async || {
        let ack: Value = request(server, subject, "x").await.unwrap_or_default();
        Ok(ack["seq"].as_u64())
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_server_that_was_killed_comes_back_with_its_data_and_a_dropped_one_is_gone() {
    let mut server = NatsServer::start().await.unwrap();
    create_stream(server.address(), "kept", 1).await;
    assert_eq!(publish(server.address(), "kept.a").await, 1);
    server.kill().unwrap();
    assert!(TcpStream::connect(server.address()).await.is_err());
    server.restart().await.unwrap();
    assert_eq!(publish(server.address(), "kept.a").await, 2);
    assert!(server.terminate().await.is_ok());
    server.restart().await.unwrap();
    let address = server.address();
    drop(server);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let error = NatsServer::start_with(&NatsOptions::with("no_such_option: 1")).await;
    let error = format!("{:#}", error.unwrap_err());
    assert!(error.contains("no_such_option"), "{error}");
}

#[tokio::test]
async fn a_paused_server_does_not_answer_until_it_is_resumed() {
    let server = NatsServer::start().await.unwrap();
    server.pause().unwrap();
    // Each of its threads stops at its next step.
    let silent = async || Ok(http::get(server.monitor(), "/healthz").await.err());
    wait::until("silence", PATIENCE, silent).await.unwrap();
    server.resume().unwrap();
    assert_eq!(
        http::get(server.monitor(), "/healthz").await.unwrap().0,
        200
    );
}

#[tokio::test]
async fn a_cluster_goes_on_without_the_leader_of_a_stream() {
    let mut nats = NatsCluster::start().await.unwrap();
    let addresses = nats.addresses();
    create_stream(addresses[0], "three", 3).await;
    assert_eq!(publish(addresses[0], "three.a").await, 1);
    let leader = nats.stream_leader("three", PATIENCE).await.unwrap();
    nats.node(leader).kill().unwrap();
    let other = (leader + 1) % 3;
    assert_eq!(publish(addresses[other], "three.a").await, 2);
    let next = nats.stream_leader("three", PATIENCE).await.unwrap();
    assert_ne!(next, leader);
    nats.node(leader).restart().await.unwrap();
    nats.ready().await.unwrap();
    nats.level(PATIENCE).await.unwrap();
    let streams = nats.streams().await;
    assert_eq!(streams.len(), 1);
    assert_eq!(
        (streams[0].name.as_str(), streams[0].last_sequence),
        ("three", 2)
    );
    assert_eq!(streams[0].subjects, ["three.>"]);
}

#[tokio::test]
async fn a_cut_link_carries_nothing_and_refuses_and_a_healed_one_carries_what_waited() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let link = Link::to(&[listener.local_addr().unwrap()]).await.unwrap();
    let mut client = TcpStream::connect(link.addresses()[0]).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    let mut piece = [0; 2];
    client.write_all(b"ab").await.unwrap();
    server.read_exact(&mut piece).await.unwrap();
    assert_eq!(&piece, b"ab");

    link.cut();
    assert!(link.is_cut());
    client.write_all(b"cd").await.unwrap();
    server.write_all(b"ef").await.unwrap();
    // A new connection is closed, which also shows that the link has had the time to carry what came before.
    let mut refused = TcpStream::connect(link.addresses()[0]).await.unwrap();
    let refusal = tokio::time::timeout(PATIENCE, refused.read(&mut piece));
    assert_eq!(refusal.await.unwrap().unwrap_or(0), 0);
    let nothing = |socket: &TcpStream| {
        let mut piece = [0; 1];
        socket.try_read(&mut piece).unwrap_err().kind() == std::io::ErrorKind::WouldBlock
    };
    assert!(nothing(&server) && nothing(&client));

    link.heal();
    server.read_exact(&mut piece).await.unwrap();
    assert_eq!(&piece, b"cd");
    client.read_exact(&mut piece).await.unwrap();
    assert_eq!(&piece, b"ef");
    let mut taken = TcpStream::connect(link.addresses()[0]).await.unwrap();
    let (mut end, _) = listener.accept().await.unwrap();
    taken.write_all(b"gh").await.unwrap();
    end.read_exact(&mut piece).await.unwrap();
    drop(end);
    assert_eq!(
        taken.read(&mut piece).await.unwrap_or(0),
        0,
        "the end passes"
    );
}

#[tokio::test]
async fn a_server_is_reached_by_its_link() {
    let server = NatsServer::start().await.unwrap();
    let link = Link::to(&[server.address()]).await.unwrap();
    assert_eq!(link.nats_urls(), format!("nats://{}", link.addresses()[0]));
    let info = || request(link.addresses()[0], "$JS.API.INFO", "");
    assert!(info().await.is_ok());
    link.cut();
    assert!(info().await.is_err());
    link.heal();
    assert!(info().await.is_ok());
}

#[tokio::test]
async fn a_process_tells_its_lines_its_end_and_its_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("sh.log");
    let script = "echo up $TOLD; trap 'echo down; exit 3' TERM; while :; do sleep 0.01; done";
    let program = Program::new("sh", "/bin/sh", &log)
        .args(["-c", script])
        .env("TOLD", "one");
    let mut process = program.start().unwrap();
    assert_eq!(
        process.wait_for_line("up", PATIENCE).await.unwrap(),
        "up one"
    );
    assert!(process.try_ended().unwrap().is_none());
    let status = process.terminate(PATIENCE).await.unwrap();
    assert_eq!(status.code(), Some(3));
    assert!(process.log_text().unwrap().contains("down"));

    process.restart().unwrap();
    process.wait_for_line("up one", PATIENCE).await.unwrap();
    assert!(
        !process.log_text().unwrap().contains("down"),
        "of this start"
    );
    process.kill().unwrap();
    assert_eq!(process.pid(), None);

    process.set_args(["-c", "echo why; exit 7"]);
    process.restart().unwrap();
    let error = process.wait_for_line("up", PATIENCE).await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("exit status: 7") && error.contains("why"),
        "{error}"
    );

    process.restart().unwrap();
    let end = wait::until("its end", PATIENCE, async || process.poll_end());
    let end = end.await.unwrap();
    let log = log.display();
    assert_eq!(
        end,
        format!("sh ended with exit status: 7: why (log: {log})")
    );
    assert_eq!(process.poll_end().unwrap(), None, "once");
}

#[tokio::test]
async fn what_a_process_started_ends_with_it_and_with_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("sh.log");
    let program =
        Program::new("sh", "/bin/sh", &log).args(["-c", "sleep 600 & echo child $!; wait"]);
    let mut process = program.start().unwrap();
    let line = process.wait_for_line("child", PATIENCE).await.unwrap();
    let child = line.split(' ').nth(1).unwrap().to_owned();
    let own = process.pid().unwrap().to_string();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _guard = process;
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    for pid in [own, child] {
        wait::until("its end", Duration::from_secs(60), async || {
            let stat = std::fs::read_to_string(Path::new("/proc").join(&pid).join("stat"));
            // A zombie that nobody waits for is over too.
            let over = stat.map_or(true, |stat| stat.contains(") Z "));
            Ok(over.then_some(()))
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn nginx_goes_to_a_gateway_that_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = ports::free().unwrap();
    let mut nginx = Nginx::start(&[nobody, listener.local_addr().unwrap()])
        .await
        .unwrap();
    let mut client = TcpStream::connect(nginx.address()).await.unwrap();
    let handshake =
        "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
    client.write_all(handshake.as_bytes()).await.unwrap();
    let (mut gateway, _) = listener.accept().await.unwrap();
    let mut head = vec![0; 4096];
    let read = gateway.read(&mut head).await.unwrap();
    let head = String::from_utf8_lossy(&head[..read]).to_ascii_lowercase();
    assert!(
        head.contains("upgrade: websocket") && head.contains("connection: upgrade"),
        "{head}"
    );
    assert!(nginx.answers().await);
    nginx.process().kill().unwrap();
    assert!(!nginx.answers().await);
}
