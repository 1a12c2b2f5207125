use super::*;
use crate::venue::binance_spot::BinanceSpot;
use crate::venue::coinbase::Coinbase;

fn request(from_id: u64, to_id: u64) -> RepairRequest {
    RepairRequest {
        instrument: InstrumentIndex(0),
        place: Place {
            shard: 2,
            series: 5,
        },
        missing: Missing {
            from_id,
            to_id,
            after_ms: 0,
            before_ms: 0,
        },
    }
}

fn trades(ids: impl IntoIterator<Item = u64>) -> Vec<Trade> {
    let trade = |id| Trade {
        id,
        time_ms: 1_723_161_600_000,
        price: "1".parse().unwrap(),
        size: "1".parse().unwrap(),
        taker: wire::Side::Buy,
    };
    ids.into_iter().map(trade).collect()
}

fn out(plan: &mut Alone) -> String {
    let show = |(shard, input): (usize, Input)| {
        assert_eq!(shard, 2);
        match input {
            Input::Repaired { trade, .. } => trade.id.to_string(),
            Input::Void { from_id, to_id, .. } => format!("void({from_id}-{to_id})"),
            Input::RepairEnd {
                from_id,
                to_id,
                again,
                ..
            } => {
                format!(
                    "end({from_id}-{to_id}{})",
                    if again { " again" } else { "" }
                )
            }
            other => format!("{other:?}"),
        }
    };
    let shown: Vec<_> = std::iter::from_fn(|| plan.plan.poll_input())
        .map(show)
        .collect();
    shown.join(" ")
}

/// A plan and a pace of its own.
struct Alone {
    plan: Plan,
    pace: Pace,
}

impl Alone {
    fn new(venue: &dyn Venue) -> Self {
        Self {
            plan: Plan::new(fastrand::Rng::with_seed(1)),
            pace: Pace::new(venue.rest_rate(), 0, fastrand::Rng::with_seed(1)),
        }
    }

    fn poll_step(&mut self, venue: &dyn Venue, now_ms: u64) -> Step {
        self.plan.poll_step(venue, &mut self.pace, now_ms)
    }

    fn handle_request(&mut self, request: RepairRequest) {
        self.plan.handle_request(request);
    }

    fn handle_page(&mut self, trades: Vec<Trade>, now_ms: u64) {
        self.plan.handle_page(trades, now_ms);
    }

    fn handle_failure(&mut self, failure: Failure, now_ms: u64) {
        self.plan.handle_failure(failure, &mut self.pace, now_ms);
    }
}

fn binance() -> (BinanceSpot, Alone) {
    let venue = BinanceSpot::new(&["BTC-USDT".parse().unwrap()]).unwrap();
    let plan = Alone::new(&venue);
    (venue, plan)
}

fn sent(step: Step) -> String {
    match step {
        Step::Send(path) => path
            .rsplit_once('?')
            .map(|(_, query)| query.to_owned())
            .unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hole_is_asked_for_with_its_neighbours_and_what_is_not_there_is_void() {
    let (venue, mut plan) = binance();
    assert_eq!(plan.poll_step(&venue, 0), Step::Idle);
    plan.handle_request(request(10, 14));
    assert_eq!(
        sent(plan.poll_step(&venue, 0)),
        "symbol=BTCUSDT&fromId=9&limit=7"
    );
    plan.handle_page(trades([9, 10, 13, 15, 16]), 0);
    assert_eq!(out(&mut plan), "10 13 void(11-12) void(14-14) end(10-14)");
    assert_eq!(plan.poll_step(&venue, 0), Step::Idle);
}

#[test]
fn a_long_hole_takes_pages_upwards_or_downwards() {
    let (venue, mut plan) = binance();
    plan.handle_request(request(10, 2_500));
    let mut from = 9;
    let mut fetched = 0;
    while let Step::Send(path) = plan.poll_step(&venue, 0) {
        assert!(path.contains(&format!("fromId={from}&")), "{path}");
        let to = (from + 999).min(2_501);
        plan.handle_page(trades(from..=to), 0);
        from = to;
        let inputs = std::iter::from_fn(|| plan.plan.poll_input());
        fetched += inputs
            .filter(|(_, input)| matches!(input, Input::Repaired { .. }))
            .count();
    }
    assert_eq!(fetched, 2_491);

    let venue = Coinbase::new(&["BTC-USD".parse().unwrap()]).unwrap();
    let mut plan = Alone::new(&venue);
    plan.handle_request(request(10, 1_500));
    assert_eq!(sent(plan.poll_step(&venue, 0)), "after=1502&limit=1000");
    plan.handle_page(trades((502..=1_501).rev()), 0);
    assert_eq!(sent(plan.poll_step(&venue, 0)), "after=503&limit=494");
    plan.handle_page(trades((9..=502).rev()), 0);
    assert!(out(&mut plan).ends_with(" 501 end(10-1500)"));
}

#[test]
fn what_fails_is_tried_again_and_then_left() {
    let (venue, mut plan) = binance();
    plan.handle_request(request(10, 14));
    let (mut now, mut sends) = (0, 0);
    loop {
        match plan.poll_step(&venue, now) {
            Step::Send(_) => {
                sends += 1;
                plan.handle_failure(Failure::Unavailable, now);
            }
            Step::Wait(until) => now = until,
            Step::Idle => break,
        }
    }
    assert_eq!(sends, ATTEMPTS_MAX);
    assert_eq!(out(&mut plan), "end(10-14)");
    // What is not there yet may be later.
    plan.handle_request(request(10, 10));
    now += 60_000;
    sent(plan.poll_step(&venue, now));
    plan.handle_page(trades([9]), now);
    assert!(matches!(
        plan.poll_step(&venue, now),
        Step::Wait(_) | Step::Send(_)
    ));
    assert_eq!(out(&mut plan), "");
    // What the venue refuses is not.
    let (venue, mut plan) = binance();
    plan.handle_request(request(10, 14));
    sent(plan.poll_step(&venue, 0));
    plan.handle_failure(Failure::Refused, 0);
    assert_eq!(out(&mut plan), "end(10-14)");
}

#[test]
fn too_many_requests_are_not_met_by_more() {
    let (venue, mut plan) = binance();
    plan.handle_request(request(10, 14));
    sent(plan.poll_step(&venue, 0));
    plan.handle_failure(Failure::TooMany(Some(7_000)), 0);
    assert_eq!(plan.poll_step(&venue, 0), Step::Wait(7_000));
    assert_eq!(plan.poll_step(&venue, 6_999), Step::Wait(7_000));
    // Nor by another's, that takes from the same budget.
    let mut other = Alone {
        plan: Plan::new(fastrand::Rng::with_seed(2)),
        pace: plan.pace.clone(),
    };
    other.handle_request(request(20, 24));
    assert_eq!(other.poll_step(&venue, 6_999), Step::Wait(7_000));
    sent(plan.poll_step(&venue, 7_000));
    // Where the venue does not say for how long, and again each time longer.
    let mut now_ms = 7_000;
    for least_ms in [2_000, 4_000] {
        plan.handle_failure(Failure::TooMany(None), now_ms);
        other.pace = plan.pace.clone();
        let Step::Wait(until_ms) = other.poll_step(&venue, now_ms) else {
            panic!("asked at once")
        };
        assert!(until_ms - now_ms >= least_ms, "{now_ms} to {until_ms}");
        assert_eq!(plan.poll_step(&venue, now_ms), Step::Wait(until_ms));
        now_ms = until_ms;
        sent(plan.poll_step(&venue, now_ms));
    }
}

#[test]
fn what_is_released_is_asked_for_no_more() {
    let (venue, mut plan) = binance();
    let other = Place {
        shard: 2,
        series: 6,
    };
    let kept = RepairRequest {
        place: other,
        ..request(50, 50)
    };
    for request in [request(10, 14), request(20, 24), kept, request(30, 34)] {
        plan.handle_request(request);
    }
    // One is under way: what comes of it is nobody's, and not the next one's.
    assert!(sent(plan.poll_step(&venue, 0)).contains("fromId=9&"));
    plan.plan.handle_released(request(10, 14).place);
    plan.handle_page(trades([9, 10, 11, 12, 13, 14, 15]), 0);
    plan.handle_failure(Failure::Refused, 0);
    assert_eq!(out(&mut plan), "");
    assert!(sent(plan.poll_step(&venue, 0)).contains("fromId=49&"));
    plan.handle_page(trades([49, 50, 51]), 0);
    assert_eq!(out(&mut plan), "50 end(50-50)");
    assert_eq!(plan.poll_step(&venue, 0), Step::Idle);
}

#[test]
fn the_budget_holds() {
    let (venue, mut plan) = binance();
    let mut sends = 0;
    for n in 0..200 {
        plan.handle_request(request(10 * n + 1, 10 * n + 2));
    }
    while let Step::Send(_) = plan.poll_step(&venue, 0) {
        plan.handle_failure(Failure::Refused, 0);
        sends += 1;
    }
    assert_eq!(sends, 1_500 / 25);
    // An owner and a standby behind one address, each with a burst and what is earned meanwhile.
    assert!(2 * 2 * venue.rest_rate().burst <= 6_000);
}

#[test]
fn what_finds_no_room_is_asked_for_again_later() {
    let (_, mut plan) = binance();
    for _ in 0..=JOBS_MAX {
        plan.handle_request(request(10, 14));
    }
    assert_eq!(out(&mut plan), "end(10-14 again)");
}
