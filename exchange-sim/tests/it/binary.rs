//! The binary: one clear line and exit code 2 for what is wrong, and a cut recording played to its cut.

use std::io::Write;
use std::process::Command;

use crate::support::{Sim, replay};
use exchange_sim::{Kind, Speed, source::generate};
use flate2::Compression;
use flate2::write::GzEncoder;

fn run(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_exchange-sim"))
        .args(args)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn what_is_wrong_is_one_line_and_exit_code_2() {
    let mut faults = tempfile::NamedTempFile::new().unwrap();
    faults.write_all(b"[{\"kind\":\"explode\"}]").unwrap();
    let faults = faults.path().to_str().unwrap();
    let mut foreign = tempfile::NamedTempFile::new().unwrap();
    foreign
        .write_all(b"{\"type\":\"subscriptions\",\"channels\":[]}\n")
        .unwrap();
    let foreign = format!("coinbase={}", foreign.path().to_str().unwrap());
    let early = recorded(1_700_000_000_000);
    let copy = recorded(1_700_000_000_000);
    let late = recorded(1_700_000_060_000);
    let venue = |name: &str, file: &tempfile::NamedTempFile| {
        format!("{name}={}", file.path().to_str().unwrap())
    };
    let check = |args: &[&str], expect: &str| {
        let (code, stderr) =
            run(&[&["serve", "--log", "off", "--listen", "127.0.0.1:0"], args].concat());
        let lines = stderr.lines().count();
        assert!(
            code == Some(2)
                && lines == 1
                && stderr.contains(expect)
                && stderr.matches("(os error").count() <= 1
                && stderr.matches("unknown variant").count() <= 1,
            "{args:?}: {code:?} {stderr}"
        );
    };
    check(&[], "--replay");
    check(&["--replay", "binance-spot"], "<venue>=<file>");
    check(&["--replay", "kraken=x"], "no venue");
    check(
        &["--replay", "coinbase=/nowhere.gz"],
        "cannot open recording /nowhere.gz",
    );
    check(
        &["--replay", &venue("coinbase", &early)],
        "another venue than coinbase",
    );
    check(
        &[
            "--replay",
            &venue("binance-spot", &late),
            &venue("binance-spot", &early),
        ],
        &format!(
            "recording {} begins before {} ends: give them in the order",
            early.path().display(),
            late.path().display()
        ),
    );
    check(
        &[
            "--replay",
            &venue("binance-spot", &early),
            &venue("binance-spot", &copy),
        ],
        "begins before",
    );
    check(
        &[
            "--replay",
            &venue("binance-spot", &early),
            &venue("binance-spot", &early),
        ],
        "is given twice",
    );
    check(&["--replay", &foreign], "no trades");
    check(&["--generate", "btc"], "BASE-QUOTE");
    check(&["--generate", "BTC-XYZ"], "quote asset");
    check(&["--generate", "0"], "1 to 30000");
    check(&["--generate", "2", "--speed", "fast"], "write max");
    check(&["--generate", "2", "--rate", "0"], "--rate");
    check(&["--generate", "2", "--loop"], "--loop");
    check(
        &["--generate", "2", "--faults", "/nowhere.json"],
        "cannot read faults file /nowhere.json",
    );
    check(&["--generate", "2", "--faults", faults], "explode");
}

#[test]
fn every_flag_is_in_the_help_with_its_variable() {
    let output = Command::new(env!("CARGO_BIN_EXE_exchange-sim"))
        .args(["serve", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for flag in [
        "listen", "replay", "speed", "loop", "generate", "rate", "seed", "start", "faults",
    ] {
        let variable = format!("MARKETFEED_SIM_{}", flag.to_uppercase());
        assert!(
            help.contains(&format!("--{flag}")) && help.contains(&variable),
            "{flag}: {help}"
        );
    }
}

/// A file with a session that begins then.
fn recorded(start_ms: i64) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), session(300, start_ms)).unwrap();
    file
}

/// A generated session as a recording's bytes.
fn session(trades: u64, start_ms: i64) -> String {
    let symbols = generate::symbols(2, "USDT");
    let plan = generate::Plan {
        symbols,
        rate: 100,
        seed: 9,
        start_ms,
        trades_max: Some(trades),
    };
    let generator = generate::Generator::new(plan);
    let listed = exchange_sim::source::Source::summary(&generator)
        .listed
        .clone();
    let mut lines = generate::lines::Lines::new(Kind::BinanceSpot, &listed);
    generator.map(|step| lines.lines(step)).collect()
}

#[tokio::test]
async fn a_cut_recording_plays_to_its_cut_and_says_so() {
    let text = session(5_000, 1_700_000_000_000);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &whole[..whole.len() / 2]).unwrap();
    let sim = Sim::start(replay(Kind::BinanceSpot, &[file.path().to_owned()]), |o| {
        o.speed = Speed::Max;
    })
    .await;
    sim.handle.start();
    let progress = sim.ended(Kind::BinanceSpot).await;
    assert!((1_000..5_000).contains(&progress.trades), "{progress:?}");
    assert_eq!(progress.trades_total, Some(progress.trades));
    let error = progress.error.unwrap();
    assert!(
        error.contains("breaks off after line") && error.contains(file.path().to_str().unwrap()),
        "{error}"
    );
    sim.stop().await;
}

#[tokio::test]
async fn a_loop_goes_on_in_time_and_ids() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), session(100, 1_700_000_000_000)).unwrap();
    let mut play = replay(Kind::BinanceSpot, &[file.path().to_owned()]);
    if let exchange_sim::Play::Replay { endless, .. } = &mut play {
        *endless = true;
    }
    let sim = Sim::start(play, |o| o.speed = Speed::Max).await;
    let mut client = sim
        .connect("/binance-spot/stream?streams=btcusdt@trade")
        .await;
    let (mut last_id, mut last_ms) = (None::<u64>, 0);
    for _ in 0..500 {
        let trade: serde_json::Value = serde_json::from_str(&client.text().await).unwrap();
        let (id, time_ms) = (
            trade["data"]["t"].as_u64().unwrap(),
            trade["data"]["T"].as_i64().unwrap(),
        );
        assert!(last_id.is_none_or(|last| id == last + 1) && time_ms >= last_ms);
        (last_id, last_ms) = (Some(id), time_ms);
    }
    sim.stop().await;
}
