// Pure: one WebSocket connection to Coinbase Advanced Trade.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use serde::Deserialize;
use wire::Symbol;

use super::frames;
use crate::market::{Event, EventKind, Market};
use crate::venue::{self, Class, Limits, Opening, Output, Outputs};

/// Channels, snapshots, heartbeats, and one contiguous `sequence_num` over all of them.
#[derive(Debug)]
pub struct Session {
    /// Products by channel; `heartbeats` is there with none.
    channels: BTreeMap<String, Vec<Symbol>>,
    limits: Limits,
    sequence_num: u64,
    heartbeats: u64,
    /// The last event that this connection has seen: what it may know of.
    position: u64,
    clock_ms: i64,
    /// When the client was last sent anything.
    sent_ms: u64,
    closed: bool,
    outputs: Outputs,
}

/// `{"type":"subscribe","product_ids":["BTC-USD","ETH-USD"],"channel":"market_trades"}`
#[derive(Debug, Deserialize)]
struct Request {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    product_ids: Vec<String>,
    channel: String,
}

/// How many trades a snapshot holds for each product.
const SNAPSHOT_LEN: usize = 100;

const TRADES: &str = "market_trades";
const HEARTBEATS: &str = "heartbeats";

impl Session {
    /// A connection without subscriptions.
    #[must_use]
    pub fn new(opening: &Opening<'_>) -> Self {
        Self {
            channels: BTreeMap::new(),
            limits: opening.limits.clone(),
            sequence_num: 0,
            heartbeats: 0,
            position: opening.position,
            clock_ms: 0,
            sent_ms: opening.now_ms,
            closed: false,
            outputs: Outputs::new(),
        }
    }

    fn send(&mut self, now_ms: u64, class: Class, channel: &str, event: &str) {
        let text = frames::message(channel, self.clock_ms, self.sequence_num, event);
        self.sequence_num += 1;
        self.sent_ms = now_ms;
        self.outputs.push_back(Output::Text(class, text));
    }

    fn error(&mut self, message: &str) {
        self.outputs
            .push_back(Output::Text(Class::Answer, frames::error(message)));
    }

    fn products(request: &Request, market: &Market) -> Result<Vec<Symbol>, String> {
        let listed = |id: &String| {
            let symbol = Symbol::new(id)
                .ok()
                .filter(|symbol| market.tapes.contains_key(symbol));
            symbol.ok_or_else(|| format!("failure to subscribe: {id} is not a valid product"))
        };
        let products = request
            .product_ids
            .iter()
            .map(listed)
            .collect::<Result<Vec<_>, _>>()?;
        if request.channel == TRADES && products.is_empty() {
            return Err("failure to subscribe: no product_ids".to_owned());
        }
        Ok(products)
    }

    fn subscribe(&mut self, now_ms: u64, channel: &str, products: Vec<Symbol>, market: &Market) {
        if channel == TRADES {
            for symbol in &products {
                self.send_snapshot(now_ms, symbol, market);
            }
        }
        let subscribed = self.channels.entry(channel.to_owned()).or_default();
        for symbol in products {
            if !subscribed.contains(&symbol) {
                subscribed.push(symbol.clone());
            }
            if channel == TRADES {
                self.outputs.push_back(Output::Wants(symbol));
            }
        }
        self.acknowledge(now_ms);
    }

    /// Each subscribe sends one, also where the client had it before.
    fn send_snapshot(&mut self, now_ms: u64, symbol: &Symbol, market: &Market) {
        let Some(tape) = market.tapes.get(symbol) else {
            return;
        };
        let newest = tape
            .until(self.position)
            .rev()
            .take(SNAPSHOT_LEN)
            .map(|execution| (symbol, execution));
        let event = frames::trades("snapshot", newest);
        self.send(now_ms, Class::Trade, TRADES, &event);
    }

    fn acknowledge(&mut self, now_ms: u64) {
        let event = frames::subscriptions(&self.channels);
        self.send(now_ms, Class::Answer, "subscriptions", &event);
    }
}

impl venue::Session for Session {
    fn handle_text(&mut self, now_ms: u64, text: &str, market: &Market) {
        if self.closed {
            return;
        }
        self.clock_ms = market
            .clock_ms()
            .unwrap_or(self.clock_ms)
            .max(self.clock_ms);
        let Ok(request) = serde_json::from_str::<Request>(text) else {
            return self.error("failed to parse the message");
        };
        if request.channel != TRADES && request.channel != HEARTBEATS {
            return self.error("channel is not supported");
        }
        match (request.kind.as_str(), Self::products(&request, market)) {
            (_, Err(reason)) => self.error(&reason),
            ("subscribe", Ok(products)) => {
                self.subscribe(now_ms, &request.channel, products, market);
            }
            ("unsubscribe", Ok(products)) => {
                if request.channel == HEARTBEATS {
                    self.channels.remove(HEARTBEATS);
                } else if let Some(subscribed) = self.channels.get_mut(TRADES) {
                    subscribed.retain(|symbol| !products.contains(symbol));
                }
                self.acknowledge(now_ms);
            }
            (_, Ok(_)) => self.error("type is neither subscribe nor unsubscribe"),
        }
    }

    fn handle_ping(&mut self, _: u64) {}

    fn handle_pong(&mut self, _: u64, _: &[u8]) {}

    fn handle_event(&mut self, now_ms: u64, event: &Event, _: &Market) {
        self.position = event.position;
        self.clock_ms = event.clock_ms.max(self.clock_ms);
        match &event.kind {
            EventKind::Trades {
                symbol, executions, ..
            } => {
                if self
                    .channels
                    .get(TRADES)
                    .is_some_and(|products| products.contains(symbol))
                {
                    let newest = executions.iter().rev().map(|execution| (symbol, execution));
                    let event = frames::trades("update", newest);
                    self.send(now_ms, Class::Trade, TRADES, &event);
                }
            }
            EventKind::Second(time_ms) | EventKind::Idle(time_ms) => {
                if self.channels.contains_key(HEARTBEATS) {
                    self.heartbeats += 1;
                    let event = frames::heartbeat(*time_ms, self.heartbeats);
                    self.send(now_ms, Class::Tick, HEARTBEATS, &event);
                }
            }
            EventKind::Other { .. } | EventKind::Shutdown => {}
        }
    }

    fn handle_timeout(&mut self, now_ms: u64) {
        if self.poll_timeout().is_some_and(|due| now_ms >= due) {
            self.closed = true;
            self.outputs
                .push_back(Output::Close(1001, "channel was silent"));
        }
    }

    fn poll_timeout(&self) -> Option<u64> {
        let watched = self.limits.enforced && !self.closed;
        watched.then_some(self.sent_ms + self.limits.silence_ms)
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
