//! What a gateway answers over HTTP beside its WebSockets: which topics there are; and to whoever operates it, what it
//! hears.

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use wire::api::{ErrorBody, TopicList};

use crate::catalogue::Catalogue;
use crate::service::Handle;

/// `GET /api/v1/topics`, and a JSON error for every path and method that there is not.
pub fn public(catalogue: Catalogue) -> Router {
    Router::new()
        .route("/api/v1/topics", get(topics))
        .with_state(catalogue)
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
}

/// `GET /admin/feed`, for the admin address.
pub fn admin(handle: Handle) -> Router {
    Router::new()
        .route("/admin/feed", get(feed))
        .with_state(handle)
}

async fn topics(State(catalogue): State<Catalogue>) -> Response {
    listed(&TopicList {
        topics: catalogue.list(),
    })
}

/// The answer of `GET /api/v1/topics`.
#[must_use]
pub fn listed(topics: &TopicList) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(topics)).into_response()
}

async fn feed(State(handle): State<Handle>) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(handle.feed())).into_response()
}

/// The answer to a path that leads nowhere.
pub async fn not_found(uri: Uri) -> Response {
    let message = format!(
        "there is nothing at {}",
        uri.path().chars().take(100).collect::<String>()
    );
    refuse(StatusCode::NOT_FOUND, "not_found", message)
}

/// The answer to a method that a path does not have.
pub async fn not_allowed(method: Method) -> Response {
    let message = format!("{method} is not for this path");
    refuse(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
}

/// A refusal: a status, a stable code, a sentence.
#[must_use]
pub fn refuse(status: StatusCode, code: &str, message: String) -> Response {
    let headers = [(CACHE_CONTROL, "no-store")];
    (status, headers, Json(ErrorBody::new(code, message))).into_response()
}
