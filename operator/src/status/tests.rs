#![allow(
    clippy::needless_pass_by_value,
    reason = "values are written where they are given"
)]

use serde_json::{Value, json};
use wire::api::{FeedReport, InstrumentReport};

use super::*;
use crate::{plan, validate};

/// Why something is not well.
mod causes;

/// What is waited for.
mod passing;

fn feed() -> (ValidFeed, Assignment) {
    let yaml = "{apiVersion: marketfeed.dev/v1alpha1, kind: MarketFeed, metadata: {name: crypto}, spec: {\
                sources: [{venue: binance-spot, symbols: [BTC-USDT, ETH-USDT, SOL-USDT, XRP-USDT]}], \
                marketdata: {shards: 2}, nats: {urls: ['nats://n:1']}}}";
    let feed = validate(&plan::parse(yaml, "default").unwrap()).unwrap();
    let assignment = plan::assignment(&feed, None).unwrap();
    (feed, assignment)
}

/// Everything runs, and every instrument is heard; `change` makes one of them otherwise.
fn observed(change: impl Fn(&mut InstrumentReport)) -> Observed {
    let (feed, assignment) = feed();
    let report = |(instrument, _): (wire::Instrument, _)| {
        let mut report = InstrumentReport {
            venue: instrument.venue,
            symbol: instrument.symbol,
            epoch: Some(1_000),
            event_time: Some(5),
            age: Some(10),
            heard: Some(100),
            fresh: true,
            open_bars: 1,
            fenced: 0,
            closes: 1,
            breaks: 0,
            intervals: Vec::new(),
        };
        change(&mut report);
        report
    };
    let settled = |wanted| Workload {
        wanted,
        ready: wanted,
        settled: true,
        updated: wanted,
    };
    Observed {
        gateway: settled(3),
        shards: vec![settled(2); 2],
        report: Some(FeedReport {
            env: feed.scope.env.clone(),
            region: feed.scope.region.clone(),
            now: 0,
            totals: wire::api::FeedTotals::default(),
            instruments: assignment.instruments().map(report).collect(),
        }),
        ..Observed::default()
    }
}

fn well() -> Observed {
    observed(|_| {})
}

fn look(
    observed: &Observed,
    before: Option<&MarketFeedStatus>,
    patience: &mut Patience,
    now_s: i64,
) -> MarketFeedStatus {
    let (feed, assignment) = feed();
    let said = Said {
        status: before,
        generation: 4,
        version: Some("0.1.0"),
    };
    judge(&feed, &assignment, observed, &said, patience, now_s)
}

fn first(observed: &Observed) -> MarketFeedStatus {
    look(observed, None, &mut Patience::default(), 1_000)
}

#[track_caller]
fn condition<'a>(status: &'a MarketFeedStatus, kind: &str) -> &'a Condition {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
        .unwrap()
}

#[track_caller]
fn check(status: &MarketFeedStatus, kind: &str, expect: (&str, &str), message: &str) {
    let condition = condition(status, kind);
    assert_eq!(
        (&condition.status[..], &condition.reason[..]),
        expect,
        "{kind}: {}",
        condition.message
    );
    assert!(
        condition.message.contains(message),
        "{kind}: {}",
        condition.message
    );
}

#[test]
fn a_feed_that_is_well() {
    let status = first(&well());
    check(
        &status,
        "Ready",
        ("True", "Running"),
        "4 instruments on 2 shards, 3 gateways",
    );
    check(&status, "NatsReady", ("True", "Heard"), "");
    check(&status, "ShardsOwned", ("True", "Heard"), "2 of 2");
    check(&status, "FeedFresh", ("True", "Fresh"), "all 4");
    check(&status, "GatewayAvailable", ("True", "AllReady"), "3 of 3");
    check(&status, "Progressing", ("False", "Settled"), "");
    assert!(
        !status
            .conditions
            .iter()
            .any(|condition| condition.type_ == "ScalingActive")
    );
    let summary = status.summary.unwrap();
    assert_eq!((&summary.shards[..], summary.instruments), ("2/2", 4));
    assert_eq!((&summary.gateways[..], &summary.fresh[..]), ("3/3", "4/4"));
    let shards: Vec<_> = status
        .shards
        .iter()
        .map(|shard| (shard.shard, shard.epoch))
        .collect();
    assert_eq!(shards, [(0, Some(1_000)), (1, Some(1_000))]);
    assert_eq!(
        status
            .shards
            .iter()
            .map(|shard| shard.instruments)
            .sum::<i32>(),
        4
    );
    assert_eq!(status.assignment.unwrap().config_map, "crypto-assignment");
    assert_eq!(
        (status.observed_generation, status.version.as_deref()),
        (Some(4), Some("0.1.0"))
    );
}

/// Nothing is written of a feed that stays as it is, however often it is looked at.
#[test]
fn a_steady_feed_has_a_steady_status() {
    let mut patience = Patience::default();
    let status = look(&well(), None, &mut patience, 1_000);
    let moving = observed(|report| {
        report.open_bars += 17;
        report.age = Some(900);
        report.heard = Some(9_000);
        report.event_time = Some(77);
    });
    assert_eq!(look(&moving, Some(&status), &mut patience, 9_999), status);
}

#[test]
fn what_is_silent_and_what_is_stale_is_named() {
    let silent = observed(|report| {
        if report.symbol.as_str() == "SOL-USDT" {
            report.heard = Some(25_001);
        }
    });
    let status = first(&silent);
    check(
        &status,
        "Ready",
        ("False", "Silent"),
        "1 of 2 shards are heard",
    );
    check(
        &status,
        "ShardsOwned",
        ("False", "Silent"),
        "binance-spot/SOL-USDT",
    );
    check(&status, "FeedFresh", ("Unknown", "Silent"), "SOL-USDT");
    assert_eq!(status.summary.unwrap().shards, "1/2");

    let stale = observed(|report| report.fresh = report.symbol.as_str() != "BTC-USDT");
    let status = first(&stale);
    check(
        &status,
        "Ready",
        ("False", "Stale"),
        "no news of binance-spot/BTC-USDT",
    );
    check(&status, "ShardsOwned", ("True", "Heard"), "");
    assert_eq!(status.summary.unwrap().fresh, "3/4");

    // One that was not heard at all yet.
    let mut unheard = well();
    unheard.report.as_mut().unwrap().instruments.truncate(1);
    check(&first(&unheard), "ShardsOwned", ("False", "Silent"), "");
    unheard.report.as_mut().unwrap().instruments.clear();
    check(
        &first(&unheard),
        "NatsReady",
        ("Unknown", "NothingHeard"),
        "",
    );
    unheard.report = None;
    let status = first(&unheard);
    check(
        &status,
        "Ready",
        ("Unknown", "NoGateway"),
        "no gateway says",
    );
    assert_eq!(status.summary.unwrap().shards, "?/2");
}

#[test]
fn gateways_rollouts_and_scaling() {
    let mut observed = well();
    observed.gateway = Workload {
        wanted: 3,
        ready: 2,
        settled: false,
        updated: 2,
    };
    observed.shards[1].settled = false;
    observed.scaling = Some(Scaling {
        active: Some(false),
        message: "missing request for cpu".to_owned(),
    });
    let status = first(&observed);
    check(&status, "GatewayAvailable", ("True", "SomeReady"), "2 of 3");
    check(
        &status,
        "Progressing",
        ("True", "RollingOut"),
        "the gateways, shard 1",
    );
    check(
        &status,
        "ScalingActive",
        ("False", "Inactive"),
        "missing request for cpu",
    );
    check(&status, "Ready", ("True", "Running"), "");
    observed.gateway.ready = 0;
    check(
        &first(&observed),
        "Ready",
        ("False", "NoneReady"),
        "0 of 3 gateways",
    );
}

#[test]
fn a_refused_feed_keeps_what_was_known_of_it() {
    let good = first(&well());
    let said = Said {
        status: Some(&good),
        generation: 5,
        version: None,
    };
    let mut wrong = plan::parse(
        "{apiVersion: marketfeed.dev/v1alpha1, kind: MarketFeed, metadata: {name: crypto}, spec: {\
         sources: [], nats: {urls: ['nats://n:1']}}}",
        "default",
    )
    .unwrap();
    wrong.metadata.generation = Some(5);
    let error = validate(&wrong).unwrap_err();
    let status = refused(&error, &said, 2_000);
    check(
        &status,
        "Ready",
        ("False", "Invalid"),
        "spec.sources: there are no sources",
    );
    assert_eq!(status.observed_generation, Some(5));
    assert_eq!(
        (&status.summary, &status.shards),
        (&good.summary, &good.shards)
    );
}

#[test]
fn names_that_are_taken_and_upgrades_that_wait() {
    let mut taken = well();
    taken.taken = vec!["Service crypto-gateway".to_owned()];
    check(
        &first(&taken),
        "Ready",
        ("False", "NameTaken"),
        "Service crypto-gateway",
    );
    let mut waiting = well();
    waiting.waits_for = Some("market/metals".to_owned());
    check(
        &first(&waiting),
        "Progressing",
        ("True", "Waiting"),
        "market/metals",
    );
    check(&first(&waiting), "Ready", ("True", "Running"), "");
}

#[test]
fn owners_are_named_where_they_are_heard() {
    let mut owned = well();
    owned.owners = [(0, "crypto-shard-0-x".to_owned()), (9, "other".to_owned())].into();
    let names = |status: MarketFeedStatus| -> Vec<Option<String>> {
        status.shards.into_iter().map(|shard| shard.owner).collect()
    };
    let expect = [Some("crypto-shard-0-x".to_owned()), None];
    assert_eq!(names(first(&owned)), expect);
}

#[test]
fn workloads() {
    let of = |value: Value| Workload::of(&serde_json::from_value(value).unwrap());
    let status = |updated: i32, available: i32, seen: i64| {
        json!({
            "metadata": { "generation": 3 },
            "spec": { "replicas": 2, "selector": {}, "template": {} },
            "status": { "replicas": 2, "readyReplicas": 2, "updatedReplicas": updated, "availableReplicas": available, "observedGeneration": seen },
        })
    };
    let expect = |settled, updated| Workload {
        wanted: 2,
        ready: 2,
        settled,
        updated,
    };
    assert_eq!(of(status(2, 2, 3)), expect(true, 2));
    assert_eq!(of(status(1, 2, 3)), expect(false, 1));
    assert_eq!(of(status(2, 1, 3)), expect(false, 2));
    // What is said of it is of what it was before.
    assert_eq!(of(status(2, 2, 2)), expect(false, 0));
    assert_eq!(
        of(json!({ "metadata": {} })),
        Workload {
            wanted: 1,
            ready: 0,
            settled: false,
            updated: 0,
        }
    );
}
