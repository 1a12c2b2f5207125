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

/// Listens to one topic. The first bar may have been the gateway's for as long as it runs, whoever published it: the open one,
/// or between two bars the newest close. A bar is live that is younger than that one.
#[derive(Debug)]
pub(crate) struct Listener {
    topic: Topic,
    /// The `close_no` of the first bar.
    closes: Option<u64>,
    /// Start, epoch and number of the first open bar: after a close there may be one that is as old.
    open: Option<(i64, u64, u64)>,
}

impl Listener {
    pub(crate) fn new(topic: Topic) -> Self {
        Self {
            topic,
            closes: None,
            open: None,
        }
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
        // An open bar has the number of the close before it, an amendment one of its own.
        let closes = *self.closes.get_or_insert(bar.close_no);
        if bar.closed {
            return bar.close_no > closes;
        }
        let at = bar.open_order();
        at > *self.open.get_or_insert(at)
    }
}

#[cfg(test)]
mod tests {
    use wire::{Candle, Completeness, Instrument, Price, Venue};

    use super::*;

    fn bar(seq: u64, closed: bool) -> String {
        bar_of(seq, closed, 3)
    }

    fn bar_of(seq: u64, closed: bool, close_no: u64) -> String {
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
            close_no,
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
    fn a_close_is_live_above_the_first_bars_number() {
        let close = |close_no: u64| bar_of(7, true, close_no);
        // Between two bars the newest close is what is there.
        let mut after_close = listener();
        for old in [close(3), close(3), close(2)] {
            assert_eq!(after_close.handle_frame(&old), Ok(None));
        }
        assert_eq!(after_close.handle_frame(&close(4)), Ok(Some(&close(4)[..])));
        // An open bar has the number of the close before it.
        let mut after_open = listener();
        for old in [bar(7, false), close(3)] {
            assert_eq!(after_open.handle_frame(&old), Ok(None));
        }
        assert_eq!(after_open.handle_frame(&close(4)), Ok(Some(&close(4)[..])));
    }

    #[test]
    fn the_first_open_bar_after_an_old_close_may_be_as_old() {
        let mut listener = listener();
        let (open, next) = (bar(8, false), bar(9, false));
        for old in [bar(7, true), open.clone(), open] {
            assert_eq!(listener.handle_frame(&old), Ok(None));
        }
        assert_eq!(listener.handle_frame(&next), Ok(Some(&next[..])));
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
