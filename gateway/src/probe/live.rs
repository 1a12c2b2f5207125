// Pure: which of the bars that come is a live one.
#![deny(clippy::disallowed_methods)]

use serde_json::json;
use wire::frame::{ErrorCode, Reply};
use wire::{Bar, Topic};

/// What a gateway said instead of bars.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refused {
    code: ErrorCode,
    message: String,
}

impl Refused {
    /// Whether it will say so again: a gateway that has just started knows its topics a moment later.
    pub(crate) fn is_final(&self) -> bool {
        self.code != ErrorCode::UnknownTopic
    }
}

/// Listens to one topic. The first open bar may have been the gateway's for as long as it runs, whoever published it; a
/// bar is live that is younger than that one.
#[derive(Debug)]
pub(crate) struct Listener {
    topic: Topic,
    /// Start, epoch and number of the first open bar.
    first: Option<(i64, u64, u64)>,
}

impl Listener {
    pub(crate) fn new(topic: Topic) -> Self {
        Self { topic, first: None }
    }

    pub(crate) fn topic(&self) -> &Topic {
        &self.topic
    }

    /// What to send.
    pub(crate) fn request(&self) -> String {
        json!({"op": "subscribe", "topics": [self.topic.to_string()], "id": 1}).to_string()
    }

    /// Takes a text frame; gives the first live bar in it as it came.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub(crate) fn handle_frame<'a>(&mut self, frame: &'a str) -> Result<Option<&'a str>, Refused> {
        for object in frame.split('\n') {
            if let Ok(bar) = Bar::decode(object.as_bytes()) {
                if self.is_live(&bar) {
                    return Ok(Some(object));
                }
            } else if let Ok(Reply::Error { code, message, .. }) = serde_json::from_str(object) {
                return Err(Refused { code, message });
            }
        }
        Ok(None)
    }

    fn is_live(&mut self, bar: &Bar) -> bool {
        // Nothing is replayed to who asks for nothing: a close is new.
        if bar.closed {
            return true;
        }
        let at = bar.open_order();
        at > *self.first.get_or_insert(at)
    }
}

#[cfg(test)]
mod tests {
    use wire::{Candle, Completeness, Instrument, Price, Venue};

    use super::*;

    fn bar(seq: u64, closed: bool) -> String {
        let topic: Topic = "kline:1s:BTC-USDT".parse().unwrap();
        let bar = Bar {
            instrument: Instrument::new(Venue::new("binance-spot").unwrap(), topic.symbol.clone()),
            interval: topic.interval,
            topic,
            start_ms: 1_000,
            candle: Candle::flat(Price::parse(b"1").unwrap()),
            closed,
            rev: 0,
            completeness: Completeness::Quiet,
            close_no: 3,
            epoch: 5,
            seq,
            event_time_ms: 0,
            publish_time_ms: 0,
        };
        String::from_utf8(bar.encode().to_vec()).unwrap()
    }

    fn listener() -> Listener {
        Listener::new("kline:1s:BTC-USDT".parse().unwrap())
    }

    #[test]
    fn the_bar_that_was_there_is_not_live_and_the_next_is() {
        let mut listener = listener();
        let (first, next) = (bar(7, false), bar(8, false));
        let answer = r#"{"op":"ok","id":1,"topics":["kline:1s:BTC-USDT"]}"#;
        let frame = format!("{answer}\n{first}");
        assert_eq!(listener.handle_frame(&frame), Ok(None));
        // Its owner says it again.
        assert_eq!(listener.handle_frame(&first), Ok(None));
        assert_eq!(listener.handle_frame(&next), Ok(Some(&next[..])));
    }

    #[test]
    fn a_close_is_live() {
        let close = bar(7, true);
        assert_eq!(listener().handle_frame(&close), Ok(Some(&close[..])));
    }

    #[test]
    fn a_gateway_that_has_just_started_is_asked_again() {
        let refuse = |code: &str| {
            let reply = format!(r#"{{"op":"error","code":"{code}","message":"no"}}"#);
            listener().handle_frame(&reply).unwrap_err()
        };
        assert!(!refuse("unknown_topic").is_final());
        assert!(refuse("bad_topic").is_final());
    }

    #[test]
    fn it_asks_for_one_topic() {
        let asked: serde_json::Value = serde_json::from_str(&listener().request()).unwrap();
        assert_eq!(
            asked,
            json!({"op": "subscribe", "topics": ["kline:1s:BTC-USDT"], "id": 1})
        );
    }
}
