// Pure: one WebSocket connection to Binance spot.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;

use indexmap::IndexSet;
use serde::Deserialize;
use serde_json::Value;
use wire::Interval;

use super::{frames, recorded};
use crate::market::tape::Execution;
use crate::market::{Event, EventKind, Market};
use crate::venue::{self, Class, Kind, Limits, Opening, Output, Outputs};

/// `/ws`, `/ws/<stream>` and `/stream?streams=<a>/<b>`: streams, their acks, pings, and the connection's limits.
#[derive(Debug)]
pub struct Session {
    /// Whether messages are wrapped in `{"stream":...,"data":...}`.
    combined: bool,
    /// In the order of subscription, which is the order that LIST_SUBSCRIPTIONS answers in.
    streams: IndexSet<String>,
    limits: Limits,
    /// When the last second's messages came in; never longer than the limit.
    received: VecDeque<u64>,
    opened_ms: u64,
    next_ping_ms: u64,
    /// When the oldest ping went out that no pong has answered.
    unanswered_since_ms: Option<u64>,
    pings: u64,
    closed: bool,
    outputs: Outputs,
}

/// `{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}`
#[derive(Debug, Deserialize)]
struct Request {
    method: Method,
    #[serde(default)]
    params: Vec<String>,
    id: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Method {
    Subscribe,
    Unsubscribe,
    ListSubscriptions,
}

impl Session {
    /// A connection as its URL asks for it.
    #[must_use]
    pub fn new(opening: &Opening<'_>) -> Self {
        let combined = opening.path.starts_with("/stream");
        let mut session = Self {
            combined,
            streams: IndexSet::new(),
            limits: opening.limits.clone(),
            received: VecDeque::new(),
            opened_ms: opening.now_ms,
            next_ping_ms: opening.now_ms + opening.limits.ping_every_ms,
            unanswered_since_ms: None,
            pings: 0,
            closed: false,
            outputs: Outputs::new(),
        };
        let listed = if combined {
            opening
                .query
                .split('&')
                .find_map(|pair| pair.strip_prefix("streams="))
                .unwrap_or("")
        } else {
            opening.path.strip_prefix("/ws/").unwrap_or("")
        };
        let streams = listed
            .split('/')
            .filter(|s| !s.is_empty())
            .map(|s| s.replace("%40", "@"))
            .collect();
        session.subscribe(streams);
        session
    }

    fn subscribe(&mut self, streams: Vec<String>) {
        if self.streams.len() + streams.len() > self.limits.streams_max {
            return self.close(1008, "Too many streams");
        }
        for stream in streams {
            let symbol = stream
                .split_once('@')
                .filter(|(_, kind)| matches!(*kind, "trade" | "aggTrade"))
                .and_then(|(native, _)| Kind::BinanceSpot.symbol(&native.to_uppercase()));
            self.streams.insert(stream);
            if let Some(symbol) = symbol {
                self.outputs.push_back(Output::Wants(symbol));
            }
        }
    }

    fn close(&mut self, code: u16, reason: &'static str) {
        if !self.closed {
            self.closed = true;
            self.outputs.push_back(Output::Close(code, reason));
        }
    }

    fn answer(&mut self, text: String) {
        self.outputs.push_back(Output::Text(Class::Answer, text));
    }

    /// Counts a message against the limit. False if the connection is closed for it.
    fn admit(&mut self, now_ms: u64) -> bool {
        if self.limits.enforced {
            while self
                .received
                .front()
                .is_some_and(|&at| at + 1_000 <= now_ms)
            {
                self.received.pop_front();
            }
            self.received.push_back(now_ms);
            if self.received.len() > self.limits.messages_per_second {
                self.close(1008, "Too many requests");
            }
        }
        !self.closed
    }

    fn carry_out(&mut self, request: Request) {
        let ack = |id: &Value| format!(r#"{{"result":null,"id":{id}}}"#);
        match request.method {
            Method::Subscribe => {
                if let Some(wrong) = request.params.iter().find(|s| !is_stream(s)) {
                    tracing::debug!(stream = wrong, "refused");
                    return self.answer(
                        r#"{"code":2,"msg":"Invalid request: invalid stream"}"#.to_owned(),
                    );
                }
                self.answer(ack(&request.id));
                self.subscribe(request.params);
            }
            Method::Unsubscribe => {
                for stream in &request.params {
                    self.streams.shift_remove(stream);
                }
                self.answer(ack(&request.id));
            }
            Method::ListSubscriptions if !request.params.is_empty() => {
                self.answer(
                    r#"{"code":2,"msg":"Invalid request: too many parameters"}"#.to_owned(),
                );
            }
            Method::ListSubscriptions => {
                let streams: Vec<_> = self
                    .streams
                    .iter()
                    .map(|s| Value::from(s.as_str()))
                    .collect();
                self.answer(format!(
                    r#"{{"result":{},"id":{}}}"#,
                    Value::from(streams),
                    request.id
                ));
            }
        }
    }

    fn send(&mut self, class: Class, stream: &str, data: &str) {
        let text = if self.combined {
            frames::combined(stream, data)
        } else {
            data.to_owned()
        };
        self.outputs.push_back(Output::Text(class, text));
    }

    /// Sends a recorded message byte for byte, if this kind of connection would have got those bytes; else it is
    /// wrapped or unwrapped.
    fn send_recorded(&mut self, class: Class, stream: &str, frame: &str) {
        match recorded::split_combined(frame) {
            (Some(_), _) if self.combined => self
                .outputs
                .push_back(Output::Text(class, frame.to_owned())),
            (_, data) => self.send(class, stream, data),
        }
    }

    fn send_trades(
        &mut self,
        native: &str,
        executions: &[Execution],
        frame: Option<&str>,
        made_up: bool,
    ) {
        let lower = native.to_lowercase();
        let stream = format!("{lower}@trade");
        if self.streams.contains(&stream) {
            match frame {
                Some(frame) => self.send_recorded(Class::Trade, &stream, frame),
                None => {
                    for execution in executions {
                        self.send(Class::Trade, &stream, &frames::trade(native, execution));
                    }
                }
            }
        }
        let stream = format!("{lower}@aggTrade");
        if made_up && self.streams.contains(&stream) {
            for group in executions.chunk_by(|a, b| a.aggregate_id == b.aggregate_id) {
                if let Some(data) = frames::aggregate(native, group) {
                    self.send(Class::Trade, &stream, &data);
                }
            }
        }
    }

    /// Klines as the exchange pushes them: each second for 1s, each two seconds and at the close for the others.
    /// When the market is over, all of them each second, recorded ones too, at the time that its clock shows.
    fn send_klines(&mut self, second_ms: i64, event: &Event, market: &Market) {
        let idle = matches!(event.kind, EventKind::Idle(_));
        let event_ms = if idle { event.clock_ms } else { second_ms } + 1;
        let klines: Vec<_> = self
            .streams
            .iter()
            .filter_map(|s| kline_stream(s))
            .collect();
        for (stream, native, interval) in klines {
            let start_ms = interval.start_of(second_ms - 1);
            let closed = start_ms.saturating_add(interval.ms()) == second_ms;
            let due = interval == Interval::S1 || closed || second_ms % 2_000 == 0;
            if !idle && (!due || market.recorded_streams.contains(&stream)) {
                continue;
            }
            let Some((_, tape)) = market.by_native(&native) else {
                continue;
            };
            if let Some(row) = tape.row(interval, start_ms, event.position) {
                let data = frames::kline(&native, interval, &row, event_ms, closed);
                self.send(Class::Tick, &stream, &data);
            }
        }
    }
}

impl venue::Session for Session {
    fn handle_text(&mut self, now_ms: u64, text: &str, _: &Market) {
        if !self.admit(now_ms) {
            return;
        }
        match serde_json::from_str::<Value>(text) {
            Err(error) => {
                let message = Value::from(format!("Invalid JSON: {error}"));
                self.answer(format!(r#"{{"code":3,"msg":{message}}}"#));
            }
            Ok(value) => match serde_json::from_value::<Request>(value) {
                Ok(request)
                    if request.id.is_u64() || request.id.is_string() || request.id.is_null() =>
                {
                    self.carry_out(request);
                }
                Ok(_) => self.answer(
                    r#"{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}"#
                        .to_owned(),
                ),
                Err(error) => {
                    let message = Value::from(format!("Invalid request: {error}"));
                    self.answer(format!(r#"{{"code":2,"msg":{message}}}"#));
                }
            },
        }
    }

    fn handle_ping(&mut self, now_ms: u64) {
        self.admit(now_ms);
    }

    fn handle_pong(&mut self, now_ms: u64, payload: &[u8]) {
        // Only the payload of the newest ping answers; an unsolicited pong is allowed and answers nothing.
        if payload == self.pings.to_string().as_bytes() {
            self.unanswered_since_ms = None;
        }
        self.admit(now_ms);
    }

    fn handle_event(&mut self, _: u64, event: &Event, market: &Market) {
        if self.closed {
            return;
        }
        match &event.kind {
            EventKind::Trades {
                symbol,
                executions,
                frame,
            } => {
                let native = Kind::BinanceSpot.native(symbol);
                let aggregate = format!("{}@aggTrade", native.to_lowercase());
                let made_up = !market.recorded_streams.contains(&aggregate);
                self.send_trades(&native, executions, frame.as_deref(), made_up);
            }
            EventKind::Other { stream, frame } => {
                if self.streams.contains(stream) {
                    let class = match kline_stream(stream) {
                        Some(_) => Class::Tick,
                        None if stream.ends_with("@aggTrade") => Class::Trade,
                        None => Class::Other,
                    };
                    self.send_recorded(class, stream, frame);
                }
            }
            EventKind::Second(second_ms) | EventKind::Idle(second_ms) => {
                self.send_klines(*second_ms, event, market);
            }
            EventKind::Shutdown => {
                self.send(
                    Class::Other,
                    "!serverShutdown",
                    &frames::server_shutdown(event.clock_ms),
                );
            }
        }
    }

    fn handle_timeout(&mut self, now_ms: u64) {
        if !self.limits.enforced || self.closed {
            return;
        }
        if self
            .unanswered_since_ms
            .is_some_and(|since| now_ms >= since + self.limits.pong_within_ms)
        {
            return self.close(1008, "Pong timeout");
        }
        if now_ms >= self.opened_ms + self.limits.lifetime_ms {
            return self.close(1001, "Connection lifetime is over");
        }
        if now_ms >= self.next_ping_ms {
            self.pings += 1;
            self.next_ping_ms = now_ms + self.limits.ping_every_ms;
            self.unanswered_since_ms.get_or_insert(now_ms);
            self.outputs.push_back(Output::Ping(self.pings.to_string()));
        }
    }

    fn poll_timeout(&self) -> Option<u64> {
        if !self.limits.enforced || self.closed {
            return None;
        }
        let pong = self
            .unanswered_since_ms
            .map(|since| since + self.limits.pong_within_ms);
        let end = self.opened_ms + self.limits.lifetime_ms;
        Some(self.next_ping_ms.min(end).min(pong.unwrap_or(u64::MAX)))
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

/// The stream's name, its symbol as Binance writes it, and the interval, if it is a kline stream.
fn kline_stream(stream: &str) -> Option<(String, String, Interval)> {
    let (native, interval) = stream.split_once("@kline_")?;
    Some((
        stream.to_owned(),
        native.to_uppercase(),
        interval.parse().ok()?,
    ))
}

/// `<symbol>@<kind>` or `!<kind>`; the exchange acknowledges any such name, carried or not.
fn is_stream(text: &str) -> bool {
    text.starts_with('!')
        || text
            .split_once('@')
            .is_some_and(|(symbol, kind)| !symbol.is_empty() && !kind.is_empty())
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
