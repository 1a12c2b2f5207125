use serde_json::{Value, json};

use super::*;
use crate::tests::{Stream, drain, give};

const LIMITS: Limits = Limits {
    request_topics_max: 10,
    subscriptions_max: 4,
};

/// Talks to a hub that carries 1m and 1h of BTC and ETH; gives the replies, without bars.
struct Talk {
    hub: Hub,
    outbox: Outbox,
}

impl Talk {
    fn new() -> Self {
        let mut hub = Hub::new(4, 500);
        for topic in [
            "kline:1m:BTC-USDT",
            "kline:1h:BTC-USDT",
            "kline:1m:ETH-USDT",
            "kline:1h:ETH-USDT",
        ] {
            give(&mut hub, 0, Stream::new(topic).open());
        }
        Self {
            hub,
            outbox: Outbox::default(),
        }
    }

    fn session(&mut self) -> Session<'_> {
        Session {
            conn: 0,
            hub: &mut self.hub,
            outbox: &mut self.outbox,
            limits: LIMITS,
        }
    }

    fn say(&mut self, text: &str) -> Vec<Value> {
        self.session().handle_text(text);
        drain(&mut self.outbox, &mut self.hub)
    }

    fn replies(&mut self, request: &Value) -> Vec<Value> {
        let mut said = self.say(&request.to_string());
        said.retain(|object| object["op"] != "bar");
        said
    }

    fn list(&mut self) -> Vec<String> {
        let reply = self.say(r#"{"op":"list"}"#).remove(0);
        let topics = reply["topics"].as_array().unwrap();
        topics
            .iter()
            .map(|topic| topic.as_str().unwrap().to_owned())
            .collect()
    }
}

fn subscribe(topics: &[&str]) -> Value {
    json!({"op": "subscribe", "topics": topics, "id": 1})
}

#[test]
fn the_ok_stands_before_the_snapshots() {
    let mut talk = Talk::new();
    let said = talk.say(&subscribe(&["kline:1m:BTC-USDT", "kline:1h:BTC-USDT"]).to_string());
    let ops: Vec<&str> = said
        .iter()
        .map(|object| object["op"].as_str().unwrap())
        .collect();
    assert_eq!(ops, ["ok", "bar", "bar"]);
}

#[test]
fn one_message_may_hold_several_requests() {
    let mut talk = Talk::new();
    let said = talk.say("{\"op\":\"ping\",\"id\":1}\n\n{\"op\":\"ping\",\"id\":2}\nx\n");
    assert_eq!(said[0], json!({"op": "pong", "id": 1}));
    assert_eq!(said[1], json!({"op": "pong", "id": 2}));
    assert_eq!((said.len(), &said[2]["code"]), (3, &json!("bad_json")));
}

#[test]
fn a_connection_holds_so_many_topics_and_no_more() {
    let mut talk = Talk::new();
    let code = |replies: &[Value]| replies.last().unwrap()["code"].clone();
    // Two topics and the wildcard itself.
    assert_eq!(talk.replies(&subscribe(&["kline:1m:*"]))[0]["op"], "ok");
    assert_eq!(
        talk.replies(&subscribe(&["kline:1h:*"]))[0]["code"],
        "too_many_topics"
    );
    let mixed = talk.replies(&subscribe(&["kline:1h:BTC-USDT", "kline:1h:ETH-USDT"]));
    assert_eq!(
        mixed[0],
        json!({"op": "ok", "id": 1, "topics": ["kline:1h:BTC-USDT"]})
    );
    assert_eq!((mixed.len(), code(&mixed)), (2, json!("too_many_topics")));
    // What it has already costs nothing.
    assert_eq!(
        talk.replies(&subscribe(&["kline:1m:*", "kline:1h:BTC-USDT"]))
            .len(),
        1
    );
    assert_eq!(
        talk.list(),
        [
            "kline:1m:*",
            "kline:1m:BTC-USDT",
            "kline:1h:BTC-USDT",
            "kline:1m:ETH-USDT"
        ]
    );
    // A topic that appears is one too many: the client hears of it.
    give(&mut talk.hub, 0, Stream::new("kline:1m:SOL-USDT").open());
    for (_, topic) in talk.hub.poll_joined() {
        talk.session().handle_joined(topic);
    }
    let said = drain(&mut talk.outbox, &mut talk.hub);
    assert_eq!(code(&said), "too_many_topics");
    assert_eq!(said[0]["topic"], "kline:1m:SOL-USDT");
}

#[test]
fn unsubscribing_leaves_what_the_filter_stands_for() {
    let mut talk = Talk::new();
    talk.say(&subscribe(&["kline:1m:*"]).to_string());
    let leave = |topics: &[&str]| json!({"op": "unsubscribe", "topics": topics});
    // One topic of a wildcard; the wildcard stays for what will appear.
    talk.replies(&leave(&["kline:1m:ETH-USDT"]));
    assert_eq!(talk.list(), ["kline:1m:*", "kline:1m:BTC-USDT"]);
    talk.replies(&leave(&["kline:1m:*"]));
    assert!(talk.list().is_empty());
    // Leaving what one is not in is fine; what is not carried is not.
    assert_eq!(talk.replies(&leave(&["kline:1m:BTC-USDT"]))[0]["op"], "ok");
    assert_eq!(
        talk.replies(&leave(&["kline:1m:NO-USDT"]))[0]["code"],
        "unknown_topic"
    );
}

#[test]
fn the_same_topic_twice_in_a_request_counts_once() {
    let mut talk = Talk::new();
    let replies = talk.replies(&subscribe(&["kline:1m:BTC-USDT", "kline:1m:BTC-USDT"]));
    assert_eq!(
        replies,
        [json!({"op": "ok", "id": 1, "topics": ["kline:1m:BTC-USDT"]})]
    );
    assert_eq!(talk.list(), ["kline:1m:BTC-USDT"]);
}
