//! The file: written to the letter, read with what a later release adds, refused with what is right.
use wire::assignment::{
    AssignedEndpoints, AssignedSource, FILE_LEN_MAX, GENERATION_MAX, INSTRUMENTS_MAX, SHARDS_MAX,
};
use wire::{Assignment, AssignmentError, Instrument, Interval, ShardId, Symbol};

use super::count;

const GOLDEN: &str = include_str!("../golden/assignment.json");
const NEWER: &str = include_str!("../golden/assignment-newer.json");

fn parse(text: &str) -> Result<Assignment, AssignmentError> {
    Assignment::parse(text.as_bytes())
}

fn instrument(venue: &str, symbol: &str) -> Instrument {
    Instrument::new(venue.parse().unwrap(), symbol.parse().unwrap())
}

#[test]
fn it_is_written_to_the_letter() {
    assert_eq!(parse(GOLDEN).unwrap().to_json(), GOLDEN);
}

#[test]
fn it_says_what_is_where() {
    let assignment = parse(GOLDEN).unwrap();
    assert_eq!(
        (assignment.generation(), assignment.shards()),
        (7, count(2))
    );
    assert_eq!(assignment.loads(), [1, 2]);
    let on = |shard| {
        let instruments = assignment.instruments_of(ShardId(shard));
        instruments.map(|i| i.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(on(0), ["binance-spot/BTC-USDT"]);
    assert_eq!(on(1), ["binance-spot/ETH-USDT", "coinbase/BTC-USD"]);
    assert!(on(2).is_empty());
    let shard = |venue, symbol| assignment.shard_of(&instrument(venue, symbol));
    assert_eq!(shard("binance-spot", "ETH-USDT"), Some(ShardId(1)));
    assert_eq!(shard("coinbase", "ETH-USDT"), None);
    let ws = assignment.sources()[0]
        .endpoints
        .as_ref()
        .unwrap()
        .ws
        .as_str();
    assert_eq!(ws, "ws://127.0.0.1:9100/binance-spot");
    assert_eq!(assignment.sources()[1].endpoints, None);
}

#[test]
fn one_of_a_later_release_is_read() {
    let (golden, newer) = (parse(GOLDEN).unwrap(), parse(NEWER).unwrap());
    assert!(newer.says_the_same_as(&golden));
    assert!(newer.is_newer_than(&golden) && !golden.is_newer_than(&newer));
    assert!(!golden.is_newer_than(&golden));
    assert_eq!(newer.generation(), GENERATION_MAX);
}

#[test]
fn what_is_wrong_is_said_with_what_is_right() {
    let check = |from: &str, to: &str, expect: &str| {
        let text = GOLDEN.replacen(from, to, 1);
        assert_ne!(text, GOLDEN, "{from:?} is not in the golden file");
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains(expect), "{to:?}: {error}");
        assert!(error.len() < 300 && !error.contains('\n'), "{error}");
    };
    check("\"version\":1", "\"version\":2", "write version 1");
    check("\"version\":1,", "", "missing field `version`");
    check(
        "\"generation\":7",
        "\"generation\":0",
        "write 1 to 9007199254740991",
    );
    check("\"generation\":7", "\"generation\":-1", "line 1 column");
    check(
        "\"generation\":7",
        "\"generation\":9007199254740992",
        "write 1 to",
    );
    check("\"generation\":7,", "", "missing field `generation`");
    check(
        "\"shards\":2",
        "\"shards\":0",
        "0 shards are out of range: write 1 to 1024",
    );
    check("\"shards\":2", "\"shards\":1025", "write 1 to 1024");
    check("\"shards\":2", "\"shards\":65538", "65538 shards");
    check(
        "[\"1s\",\"1m\",\"1d\"]",
        "[]",
        "name at least one, such as 1m",
    );
    check("\"1m\"", "\"1s\"", "interval 1s is there twice");
    check("\"1m\"", "\"60s\"", "write 1m");
    check("\"1m\"", "\"7s\"", "does not divide a day");
    check(
        "\"binance-spot\"",
        "\"coinbase\"",
        "venue coinbase is listed twice",
    );
    check("\"binance-spot\"", "\"binance.spot\"", "lower-case letters");
    check(
        "ETH-USDT",
        "BTC-USDT",
        "binance-spot/BTC-USDT is listed twice",
    );
    check("ETH-USDT", "ETH.*-USDT", "write BASE-QUOTE in upper case");
    check("ETH-USDT", &"x".repeat(10_000), "write BASE-QUOTE");
    check(
        "\"shard\":0",
        "\"shard\":2",
        "on shard 2, and the 2 shards are 0 to 1",
    );
    check(
        "\"shard\":0",
        "\"shard\":65536",
        "on shard 65536, and the 2 shards are 0 to 1",
    );
    check("\"shard\":0", "\"shard\":\"0\"", "line 3");
    check(
        "ws://127.0.0.1:9100",
        "http://127.0.0.1:9100",
        "write wss://<host>/<path> or ws://",
    );
    check(
        "http://127",
        "httpx://127",
        "write https://<host>/<path> or http://",
    );
    check(
        "http://127.0.0.1:9100/binance-spot",
        "https:///x",
        "write https://",
    );
    check("ws://127.0.0.1:9100", "ws://a b", "write wss://");
    check("ws://127.0.0.1:9100", "ws://a\\\"b", "write wss://");
    check(
        ",\"rest\":\"http://127.0.0.1:9100/binance-spot\"",
        "",
        "missing field `rest`",
    );
    check(
        "{\"symbol\":\"BTC-USD\",\"shard\":1}",
        "",
        "venue coinbase has no instruments",
    );
    check(
        "\"symbol\":\"BTC-USD\"",
        "\"name\":\"BTC-USD\"",
        "missing field `symbol`",
    );
    check(
        "\"version\":1",
        "\"version\":1,\"version\":1",
        "duplicate field",
    );
    check("]}]}\n", "]}]}\n]", "trailing characters");
}

#[test]
fn what_is_no_assignment_is_refused() {
    for text in [
        "",
        "\n",
        "null",
        "7",
        "[]",
        "{}",
        "[1,7,[],2,[]]",
        "\u{feff}{}",
        "kind: ConfigMap",
    ] {
        let error = parse(text).unwrap_err();
        assert!(
            matches!(error, AssignmentError::Malformed(_)),
            "{text:?}: {error}"
        );
    }
    assert!(Assignment::parse(b"\xff\xfe\x00").is_err());
    assert!(parse(&"[".repeat(FILE_LEN_MAX)).is_err());
    let text =
        "{\"version\":1,\"generation\":7,\"intervals\":[\"1m\"],\"shards\":1,\"sources\":[]}";
    assert_eq!(parse(text), Err(AssignmentError::NoSources));
    let text = " ".repeat(FILE_LEN_MAX + 1);
    assert_eq!(
        parse(&text),
        Err(AssignmentError::TooLong(FILE_LEN_MAX + 1))
    );
}

#[test]
fn a_file_that_was_cut_anywhere_is_refused() {
    let whole = GOLDEN.trim_end();
    for len in 0..whole.len() {
        let error = Assignment::parse(&whole.as_bytes()[..len]).unwrap_err();
        assert!(
            matches!(error, AssignmentError::Malformed(_)),
            "{len}: {error}"
        );
    }
    assert!(parse(whole).is_ok());
}

fn largest(instruments: usize) -> Result<Assignment, AssignmentError> {
    // Nothing is longer than these symbols, numbers and addresses.
    let endpoint = |scheme: &str| format!("{scheme}://{}", "x".repeat(1_024 - scheme.len() - 3));
    let symbol = |n: usize| -> Symbol { format!("{n:0>20}-{}", "Q".repeat(20)).parse().unwrap() };
    let source = |n: usize| AssignedSource {
        venue: format!("{n:0>32}").parse().unwrap(),
        endpoints: Some(AssignedEndpoints {
            ws: endpoint("wss"),
            rest: endpoint("https"),
        }),
        instruments: (n..instruments)
            .step_by(64)
            .map(|n| (symbol(n), ShardId(SHARDS_MAX - 1)))
            .collect(),
    };
    let sources = (0..64).map(source).collect();
    let intervals = (1..=86_400).filter_map(Interval::from_secs);
    Assignment::new(GENERATION_MAX, intervals, count(SHARDS_MAX), sources)
}

#[test]
fn whatever_keeps_the_bounds_fits_the_file() {
    let largest_text = largest(INSTRUMENTS_MAX).unwrap().to_json();
    assert!(largest_text.len() <= FILE_LEN_MAX, "{}", largest_text.len());
    assert_eq!(
        parse(&largest_text).unwrap(),
        largest(INSTRUMENTS_MAX).unwrap()
    );
    let too_many = AssignmentError::TooManyInstruments(INSTRUMENTS_MAX + 1);
    assert_eq!(largest(INSTRUMENTS_MAX + 1), Err(too_many));
}
