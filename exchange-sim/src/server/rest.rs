//! REST requests: the venue's pure answer as a response.

use axum::response::{IntoResponse, Response};

use super::App;
use crate::exchange::Exchange;

pub(super) fn answer(_app: &App, _exchange: &Exchange, _path: &str, _query: &str) -> Response {
    axum::http::StatusCode::NOT_FOUND.into_response()
}
