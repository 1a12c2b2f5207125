//! Whatever a client says, a session answers or closes, and never panics; and a fault can strike any text.

use exchange_sim::Kind;
use exchange_sim::fault::What;
use exchange_sim::fault::tamper::Tamper;
use exchange_sim::market::tape::Listing;
use exchange_sim::market::{Listed, Market};
use exchange_sim::venue::{Limits, Opening};
use proptest::prelude::*;

/// Texts that come near to what the venues know, and some that do not.
fn texts() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\"type\"",
        "\"subscribe\"",
        "\"method\"",
        "\"SUBSCRIBE\"",
        "\"params\"",
        "\"id\"",
        "1",
        "-1",
        "null",
        "1e400",
        "\"BTC-USD\"",
        "\"btcusdt@trade\"",
        "\"@kline_1m\"",
        "\"x@kline_7d\"",
        "\"btcusdt@kline_1d\"",
        "\"channels\"",
        "\"channel\"",
        "\"market_trades\"",
        "\"heartbeats\"",
        "\"product_ids\"",
        "\"p\":",
        "\"t\":7",
        "\"T\":9223372036854775807",
        "\"time\":\"\"",
        "\u{e9}",
        "\u{1f600}",
    ]);
    prop_oneof![
        any::<String>(),
        prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
    ]
}

proptest! {
    #[test]
    fn sessions_survive_any_text(texts in prop::collection::vec(texts(), 1..8), path in "/(ws|stream)(/[a-z@_]{0,12})?") {
        let listing = Listing { tick_decimals: 2, lot_decimals: 5 };
        for kind in Kind::ALL {
            let symbol = if kind == Kind::BinanceSpot { "BTC-USDT" } else { "BTC-USD" };
            let listed = Listed { symbol: symbol.parse().unwrap(), listing, reference: Some("1".parse().unwrap()) };
            let mut market = Market::new(kind, &[listed], 0);
            let limits = Limits { messages_per_second: usize::MAX, ..Limits::default() };
            let opening = Opening { path: &path, query: "streams=//@/%40", now_ms: 0, position: 0, limits: &limits };
            let mut session = kind.session(&opening);
            for text in &texts {
                session.handle_text(0, text, &market);
                let event = market.handle_second(i64::MAX - 2_000);
                session.handle_event(0, &event, &market);
                let outputs = std::iter::from_fn(|| session.poll_output()).count();
                prop_assert!(outputs < 100, "{outputs}");
            }
        }
    }

    #[test]
    fn faults_strike_any_text(text in texts(), by in any::<u64>(), ms in any::<i64>(), field in "[a-z]{0,3}") {
        let strikes = [
            What::MissingField { field: Some(field.clone()) },
            What::MissingField { field: None },
            What::OutOfRange { field: Some(field) },
            What::IdBack { by },
            What::TimeJump { ms },
            What::CorruptJson {},
            What::InvalidUtf8 {},
        ];
        let mut tamper = Tamper::default();
        for what in strikes {
            tamper.handle_message(0, text.clone(), std::slice::from_ref(&what), "");
            prop_assert!(tamper.poll_frame().is_some());
        }
    }
}
