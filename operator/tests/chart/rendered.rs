//! Every case: a file in the chart's `ci/` folder, as helm's own chart-testing tool has them. What stands there is a
//! complete list; other crates may read the folder too.

use serde::Deserialize;
use serde_json::Value;

use super::tools::{Helm, chart};

/// Where the documents install it.
pub(crate) const NAMESPACE: &str = "marketfeed-system";

/// A file of values and what the chart is with them.
pub(crate) struct Case {
    /// Such as `nats-three`.
    pub(crate) name: String,
    /// The file's path.
    pub(crate) values: String,
    /// As helm prints it.
    pub(crate) yaml: String,
    pub(crate) objects: Vec<Value>,
}

impl Case {
    /// The objects of a kind.
    pub(crate) fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects
            .iter()
            .filter(move |object| object["kind"] == kind)
    }

    /// The one of a kind and name.
    #[track_caller]
    pub(crate) fn one(&self, kind: &str, name: &str) -> &Value {
        let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
        let mut found = self.objects.iter().filter(is_it);
        let one = found.next();
        assert!(found.next().is_none(), "{}: two {kind} {name}", self.name);
        one.unwrap_or_else(|| panic!("{}: no {kind} {name}", self.name))
    }

    /// Names of pods' owners, or of pods, with the pods' spec and metadata.
    pub(crate) fn pods(&self) -> Vec<(String, &Value)> {
        let name = |object: &Value| {
            let (kind, name) = (&object["kind"], &object["metadata"]["name"]);
            format!(
                "{}: {} {}",
                self.name,
                kind.as_str().unwrap(),
                name.as_str().unwrap()
            )
        };
        let named = |object| Some((name(object), pod_of(object)?));
        self.objects.iter().filter_map(named).collect()
    }
}

/// The object itself where it is a pod, or its template.
fn pod_of(object: &Value) -> Option<&Value> {
    if object["kind"] == "Pod" {
        return Some(object);
    }
    object["spec"].get("template")
}

/// The names of all cases.
pub(crate) fn names() -> Vec<String> {
    let entries = std::fs::read_dir(chart().join("ci")).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix("-values.yaml") else {
            panic!("ci/ holds {name}, which is no <name>-values.yaml");
        };
        name.to_owned()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    assert!(names.len() >= 8, "{names:?}");
    names
}

pub(crate) fn values(name: &str) -> String {
    format!("charts/marketfeed/ci/{name}-values.yaml")
}

/// All cases, or none without helm.
pub(crate) fn cases() -> Option<Vec<Case>> {
    let helm = Helm::new()?;
    Some(names().iter().map(|name| case(&helm, name)).collect())
}

/// One of them.
pub(crate) fn case(helm: &Helm, name: &str) -> Case {
    let values = values(name);
    let yaml = helm.read(&[
        "template",
        "marketfeed",
        "charts/marketfeed",
        "--namespace",
        NAMESPACE,
        "--values",
        &values,
    ]);
    let documents = serde_yaml_ng::Deserializer::from_str(&yaml).map(Value::deserialize);
    let mut objects: Vec<Value> = documents.collect::<Result<_, _>>().unwrap();
    objects.retain(|object| !object.is_null());
    Case {
        name: name.to_owned(),
        values,
        yaml,
        objects,
    }
}

pub(crate) fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.map(|word| word.as_str().unwrap().to_owned()).collect()
}
