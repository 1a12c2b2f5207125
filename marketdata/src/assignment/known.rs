//! Whether an assignment's venues have its symbols.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use wire::assignment::AssignedSource;
use wire::{Assignment, Instrument, Symbol};

use super::denied::Said;
use super::endpoints;
use crate::repair::{RestBudgets, Unasked, unknown_symbols};
use crate::venue;

/// How long venues may take, all at the same time. One that is away must not keep an assignment from being taken: it
/// may be the one that moves its instruments to a process that reaches it.
const ASK_MAX: Duration = Duration::from_secs(10);

/// Asks the venues of these instruments whether they have them: all at the same time, each by one request, and no more
/// of them than a release has adapters.
pub(super) async fn ask(
    assignment: &Assignment,
    added: &[Instrument],
    budgets: &RestBudgets,
) -> Said {
    let asks = assignment.sources().iter().filter_map(|source| {
        let of = added.iter().filter(|it| it.venue == source.venue);
        let symbols: Vec<Symbol> = of.map(|it| it.symbol.clone()).collect();
        (!symbols.is_empty()).then_some(async move {
            let asked = tokio::time::timeout(ASK_MAX, of_source(source, &symbols, budgets));
            let answer = asked.await.unwrap_or(Err(Unasked::NoAnswer));
            (source, symbols, answer)
        })
    });
    let mut said = Said::default();
    for (source, symbols, answer) in join_all(asks).await {
        match answer {
            Ok(lacks) => {
                for symbol in symbols {
                    let answered = match lacks.contains(&symbol) {
                        true => &mut said.lacks,
                        false => &mut said.has,
                    };
                    answered.push(Instrument::new(source.venue.clone(), symbol));
                }
            }
            Err(error @ Unasked::Untold) => {
                tracing::debug!(venue = %source.venue, symbols = symbols.len(), %error, "new symbols are believed");
            }
            Err(error) => {
                tracing::warn!(
                    venue = %source.venue, symbols = symbols.len(), %error,
                    "new symbols are believed, but for those that it denied before: the venue cannot be asked for them"
                );
            }
        }
    }
    said
}

/// Those of the symbols that the source's venue has not.
async fn of_source(
    source: &AssignedSource,
    symbols: &[Symbol],
    budgets: &RestBudgets,
) -> Result<BTreeSet<Symbol>, Unasked> {
    // Whoever judged the assignment has made the same.
    let Ok(venue) = venue::adapter(&source.venue, symbols) else {
        return Err(Unasked::Untold);
    };
    let endpoints = endpoints(source).unwrap_or_else(|| venue.endpoints());
    let rest = endpoints.rest.trim_end_matches('/');
    let unknown = unknown_symbols(venue.as_ref(), rest, &budgets.of(venue.as_ref())).await?;
    Ok(unknown.into_iter().collect())
}

#[cfg(test)]
mod tests;
