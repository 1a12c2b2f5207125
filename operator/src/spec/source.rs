// Pure: what is carried.
#![deny(clippy::disallowed_methods)]

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::Venue;

use super::schema::{rules, url_pattern};

/// A venue and what is carried of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceSpec {
    /// Which venue: binance-spot (Binance's spot market), coinbase (Coinbase Exchange) or coinbase-advanced (Coinbase
    /// Advanced Trade).
    #[schemars(extend("enum" = Venue::KNOWN))]
    pub venue: String,

    /// Symbols as BASE-QUOTE in upper case, such as BTC-USDT, whatever the venue's own spelling; each once.
    #[schemars(
        length(min = 1, max = 10_000),
        inner(length(max = 41), regex(pattern = "^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub symbols: Vec<String>,

    /// Where the venue is, if not at the exchange itself: a simulator, a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<EndpointsSpec>,
}

/// Base addresses of a venue; the paths of its protocol are added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointsSpec {
    /// Of its WebSocket: ws://host:port/path or wss://host:port/path.
    #[schemars(length(max = 1_024), regex(pattern = url_pattern!("wss?")))]
    pub ws: String,

    /// Of its HTTP interface: http://host:port/path or https://host:port/path.
    #[schemars(length(max = 1_024), regex(pattern = url_pattern!("https?")))]
    pub rest: String,
}

/// The bar lengths that are made where nothing is said.
pub(super) fn usual_intervals() -> Vec<String> {
    ["1s", "1m", "1h", "1d"].map(str::to_owned).into()
}

/// Rules of each interval: the pattern lets 7s and 60s pass. Of the units, each is written up to where the next begins.
pub(super) fn interval_rules(schema: &mut Schema) {
    const NUMBER: &str = "int(self.substring(0, self.size() - 1))";
    let fits = format!(
        "self.endsWith('s') ? 86400 % {NUMBER} == 0 && {NUMBER} % 60 != 0 : \
         self.endsWith('m') ? 1440 % {NUMBER} == 0 && {NUMBER} % 60 != 0 : \
         self.endsWith('h') ? 24 % {NUMBER} == 0 && {NUMBER} != 24 : self == '1d'"
    );
    let message = "the interval does not divide a day, or has a shorter spelling: write 1s, 5s, 1m, 5m, 15m, 1h, 4h, \
                   12h, 1d or another that divides a day";
    if let Some(items) = schema.get_mut("items").and_then(Value::as_object_mut) {
        let rules = rules(&[(&fits, message)]);
        items.insert("x-kubernetes-validations".to_owned(), rules);
    }
}
