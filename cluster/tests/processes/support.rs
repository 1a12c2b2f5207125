//! Processes of one feed around one NATS server, and what is seen of them from outside.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster::nats::request;
use cluster::wait::{self, PATIENCE};
use cluster::{Checker, NatsServer, Persistence, Process, Program, http, ports, tools};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use wire::Topic;

pub(crate) const MARKETDATA: &str = "marketfeed-marketdata";
pub(crate) const GATEWAY: &str = "marketfeed-gateway";
pub(crate) const EXCHANGE: &str = "exchange-sim";

/// The stream of closes and checkpoints.
pub(crate) const CLOSES: &str = "MF_it_local_CLOSES";

/// The bucket of leases.
pub(crate) const LEASES: &str = "KV_MF_it_local_LEASES";

/// More than any drain.
pub(crate) const END_MAX: Duration = Duration::from_secs(45);

/// Whether all that is run here is there: the binaries are when the whole workspace is tested.
pub(crate) fn built() -> bool {
    let binaries = [MARKETDATA, GATEWAY, EXCHANGE].map(tools::binary);
    let mut needed = binaries.into_iter().chain([tools::nats_server()]);
    let absent = needed.find_map(Result::err);
    if let Some(absent) = &absent {
        println!("skipped: {absent}");
    }
    absent.is_none()
}

/// A folder, and the programs that write their logs into it.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program whose log holds both of its outputs.
    pub(crate) fn program(&self, binary: &str, args: &[&str]) -> Program {
        let log = self.path(&format!("{binary}-{}.log", fastrand::u32(..)));
        Program::new(binary, tools::binary(binary).unwrap(), log).args(args)
    }

    /// Runs it to its end, which it must come to by itself.
    pub(crate) async fn ends(&self, binary: &str, args: &[&str]) -> Ended {
        let number = fastrand::u32(..);
        let (stdout, stderr) = (
            self.path(&format!("{number}.out")),
            self.path(&format!("{number}.err")),
        );
        // The guard's log gets what is left of the outputs: the errors.
        let mut process = Program::new(binary, "/bin/sh", &stderr)
            .args(["-c", r#"out=$0; exec "$@" > "$out""#])
            .args([&stdout, &tools::binary(binary).unwrap()])
            .args(args)
            .env("RUST_BACKTRACE", "1")
            .start()
            .unwrap();
        let status = process.ended(END_MAX).await.unwrap();
        Ended {
            code: status.code(),
            stdout: fs::read_to_string(stdout).unwrap(),
            stderr: fs::read_to_string(stderr).unwrap(),
        }
    }

    /// Writes a file as `assign` does: whole, or not at all.
    pub(crate) fn replace(&self, name: &str, text: &[u8]) -> PathBuf {
        let (beside, path) = (self.path("beside"), self.path(name));
        fs::write(&beside, text).unwrap();
        fs::rename(beside, &path).unwrap();
        path
    }

    /// `marketfeed-marketdata run` of shard 0, not waited for.
    pub(crate) fn marketdata(&self, nats: &str, assignment: &Path, more: &[&str]) -> Daemon {
        let admin = ports::free().unwrap();
        let args = format!(
            "run --shard 0 --env it --nats-replicas 1 --nats-url {nats} --admin-listen {admin} --assignment {}",
            assignment.display()
        );
        let program = self.program(MARKETDATA, &words(&args)).args(more);
        Daemon {
            process: program.start().unwrap(),
            admin,
            listen: admin,
        }
    }

    /// `marketfeed-gateway`, not waited for.
    pub(crate) fn gateway(&self, nats: &str, more: &[&str]) -> Daemon {
        let (listen, admin) = (ports::free().unwrap(), ports::free().unwrap());
        let args = format!("--env it --nats-url {nats} --listen {listen} --admin-listen {admin}");
        // By variables, before which flags go.
        let program = self.program(GATEWAY, &words(&args)).args(more);
        let program = program
            .env("MARKETFEED_LINGER", "100ms")
            .env("MARKETFEED_DRAIN", "100ms");
        Daemon {
            process: program.start().unwrap(),
            admin,
            listen,
        }
    }

    /// A simulator of three symbols, which answers.
    pub(crate) async fn exchange(&self) -> (Process, SocketAddr) {
        let listen = ports::free().unwrap();
        let args = format!(
            "serve --listen {listen} --generate binance-spot:BTC-USDT,binance-spot:ETH-USDT,binance-spot:SOL-USDT,coinbase:BTC-USD \
             --rate 90 --seed 1 --start immediately"
        );
        let mut process = self.program(EXCHANGE, &words(&args)).start().unwrap();
        let up = process.wait_for_http(listen, "/admin/status", PATIENCE);
        up.await.unwrap();
        (process, listen)
    }
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// It ended with this code, and said why in one line that holds these parts. Its log is not counted.
    #[track_caller]
    pub(crate) fn check(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        let mut errors = self
            .stderr
            .lines()
            .filter(|line| line.starts_with("error: "));
        let error = errors.next().unwrap_or_default();
        for part in parts {
            assert!(error.contains(part), "no {part:?} in {self:?}");
        }
        assert_eq!(errors.next(), None, "{self:?}");
        for never in ["panicked", "backtrace", "Usage:"] {
            assert!(!self.stderr.contains(never), "{self:?}");
        }
    }

    /// As [`Ended::check`], and nothing else was said.
    #[track_caller]
    pub(crate) fn check_alone(&self, code: i32, parts: &[&str]) {
        self.check(code, parts);
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
    }
}

/// A process that runs until it is told to end.
pub(crate) struct Daemon {
    pub(crate) process: Process,
    pub(crate) admin: SocketAddr,
    /// Where a gateway's clients connect.
    pub(crate) listen: SocketAddr,
}

impl Daemon {
    /// Status and body, once it answers; it must go on running until then.
    pub(crate) async fn get(&mut self, path: &str) -> (u16, String) {
        wait::until("an answer", PATIENCE, async || {
            if let Some(status) = self.process.try_ended()? {
                anyhow::bail!("ended with {status}: {}", self.process.name());
            }
            Ok(http::get(self.admin, path).await.ok())
        })
        .await
        .unwrap()
    }

    /// It is alive, and not ready for exactly these reasons.
    pub(crate) async fn check_unready(&mut self, lacks: &[&str]) {
        assert_eq!(self.get("/livez").await.0, 200);
        let expect: String = lacks
            .iter()
            .map(|what| format!("not ready: {what}\n"))
            .collect();
        assert_eq!(self.get("/readyz").await, (503, expect));
    }

    /// Waits until it is not ready for exactly these reasons.
    pub(crate) async fn unready(&mut self, lacks: &[&str]) {
        let expect: String = lacks
            .iter()
            .map(|what| format!("not ready: {what}\n"))
            .collect();
        wait::until(&expect, PATIENCE, async || {
            Ok((self.get("/readyz").await.1 == expect).then_some(()))
        })
        .await
        .unwrap();
        assert_eq!(self.get("/livez").await.0, 200);
    }

    pub(crate) async fn ready(&mut self) {
        let ready = self.process.wait_for_http(self.admin, "/readyz", PATIENCE);
        ready.await.unwrap();
    }

    /// A metric by its name and labels as they are written; 0 where it is not there yet.
    pub(crate) async fn metric(&mut self, name: &str) -> u64 {
        let (_, text) = self.get("/metrics").await;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a metric has this value.
    pub(crate) async fn metric_is(&mut self, name: &str, value: u64) {
        wait::until(&format!("{name} {value}"), PATIENCE, async || {
            Ok((self.metric(name).await == value).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Waits until a metric has this value at least.
    pub(crate) async fn metric_reaches(&mut self, name: &str, value: u64) -> u64 {
        wait::until(&format!("{name} {value}"), PATIENCE, async || {
            let now = self.metric(name).await;
            Ok((now >= value).then_some(now))
        })
        .await
        .unwrap()
    }

    /// Lines of its log that hold this.
    pub(crate) fn lines(&self, part: &str) -> Vec<String> {
        let said = self.process.log_text().unwrap();
        let lines = said.lines().filter(|line| line.contains(part));
        lines.map(str::to_owned).collect()
    }

    pub(crate) fn interrupt(&self) {
        let pid = i32::try_from(self.process.pid().unwrap()).unwrap();
        kill_process_group(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    }
}

/// NATS, the exchange, one marketdata process and one gateway, all at work. What is dropped ends.
pub(crate) struct Feed {
    pub(crate) gateway: Daemon,
    pub(crate) marketdata: Daemon,
    pub(crate) assignment: PathBuf,
    pub(crate) exchange: SocketAddr,
    _exchange: Process,
    pub(crate) nats: NatsServer,
    pub(crate) place: Place,
}

impl Feed {
    pub(crate) async fn start() -> Self {
        let place = Place::new();
        let nats = NatsServer::start().await.unwrap();
        let (process, exchange) = place.exchange().await;
        let assignment = place.replace("assignment.json", assignment(exchange, 5).as_bytes());
        let mut marketdata = place.marketdata(&nats.url(), &assignment, &[]);
        let mut gateway = place.gateway(&nats.url(), &[]);
        marketdata.ready().await;
        gateway.ready().await;
        Self {
            gateway,
            marketdata,
            assignment,
            exchange,
            _exchange: process,
            nats,
            place,
        }
    }

    /// A client of every topic that must stay connected.
    pub(crate) fn client(&self) -> Checker {
        let topics = topics().iter().map(ToString::to_string).collect();
        Checker::start("it", self.gateway.listen, topics, Persistence::Stays)
    }
}

/// The topics of [`assignment`].
pub(crate) fn topics() -> Vec<Topic> {
    let symbols = ["BTC-USDT", "ETH-USDT"];
    let topics = symbols.iter().map(|symbol| format!("kline:1s:{symbol}"));
    topics.map(|topic| topic.parse().unwrap()).collect()
}

/// Two more closes of every topic, and nothing wrong so far.
pub(crate) async fn goes_on(client: &Checker) {
    let topics = topics();
    let wait = client.wait_for_closes(&topics, client.now(), 2, PATIENCE);
    wait.await.unwrap();
    assert_eq!(client.violations(), []);
}

/// Two symbols on one shard.
pub(crate) fn assignment(exchange: SocketAddr, generation: u64) -> String {
    json!({
        "version": 1, "generation": generation, "intervals": ["1s"], "shards": 1,
        "sources": [{
            "venue": "binance-spot",
            "endpoints": {
                "ws": format!("ws://{exchange}/binance-spot"),
                "rest": format!("http://{exchange}/binance-spot"),
            },
            "instruments": [{"symbol": "BTC-USDT", "shard": 0}, {"symbol": "ETH-USDT", "shard": 0}],
        }],
    })
    .to_string()
}

/// Every stream by its name: its settings, and how much is in it.
pub(crate) async fn streams(server: SocketAddr) -> BTreeMap<String, Value> {
    let list = request(server, "$JS.API.STREAM.LIST", "{}").await.unwrap();
    let list = list["streams"].as_array().cloned().unwrap_or_default();
    let entry = |info: Value| {
        let name = info["config"]["name"].as_str().unwrap().to_owned();
        let state = &info["state"];
        let (config, messages, last) = (&info["config"], &state["messages"], &state["last_seq"]);
        (name, json!([config, info["created"], messages, last]))
    };
    list.into_iter().map(entry).collect()
}

pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The newest message of a subject, which is JSON.
pub(crate) async fn last(nats: &NatsServer, stream: &str, subject: &str) -> Value {
    let ask = json!({"last_by_subj": subject}).to_string();
    let api = format!("$JS.API.STREAM.MSG.GET.{stream}");
    let answer = request(nats.address(), &api, &ask).await.unwrap();
    let data = answer["message"]["data"].as_str();
    let data = data.unwrap_or_else(|| panic!("{subject}: {answer}"));
    serde_json::from_slice(&base64(data)).unwrap()
}

/// Base64 with padding, as JetStream's interface writes payloads.
fn base64(text: &str) -> Vec<u8> {
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for c in text.trim_end_matches('=').chars() {
        bits = bits << 6 | u32::try_from(digits.find(c).unwrap()).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}

/// Publishes without asking for an acknowledgement, and waits until the server has taken it.
pub(crate) async fn publish(server: SocketAddr, subject: &str, payload: &str) {
    let mut stream = BufReader::new(TcpStream::connect(server).await.unwrap());
    let text = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nPUB {subject} {}\r\n{payload}\r\nPING\r\n",
        payload.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let taken = async {
        loop {
            let mut line = String::new();
            assert_ne!(
                stream.read_line(&mut line).await.unwrap(),
                0,
                "the server hung up"
            );
            assert!(!line.starts_with("-ERR"), "{line}");
            if line.starts_with("PONG") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.unwrap();
}
