//! A feed that is good, others that differ in one field, and what is said of them.

use operator::plan;
use operator::validate;
use serde_json::{Value, json};

use super::schema::refusals;

pub(crate) fn good() -> Value {
    json!({
        "apiVersion": "marketfeed.dev/v1alpha1",
        "kind": "MarketFeed",
        "metadata": { "name": "crypto", "namespace": "market" },
        "spec": {
            "sources": [
                { "venue": "binance-spot", "symbols": ["BTC-USDT", "ETH-USDT"] },
                { "venue": "coinbase", "symbols": ["BTC-USD"] },
            ],
            "nats": { "urls": ["nats://nats:4222"] },
        },
    })
}

/// The object with something else at a pointer; what is on the way is made.
pub(crate) fn with(pointer: &str, value: Value) -> Value {
    let mut object = good();
    let mut at = &mut object;
    for name in pointer.split('/').skip(1) {
        at = match name.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[name],
        };
    }
    *at = value;
    object
}

/// What the operator says of it.
pub(crate) fn by_operator(object: &Value) -> String {
    let text = serde_yaml_ng::to_string(object).unwrap();
    match plan::parse(&text, "default") {
        Err(error) => error.to_string(),
        Ok(feed) => validate(&feed).map_or_else(|error| error.to_string(), |_| String::new()),
    }
}

/// Both refuse it; the definition says `at_apply`, the operator names the field and says `what_is_right`.
#[track_caller]
pub(crate) fn check(pointer: &str, value: Value, at_apply: &str, path: &str, what_is_right: &str) {
    let object = with(pointer, value);
    let found = refusals(&object, None);
    assert!(
        found.iter().any(|refusal| refusal.contains(at_apply)),
        "{pointer} at apply: {found:?}"
    );
    let said = by_operator(&object);
    assert!(
        said.contains(path) && said.contains(what_is_right),
        "{pointer} by the operator: {said:?}"
    );
}
