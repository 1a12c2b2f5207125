//! The `marketfeed-gateway` process: its line when it cannot start, its endpoints, its stop.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::{Value, json};

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marketfeed-gateway"));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn what_cannot_start_says_why_in_one_line() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let check = |args: &[&str], part: &str| {
        let Output {
            status,
            stdout,
            stderr,
        } = command(args).output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stdout.is_empty(), "{args:?}");
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        assert!(
            stderr.starts_with("error: ") && stderr.contains(part),
            "{stderr}"
        );
    };
    check(&[], "--env");
    check(&["--env", "demo", "--ring", "none"], "from 1 to 100000");
    check(&["--env", "demo", "--lisen", "x"], "--lisen");
    check(&["--env", "demo", "--listen", &taken], &taken);
    let admin = [
        "--env",
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        &taken,
    ];
    check(&admin, &taken);
}

/// A process that runs, cut at the end of the test whatever happens.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start() -> Self {
        let args = "--env demo --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --linger 1ms --drain 50ms --nats-url nats://127.0.0.1:1 --log error";
        let args: Vec<&str> = args.split(' ').collect();
        let mut child = command(&args).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// The address at the end of its next line.
    fn address(&mut self, begin: &str) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix(begin).unwrap();
        address.trim_end_matches('/').to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already over after a stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer's status line and body.
fn get(address: &str, path: &str) -> (String, String) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket
        .set_read_timeout(Some(crate::harness::PATIENCE))
        .unwrap();
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn it_serves_with_nobody_on_the_bus_and_ends_well() {
    let mut running = Running::start();
    let public = running.address("marketfeed-gateway is at http://");
    let admin = running.address("its admin endpoints are at http://");
    let (status, body) = get(&public, "/api/v1/topics");
    assert!(status.contains("200"), "{status}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body, json!({"topics": []}));
    let (status, body) = get(&public, "/api/v1/klines?symbol=BTC-USDT&interval=1m");
    assert!(
        status.contains("404") && body.contains("not_found"),
        "{body}"
    );
    // What is for who runs it is not for everybody.
    assert!(get(&public, "/admin/feed").0.contains("404"));
    assert!(get(&public, "/metrics").0.contains("404"));
    assert!(get(&admin, "/livez").0.contains("200"));
    // It has nothing to serve before it has reached the bus once.
    assert_eq!(get(&admin, "/readyz").1, "not ready: nats\n");
    let metrics = get(&admin, "/metrics").1;
    for name in [
        "broker_close_breaks_total 0",
        "broker_replays_total{end=\"page\"} 0",
    ] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
    let (_, body) = get(&admin, "/admin/feed");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["env"], &body["region"]),
        (&json!("demo"), &json!("local"))
    );
    assert_eq!(
        (&body["instruments"], &body["totals"]["fresh"]),
        (&json!([]), &json!(0))
    );
    let pid = running.child.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(asked.success());
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    let mut stderr = String::new();
    let mut pipe = running.child.stderr.take().unwrap();
    pipe.read_to_string(&mut stderr).unwrap();
    assert_eq!(stderr, "");
}
