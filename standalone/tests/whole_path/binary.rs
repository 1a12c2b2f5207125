//! The `marketfeed` process: its exit codes, its one line when it cannot start, its stop.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn marketfeed(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marketfeed"));
    command
        .arg("up")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// It does not start: exit code 2, one line on stderr that holds `part`, nothing on stdout.
#[track_caller]
fn refuses(args: &[&str], part: &str) {
    let Output {
        status,
        stdout,
        stderr,
    } = marketfeed(args).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{args:?}: {stderr}");
    assert!(stdout.is_empty(), "{args:?}");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    assert!(
        stderr.starts_with("error: ") && stderr.contains(part),
        "{args:?}: {stderr}"
    );
}

#[test]
fn what_cannot_start_says_why_in_one_line() {
    refuses(&[], "--generate");
    refuses(&["--generate", "btc"], "BASE-QUOTE");
    refuses(
        &["--generate", "BTC-USDT", "--intervals", "7s"],
        "does not divide a day",
    );
    refuses(&["--generate", "BTC-USDT", "--lisen", "x"], "--lisen");
    refuses(
        &["--generate", "BTC-USDT", "--symbols", "ETH-USDT"],
        "no ETH-USDT",
    );
    refuses(&["--generate", "BTC-USDT", "--log", "loud"], "loud");
    refuses(&["--replay", "binance-spot=/nowhere/x.gz"], "/nowhere/x.gz");
    refuses(&["--replay", "kraken=/nowhere/x.gz"], "kraken");
    refuses(&["--replay", "coinbase=/"], "/");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    refuses(
        &[
            "--generate",
            "BTC-USDT",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            manifest,
        ],
        "Cargo.toml",
    );
    refuses(&["--replay", &format!("coinbase={manifest}")], "Cargo.toml");
}

/// It does not get past its port, which is taken: all that was said before that was taken.
#[track_caller]
fn gets_to_its_port(args: &[&str], variables: &[(&str, &str)]) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = marketfeed(args);
    command.args(["--listen", &address]);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2) && stderr.contains(&address),
        "{args:?} {variables:?}: {stderr}"
    );
}

#[test]
fn variables_of_another_market_do_not_count_beside_a_flag() {
    let generate = ["--generate", "BTC-USDT"];
    let speed = ("MARKETFEED_SPEED", "5");
    let live = ("MARKETFEED_LIVE", "1");
    let endpoint = ("MARKETFEED_ENDPOINT", "coinbase=ws://127.0.0.1:1");
    let replay = ("MARKETFEED_REPLAY", "coinbase=/nowhere/x.gz");
    gets_to_its_port(&generate, &[speed, live, endpoint, replay]);
    gets_to_its_port(&[], &[("MARKETFEED_GENERATE", "BTC-USDT"), speed, endpoint]);
    let market = ("MARKETFEED_GENERATE", "BTC-USDT");
    let plain = "coinbase=ws://127.0.0.1:1";
    let elsewhere = [
        "--live",
        "--symbols",
        "coinbase:BTC-USD",
        "--endpoint",
        plain,
    ];
    gets_to_its_port(&elsewhere, &[market, speed, replay]);
}

#[test]
fn a_variable_that_is_the_cause_is_named() {
    let check = |variables: &[(&str, &str)], part: &str| {
        let output = marketfeed(&[])
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1));
        assert!(stderr.contains(part), "{stderr}");
    };
    let market = ("MARKETFEED_GENERATE", "BTC-USDT");
    check(&[market, ("MARKETFEED_LIVE", "1")], "MARKETFEED_GENERATE");
    check(&[market, ("MARKETFEED_LIVE", "1")], "MARKETFEED_LIVE");
    check(&[market, ("MARKETFEED_RATE", "0")], "MARKETFEED_RATE");
    check(&[("MARKETFEED_GENERATE", "btc")], "MARKETFEED_GENERATE");
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refuses(&["--generate", "BTC-USDT", "--listen", &address], &address);
}

/// A process that runs, cut at the end of the test whatever happens.
struct Running {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    /// The lines of standard error that `wait_for` has read.
    passed: String,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut child = marketfeed(args)
            .args(["--listen", "127.0.0.1:0"])
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut running = Self {
            child,
            stdout,
            passed: String::new(),
        };
        let mut line = String::new();
        running.stdout.read_line(&mut line).unwrap();
        assert!(
            line.starts_with("marketfeed is at http://127.0.0.1:"),
            "{line:?}"
        );
        running
    }

    /// Asks it to stop as Ctrl-C does; exit code and what it said on stderr.
    fn stop(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        let mut said = String::new();
        self.stdout.read_line(&mut said).unwrap();
        assert_eq!(said, "stopping; Ctrl-C again stops at once\n");
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        (self.child.wait().unwrap().code(), stderr)
    }

    /// The next line of its log that holds `part`.
    fn wait_for(&mut self, part: &str) -> String {
        let stderr = self.child.stderr.as_mut().unwrap();
        let mut line = Vec::new();
        let mut byte = [0];
        while stderr.read(&mut byte).unwrap() == 1 {
            if byte[0] != b'\n' {
                line.push(byte[0]);
                continue;
            }
            let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
            self.passed.push_str(&text);
            self.passed.push('\n');
            if text.contains(part) {
                return text;
            }
        }
        panic!("it ended without saying {part:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already over after a stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_interrupt_ends_it_well_and_quietly() {
    let (code, stderr) = Running::start(&["--generate", "BTC-USDT", "--log", "warn"]).stop();
    assert_eq!(code, Some(0), "{stderr}");
    let page = |line: &&str| line.contains("the chart page is not in this binary");
    assert_eq!(
        stderr.lines().filter(|line| !page(line)).count(),
        0,
        "{stderr}"
    );
}

#[test]
fn a_recording_that_is_cut_plays_to_the_cut_and_is_named_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut.gz");
    write_cut(&file);
    let replay = format!("coinbase={}", file.display());
    let mut running = Running::start(&["--replay", &replay, "--speed", "max"]);
    let line = running.wait_for("cut.gz");
    assert!(
        line.contains("WARN") && line.contains("after line"),
        "{line}"
    );
    let line = running.wait_for("the market is over");
    assert!(!line.contains("trades=0"), "{line}");
    let passed = std::mem::take(&mut running.passed);
    let (code, rest) = running.stop();
    assert_eq!(code, Some(0), "{rest}");
    let all = format!("{passed}{rest}");
    assert_eq!(all.matches("cut.gz").count(), 1, "{all}");
}

/// A compressed session of one product whose last third is missing.
fn write_cut(path: &Path) {
    let mut text = String::new();
    text.push_str("1618677817.0: {\"type\":\"subscriptions\",\"channels\":[{\"name\":\"matches\",\"product_ids\":[\"BTC-USD\"]}]}\n");
    for id in 0..3_000u64 {
        // Sizes that do not compress away.
        let size = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 1_000_000_000;
        let second = id / 60;
        text.push_str(&format!(
            "{}.5: {{\"type\":\"match\",\"trade_id\":{},\"maker_order_id\":\"a\",\"taker_order_id\":\"b\",\
             \"side\":\"sell\",\"size\":\"0.{size:09}1\",\"price\":\"100.25\",\"product_id\":\"BTC-USD\",\
             \"sequence\":{},\"time\":\"2021-04-17T16:43:{second:02}.244075Z\"}}\n",
            1_618_677_810 + second,
            1_000 + id,
            5_000 + id,
        ));
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    std::fs::write(path, &whole[..whole.len() * 2 / 3]).unwrap();
}
