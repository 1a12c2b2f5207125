// Pure: Coinbase Advanced Trade's messages as they are sent.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::venue::json::Text;

/// What every message has. `sequence_num` is contiguous per connection, over all channels. A refusal has a
/// `type` in place of a channel.
///
/// ```json
/// {"channel":"heartbeats","timestamp":"2026-08-09T21:05:48.856364007Z","sequence_num":35,"events":[{"current_time":"2026-08-09 21:05:48.854840045 +0000 UTC m=+41691.260485341","heartbeat_counter":41691}]}
/// {"type":"error","message":"failed to subscribe: invalid product_ids"}
/// ```
#[derive(Debug, Deserialize)]
pub(super) struct Head<'a> {
    #[serde(borrow)]
    pub(super) channel: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) timestamp: Option<Text<'a>>,
    pub(super) sequence_num: Option<u64>,
    #[serde(borrow)]
    pub(super) message: Option<Text<'a>>,
}

/// Executions, newest first.
///
/// ```json
/// {"channel":"market_trades","timestamp":"2026-08-09T21:05:51.452192913Z","sequence_num":136,"events":[{"type":"update","trades":[{"product_id":"BTC-USD","trade_id":"1068572096","price":"65083.66","size":"0.00100346","time":"2026-08-09T21:05:51.426861Z","side":"BUY"},{"product_id":"BTC-USD","trade_id":"1068572095","price":"65083.67","size":"0.00322434","time":"2026-08-09T21:05:51.376358Z","side":"SELL"}]}]}
/// ```
#[derive(Debug, Deserialize)]
pub(super) struct MarketTrades<'a> {
    #[serde(borrow)]
    pub(super) events: Vec<TradesEvent<'a>>,
}

/// A snapshot, on subscribing, or an update.
#[derive(Debug, Deserialize)]
pub(super) struct TradesEvent<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    /// Each read for itself, so that one that is damaged does not take the others with it.
    #[serde(borrow)]
    pub(super) trades: Vec<&'a serde_json::value::RawValue>,
}

/// One execution.
#[derive(Debug, Deserialize)]
pub(super) struct MarketTrade<'a> {
    #[serde(borrow)]
    pub(super) product_id: Text<'a>,
    /// A number, as text.
    #[serde(borrow)]
    pub(super) trade_id: Text<'a>,
    #[serde(borrow)]
    pub(super) price: Text<'a>,
    #[serde(borrow)]
    pub(super) size: Text<'a>,
    #[serde(borrow)]
    pub(super) time: Text<'a>,
    /// The maker's side: `SELL` means that the taker bought.
    #[serde(borrow)]
    pub(super) side: Text<'a>,
}

/// Everything that is subscribed on the connection.
///
/// ```json
/// {"channel":"subscriptions","timestamp":"2026-08-09T21:05:48.228846629Z","sequence_num":2,"events":[{"subscriptions":{"market_trades":["BTC-USD","ETH-USD"]}}]}
/// ```
#[derive(Debug, Deserialize)]
pub(super) struct Subscriptions<'a> {
    #[serde(borrow)]
    pub(super) events: Vec<SubscriptionsEvent<'a>>,
}

/// Products by channel.
#[derive(Debug, Deserialize)]
pub(super) struct SubscriptionsEvent<'a> {
    #[serde(borrow, default)]
    pub(super) subscriptions: BTreeMap<Text<'a>, Vec<Text<'a>>>,
}
