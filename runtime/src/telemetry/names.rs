// Pure: the names of spans and of what is said about them: the words of topics, metrics and logs.
#![deny(clippy::disallowed_methods)]

/// From a frame's arrival until its trades are on their way to their shards. A trace's first span.
pub const EXCHANGE_RECEIVE: &str = "exchange.receive";
/// From a shard's taking the trade until it is in its bars.
pub const BAR_AGGREGATE: &str = "bar.aggregate";
/// From a bar's handing to the bus until the bus has taken it.
pub const BAR_PUBLISH: &str = "bar.publish";
/// From a bar's coming from the bus until every shard of the gateway has it.
pub const BAR_RECEIVE: &str = "bar.receive";
/// From a shard of the gateway taking a bar until it is first written to a client.
pub const BAR_WRITE: &str = "bar.write";

/// Every span that there is.
pub const SPANS: [&str; 5] = [
    EXCHANGE_RECEIVE,
    BAR_AGGREGATE,
    BAR_PUBLISH,
    BAR_RECEIVE,
    BAR_WRITE,
];

/// What spans say, and logs by the same words.
pub mod key {
    /// The venue.
    pub const VENUE: &str = "venue";
    /// The symbol.
    pub const SYMBOL: &str = "symbol";
    /// The venue's number of the trade.
    pub const TRADE_ID: &str = "trade_id";
    /// From the venue's time to ours, in milliseconds; of our publishing to now, at a gateway. Clocks differ.
    pub const LAG_MS: &str = "lag_ms";
    /// The bar's topic.
    pub const TOPIC: &str = "topic";
    /// Whether the bar is closed.
    pub const CLOSED: &str = "closed";
    /// The topic's closes so far.
    pub const CLOSE_NO: &str = "close_no";
    /// The open bar's number in its epoch.
    pub const SEQ: &str = "seq";
    /// The owner's epoch.
    pub const EPOCH: &str = "epoch";
    /// The gateway's connection.
    pub const CONN_ID: &str = "conn_id";
    /// Whether the client's socket took nothing, so that the bar waits in the gateway.
    pub const BLOCKED: &str = "blocked";
    /// Which bus; OpenTelemetry's word.
    pub const MESSAGING_SYSTEM: &str = "messaging.system";
    /// The subject; OpenTelemetry's word.
    pub const MESSAGING_DESTINATION: &str = "messaging.destination.name";

    /// All of them.
    pub const ALL: [&str; 13] = [
        VENUE,
        SYMBOL,
        TRADE_ID,
        LAG_MS,
        TOPIC,
        CLOSED,
        CLOSE_NO,
        SEQ,
        EPOCH,
        CONN_ID,
        BLOCKED,
        MESSAGING_SYSTEM,
        MESSAGING_DESTINATION,
    ];
}
