//! The page and its files, embedded when the binary is built.

use axum::body::Bytes;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};

/// Path, entity tag, content of each file of the built page; empty where it was not built.
type Files = &'static [(&'static str, &'static str, &'static [u8])];

const FILES: Files = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// What is served in the page's place where it was not built.
const NOT_BUILT: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>MarketFeed</title>\
<h1>The chart page is not in this binary</h1>\
<p>It is built with Node: <code>cargo xtask demo</code> does everything; by hand it is \
<code>npm ci &amp;&amp; npm run build</code> in <code>web</code>, then <code>cargo build</code>.</p>\
<p>The data is served all the same: <a href=/api/v1/topics>/api/v1/topics</a>, \
<code>/api/v1/klines</code>, and the WebSocket at <code>/ws</code>.</p></html>";

/// Nothing from elsewhere; the chart library sets styles on its elements.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether the page is in this binary.
#[must_use]
pub fn is_built() -> bool {
    !FILES.is_empty()
}

/// The file at a path; `None` where the page has none.
#[must_use]
pub fn respond(path: &str, request: &HeaderMap) -> Option<Response> {
    find(FILES, path, request)
}

fn find(files: Files, path: &str, request: &HeaderMap) -> Option<Response> {
    let path = if path == "/" { "/index.html" } else { path };
    if files.is_empty() && path == "/index.html" {
        return Some((secure(), Html(NOT_BUILT)).into_response());
    }
    let (name, tag, content) = files.iter().find(|(name, _, _)| *name == path)?;
    // The page changes with the binary, so that caches ask each time and mostly hear 304.
    let caching = [(ETAG, *tag), (CACHE_CONTROL, "no-cache")];
    let known = request
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .split(',')
                .any(|one| one.trim().trim_start_matches("W/") == *tag)
        });
    if known {
        return Some((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    let content_type = [(CONTENT_TYPE, content_type(name))];
    Some((caching, secure(), content_type, Bytes::from_static(content)).into_response())
}

fn secure() -> [(HeaderName, &'static str); 3] {
    [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ]
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("txt") => "text/plain; charset=utf-8",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Files = &[
        ("/app.js", "\"01\"", b"let x;"),
        ("/index.html", "\"02\"", b"<!doctype html>"),
    ];

    fn get(files: Files, path: &str, tag: Option<&'static str>) -> Option<(u16, String, String)> {
        let mut request = HeaderMap::new();
        if let Some(tag) = tag {
            request.insert(IF_NONE_MATCH, tag.parse().unwrap());
        }
        let response = find(files, path, &request)?;
        let header = |name: HeaderName| {
            let value = response.headers().get(name);
            value
                .map(|value| value.to_str().unwrap().to_owned())
                .unwrap_or_default()
        };
        Some((
            response.status().as_u16(),
            header(CONTENT_TYPE),
            header(ETAG),
        ))
    }

    #[test]
    fn files_are_found_with_their_type_and_tag() {
        #[track_caller]
        fn check(path: &str, tag: Option<&'static str>, status: u16, kind: &str, etag: &str) {
            let expect = (status, kind.to_owned(), etag.to_owned());
            assert_eq!(get(SAMPLE, path, tag), Some(expect));
        }
        check("/", None, 200, "text/html; charset=utf-8", "\"02\"");
        check(
            "/index.html",
            None,
            200,
            "text/html; charset=utf-8",
            "\"02\"",
        );
        check(
            "/app.js",
            None,
            200,
            "text/javascript; charset=utf-8",
            "\"01\"",
        );
        check("/app.js", Some("\"00\", W/\"01\""), 304, "", "\"01\"");
        check(
            "/app.js",
            Some("\"00\""),
            200,
            "text/javascript; charset=utf-8",
            "\"01\"",
        );
        assert_eq!(get(SAMPLE, "/gone.js", None), None);
        assert_eq!(get(SAMPLE, "/../Cargo.toml", None), None);
    }

    #[test]
    fn an_unbuilt_page_says_how_to_build_it() {
        assert_eq!(get(&[], "/", None).unwrap().0, 200);
        assert!(NOT_BUILT.contains("cargo xtask demo") && NOT_BUILT.contains("npm run build"));
        assert_eq!(get(&[], "/app.js", None), None);
    }
}
