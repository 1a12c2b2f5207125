use wire::assignment::{WantedSource, assign};
use wire::{Interval, ShardCount};

use super::*;

fn source(venue: &str, symbols: &[&str]) -> WantedSource {
    // Where nobody listens.
    let base = |scheme: &str| format!("{scheme}://127.0.0.1:9/{venue}");
    WantedSource {
        venue: venue.parse().unwrap(),
        endpoints: Some(AssignedEndpoints {
            ws: base("ws"),
            rest: base("http"),
        }),
        symbols: symbols
            .iter()
            .map(|symbol| symbol.parse().unwrap())
            .collect(),
    }
}

/// A file's text of this generation.
pub(super) fn text(generation: u64, sources: &[(&str, &[&str])]) -> String {
    let sources = sources
        .iter()
        .map(|(venue, symbols)| source(venue, symbols));
    let shards = ShardCount::new(2).unwrap();
    let planned = assign(None, sources.collect(), [Interval::S1], shards).unwrap();
    let first = "\"generation\":1";
    planned
        .to_json()
        .replace(first, &format!("\"generation\":{generation}"))
}

const BTC: (&str, &[&str]) = ("binance-spot", &["BTC-USDT"]);
const BOTH: (&str, &[&str]) = ("binance-spot", &["BTC-USDT", "ETH-USDT"]);

/// A judge with generation 7 in force.
fn at_seven() -> Judge {
    let mut judge = Judge::new();
    take(&mut judge, &text(7, &[BTC]));
    judge
}

/// It is usable, and its venues have all of it.
fn take(judge: &mut Judge, text: &str) -> (Arc<Assignment>, Difference) {
    let Verdict::Usable(assignment, difference) = judge.handle_bytes(text.as_bytes()) else {
        panic!("not usable: {text}")
    };
    judge
        .handle_asked(&assignment, &[], &Said::default())
        .unwrap();
    (assignment, difference)
}

#[test]
fn a_newer_one_is_taken_once() {
    let mut judge = at_seven();
    let newer = text(9, &[BOTH]);
    let (assignment, difference) = take(&mut judge, &newer);
    assert_eq!(assignment.generation(), 9);
    assert_eq!((difference.moved.len(), difference.added.len()), (0, 1));
    assert_eq!(judge.in_force(), Some(&assignment));
    assert_eq!(judge.handle_bytes(newer.as_bytes()), Verdict::Same);
}

#[test]
fn what_is_not_better_is_refused_once_and_changes_nothing() {
    let check = |text: &str, reason: Reason, expect: &str| {
        let mut judge = at_seven();
        let Verdict::Refused(refusal) = judge.handle_bytes(text.as_bytes()) else {
            panic!("{text} was not refused")
        };
        assert_eq!(refusal.reason(), reason, "{refusal}");
        assert!(refusal.to_string().contains(expect), "{refusal}");
        assert_eq!(judge.in_force().unwrap().generation(), 7);
        assert_eq!(judge.handle_bytes(text.as_bytes()), Verdict::Same);
        // It has not spoilt what comes after.
        let good = judge.handle_bytes(self::text(8, &[BOTH]).as_bytes());
        assert!(matches!(good, Verdict::Usable(..)), "{good:?}");
    };
    check("", Reason::Malformed, "EOF");
    check("garbage", Reason::Malformed, "not an assignment");
    check(&text(8, &[BTC])[..100], Reason::Malformed, "EOF");
    check(
        &text(8, &[BTC]).replace("\"shard\":", "\"shard\":9"),
        Reason::Malformed,
        "the 2 shards are 0 to 1",
    );
    check(&text(6, &[BTC]), Reason::Stale, "write 8 or more");
    check(
        &text(6, &[BOTH]),
        Reason::Stale,
        "generation 6 is older than 7",
    );
    check(
        &text(7, &[BOTH]),
        Reason::Conflicting,
        "a generation of its own",
    );
    check(
        &text(7, &[BTC]).replace("\"shards\":2", "\"shards\":3"),
        Reason::Conflicting,
        "generation 7",
    );
    check(
        &text(8, &[BTC]).replace("\"1s\"", "\"1s\",\"1m\""),
        Reason::Intervals,
        "start the processes anew",
    );
    check(
        &text(8, &[BTC, ("kraken", &["BTC-USD"])]),
        Reason::Unusable,
        "kraken is not one of binance-spot",
    );
    check(
        &text(8, &[("binance-spot", &["BTC-USDT", "BTCU-SDT"])]),
        Reason::Unusable,
        "the same BTCUSDT",
    );
}

#[test]
fn a_venue_that_needs_encryption_is_taken_where_there_is_some() {
    let at_the_exchange = text(8, &[BTC]).replace("ws://127.0.0.1:9", "wss://exchange.example");
    let verdict = at_seven().handle_bytes(at_the_exchange.as_bytes());
    let taken = matches!(verdict, Verdict::Usable(..));
    assert_eq!(taken, cfg!(feature = "tls"), "{verdict:?}");
}

#[test]
fn another_layout_of_the_same_is_the_same() {
    let mut judge = at_seven();
    let other = text(7, &[BTC]).replace(',', " ,\n");
    assert_eq!(judge.handle_bytes(other.as_bytes()), Verdict::Same);
}

#[test]
fn more_and_fewer_shards_are_taken() {
    let mut judge = at_seven();
    for (generation, shards) in [(8, 5), (9, 2)] {
        let text = text(generation, &[BTC]);
        let text = text.replace("\"shards\":2", &format!("\"shards\":{shards}"));
        take(&mut judge, &text);
        assert_eq!(judge.in_force().unwrap().shards().get(), shards);
    }
}

#[test]
fn a_file_that_is_not_there_is_told_of_sparsely() {
    let told = |judge: &mut Judge, looks: u64| {
        let told = |_: &u64| judge.handle_unreadable("no such file") != Verdict::Same;
        (1..=looks).filter(told).collect::<Vec<u64>>()
    };
    let mut judge = Judge::new();
    assert_eq!(told(&mut judge, 200), [1, 2, 4, 8, 16, 32, 64, 128, 192]);
    // Once something is in force, its loss is told of once.
    let mut judge = at_seven();
    assert_eq!(told(&mut judge, 200), [1]);
    assert_eq!(judge.in_force().unwrap().generation(), 7);
    // It comes back as it was: nothing to tell. It goes again: told again.
    assert_eq!(
        judge.handle_bytes(text(7, &[BTC]).as_bytes()),
        Verdict::Same
    );
    assert_eq!(told(&mut judge, 3), [1]);
}

#[test]
fn a_shard_lists_its_own_under_the_names_that_the_whole_listing_gives() {
    let advanced = ("coinbase-advanced", &["BTC-USD"][..]);
    let text = text(1, &[advanced, ("coinbase", &["ETH-USD", "BTC-USD"])]);
    // Coinbase's BTC-USD alone on shard 1, its elder on shard 0.
    let mut places = [0, 0, 1].into_iter();
    let text: Vec<String> = text
        .lines()
        .map(|line| match line.find("\"shard\":") {
            Some(at) => {
                let at = at + "\"shard\":".len();
                format!(
                    "{}{}{}",
                    &line[..at],
                    places.next().unwrap(),
                    &line[at + 1..]
                )
            }
            None => line.to_owned(),
        })
        .collect();
    let assignment = Assignment::parse(text.concat().as_bytes()).unwrap();
    let listed = |shard| {
        let listed = listed_of(&assignment, ShardId(shard)).into_iter();
        listed
            .map(|listed| listed.topic(Interval::S1).to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(0), ["kline:1s:BTC-USD", "kline:1s:ETH-USD"]);
    assert_eq!(listed(1), ["kline:coinbase:1s:BTC-USD"]);
}

#[test]
fn symbols_that_their_venue_has_not_keep_what_is_in_force() {
    let mut judge = at_seven();
    let newer = text(8, &[BOTH]);
    let Verdict::Usable(assignment, difference) = judge.handle_bytes(newer.as_bytes()) else {
        panic!("not usable")
    };
    let added = [difference.added[0].0.clone()];
    let said = Said {
        has: Vec::new(),
        lacks: added.to_vec(),
    };
    let refusal = judge.handle_asked(&assignment, &added, &said).unwrap_err();
    assert_eq!(refusal.reason(), Reason::UnknownSymbols);
    assert!(
        refusal.to_string().contains("binance-spot/ETH-USDT"),
        "{refusal}"
    );
    assert_eq!(judge.in_force().unwrap().generation(), 7);
    // Nothing is asked for what was asked for, until it is wanted anew.
    assert_eq!(judge.handle_bytes(newer.as_bytes()), Verdict::Same);
    judge.handle_again();
    assert!(matches!(
        judge.handle_bytes(newer.as_bytes()),
        Verdict::Usable(..)
    ));
    // No answer takes the denial back; the venue does.
    let nothing = Said::default();
    assert_eq!(
        judge.handle_asked(&assignment, &added, &nothing),
        Err(refusal)
    );
    let said = Said {
        has: added.to_vec(),
        lacks: Vec::new(),
    };
    assert_eq!(judge.handle_asked(&assignment, &added, &said), Ok(()));
    assert_eq!(judge.in_force(), Some(&assignment));
}

#[test]
fn of_many_names_some_are_told() {
    let of = |n| {
        Instrument::new(
            "coinbase".parse().unwrap(),
            Symbol::from_parts(&format!("S{n}"), "USD").unwrap(),
        )
    };
    let told = Refusal::UnknownSymbols((0..23).map(of).collect()).to_string();
    assert!(told.ends_with("coinbase/S19-USD and 3 more"), "{told}");
}
