// Pure: what is carried.
#![deny(clippy::disallowed_methods)]

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use wire::Venue;

use super::schema::{of_each, quoted, rules, url_pattern, written};

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
        inner(length(max = 41)),
        extend("x-kubernetes-list-type" = "set"),
        transform = symbol_rules
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
    #[schemars(
        length(max = 1_024),
        extend("x-kubernetes-validations" = written(
            url_pattern!("wss?"),
            "that is no address of it: write wss://host/path or ws://host:port/path",
        ))
    )]
    pub ws: String,

    /// Of its HTTP interface: http://host:port/path or https://host:port/path.
    #[schemars(
        length(max = 1_024),
        extend("x-kubernetes-validations" = written(
            url_pattern!("https?"),
            "that is no address of it: write https://host/path or http://host:port/path",
        ))
    )]
    pub rest: String,
}

/// The bar lengths that are made where nothing is said.
pub(super) fn usual_intervals() -> Vec<String> {
    ["1s", "1m", "1h", "1d"].map(str::to_owned).into()
}

/// Rules of each symbol. The form is short, and another rule bounds the sides: the API server bounds what a rule may cost over all
/// entries that there may be, by the pattern's length too.
fn symbol_rules(symbols: &mut Schema) {
    let rules = rules(&[
        (
            "self.matches('^[A-Z0-9]+-[A-Z0-9]+$')",
            "that is no symbol: write BASE-QUOTE in upper case, such as BTC-USDT",
        ),
        (
            "self.indexOf('-') <= 20 && self.size() - self.indexOf('-') <= 21",
            "a side of the symbol is too long: write 20 letters and digits at most on each side of the hyphen",
        ),
    ]);
    of_each(symbols, rules);
}

/// Rules of each interval: the form alone would let 7s and 60s pass. Of the units, each is written up to where the next
/// begins.
pub(super) fn interval_rules(intervals: &mut Schema) {
    const NUMBER: &str = "int(self.substring(0, self.size() - 1))";
    let form = quoted("^[1-9][0-9]{0,4}[smhd]$");
    let fits = format!(
        "!self.matches({form}) ? false : self.endsWith('s') ? 86400 % {NUMBER} == 0 && {NUMBER} % 60 != 0 : \
         self.endsWith('m') ? 1440 % {NUMBER} == 0 && {NUMBER} % 60 != 0 : \
         self.endsWith('h') ? 24 % {NUMBER} == 0 && {NUMBER} != 24 : self == '1d'"
    );
    let message = "that is no interval, does not divide a day, or has a shorter spelling: write 1s, 5s, 1m, 5m, 15m, 1h, 4h, \
                   12h, 1d or another that divides a day";
    of_each(intervals, rules(&[(&fits, message)]));
}
