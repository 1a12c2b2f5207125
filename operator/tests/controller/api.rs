//! An API server in memory, as far as the controller uses one: server-side apply and merge patches, generations, resource
//! versions and their preconditions, deletion with finalizers. It keeps a list of what was written.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

mod state;

use state::{Applier, State, failure};

/// What it holds and was told. Its clones are one server.
#[derive(Clone, Default)]
pub(crate) struct Api(Arc<Mutex<State>>);

/// A request that may change something.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Write {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) manager: String,
    pub(crate) body: Value,
}

impl Api {
    pub(crate) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                if api.0.lock().unwrap().hangs {
                    std::future::pending::<()>().await;
                }
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let (status, answer) = api.answer(&parts, &body);
                let answer = Full::new(Bytes::from(answer.to_string()));
                Ok::<_, Infallible>(Response::builder().status(status).body(answer).unwrap())
            }
        });
        Client::new(service, "default")
    }

    /// What was written since it was asked last.
    pub(crate) fn writes(&self) -> Vec<Write> {
        std::mem::take(&mut self.0.lock().unwrap().writes)
    }

    /// Events that were made since it was asked last, as reason and type.
    pub(crate) fn events(&self) -> Vec<(String, String)> {
        let events = std::mem::take(&mut self.0.lock().unwrap().events);
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let told = |event: &Value| (word(&event["reason"]), word(&event["type"]));
        events.iter().map(told).collect()
    }

    pub(crate) fn fail_after(&self, writes: Option<usize>) {
        self.0.lock().unwrap().left = writes;
    }

    /// From now on it may be asked what is there: the controller watches, and asks for nothing.
    pub(crate) fn let_read(&self) {
        self.0.lock().unwrap().readable = true;
    }

    /// From now on no request is answered, or each is again.
    pub(crate) fn hang(&self, hangs: bool) {
        self.0.lock().unwrap().hangs = hangs;
    }

    /// Somebody else changes that object, so often, just before it is changed.
    pub(crate) fn contend(&self, path: &str, times: usize) {
        let mut state = self.0.lock().unwrap();
        state.contended.insert(path.to_owned(), times);
    }

    /// From now on changes are refused of what has a path that ends so, in these words; with none it is not any more.
    pub(crate) fn refuse(&self, path: &str, words: Option<&str>) {
        let mut state = self.0.lock().unwrap();
        match words {
            Some(words) => state.refused.insert(path.to_owned(), words.to_owned()),
            None => state.refused.remove(path),
        };
    }

    /// How often it was asked whether something could be made, since it was asked last.
    pub(crate) fn dry_runs(&self) -> usize {
        std::mem::take(&mut self.0.lock().unwrap().dry_runs)
    }

    pub(crate) fn terminate_namespace(&self) {
        self.0.lock().unwrap().terminating = true;
    }

    /// Objects of a resource, such as `deployments`.
    pub(crate) fn all(&self, resource: &str) -> Vec<Value> {
        let state = self.0.lock().unwrap();
        let of = |path: &&String| path.rsplit('/').nth(1) == Some(resource);
        state
            .objects
            .keys()
            .filter(of)
            .map(|path| state.objects[path].clone())
            .collect()
    }

    #[track_caller]
    pub(crate) fn get(&self, resource: &str, name: &str) -> Value {
        let mut found = self.all(resource);
        found.retain(|object| object["metadata"]["name"] == name);
        found
            .pop()
            .unwrap_or_else(|| panic!("no {resource} {name}"))
    }

    /// Somebody else's change, which is not listed.
    pub(crate) fn put(&self, path: &str, object: Value) {
        let mut state = self.0.lock().unwrap();
        state.store(path, object);
        let managers = state.managers.entry(path.to_owned()).or_default();
        managers.insert("somebody".to_owned());
    }

    /// Somebody else's change of what is there.
    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.0.lock().unwrap();
        let mut object = state.objects[path].clone();
        change(&mut object);
        state.store(path, object);
    }

    /// Somebody else's change of all objects of a resource.
    pub(crate) fn change_all(&self, resource: &str, change: impl Fn(&mut Value)) {
        for path in self.paths(resource) {
            self.change(&path, &change);
        }
    }

    /// Somebody else has written fields of all objects of a resource, too.
    pub(crate) fn meddle_all(&self, resource: &str) {
        let paths = self.paths(resource);
        let mut state = self.0.lock().unwrap();
        for path in paths {
            let managers = state.managers.entry(path).or_default();
            managers.insert("somebody".to_owned());
        }
    }

    pub(crate) fn remove_all(&self, resource: &str) {
        for path in self.paths(resource) {
            self.remove(&path);
        }
    }

    fn paths(&self, resource: &str) -> Vec<String> {
        let state = self.0.lock().unwrap();
        let of = |path: &&String| path.rsplit('/').nth(1) == Some(resource);
        state.objects.keys().filter(of).cloned().collect()
    }

    pub(crate) fn remove(&self, path: &str) {
        self.0.lock().unwrap().remove(path);
    }

    fn answer(&self, parts: &Parts, body: &[u8]) -> (StatusCode, Value) {
        let (method, path) = (&parts.method, parts.uri.path());
        let query = parts.uri.query().unwrap_or_default();
        let mut state = self.0.lock().unwrap();
        if method == Method::GET {
            assert!(
                state.readable,
                "nothing is read but what is watched: {path}"
            );
            return state.read(path, query);
        }
        if state.left == Some(0) {
            return failure(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "");
        }
        if query.contains("dryRun=All") {
            state.dry_runs += 1;
            let object: Value = serde_json::from_slice(body).unwrap();
            return state
                .may_create(path, &object)
                .unwrap_or((StatusCode::CREATED, object));
        }
        state.left = state.left.map(|left| left - 1);
        let manager = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("fieldManager="));
        let manager = manager.unwrap_or_default().to_owned();
        let patch: Value = serde_json::from_slice(body).unwrap_or_default();
        if path.starts_with("/apis/events.k8s.io/") {
            state.events.push(patch.clone());
            return (StatusCode::CREATED, patch);
        }
        state.writes.push(Write {
            method: method.clone(),
            path: path.to_owned(),
            manager: manager.clone(),
            body: patch.clone(),
        });
        if let Some(words) = state.refusal(path, &patch) {
            return failure(StatusCode::FORBIDDEN, &words, "");
        }
        let is_status = path.ends_with("/status");
        let is_scale = path.ends_with("/scale");
        let path = path.trim_end_matches("/status").trim_end_matches("/scale");
        if state.contended.get(path).is_some_and(|times| *times > 0) {
            *state.contended.get_mut(path).unwrap() -= 1;
            let mut there = state.objects[path].clone();
            let left = state.contended[path].to_string();
            there["metadata"]["annotations"]["touched"] = json!(left);
            state.store(path, there);
        }
        match *method {
            Method::PATCH => {
                let applier = Applier {
                    name: &manager,
                    applies: parts.headers["content-type"] == "application/apply-patch+yaml",
                    forces: query.contains("force=true"),
                };
                let (code, mut answer) = state.patch(path, &patch, is_status, applier);
                if is_scale {
                    answer["apiVersion"] = json!("autoscaling/v1");
                    answer["kind"] = json!("Scale");
                }
                (code, answer)
            }
            Method::POST => state.create(path, patch, &manager),
            Method::PUT => state.replace(path, patch),
            Method::DELETE => state.delete(path),
            ref other => panic!("{other} {path}"),
        }
    }
}
