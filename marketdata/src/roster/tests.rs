use super::*;
use crate::options::Hosted;

fn wanted(generation: u64, sources: &[(&str, &str)]) -> Wanted {
    let symbols = |text: &str| {
        let pair = |word: &str| {
            let (symbol, shard) = word.split_once('@').unwrap();
            (symbol.parse().unwrap(), ShardId(shard.parse().unwrap()))
        };
        text.split_whitespace().map(pair).collect()
    };
    Wanted {
        generation,
        sources: sources
            .iter()
            .map(|(venue, text)| WantedSource {
                venue: venue.parse().unwrap(),
                endpoints: Some(Endpoints {
                    ws: "ws://x".to_owned(),
                    rest: "http://x/".to_owned(),
                }),
                symbols: symbols(text),
            })
            .collect(),
    }
}

fn gained(change: &Change) -> Vec<String> {
    let members = change.shards.iter().flat_map(|shard| &shard.gained);
    let text = |member: &Member| {
        let short = if member.listed.short { "*" } else { "" };
        format!("{}{short}", member.listed.instrument)
    };
    members.map(text).collect()
}

fn of(text: &str) -> Instrument {
    let (venue, symbol) = text.split_once('/').unwrap();
    Instrument::new(venue.parse().unwrap(), symbol.parse().unwrap())
}

fn one(shard: u16) -> Roster {
    Roster::new(Hosted::One(ShardId(shard)), ShardCount::MIN)
}

#[test]
fn only_the_own_shard_is_carried_and_listing_spans_all() {
    let mut roster = one(1);
    let change = roster.handle_wanted(&wanted(
        1,
        &[
            ("coinbase", "BTC-USD@0 ETH-USD@1"),
            ("coinbase-advanced", "BTC-USD@1 SOL-USD@1"),
        ],
    ));
    let change = change.unwrap();
    let expect = [
        "coinbase/ETH-USD*",
        "coinbase-advanced/BTC-USD",
        "coinbase-advanced/SOL-USD*",
    ];
    assert_eq!(gained(&change), expect);
    assert_eq!(change.sources.len(), 2);
    assert_eq!(change.sources[1].rest, "http://x");
    assert_eq!(
        change.sources[1].places[1],
        Place {
            shard: 0,
            series: 2
        }
    );
    assert_eq!(change.sources[1].listed_from, 1);
}

#[test]
fn a_later_generation_gains_loses_and_renames() {
    let mut roster = one(0);
    let first = wanted(1, &[("coinbase", "BTC-USD@0 ETH-USD@0 SOL-USD@0")]);
    roster.handle_wanted(&first).unwrap();
    let second = wanted(
        2,
        &[
            ("coinbase-advanced", "ETH-USD@0"),
            ("coinbase", "BTC-USD@1 ETH-USD@0 DOGE-USD@0"),
        ],
    );
    let change = roster.handle_wanted(&second).unwrap();
    assert_eq!(
        gained(&change),
        ["coinbase-advanced/ETH-USD*", "coinbase/DOGE-USD*"]
    );
    let shard = &change.shards[0];
    assert_eq!(shard.generation, 2);
    let set = |texts: &[&str]| texts.iter().map(|text| of(text)).collect::<BTreeSet<_>>();
    assert_eq!(
        shard.mine,
        set(&[
            "coinbase-advanced/ETH-USD",
            "coinbase/ETH-USD",
            "coinbase/DOGE-USD"
        ])
    );
    assert_eq!(shard.others, set(&["coinbase/BTC-USD"]));
    assert_eq!(shard.renamed.len(), 1);
    assert!(shard.renamed[0].0 == 1 && !shard.renamed[0].1.short);
    // Numbers go on, also over all feeds.
    assert_eq!(change.sources[0].places[0].series, 3);
    assert_eq!(change.sources[1].feeds[0].0, 2);
    // Lost and not let go: wanted again, it is the same series.
    let change = roster
        .handle_wanted(&Wanted {
            generation: 3,
            ..first.clone()
        })
        .unwrap();
    assert!(gained(&change).is_empty() && change.sources.is_empty());
    assert!(change.shards[0].mine.contains(&of("coinbase/BTC-USD")));
    // Once let go, it is a new one.
    roster
        .handle_wanted(&Wanted {
            generation: 4,
            ..second
        })
        .unwrap();
    assert_eq!(roster.handle_dropped(&of("coinbase/BTC-USD")), None);
    assert_eq!(roster.handle_dropped(&of("coinbase/SOL-USD")), None);
    let change = roster
        .handle_wanted(&Wanted {
            generation: 5,
            ..first
        })
        .unwrap();
    assert_eq!(gained(&change), ["coinbase/BTC-USD*", "coinbase/SOL-USD*"]);
    assert_eq!(change.shards[0].gained[0].at, 5);
}

#[test]
fn a_feed_ends_with_its_last_instrument() {
    let mut roster = one(0);
    let first = wanted(1, &[("coinbase", "BTC-USD@0 ETH-USD@0")]);
    roster.handle_wanted(&first).unwrap();
    assert_eq!(roster.handle_dropped(&of("coinbase/BTC-USD")), None);
    assert_eq!(roster.handle_dropped(&of("coinbase/BTC-USD")), None);
    assert_eq!(roster.handle_dropped(&of("coinbase/ETH-USD")), Some(0));
}

#[test]
fn what_cannot_be_carried_changes_nothing() {
    let mut roster = one(0);
    roster
        .handle_wanted(&wanted(1, &[("coinbase", "BTC-USD@0")]))
        .unwrap();
    let check = |roster: &mut Roster, sources: &[(&str, &str)], expect: &str| {
        let error = roster.handle_wanted(&wanted(2, sources)).unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
    };
    check(
        &mut roster,
        &[("kraken", "BTC-USD@0")],
        "kraken is not one of",
    );
    check(&mut roster, &[], "at least one source");
    check(
        &mut roster,
        &[("coinbase", "A-B@0"), ("coinbase", "C-D@0")],
        "listed twice",
    );
    // Another shard's bad symbol too, so that every process says the same.
    check(
        &mut roster,
        &[("kraken", "BTC-USD@7")],
        "kraken is not one of",
    );
    let same = roster
        .handle_wanted(&wanted(3, &[("coinbase", "BTC-USD@0")]))
        .unwrap();
    assert_eq!(same.shards[0].mine, [of("coinbase/BTC-USD")].into());
    assert!(same.sources.is_empty());
}
