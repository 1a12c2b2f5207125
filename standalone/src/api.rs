//! The HTTP side: `/api/v1/topics`, `/api/v1/klines`, and the page.

use std::sync::Arc;

use axum::extract::{OriginalUri, Query as Pairs, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use wire::api::ErrorBody;

use crate::carried::Carried;
use crate::history::Handle;
use crate::history::query::{self, Query, Refusal};
use crate::page;

/// What the handlers share.
#[derive(Debug)]
struct Shared {
    carried: Carried,
    history: Handle,
}

/// The routes, and the page for every path that no other route has.
pub fn router(carried: Carried, history: Handle) -> Router {
    Router::new()
        .route("/api/v1/topics", get(topics))
        .route("/api/v1/klines", get(klines))
        .fallback(other)
        .method_not_allowed_fallback(async |method: Method| {
            let message = format!("{method} is not for this path");
            refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                message,
            )
        })
        .with_state(Arc::new(Shared { carried, history }))
}

async fn topics(State(shared): State<Arc<Shared>>) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(shared.carried.list())).into_response()
}

async fn klines(
    State(shared): State<Arc<Shared>>,
    Pairs(pairs): Pairs<Vec<(String, String)>>,
) -> Response {
    match Query::read(&pairs, &shared.carried) {
        Ok(query) => {
            let body = query::answer(&shared.history.page(&query));
            let headers = [
                (CONTENT_TYPE, "application/json"),
                (CACHE_CONTROL, "no-store"),
                (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, body).into_response()
        }
        Err(refusal) => refused(&refusal),
    }
}

/// A file of the page, or 404.
async fn other(method: Method, OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    let readable = matches!(method, Method::GET | Method::HEAD);
    if let Some(response) = readable
        .then(|| page::respond(uri.path(), &headers))
        .flatten()
    {
        return response;
    }
    let message = format!(
        "there is nothing at {}",
        uri.path().chars().take(100).collect::<String>()
    );
    refuse(StatusCode::NOT_FOUND, "not_found", message)
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    refuse(status, refusal.code(), refusal.to_string())
}

fn refuse(status: StatusCode, code: &str, message: String) -> Response {
    let headers = [(CACHE_CONTROL, "no-store")];
    (status, headers, Json(ErrorBody::new(code, message))).into_response()
}
