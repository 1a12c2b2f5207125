//! REST requests: first the venue's budget, then its answer as a response.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::App;
use crate::exchange::Exchange;
use crate::venue::answer::Query;

pub(super) fn answer(app: &App, exchange: &Exchange, path: &str, query: &str) -> Response {
    let wall_ms = jiff::Timestamp::now().as_millisecond();
    let answer = match exchange.spend(app.now_ms(), path) {
        Err(refusal) => exchange.kind.refuse(refusal),
        Ok(spent) => {
            let answer = exchange
                .with_market(|market| exchange.kind.answer(path, Query(query), market, wall_ms));
            match spent {
                Some(spent) => answer.with("X-MBX-USED-WEIGHT-1M", spent),
                None => answer,
            }
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, headers, answer.body).into_response()
}
