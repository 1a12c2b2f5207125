//! Asks a venue which symbols it has.

use wire::Symbol;

use super::budgets::RestBudget;
use super::http::Base;
use super::plan::Failure;
use crate::venue::Venue;

/// Why a venue does not say which symbols it has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unasked {
    /// Nobody is told without credentials.
    #[error("the venue tells nobody without credentials")]
    Untold,
    /// Not an address that can be asked.
    #[error("{0} is not an address that can be asked")]
    Address(String),
    /// No answer.
    #[error("no answer")]
    NoAnswer,
    /// Too many requests.
    #[error("the venue was asked too much")]
    TooMany,
    /// An answer that says nothing of it.
    #[error("an answer that says nothing of it, of HTTP status {0}")]
    Unclear(u16),
}

/// Those of the adapter's symbols that the venue has not, in listing order, by one request for all that it has. `rest`
/// is the base address, without a slash at its end. It waits for its budget and for the answer; whoever calls bounds it
/// in time.
///
/// # Errors
/// Why the venue does not say.
pub async fn unknown_symbols(
    venue: &dyn Venue,
    rest: &str,
    budget: &RestBudget,
) -> Result<Vec<Symbol>, Unasked> {
    let page = venue.listing_page().ok_or(Unasked::Untold)?;
    let base = Base::parse(rest).ok_or_else(|| Unasked::Address(rest.to_owned()))?;
    while let Err(wait_ms) = budget.with(|it| it.take(budget.now_ms(), page.tokens)) {
        let until = budget.instant(budget.now_ms() + wait_ms.max(1));
        tokio::time::sleep_until(until).await;
    }
    let answer = match base.answer(&page.path).await {
        Ok(answer) => answer,
        Err(Failure::TooMany(wait_ms)) => {
            budget.with(|it| it.handle_too_many(budget.now_ms(), wait_ms));
            return Err(Unasked::TooMany);
        }
        Err(_) => return Err(Unasked::NoAnswer),
    };
    let listed = match answer.status {
        200 => venue.decode_listing(&answer.body),
        _ => None,
    };
    let has = listed.ok_or(Unasked::Unclear(answer.status))?;
    let symbols = venue.symbols();
    let lacks = symbols
        .indices()
        .filter(|&it| !has.contains(symbols.spelled(it)));
    Ok(lacks.map(|it| symbols.symbol(it).clone()).collect())
}
