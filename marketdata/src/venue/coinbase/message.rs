// Pure: Coinbase Exchange's messages as they are sent.
#![deny(clippy::disallowed_methods)]

use serde::Deserialize;

use crate::venue::json::Text;

/// What every message begins with. Types that we do not know are ignored, as the venue asks.
#[derive(Debug, Deserialize)]
pub(super) struct Head<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
}

/// An execution. `last_match` has the same fields and is sent on subscribing: the newest trade before it.
///
/// ```json
/// {"type":"last_match","trade_id":881613,"maker_order_id":"27fff20b-af29-4f45-8744-56dd1ef57dc0","taker_order_id":"1da6ce16-c8da-4732-9f71-6049f4c6aaf8","side":"sell","size":"0.04","price":"14.7775","product_id":"BAND-GBP","sequence":333938798,"time":"2021-04-17T16:43:30.244075Z"}
/// ```
#[derive(Debug, Deserialize)]
pub(super) struct Match<'a> {
    pub(super) trade_id: u64,
    /// The maker's side: `sell` means that the taker bought.
    #[serde(borrow)]
    pub(super) side: Text<'a>,
    #[serde(borrow)]
    pub(super) size: Text<'a>,
    #[serde(borrow)]
    pub(super) price: Text<'a>,
    #[serde(borrow)]
    pub(super) product_id: Text<'a>,
    #[serde(borrow)]
    pub(super) time: Text<'a>,
}

/// The venue's clock, and its newest trade of the product.
///
/// ```json
/// {"type":"heartbeat","last_trade_id":1092969669,"product_id":"BTC-USD","sequence":136118091026,"time":"2026-09-15T11:01:54.000000Z"}
/// ```
#[derive(Debug, Deserialize)]
pub(super) struct Heartbeat<'a> {
    pub(super) last_trade_id: u64,
    #[serde(borrow)]
    pub(super) product_id: Text<'a>,
    #[serde(borrow)]
    pub(super) time: Text<'a>,
}

/// Everything that is subscribed on the connection.
///
/// ```json
/// {"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}
/// ```
#[derive(Debug, Deserialize)]
pub(super) struct Subscriptions<'a> {
    #[serde(borrow)]
    pub(super) channels: Vec<Channel<'a>>,
}

/// One channel's products.
#[derive(Debug, Deserialize)]
pub(super) struct Channel<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow, default)]
    pub(super) product_ids: Vec<Text<'a>>,
}

/// A refusal, of the whole request.
///
/// ```json
/// {"type":"error","message":"Failed to subscribe","reason":"GIBBERISH-USD is not a valid product"}
/// ```
#[derive(Debug, Deserialize)]
pub(super) struct Refusal<'a> {
    #[serde(borrow)]
    pub(super) message: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) reason: Option<Text<'a>>,
}
