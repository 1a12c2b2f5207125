//! An API server in memory, as far as the controller uses one: server-side apply and merge patches, generations, resource
//! versions and their preconditions, deletion with finalizers. It keeps a list of what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::http::request::Parts;
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
    /// Who has applied or made each object, by path.
    managers: BTreeMap<String, BTreeSet<String>>,
    events: Vec<Value>,
    /// Writes that are still taken; then it is away.
    left: Option<usize>,
    /// What creations are refused with.
    terminating: bool,
    /// Whether it answers at all.
    hangs: bool,
    /// Whether it may be asked what is there.
    readable: bool,
    /// Paths whose next changes meet somebody else's, and how often.
    contended: BTreeMap<String, usize>,
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

impl State {
    /// One object, or all of a resource in a namespace or in every one that a field selector does not leave out.
    fn read(&self, path: &str, query: &str) -> (StatusCode, Value) {
        let words: Vec<&str> = path.split('/').skip(1).collect();
        let within = if words[0] == "api" { 2 } else { 3 };
        let (group, rest) = words.split_at(within);
        let parent = match rest {
            ["namespaces", _, _, _] => {
                let found = self.objects.get(path).cloned();
                let missing = || failure(StatusCode::NOT_FOUND, "NotFound", "");
                return found.map_or_else(missing, |object| (StatusCode::OK, object));
            }
            ["namespaces", namespace, _] => format!("/{}/namespaces/{namespace}/", group.join("/")),
            _ => format!("/{}/namespaces/", group.join("/")),
        };
        let resource = rest.last().unwrap();
        let name = query.split('&').find_map(|pair| {
            let name = pair.strip_prefix("fieldSelector=metadata.name%3D")?;
            Some(name.to_owned())
        });
        let is_listed = |(found, object): &(&String, &Value)| {
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            found.starts_with(&parent)
                && found.rsplit('/').nth(1) == Some(resource)
                && !query.contains(&format!("metadata.namespace%21%3D{namespace}"))
                && name
                    .as_deref()
                    .is_none_or(|name| found.rsplit('/').next() == Some(name))
        };
        let found = self.objects.iter().filter(is_listed);
        let items: Vec<&Value> = found.map(|(_, object)| object).collect();
        let list = json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": items });
        (StatusCode::OK, list)
    }

    fn create(&mut self, path: &str, object: Value, manager: &str) -> (StatusCode, Value) {
        let path = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap());
        if self.terminating {
            return failure(StatusCode::FORBIDDEN, "Forbidden", "NamespaceTerminating");
        }
        if self.objects.contains_key(&path) {
            return failure(StatusCode::CONFLICT, "AlreadyExists", "");
        }
        let managers = self.managers.entry(path.clone()).or_default();
        managers.insert(manager.to_owned());
        (StatusCode::CREATED, self.store(&path, object))
    }

    fn replace(&mut self, path: &str, object: Value) -> (StatusCode, Value) {
        let found = &self.objects[path]["metadata"]["resourceVersion"];
        if object["metadata"]["resourceVersion"] != *found {
            return failure(StatusCode::CONFLICT, "Conflict", "");
        }
        (StatusCode::OK, self.store(path, object))
    }

    fn patch(
        &mut self,
        path: &str,
        patch: &Value,
        is_status: bool,
        applier: Applier<'_>,
    ) -> (StatusCode, Value) {
        let applies = applier.applies;
        let there = self.objects.get(path).cloned();
        let managers = self.managers.entry(path.to_owned()).or_default();
        let is_anothers = managers
            .iter()
            .any(|manager| !manager.starts_with("marketfeed-operator"));
        let urls = there.as_ref().map(|there| &there["spec"]["nats"]);
        if applies && urls.is_some_and(Value::is_string) {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, "", "not of its types");
        }
        // As if all of them were about the same fields.
        if applies && !applier.forces && there.is_some() && is_anothers {
            return failure(StatusCode::CONFLICT, "Conflict", "FieldManagerConflict");
        }
        if applies {
            managers.insert(applier.name.to_owned());
        }
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

    /// Removed by whoever, with what is known of it.
    fn remove(&mut self, path: &str) -> Option<Value> {
        self.managers.remove(path);
        self.objects.remove(path)
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
            self.remove(path);
        } else {
            self.objects.insert(path.to_owned(), object.clone());
        }
        object
    }

    fn delete(&mut self, path: &str) -> (StatusCode, Value) {
        match self.remove(path) {
            Some(object) => (StatusCode::OK, object),
            None => failure(StatusCode::NOT_FOUND, "NotFound", ""),
        }
    }
}

/// Who changes something, and how.
#[derive(Clone, Copy)]
struct Applier<'a> {
    name: &'a str,
    applies: bool,
    forces: bool,
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
