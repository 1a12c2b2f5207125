//! The HTTP side: `/api/v1/topics`, `/api/v1/klines`, and the page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query as Pairs, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gateway::http;

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
        .method_not_allowed_fallback(http::not_allowed)
        .with_state(Arc::new(Shared { carried, history }))
}

async fn topics(State(shared): State<Arc<Shared>>) -> Response {
    http::listed(&shared.carried.list())
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

/// A file of the page, or 404. Browsers ask for an icon without being told of one: where the page has none, that
/// is no error.
async fn other(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let icon = || (uri.path() == "/favicon.ico").then(|| StatusCode::NO_CONTENT.into_response());
    let found = page::respond(uri.path(), &headers).or_else(icon);
    match (found, &method) {
        (Some(response), &Method::GET | &Method::HEAD) => return response,
        (Some(_), _) => {
            let refusal = http::not_allowed(method).await;
            return ([(ALLOW, "GET,HEAD")], refusal).into_response();
        }
        (None, _) => {}
    }
    http::not_found(uri).await
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    http::refuse(status, refusal.code(), refusal.to_string())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::carried::tests::carried;
    use crate::history::store::tests::bar;

    async fn ask(method: &str, path: &str) -> (u16, String, serde_json::Value) {
        let history = Handle::new(100);
        history.take((0..5).map(|second| bar(second, 0)));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        let response = router(carried(), history).oneshot(request).await.unwrap();
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (
            status,
            content_type,
            serde_json::from_slice(&body).unwrap_or_default(),
        )
    }

    #[tokio::test]
    async fn klines_are_paged() {
        let first = "/api/v1/klines?symbol=BTC-USD&interval=1s&start=1000&limit=2";
        let (status, content_type, page) = ask("GET", first).await;
        assert_eq!((status, content_type.as_str()), (200, "application/json"));
        assert_eq!(page["bars"].as_array().unwrap().len(), 2);
        assert_eq!(page["bars"][0]["start"], 1_000);
        let cursor = page["next"].as_str().unwrap();
        let (_, _, page) = ask("GET", &format!("{first}&cursor={cursor}")).await;
        assert_eq!(page["bars"][0]["start"], 3_000);
        assert_eq!(page["next"], serde_json::Value::Null);
        let (_, _, newest) = ask("GET", "/api/v1/klines?symbol=BTC-USD&interval=1s&limit=1").await;
        assert_eq!(newest["bars"][0]["start"], 4_000);
    }

    #[tokio::test]
    async fn topics_are_listed() {
        let (status, _, list) = ask("GET", "/api/v1/topics").await;
        assert_eq!(status, 200);
        assert_eq!(list["topics"].as_array().unwrap().len(), 6);
        assert_eq!(list["topics"][0]["topic"], "kline:1s:BTC-USD");
    }

    #[tokio::test]
    async fn what_is_refused_has_a_status_and_a_code() {
        let check = async |method: &str, path: &str, status: u16, code: &str| {
            let (got, content_type, body) = ask(method, path).await;
            assert_eq!(
                (got, &body["error"]["code"]),
                (status, &code.into()),
                "{path}"
            );
            assert!(
                content_type.starts_with("application/json"),
                "{path}: {content_type}"
            );
            assert!(!body["error"]["message"].as_str().unwrap().is_empty());
        };
        check("GET", "/api/v1/klines", 400, "bad_symbol").await;
        check(
            "GET",
            "/api/v1/klines?symbol=BTC-USD&interval=2x",
            400,
            "bad_interval",
        )
        .await;
        check(
            "GET",
            "/api/v1/klines?symbol=BTC-USD&interval=1d",
            404,
            "unknown_topic",
        )
        .await;
        check(
            "GET",
            "/api/v1/klines?symbol=%FF%FE&interval=1d",
            400,
            "bad_symbol",
        )
        .await;
        check("GET", "/api/v1/trades", 404, "not_found").await;
        check("GET", "/favicon.png", 404, "not_found").await;
        check("POST", "/api/v1/klines", 405, "method_not_allowed").await;
        check("POST", "/", 405, "method_not_allowed").await;
        check("POST", "/nothing", 404, "not_found").await;
        assert_eq!(ask("GET", "/favicon.ico").await.0, 204);
    }
}
