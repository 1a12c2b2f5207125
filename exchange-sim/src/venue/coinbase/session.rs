// Pure: one WebSocket connection to Coinbase Exchange.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use serde::Deserialize;
use wire::Symbol;

use super::frames;
use crate::market::tape::Execution;
use crate::market::{Event, EventKind, Market};
use crate::venue::{self, Class, Limits, Opening, Output, Outputs};

/// Channels by name and product; heartbeats; the time that a client has to subscribe.
#[derive(Debug)]
pub struct Session {
    /// Products by channel, in the order of subscription.
    channels: BTreeMap<String, Vec<Symbol>>,
    limits: Limits,
    opened_ms: u64,
    /// The last event that this connection has seen: what it may know of.
    position: u64,
    closed: bool,
    outputs: Outputs,
}

/// `{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches","heartbeat"]}`
#[derive(Debug, Deserialize)]
struct Request {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    product_ids: Vec<String>,
    #[serde(default)]
    channels: Vec<Channel>,
}

/// A channel is named alone, or with products of its own.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Channel {
    Name(String),
    Full {
        name: String,
        #[serde(default)]
        product_ids: Vec<String>,
    },
}

const CHANNELS: [&str; 4] = ["heartbeat", "level2", "matches", "ticker"];

impl Session {
    /// A connection without subscriptions.
    #[must_use]
    pub fn new(opening: &Opening<'_>) -> Self {
        Self {
            channels: BTreeMap::new(),
            limits: opening.limits.clone(),
            opened_ms: opening.now_ms,
            position: opening.position,
            closed: false,
            outputs: Outputs::new(),
        }
    }

    fn answer(&mut self, text: String) {
        self.outputs.push_back(Output::Text(Class::Answer, text));
    }

    /// The channels and products that a request names, or why it is refused.
    fn wanted(request: &Request, market: &Market) -> Result<Vec<(String, Symbol)>, String> {
        let mut wanted = Vec::new();
        for channel in &request.channels {
            let (name, own) = match channel {
                Channel::Name(name) => (name, None),
                Channel::Full { name, product_ids } => {
                    (name, Some(product_ids).filter(|ids| !ids.is_empty()))
                }
            };
            if !CHANNELS.contains(&name.as_str()) {
                return Err(format!("{name} is not a valid channel"));
            }
            for product in own.unwrap_or(&request.product_ids) {
                let listed = Symbol::new(product)
                    .ok()
                    .filter(|symbol| market.tapes.contains_key(symbol));
                wanted.push((
                    name.clone(),
                    listed.ok_or_else(|| format!("{product} is not a valid product"))?,
                ));
            }
        }
        if wanted.is_empty() {
            Err("no channels or products are given".to_owned())
        } else {
            Ok(wanted)
        }
    }

    fn subscribe(&mut self, wanted: Vec<(String, Symbol)>, market: &Market) {
        let mut new_matches = Vec::new();
        for (channel, symbol) in wanted {
            let products = self.channels.entry(channel.clone()).or_default();
            if !products.contains(&symbol) {
                products.push(symbol.clone());
                if channel == "matches" {
                    new_matches.push(symbol);
                }
            }
        }
        self.answer(frames::subscriptions(&self.channels));
        for symbol in new_matches {
            if let Some(last) = market
                .tapes
                .get(&symbol)
                .and_then(|tape| tape.last_at(self.position))
            {
                let text = frames::match_of("last_match", &symbol, last);
                self.outputs.push_back(Output::Text(Class::Trade, text));
            }
            self.outputs.push_back(Output::Wants(symbol));
        }
    }

    fn unsubscribe(&mut self, wanted: &[(String, Symbol)]) {
        for (channel, symbol) in wanted {
            if let Some(products) = self.channels.get_mut(channel) {
                products.retain(|product| product != symbol);
            }
        }
        self.answer(frames::subscriptions(&self.channels));
    }

    fn has(&self, channel: &str, symbol: &Symbol) -> bool {
        self.channels
            .get(channel)
            .is_some_and(|products| products.contains(symbol))
    }

    fn send_matches(&mut self, symbol: &Symbol, executions: &[Execution], frame: Option<&str>) {
        match frame {
            Some(frame) => self
                .outputs
                .push_back(Output::Text(Class::Trade, frame.to_owned())),
            None => {
                let texts = executions
                    .iter()
                    .map(|execution| frames::match_of("match", symbol, execution));
                self.outputs
                    .extend(texts.map(|text| Output::Text(Class::Trade, text)));
            }
        }
    }

    /// A heartbeat of each product at this time, or at that of the trade that it names if that is later: a recorded
    /// `last_match` shows no clock and may lie beyond the second. Where a recording has its own, only after its end.
    fn send_heartbeats(&mut self, time_ms: i64, event: &Event, market: &Market) {
        let idle = matches!(event.kind, EventKind::Idle(_));
        for symbol in self.channels.get("heartbeat").into_iter().flatten() {
            let stream = format!("heartbeat:{symbol}");
            if !idle && market.recorded_streams.contains(&stream) {
                continue;
            }
            let last = market
                .tapes
                .get(symbol)
                .and_then(|tape| tape.last_at(event.position));
            let (last_id, last_ms) = last.map_or((0, i64::MIN), |execution| {
                // Rounded up: the trade has microseconds, the heartbeat's time must not be before it.
                let ceiling_us = execution.time_us.saturating_add(999);
                (execution.trade.id, ceiling_us.div_euclid(1_000))
            });
            let text = frames::heartbeat(symbol, last_id, time_ms.max(last_ms));
            self.outputs.push_back(Output::Text(Class::Tick, text));
        }
    }
}

impl venue::Session for Session {
    fn handle_text(&mut self, _: u64, text: &str, market: &Market) {
        if self.closed {
            return;
        }
        let Ok(request) = serde_json::from_str::<Request>(text) else {
            return self.answer(frames::error("Malformed JSON", None));
        };
        match (request.kind.as_str(), Self::wanted(&request, market)) {
            ("subscribe", Ok(wanted)) => self.subscribe(wanted, market),
            ("subscribe", Err(reason)) => {
                self.answer(frames::error("Failed to subscribe", Some(&reason)));
            }
            ("unsubscribe", Ok(wanted)) => self.unsubscribe(&wanted),
            ("unsubscribe", Err(reason)) => {
                self.answer(frames::error("Failed to unsubscribe", Some(&reason)));
            }
            (kind, _) => {
                let reason = format!("{kind} is not a valid type");
                self.answer(frames::error("Failed to parse", Some(&reason)));
            }
        }
    }

    fn handle_ping(&mut self, _: u64) {}

    fn handle_pong(&mut self, _: u64, _: &[u8]) {}

    fn handle_event(&mut self, _: u64, event: &Event, market: &Market) {
        self.position = event.position;
        match &event.kind {
            EventKind::Trades {
                symbol,
                executions,
                frame,
            } if self.has("matches", symbol) => {
                self.send_matches(symbol, executions, frame.as_deref());
            }
            EventKind::Other { stream, frame } => {
                let subscribed = stream.split_once(':').is_some_and(|(channel, id)| {
                    Symbol::new(id).is_ok_and(|symbol| self.has(channel, &symbol))
                });
                if subscribed {
                    let class = if stream.starts_with("heartbeat:") {
                        Class::Tick
                    } else {
                        Class::Other
                    };
                    self.outputs
                        .push_back(Output::Text(class, frame.to_string()));
                }
            }
            EventKind::Second(second_ms) => {
                self.send_heartbeats(*second_ms, event, market);
            }
            EventKind::Idle(_) => self.send_heartbeats(event.clock_ms, event, market),
            EventKind::Trades { .. } | EventKind::Shutdown => {}
        }
    }

    fn handle_timeout(&mut self, now_ms: u64) {
        if self.poll_timeout().is_some_and(|due| now_ms >= due) {
            self.closed = true;
            self.outputs
                .push_back(Output::Close(1008, "no subscription within 5 seconds"));
        }
    }

    fn poll_timeout(&self) -> Option<u64> {
        let waiting = self.limits.enforced && !self.closed && self.channels.is_empty();
        waiting.then_some(self.opened_ms + self.limits.subscribe_within_ms)
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
