//! Whether an assignment's venues have its symbols.

use std::time::Duration;

use wire::assignment::AssignedSource;
use wire::{Assignment, Instrument, ShardId, Symbol};

use super::endpoints;
use crate::repair::{RestBudgets, Unasked, unknown_symbols};
use crate::venue;

/// How long a venue may take. One that is away must not keep an assignment from being taken: it may be the one that
/// moves its instruments to a process that reaches it.
const ASK_MAX: Duration = Duration::from_secs(5);

/// Those of the added instruments that their venues say they have not. What a venue does not say counts as had.
pub(super) async fn unknown(
    assignment: &Assignment,
    added: &[(Instrument, ShardId)],
    budgets: &RestBudgets,
) -> Vec<Instrument> {
    let mut unknown = Vec::new();
    for source in assignment.sources() {
        let of = added.iter().filter(|(it, _)| it.venue == source.venue);
        let symbols: Vec<Symbol> = of.map(|(it, _)| it.symbol.clone()).collect();
        if symbols.is_empty() {
            continue;
        }
        let asked = tokio::time::timeout(ASK_MAX, of_source(source, &symbols, budgets)).await;
        match asked.unwrap_or(Err(Unasked::NoAnswer)) {
            Ok(lacks) => {
                let lacks = lacks.into_iter();
                unknown.extend(lacks.map(|it| Instrument::new(source.venue.clone(), it)));
            }
            Err(error @ Unasked::Untold) => {
                tracing::debug!(venue = %source.venue, symbols = symbols.len(), %error, "new symbols are believed");
            }
            Err(error) => {
                tracing::warn!(
                    venue = %source.venue, symbols = symbols.len(), %error,
                    "new symbols are believed: the venue cannot be asked for them"
                );
            }
        }
    }
    unknown
}

async fn of_source(
    source: &AssignedSource,
    symbols: &[Symbol],
    budgets: &RestBudgets,
) -> Result<Vec<Symbol>, Unasked> {
    // Whoever judged the assignment has made the same.
    let Ok(venue) = venue::adapter(&source.venue, symbols) else {
        return Ok(Vec::new());
    };
    let endpoints = endpoints(source).unwrap_or_else(|| venue.endpoints());
    let rest = endpoints.rest.trim_end_matches('/');
    unknown_symbols(venue.as_ref(), rest, &budgets.of(venue.as_ref())).await
}
