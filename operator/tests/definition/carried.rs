//! Wrong venues, symbols and bar lengths: refused by the definition and by the operator.

use serde_json::json;

use super::feeds::{by_operator, check, with};
use super::schema::refusals;

#[test]
fn what_is_carried() {
    let path = "/spec/sources/0/venue";
    check(
        path,
        json!("kraken"),
        "binance-spot",
        "spec.sources[0].venue",
        "write one of binance-spot, coinbase",
    );
    check(
        path,
        json!("coinbase"),
        "x-kubernetes-list-type \"map\"",
        "spec.sources[1].venue",
        "put its symbols in one list",
    );
    let path = "/spec/sources/0/symbols";
    let of = "spec.sources[0].symbols";
    check(
        path,
        json!(["BTC-USDT", "BTC-USDT"]),
        "list-type \"set\"",
        "symbols[1]",
        "list it once",
    );
    for malformed in [
        "btc-usdt",
        "BTCUSDT",
        "BTC-USDT-X",
        "BTC.X-USDT",
        "*-USDT",
        "BTC -USDT",
        "",
    ] {
        check(
            path,
            json!([malformed]),
            "write BASE-QUOTE in upper case",
            "symbols[0]",
            "write BASE-QUOTE in upper case",
        );
    }
    for long in [
        format!("{}-USDT", "A".repeat(21)),
        format!("A-{}", "B".repeat(21)),
    ] {
        check(
            path,
            json!([long]),
            "20 letters and digits at most",
            "symbols[0]",
            "write BASE-QUOTE",
        );
    }
    let longest = format!("{}-{}", "A".repeat(20), "B".repeat(20));
    let object = with(path, json!([longest]));
    assert_eq!(
        (refusals(&object, None), by_operator(&object)),
        (vec![], String::new())
    );
    check(
        path,
        json!([format!("{}-USDT", "A".repeat(40))]),
        "maxLength",
        "symbols[0]",
        "write BASE-QUOTE",
    );
    check(path, json!([]), "minItems", of, "list at least one");
    check(
        "/spec/sources",
        json!([]),
        "minItems",
        "spec.sources",
        "name at least one venue",
    );
    let many: Vec<String> = (0..6_000).map(|n| format!("S{n}-USD")).collect();
    let sources = json!([
        { "venue": "binance-spot", "symbols": many },
        { "venue": "coinbase", "symbols": many },
    ]);
    check(
        "/spec/sources",
        sources,
        "list 10,000 at most",
        "spec.sources",
        "10000 at most",
    );
    let endpoints = |ws: &str, rest: &str| json!({ "ws": ws, "rest": rest });
    for (ws, rest) in [
        ("http://x", "http://x"),
        ("ws://", "http://x"),
        ("ws:///x", "http://x"),
        ("ws://a b", "http://x"),
        ("x", "http://x"),
    ] {
        let path = "spec.sources[0].endpoints.ws";
        check(
            "/spec/sources/0/endpoints",
            endpoints(ws, rest),
            "write wss://host/path",
            path,
            "write wss://host/path",
        );
    }
    let path = "spec.sources[0].endpoints.rest";
    check(
        "/spec/sources/0/endpoints",
        endpoints("ws://x", "ws://x"),
        "write https://host/path",
        path,
        "write https://host/path",
    );
}

/// What only the operator can know.
#[test]
fn symbols_that_are_one_to_the_venue() {
    let said = by_operator(&with(
        "/spec/sources/0/symbols",
        json!(["BTC-USDT", "BTCU-SDT"]),
    ));
    assert!(
        said.contains("BTC-USDT and BTCU-SDT are the same to the venue"),
        "{said}"
    );
    assert_eq!(
        by_operator(&with(
            "/spec/sources/1/symbols",
            json!(["BTC-USDT", "BTCU-SDT"])
        )),
        ""
    );
}

#[test]
fn bar_lengths() {
    let path = "/spec/intervals";
    check(
        path,
        json!([]),
        "minItems",
        "spec.intervals",
        "name at least one, such as 1m",
    );
    check(
        path,
        json!(["1m", "1m"]),
        "list-type \"set\"",
        "spec.intervals[1]",
        "name it once",
    );
    for malformed in ["", "m", "1", "0m", "01m", "1M", "1.5m", "-1m"] {
        check(
            path,
            json!([malformed]),
            "that is no interval",
            "spec.intervals[0]",
            "not valid",
        );
    }
    check(
        path,
        json!(["1000000s"]),
        "that is no interval",
        "spec.intervals[0]",
        "not valid",
    );
    for other in ["60s", "24h", "1440m", "7s", "2d", "70s", "120m", "5h"] {
        let path_of = "spec.intervals[0]";
        check(
            path,
            json!([other]),
            "write 1s, 5s, 1m",
            path_of,
            "interval \"",
        );
    }
    // Every one that there is passes both.
    let all = (1..=86_400)
        .filter_map(wire::Interval::from_secs)
        .map(|interval| interval.to_string());
    for some in all.collect::<Vec<_>>().chunks(32) {
        let object = with(path, json!(some));
        assert_eq!(refusals(&object, None), [""; 0]);
        assert_eq!(by_operator(&object), "");
    }
}
