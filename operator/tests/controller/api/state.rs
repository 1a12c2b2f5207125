//! What the server holds, and how it changes.

use std::collections::{BTreeMap, BTreeSet};

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Write;

#[derive(Default)]
pub(super) struct State {
    /// By path.
    pub(super) objects: BTreeMap<String, Value>,
    pub(super) versions: u64,
    pub(super) writes: Vec<Write>,
    /// Who has applied or made each object, by path.
    pub(super) managers: BTreeMap<String, BTreeSet<String>>,
    pub(super) events: Vec<Value>,
    /// Writes that are still taken; then it is away.
    pub(super) left: Option<usize>,
    /// What creations are refused with.
    pub(super) terminating: bool,
    /// Ends of paths whose changes are refused, and with which words.
    pub(super) refused: BTreeMap<String, String>,
    /// Questions whether something could be made.
    pub(super) dry_runs: usize,
    /// Whether it answers at all.
    pub(super) hangs: bool,
    /// Whether it may be asked what is there.
    pub(super) readable: bool,
    /// Paths whose next changes meet somebody else's, and how often.
    pub(super) contended: BTreeMap<String, usize>,
}

impl State {
    /// One object, or all of a resource in a namespace or in every one that a field selector does not leave out.
    pub(super) fn read(&self, path: &str, query: &str) -> (StatusCode, Value) {
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

    /// In which words a change is refused, if it is. What is made has its name in what is sent.
    pub(super) fn refusal(&self, path: &str, sent: &Value) -> Option<String> {
        let name = sent["metadata"]["name"].as_str().unwrap_or_default();
        let made = format!("{path}/{name}");
        let mut refused = self.refused.iter();
        let found = refused.find(|(end, _)| path.ends_with(*end) || made.ends_with(*end));
        found.map(|(_, words)| words.clone())
    }

    pub(super) fn create(
        &mut self,
        path: &str,
        object: Value,
        manager: &str,
    ) -> (StatusCode, Value) {
        if let Some(refusal) = self.may_create(path, &object) {
            return refusal;
        }
        let path = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap());
        let managers = self.managers.entry(path.clone()).or_default();
        managers.insert(manager.to_owned());
        (StatusCode::CREATED, self.store(&path, object))
    }

    /// Why an object is not made, if it is not.
    pub(super) fn may_create(&self, path: &str, object: &Value) -> Option<(StatusCode, Value)> {
        let path = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap());
        if self.terminating {
            return Some(failure(
                StatusCode::FORBIDDEN,
                "Forbidden",
                "NamespaceTerminating",
            ));
        }
        let is_there = self.objects.contains_key(&path);
        is_there.then(|| failure(StatusCode::CONFLICT, "AlreadyExists", ""))
    }

    pub(super) fn replace(&mut self, path: &str, object: Value) -> (StatusCode, Value) {
        let found = &self.objects[path]["metadata"]["resourceVersion"];
        if object["metadata"]["resourceVersion"] != *found {
            return failure(StatusCode::CONFLICT, "Conflict", "");
        }
        (StatusCode::OK, self.store(path, object))
    }

    pub(super) fn patch(
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
    pub(super) fn remove(&mut self, path: &str) -> Option<Value> {
        self.managers.remove(path);
        self.objects.remove(path)
    }

    /// A new resource version for what differs, a new generation for a spec that does.
    pub(super) fn store(&mut self, path: &str, mut object: Value) -> Value {
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
        let without = ["ConfigMap", "Service", "HorizontalPodAutoscaler"];
        if object["kind"]
            .as_str()
            .is_some_and(|kind| without.contains(&kind))
        {
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

    pub(super) fn delete(&mut self, path: &str) -> (StatusCode, Value) {
        match self.remove(path) {
            Some(object) => (StatusCode::OK, object),
            None => failure(StatusCode::NOT_FOUND, "NotFound", ""),
        }
    }
}

/// Who changes something, and how.
#[derive(Clone, Copy)]
pub(super) struct Applier<'a> {
    pub(super) name: &'a str,
    pub(super) applies: bool,
    pub(super) forces: bool,
}

pub(super) fn failure(code: StatusCode, reason: &str, cause: &str) -> (StatusCode, Value) {
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
