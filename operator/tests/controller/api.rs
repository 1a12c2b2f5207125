//! An API server in memory, as far as the controller uses one: server-side apply and merge patches, generations, resource
//! versions and their preconditions, deletion with finalizers. It keeps a list of what was written.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// What it holds and was told. Its clones are one server.
#[derive(Clone, Default)]
pub(crate) struct Api(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By path.
    objects: BTreeMap<String, Value>,
    versions: u64,
    writes: Vec<Write>,
    /// Writes that are still taken; then it is away.
    left: Option<usize>,
    /// What creations are refused with.
    terminating: bool,
}

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
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let uri = parts.uri;
                let (status, answer) = api.answer(
                    &parts.method,
                    uri.path(),
                    uri.query().unwrap_or_default(),
                    &body,
                );
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

    pub(crate) fn fail_after(&self, writes: Option<usize>) {
        self.0.lock().unwrap().left = writes;
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
    }

    /// Somebody else's change of what is there.
    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.0.lock().unwrap();
        let mut object = state.objects[path].clone();
        change(&mut object);
        state.store(path, object);
    }

    pub(crate) fn remove(&self, path: &str) {
        self.0.lock().unwrap().objects.remove(path);
    }

    fn answer(&self, method: &Method, path: &str, query: &str, body: &[u8]) -> (StatusCode, Value) {
        let mut state = self.0.lock().unwrap();
        assert!(
            method != Method::GET,
            "nothing is read but what is watched: {path}"
        );
        if state.left == Some(0) {
            return failure(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "");
        }
        state.left = state.left.map(|left| left - 1);
        let manager = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("fieldManager="));
        let manager = manager.unwrap_or_default().to_owned();
        let patch: Value = serde_json::from_slice(body).unwrap_or_default();
        state.writes.push(Write {
            method: method.clone(),
            path: path.to_owned(),
            manager: manager.clone(),
            body: patch.clone(),
        });
        let is_status = path.ends_with("/status");
        let path = path.trim_end_matches("/status");
        match *method {
            Method::PATCH => state.patch(path, &patch, is_status, !manager.is_empty()),
            Method::DELETE => state.delete(path),
            ref other => panic!("{other} {path}"),
        }
    }
}

impl State {
    fn patch(
        &mut self,
        path: &str,
        patch: &Value,
        is_status: bool,
        applies: bool,
    ) -> (StatusCode, Value) {
        let there = self.objects.get(path).cloned();
        if there.is_none() && (!applies || is_status) {
            return failure(StatusCode::NOT_FOUND, "NotFound", "");
        }
        if there.is_none() && self.terminating {
            return failure(StatusCode::FORBIDDEN, "Forbidden", "NamespaceTerminating");
        }
        let expected = &patch["metadata"]["resourceVersion"];
        let found = there
            .as_ref()
            .map(|there| &there["metadata"]["resourceVersion"]);
        if !expected.is_null() && found != Some(expected) {
            return failure(StatusCode::CONFLICT, "Conflict", "");
        }
        let mut next = there.unwrap_or_else(|| json!({ "metadata": {} }));
        if is_status {
            next["status"] = patch["status"].clone();
        } else {
            merge(&mut next, patch);
        }
        (StatusCode::OK, self.store(path, next))
    }

    /// A new resource version for what differs, a new generation for a spec that does.
    fn store(&mut self, path: &str, mut object: Value) -> Value {
        let there = self.objects.get(path);
        if there == Some(&object) {
            return object;
        }
        self.versions += 1;
        let spec_differs = there.is_none_or(|there| there["spec"] != object["spec"]);
        let meta = &mut object["metadata"];
        meta["resourceVersion"] = json!(self.versions.to_string());
        if meta["uid"].is_null() {
            meta["uid"] = json!(format!("uid-{}", self.versions));
        }
        if spec_differs {
            meta["generation"] = json!(meta["generation"].as_i64().unwrap_or(0) + 1);
        }
        if object["kind"] == "ConfigMap" || object["kind"] == "Service" {
            object["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("generation");
        }
        // What is only kept by its finalizers goes with the last of them.
        let finalizers = object["metadata"]["finalizers"]
            .as_array()
            .map_or(0, Vec::len);
        if !object["metadata"]["deletionTimestamp"].is_null() && finalizers == 0 {
            self.objects.remove(path);
        } else {
            self.objects.insert(path.to_owned(), object.clone());
        }
        object
    }

    fn delete(&mut self, path: &str) -> (StatusCode, Value) {
        match self.objects.remove(path) {
            Some(object) => (StatusCode::OK, object),
            None => failure(StatusCode::NOT_FOUND, "NotFound", ""),
        }
    }
}

fn failure(code: StatusCode, reason: &str, cause: &str) -> (StatusCode, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": {},
        "message": reason, "reason": reason, "code": code.as_u16(),
        "details": { "causes": [{ "reason": cause }] },
    });
    (code, status)
}

/// As RFC 7396 has it; a list is replaced, as the controller is the only one to apply those that it does.
fn merge(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name], value);
        }
    }
}
