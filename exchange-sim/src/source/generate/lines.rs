// Pure: generated steps as a recording would hold them, for test data and benchmarks.
#![deny(clippy::disallowed_methods)]

use crate::market::{Event, EventKind, Listed, Market, Step};
use crate::venue::{Kind, binance_spot, coinbase, coinbase_advanced};

/// Writes a venue's steps as lines of a recording, `<receive_ns> <json>`, each received a millisecond after it
/// was announced.
#[derive(Debug)]
pub struct Lines {
    market: Market,
    sequence_num: u64,
}

impl Lines {
    /// A writer for a market of these instruments.
    #[must_use]
    pub fn new(kind: Kind, listed: &[Listed]) -> Self {
        Self {
            market: Market::new(kind, listed, 0),
            sequence_num: 0,
        }
    }

    /// The messages that a step causes, without receive times, as the venue's trade stream would send them.
    pub fn messages(&mut self, step: Step) -> Vec<String> {
        let Some(Event {
            clock_ms,
            kind: EventKind::Trades {
                symbol, executions, ..
            },
            ..
        }) = self.market.handle_step(step)
        else {
            return Vec::new();
        };
        match self.market.kind {
            Kind::BinanceSpot => {
                let native = Kind::BinanceSpot.native(&symbol);
                let stream = format!("{}@trade", native.to_lowercase());
                let frame = |e| {
                    binance_spot::frames::combined(
                        &stream,
                        &binance_spot::frames::trade(&native, e),
                    )
                };
                executions.iter().map(frame).collect()
            }
            Kind::Coinbase => executions
                .iter()
                .map(|e| coinbase::frames::match_of("match", &symbol, e))
                .collect(),
            Kind::CoinbaseAdvanced => {
                let newest = executions
                    .iter()
                    .rev()
                    .map(|execution| (&symbol, execution));
                let event = coinbase_advanced::frames::trades("update", newest);
                self.sequence_num += 1;
                let number = self.sequence_num - 1;
                vec![coinbase_advanced::frames::message(
                    "market_trades",
                    clock_ms,
                    number,
                    &event,
                )]
            }
        }
    }

    /// The lines that a step causes, each with its line end.
    pub fn lines(&mut self, step: Step) -> String {
        let receive_ns = step
            .clock_ms
            .unwrap_or(0)
            .saturating_add(1)
            .saturating_mul(1_000_000);
        self.messages(step)
            .iter()
            .map(|message| format!("{receive_ns} {message}\n"))
            .collect()
    }
}
