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
fn a_wildcard_is_left_with_a_wider_one_and_brings_nothing_in_after_that() {
    let check = |held: &str, left: &str, expect: &[&str]| {
        let mut talk = Talk::new();
        talk.say(&subscribe(&[held]).to_string());
        // It appears just before, and one more after that.
        give(&mut talk.hub, 0, Stream::new("kline:1m:SOL-USDT").open());
        talk.say(&json!({"op": "unsubscribe", "topics": [left]}).to_string());
        give(&mut talk.hub, 0, Stream::new("kline:1m:XRP-USDT").open());
        for (_, topic) in talk.hub.poll_joined() {
            talk.session().handle_joined(topic);
        }
        assert_eq!(talk.list(), expect, "{held} {left}");
    };
    check("kline:1m:*", "kline:1m:*", &[]);
    check("kline:1m:*", "kline:*:*", &[]);
    check("kline:*:SOL-USDT", "kline:*:*", &[]);
    // What is no wider leaves the wildcard, and what it would bring in besides.
    let (all, btc) = ("kline:1m:*", "kline:1m:BTC-USDT");
    let (eth, xrp) = ("kline:1m:ETH-USDT", "kline:1m:XRP-USDT");
    check(all, "kline:1m:SOL-USDT", &[all, btc, eth, xrp]);
    check(all, "kline:*:SOL-USDT", &[all, btc, eth, xrp]);
    check(
        "kline:*:SOL-USDT",
        "kline:1h:*",
        &["kline:*:SOL-USDT", "kline:1m:SOL-USDT"],
    );
    check(
        "kline:*:SOL-USDT",
        "kline:binance-spot:*:*",
        &["kline:*:SOL-USDT", "kline:1m:SOL-USDT"],
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

#[test]
fn filters_of_a_request_are_counted_by_what_they_add() {
    let check = |held: &[&str], asked: &[&str], refused: usize, expect: &[&str]| {
        let mut talk = Talk::new();
        talk.replies(&subscribe(held));
        let replies = talk.replies(&subscribe(asked));
        let codes: Vec<&Value> = replies.iter().map(|reply| &reply["code"]).collect();
        let too_many = codes.iter().filter(|code| **code == "too_many_topics");
        assert_eq!(too_many.count(), refused, "{held:?} {asked:?} {replies:?}");
        assert_eq!(talk.list(), expect, "{held:?} {asked:?}");
    };
    let (btc, eth, hour) = (
        "kline:1m:BTC-USDT",
        "kline:1m:ETH-USDT",
        "kline:1h:BTC-USDT",
    );
    let last = "kline:1h:ETH-USDT";
    // The last place, asked for twice.
    check(&[btc, hour, eth], &[last, last], 0, &[btc, hour, eth, last]);
    // A wildcard and a topic that it takes in.
    check(
        &[hour],
        &["kline:1m:*", btc],
        0,
        &["kline:1m:*", btc, hour, eth],
    );
    check(
        &[],
        &["kline:1m:*", btc, eth, hour],
        0,
        &["kline:1m:*", btc, hour, eth],
    );
    check(
        &[],
        &[eth, "kline:1m:*", hour],
        0,
        &["kline:1m:*", btc, hour, eth],
    );
    check(
        &[],
        &["kline:1m:*", hour, last],
        1,
        &["kline:1m:*", btc, hour, eth],
    );
    check(
        &[],
        &[btc, "kline:*:BTC-USDT", "kline:1m:*"],
        1,
        &["kline:*:BTC-USDT", btc, hour],
    );
    // Wildcards that stand for nothing yet take places too.
    let none: Vec<String> = (0..5).map(|n| format!("kline:*:N{n}-USDT")).collect();
    let none: Vec<&str> = none.iter().map(String::as_str).collect();
    check(&[], &none, 1, &none[..4]);
}

#[test]
fn a_message_of_many_requests_is_answered_up_to_a_bound() {
    let check = |line: &str, answered: usize| {
        let mut talk = Talk::new();
        let text = format!("{line}\n").repeat(64 * 1024 / (line.len() + 1));
        let said = talk.say(&text);
        assert_eq!(said.len(), answered + 1, "{line}");
        assert_eq!(said[answered]["code"], "bad_request", "{line}");
    };
    check(r#"{"op":"ping"}"#, REQUESTS_MAX);
    check("x", REQUESTS_MAX);
    let mut talk = Talk::new();
    let pings = "{\"op\":\"ping\"}\n".repeat(REQUESTS_MAX);
    assert_eq!(talk.say(&pings).len(), REQUESTS_MAX);
}

#[test]
fn replies_to_one_message_are_bounded() {
    let mut hub = Hub::new(4, 500);
    let topics: Vec<String> = (0..500)
        .map(|n| format!("kline:binance-spot:1m:SYMBOL{n}-USDT"))
        .collect();
    for topic in &topics {
        give(&mut hub, 0, Stream::new(topic).open());
    }
    let mut outbox = Outbox::default();
    let mut say = |text: &str| {
        let limits = Limits {
            request_topics_max: 500,
            subscriptions_max: 500,
        };
        let mut session = Session {
            conn: 0,
            hub: &mut hub,
            outbox: &mut outbox,
            limits,
        };
        session.handle_text(text);
        let len = outbox.replies_len();
        (len, drain(&mut outbox, &mut hub))
    };
    say(&json!({"op": "subscribe", "topics": topics}).to_string());
    let (len, said) = say(&"{\"op\":\"list\"}\n".repeat(REQUESTS_MAX));
    let list_len = said[0].to_string().len();
    assert!(len < REPLIES_LEN_MAX + list_len + 500, "{len}");
    assert_eq!(said.last().unwrap()["code"], "bad_request");
}

#[test]
fn a_wildcard_misses_nothing_of_the_flush_in_which_its_topic_appears() {
    let mut talk = Talk::new();
    talk.say(&subscribe(&["kline:1d:*"]).to_string());
    let mut day = Stream::new("kline:1d:BTC-USDT");
    for bar in [day.close(), day.close(), day.close(), day.open()] {
        give(&mut talk.hub, 0, bar);
    }
    for (_, topic) in talk.hub.poll_joined() {
        talk.session().handle_joined(topic);
    }
    let got = drain(&mut talk.outbox, &mut talk.hub);
    let close_nos: Vec<&Value> = got.iter().map(|bar| &bar["close_no"]).collect();
    assert_eq!(close_nos, [1, 2, 3, 3], "three closes and the open bar");
    // Once in, it is an ordinary subscription.
    give(&mut talk.hub, 0, day.close());
    talk.hub.poll_dirty(|_, topic| talk.outbox.mark(topic));
    assert_eq!(drain(&mut talk.outbox, &mut talk.hub)[0]["close_no"], 4);
}

#[test]
fn after_of_what_is_not_carried_yet_is_refused_alone() {
    let mut talk = Talk::new();
    let (btc, sol) = ("kline:1m:BTC-USDT", "kline:1m:SOL-USDT");
    let request =
        json!({"op": "subscribe", "topics": ["kline:1m:*"], "after": {btc: 0, sol: 7}, "id": 1});
    let replies = talk.replies(&request);
    assert_eq!(
        replies[0],
        json!({"op": "ok", "id": 1, "topics": ["kline:1m:*"]})
    );
    assert_eq!(
        (replies.len(), &replies[1]["code"], &replies[1]["topic"]),
        (2, &json!("bad_after"), &json!(sol))
    );
}
