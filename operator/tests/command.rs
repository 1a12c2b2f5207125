//! The program `marketfeed-operator`, run as people run it.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marketfeed-operator"));
    // Whatever the surroundings set is none of its business here.
    let ours = std::env::vars().filter(|(name, _)| name.starts_with("MARKETFEED_"));
    for (name, _) in ours {
        command.env_remove(name);
    }
    command.args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn file(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn plan(args: &[&Path]) -> Output {
    let words = ["plan", "-f"].map(Path::new);
    let words = words.iter().copied().chain(args.iter().copied());
    run(&words.map(|word| word.to_str().unwrap()).collect::<Vec<_>>())
}

const FEED: &str = "
apiVersion: marketfeed.dev/v1alpha1
kind: MarketFeed
metadata: { name: crypto }
spec:
  sources:
    - venue: binance-spot
      symbols: [BTC-USDT, ETH-USDT, SOL-USDT, XRP-USDT, ADA-USDT, BNB-USDT]
  marketdata: { shards: 2 }
  nats: { urls: ['nats://nats:4222'] }
";

#[test]
fn the_definition_is_printed() {
    let output = run(&["crd"]);
    assert!(output.status.success());
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crds/marketfeeds.marketfeed.dev.yaml"
    );
    let same = text(&output.stdout) == std::fs::read_to_string(file).unwrap();
    assert!(
        same,
        "crds/ holds another definition; its own test writes it"
    );
}

/// From nothing, again, and to three shards: as few instruments move as can, and all of it is told in the words of
/// `marketfeed-marketdata assign`.
#[test]
fn a_plan_tells_what_a_change_moves() {
    let folder = TempDir::new().unwrap();
    let feed = file(&folder, "feed.yaml", FEED);
    let first = plan(&[&feed]);
    assert_eq!(text(&first.stderr), "");
    assert!(first.status.success());
    let told = text(&first.stdout);
    assert!(told.starts_with("MarketFeed default/crypto: 6 instruments, bars of 1s,1m,1h,1d, on the bus as default-crypto in local\n"), "{told}");
    assert!(
        told.contains("\ngeneration 1: 0 moved, 6 added, 0 removed\n"),
        "{told}"
    );
    assert!(
        told.contains("\napply Deployment crypto-shard-1, 2 replicas\n"),
        "{told}"
    );
    assert!(
        told.ends_with("\nat its deletion: Job crypto-purge removes its streams\n"),
        "{told}"
    );

    // The assignment as the objects hold it is what the next plan goes on from.
    let objects = text(&plan(&[&feed, Path::new("--objects")]).stdout);
    let map = serde_yaml_ng::Deserializer::from_str(&objects)
        .next()
        .unwrap();
    let map: serde_json::Value = serde::Deserialize::deserialize(map).unwrap();
    let assignment = file(
        &folder,
        "assignment.json",
        map["data"]["assignment.json"].as_str().unwrap(),
    );
    let again = plan(&[&feed, Path::new("--assignment"), &assignment]);
    let told = text(&again.stdout);
    assert!(
        told.contains("\ngeneration 1, as before: 0 moved, 0 added, 0 removed\n"),
        "{told}"
    );

    let more = file(
        &folder,
        "more.yaml",
        &FEED.replace("shards: 2", "shards: 3"),
    );
    let told = text(&plan(&[&more, Path::new("--assignment"), &assignment]).stdout);
    assert!(
        told.contains("\ngeneration 1 -> 2: 2 moved, 0 added, 0 removed\n"),
        "{told}"
    );
    let moves = told.lines().filter(|line| line.starts_with("move "));
    assert!(
        moves.clone().count() == 2 && moves.clone().all(|line| line.ends_with(" to 2")),
        "{told}"
    );

    assert!(!told.contains("remove "), "{told}");

    let fewer = file(
        &folder,
        "fewer.yaml",
        &FEED.replace("shards: 2", "shards: 1"),
    );
    let told = text(&plan(&[&fewer, Path::new("--assignment"), &assignment]).stdout);
    let removed: Vec<&str> = told
        .lines()
        .filter(|line| line.starts_with("remove "))
        .collect();
    assert_eq!(
        removed,
        ["remove Deployment and PodDisruptionBudget crypto-shard-1, when it has nothing left"]
    );

    let other = file(
        &folder,
        "other.yaml",
        &FEED.replace("  marketdata:", "  intervals: [1s, 1m]\n  marketdata:"),
    );
    let told = text(&plan(&[&other, Path::new("--assignment"), &assignment]).stdout);
    assert!(
        told.contains("the intervals change\n") && told.contains("would be restarted"),
        "{told}"
    );
}

#[test]
fn what_is_wrong_is_one_line_and_exit_code_2() {
    let folder = TempDir::new().unwrap();
    let check = |content: &str, expect: &str| {
        let feed = file(&folder, "feed.yaml", content);
        let output = plan(&[&feed]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(text(&output.stdout), "");
        assert!(
            said.starts_with("error: ") && said.contains("feed.yaml: "),
            "{said}"
        );
        assert!(said.contains(expect), "{expect:?} is not in {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    };
    let with = |from: &str, to: &str| {
        assert!(FEED.contains(from));
        FEED.replace(from, to)
    };
    check(
        &with("binance-spot", "kraken"),
        "spec.sources[0].venue: \"kraken\" is no venue: write one of binance-spot",
    );
    check(
        &with("ETH-USDT", "BTC-USDT"),
        "spec.sources[0].symbols[1]: BTC-USDT is listed twice",
    );
    check(
        &with("ETH-USDT", "ethusdt"),
        "spec.sources[0].symbols[1]: symbol \"ethusdt\" is not valid: write BASE-QUOTE",
    );
    check(
        &with("  marketdata:", "  intervals: []\n  marketdata:"),
        "spec.intervals: there are no intervals",
    );
    check(
        &with(
            "  nats:",
            "  gateway: { autoscaling: { minReplicas: 9, maxReplicas: 3 } }\n  nats:",
        ),
        "spec.gateway.autoscaling.minReplicas: 9 is above maxReplicas, which is 3",
    );
    check(
        &with(
            "name: crypto",
            "name: a-name-that-is-longer-than-forty-characters",
        ),
        "metadata.name: ",
    );
    check(&with("name: crypto", "name: 1.x"), "begin with a letter");
    check(
        &with("  nats:", "  aggregation: { reorderWindow: 2h }\n  nats:"),
        "spec.aggregation.reorderWindow: \"2h\" is no duration",
    );
    check(
        &with("shards: 2", "shard: 2"),
        "spec.marketdata.shard: there is no such field; write one of pod, resources, shards, standbys",
    );
    check(
        &with("shards: 2", "shards: two"),
        "spec.marketdata.shards: invalid type: string \"two\"",
    );
    check(
        &with("kind: MarketFeed", "kind: ConfigMap"),
        "write kind MarketFeed",
    );
    check(&format!("{FEED}---\n{FEED}"), "there are 2 objects in it");
    check("", "there are 0 objects in it");
    check("a: [", "");
}

#[test]
fn files_that_are_not_there_or_say_nothing() {
    let folder = TempDir::new().unwrap();
    let feed = file(&folder, "feed.yaml", FEED);
    let none = folder.path().join("none");
    let said = |output: Output| {
        assert_eq!(output.status.code(), Some(2));
        text(&output.stderr)
    };
    assert!(said(plan(&[&none])).contains("cannot read "));
    let assignment = Path::new("--assignment");
    assert!(said(plan(&[&feed, assignment, &none])).contains("cannot read "));
    let bad = file(&folder, "bad.json", "{}");
    assert!(said(plan(&[&feed, assignment, &bad])).contains("bad.json: not an assignment"));
    let stdin = Path::new("-");
    assert!(
        said(plan(&[stdin, assignment, stdin])).contains("write a file's name for one of them")
    );
    assert!(said(run(&["plan"])).contains("--file <FILE>"));
    assert!(said(run(&[])).contains("a command is missing"));
}

#[test]
fn namespaces_that_cannot_be_are_refused_before_anything_is_done() {
    let said = |args: &[&str]| {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let line = text(&output.stderr);
        assert_eq!(line.lines().count(), 1, "{line}");
        line
    };
    let both = ["run", "--watch-namespace", "a", "--except-namespace", "b"];
    assert!(said(&both).contains("cannot be used with"));
    for wrong in ["A", "a_b", "a-", "a,,b", ""] {
        let line = said(&["run", "--except-namespace", wrong]);
        assert!(line.contains("no namespace has that name"), "{line}");
    }
    assert!(said(&["leave"]).contains("--operator-deployment <NAME>"));
    let bundled = [
        "leave",
        "--operator-deployment",
        "x",
        "--bundled-nats",
        "nats://nats:4222",
    ];
    assert!(said(&bundled).contains("is no Service"));
}
