// Pure: Binance's messages as they are sent.
#![deny(clippy::disallowed_methods)]

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::venue::json::Text;

/// Whatever comes on `/stream`: an event in its envelope, or the answer to a request.
///
/// ```json
/// {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}
/// {"result":null,"id":1}
/// {"code":2,"msg":"Invalid request: too many parameters"}
/// {"error":{"code":2,"msg":"Invalid request: unknown stream"},"id":4}
/// ```
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) data: Option<Payload<'a>>,
    pub(super) id: Option<u64>,
    #[serde(borrow)]
    pub(super) error: Option<Refusal<'a>>,
    pub(super) code: Option<i64>,
    #[serde(borrow)]
    pub(super) msg: Option<Text<'a>>,
}

/// An event. Fields are those of a trade; of other events only the type and the time are used.
///
/// ```json
/// {"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}
/// {"e":"kline","E":1682244928001,"s":"ETHUSDT","k":{"t":1682244927000,"T":1682244927999,"s":"ETHUSDT","i":"1s","f":-1,"L":-1,"o":"1870.76000000","c":"1870.76000000","h":"1870.76000000","l":"1870.76000000","v":"0.00000000","n":0,"x":true,"q":"0.00000000","V":"0.00000000","Q":"0.00000000"}}
/// {"e":"serverShutdown","E":1770123456789}
/// ```
#[derive(Debug, Deserialize)]
pub(super) struct Payload<'a> {
    #[serde(borrow, rename = "e")]
    pub(super) kind: Option<Text<'a>>,
    #[serde(rename = "E")]
    pub(super) event_time_ms: Option<i64>,
    #[serde(borrow, rename = "s")]
    pub(super) symbol: Option<Text<'a>>,
    #[serde(rename = "t")]
    pub(super) trade_id: Option<u64>,
    #[serde(borrow, rename = "p")]
    pub(super) price: Option<Text<'a>>,
    #[serde(borrow, rename = "q")]
    pub(super) size: Option<Text<'a>>,
    #[serde(rename = "T")]
    pub(super) trade_time_ms: Option<i64>,
    /// Whether the buyer is the maker: then the taker sold.
    #[serde(rename = "m")]
    pub(super) buyer_is_maker: Option<bool>,
    /// Not ours; named so that it is not taken for `m`.
    #[serde(rename = "M")]
    pub(super) _best_match: Option<IgnoredAny>,
}

/// Why a request was refused.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal<'a> {
    #[serde(borrow)]
    pub(super) msg: Option<Text<'a>>,
}
