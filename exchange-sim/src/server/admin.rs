//! `/admin`: starting, status, truth and faults.

use std::collections::BTreeMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wire::{Interval, Symbol};

use super::App;
use crate::exchange::{self, Exchange, Progress};
use crate::fault::{self, Fault};
use crate::feed;
use crate::market::truth;
use crate::venue::Kind;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/status", get(status))
        .route("/start", post(start))
        .route("/truth", get(true_bars))
        .route("/shutdown", post(announce))
        .route("/faults", get(faults).post(inject).delete(clear))
}

/// Each venue's progress.
async fn status(State(app): State<App>) -> Json<BTreeMap<&'static str, Progress>> {
    Json(
        app.exchanges
            .iter()
            .map(|(kind, exchange)| (kind.name(), exchange.progress().borrow().clone()))
            .collect(),
    )
}

/// Opens every gate.
async fn start(State(app): State<App>) -> StatusCode {
    app.exchanges.values().for_each(|exchange| exchange.start());
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
struct TruthQuery {
    venue: String,
    symbol: String,
    interval: String,
    start: Option<i64>,
    end: Option<i64>,
}

/// `{"bars":[...]}`, each with its fields in the contract's order.
#[derive(Debug, Serialize)]
struct Bars {
    bars: Vec<truth::TrueBar>,
}

/// The bars that should come out.
async fn true_bars(
    State(app): State<App>,
    query: Result<Query<TruthQuery>, QueryRejection>,
) -> Response {
    let bad = |message: String| refuse(StatusCode::BAD_REQUEST, "bad_request", &message);
    let query = match query {
        Ok(Query(query)) => query,
        Err(error) => return bad(error.body_text()),
    };
    let Some(exchange) = Kind::from_name(&query.venue).and_then(|kind| app.exchanges.get(&kind))
    else {
        return bad(format!("venue {:?} is not played here", query.venue));
    };
    let symbol = match Symbol::new(&query.symbol) {
        Ok(symbol) => symbol,
        Err(error) => return bad(error.to_string()),
    };
    let interval: Interval = match query.interval.parse() {
        Ok(interval) => interval,
        Err(error) => return bad(format!("{error}")),
    };
    match exchange.with_market(|market| market.truth(&symbol, interval, query.start, query.end)) {
        Ok(bars) => Json(Bars { bars }).into_response(),
        Err(error @ truth::Error::UnknownSymbol(_)) => {
            refuse(StatusCode::NOT_FOUND, "unknown_symbol", &error.to_string())
        }
        Err(error @ truth::Error::TooOld(_)) => {
            refuse(StatusCode::GONE, "too_old", &error.to_string())
        }
        Err(error @ truth::Error::TooMany) => bad(error.to_string()),
    }
}

/// Announces on every connection that the venue goes away.
async fn announce(State(app): State<App>) -> StatusCode {
    for exchange in app.exchanges.values() {
        feed::announce_shutdown(exchange).await;
    }
    StatusCode::NO_CONTENT
}

/// Each venue's faults, and how often each struck.
async fn faults(State(app): State<App>) -> Json<BTreeMap<&'static str, Value>> {
    let of = |exchange: &Exchange| exchange.with_faults(|faults| faults.to_json());
    Json(
        app.exchanges
            .iter()
            .map(|(kind, exchange)| (kind.name(), of(exchange)))
            .collect(),
    )
}

/// Adds one fault or a list of them; none of a list if one is refused for its form.
async fn inject(State(app): State<App>, body: String) -> Response {
    let list = match serde_json::from_str(&body) {
        Ok(Value::Array(values)) => values,
        Ok(value) => vec![value],
        Err(error) => return refuse(StatusCode::BAD_REQUEST, "bad_fault", &error.to_string()),
    };
    let parsed: Result<Vec<Fault>, fault::Error> = list.into_iter().map(Fault::parse).collect();
    let added = parsed.and_then(|faults| {
        faults
            .iter()
            .try_for_each(|fault| exchange::inject(&app.exchanges, fault))
    });
    match added {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refuse(StatusCode::BAD_REQUEST, "bad_fault", &error.to_string()),
    }
}

/// Ends all faults.
async fn clear(State(app): State<App>) -> StatusCode {
    app.exchanges
        .values()
        .for_each(|exchange| exchange.with_faults(fault::Faults::handle_clear));
    StatusCode::NO_CONTENT
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    (
        status,
        Json(json!({ "error": { "code": code, "message": message } })),
    )
        .into_response()
}
