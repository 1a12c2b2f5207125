use super::*;
use crate::market::Listed;
use crate::market::tape::Listing;
use crate::venue::{Kind, Session as _};

fn market() -> Market {
    let listing = Listing {
        tick_decimals: 2,
        lot_decimals: 5,
    };
    Market::new(
        Kind::CoinbaseAdvanced,
        &[Listed {
            symbol: "BTC-USD".parse().unwrap(),
            listing,
            reference: None,
        }],
        0,
    )
}

fn open() -> Session {
    Session::new(&Opening {
        path: "/",
        query: "",
        now_ms: 0,
        position: 0,
        limits: &Limits::default(),
    })
}

fn out(session: &mut Session) -> Vec<String> {
    std::iter::from_fn(|| session.poll_output())
        .filter_map(|output| match output {
            Output::Text(_, text) => Some(text),
            Output::Close(code, reason) => Some(format!("close {code} {reason}")),
            Output::Wants(_) | Output::Ping(_) => None,
        })
        .collect()
}

#[test]
fn silence_ends_it_and_heartbeats_keep_it() {
    let (mut session, mut market) = (open(), market());
    session.handle_text(
        1_000,
        r#"{"type":"subscribe","product_ids":["BTC-USD"],"channel":"market_trades"}"#,
        &market,
    );
    assert_eq!(
        (out(&mut session).len(), session.poll_timeout()),
        (2, Some(76_000))
    );
    session.handle_text(
        2_000,
        r#"{"type":"subscribe","channel":"heartbeats"}"#,
        &market,
    );
    let second = market.handle_second(5_000);
    session.handle_event(60_000, &second, &market);
    let sent = out(&mut session);
    assert_eq!(
        sent[1],
        r#"{"channel":"heartbeats","client_id":"","timestamp":"1970-01-01T00:00:05.000000000Z","sequence_num":3,"events":[{"current_time":"1970-01-01 00:00:05.000000000 +0000 UTC m=+1.000000000","heartbeat_counter":1}]}"#
    );
    assert_eq!(session.poll_timeout(), Some(135_000));
    session.handle_timeout(134_999);
    assert!(out(&mut session).is_empty());
    session.handle_timeout(135_000);
    assert_eq!(out(&mut session), ["close 1001 channel was silent"]);
}

#[test]
fn acks_list_what_is_subscribed() {
    let (mut session, market) = (open(), market());
    session.handle_text(0, r#"{"type":"subscribe","channel":"heartbeats"}"#, &market);
    session.handle_text(
        0,
        r#"{"type":"subscribe","product_ids":["BTC-USD"],"channel":"market_trades"}"#,
        &market,
    );
    session.handle_text(
        0,
        r#"{"type":"unsubscribe","product_ids":["BTC-USD"],"channel":"market_trades"}"#,
        &market,
    );
    let out = out(&mut session);
    let ends = [
        r#"[{"subscriptions":{"heartbeats":["heartbeats"]}}]}"#,
        r#"[{"type":"snapshot","trades":[]}]}"#,
        r#"[{"subscriptions":{"heartbeats":["heartbeats"],"market_trades":["BTC-USD"]}}]}"#,
        r#"[{"subscriptions":{"heartbeats":["heartbeats"]}}]}"#,
    ];
    assert_eq!(out.len(), ends.len());
    for (n, (text, end)) in out.iter().zip(ends).enumerate() {
        assert!(
            text.ends_with(end) && text.contains(&format!("\"sequence_num\":{n},")),
            "{text}"
        );
    }
}

#[test]
fn what_is_wrong_is_an_error_without_a_number() {
    let market = market();
    for text in [
        "nonsense",
        r#"{"type":"subscribe","product_ids":["BTC-USD"],"channel":"level9"}"#,
        r#"{"type":"subscribe","product_ids":["NO-USD"],"channel":"market_trades"}"#,
        r#"{"type":"subscribe","channel":"market_trades"}"#,
        r#"{"type":"jump","channel":"heartbeats"}"#,
    ] {
        let mut session = open();
        session.handle_text(0, text, &market);
        let out = out(&mut session);
        assert!(
            out.len() == 1 && out[0].starts_with(r#"{"type":"error","message":"#),
            "{text}: {out:?}"
        );
    }
}

#[test]
fn a_market_that_is_over_goes_on_with_heartbeats_at_a_clock_that_creeps() {
    let (mut session, mut market) = (open(), market());
    session.handle_text(0, r#"{"type":"subscribe","channel":"heartbeats"}"#, &market);
    let second = market.handle_second(5_000);
    session.handle_event(0, &second, &market);
    out(&mut session);
    let event = market.handle_idle(1);
    session.handle_event(60_000, &event, &market);
    let sent = out(&mut session);
    assert!(
        sent[0].contains(r#""timestamp":"1970-01-01T00:00:05.001000000Z","sequence_num":2,"#)
            && sent[0].contains(r#""heartbeat_counter":2"#),
        "{sent:?}"
    );
    assert_eq!(session.poll_timeout(), Some(135_000));
}
