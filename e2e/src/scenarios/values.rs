//! What the chart makes of many values is taken by the API server: a dry run of its own.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Measured;
use super::place::Place;
use super::tidy::make_namespace;

/// Where the values have it: the release's, and one that they watch.
const NAMESPACES: [&str; 2] = ["e2e-values", "market"];

pub(super) async fn run(place: &mut Place) -> Measured {
    // The definition is there then: what is of its kind can be tried.
    place.install().await?;
    for namespace in NAMESPACES {
        make_namespace(place.kubectl(), namespace).await?;
    }
    let folder = place.stock.chart().join("ci");
    let files = fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))?;
    let mut files: Vec<_> = files
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    ensure!(
        !files.is_empty(),
        "there are no values in {}",
        folder.display()
    );
    let (mut taken, mut left_out) = (0, 0);
    for file in &files {
        let chart = place.stock.chart().display().to_string();
        let values = file.display().to_string();
        let template = [
            "template",
            "marketfeed",
            &chart,
            "-n",
            NAMESPACES[0],
            "-f",
            &values,
        ];
        let rendered = place.helm.run(template).await?;
        let (objects, others) = objects(&rendered).with_context(|| values.clone())?;
        left_out += others;
        taken += objects.len();
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string();
        let flags = ["--dry-run=server", "-n", NAMESPACES[0]];
        let said = place.kubectl().try_apply(&list, &flags).await?;
        ensure!(said.ok, "{values}: {}", said.err.trim());
    }
    for namespace in NAMESPACES {
        let delete = ["delete", "namespace", namespace, "--wait=false"];
        place.kubectl().run(delete).await?;
    }
    Ok(vec![format!(
        "{taken} objects of {} sets of values; {left_out} of the Prometheus operator's left out",
        files.len()
    )])
}

/// What is rendered, without the kinds that the cluster has not got, and how many those are.
fn objects(rendered: &str) -> Result<(Vec<Value>, usize)> {
    let mut objects = Vec::new();
    let mut others = 0;
    for document in serde_yaml_ng::Deserializer::from_str(rendered) {
        let object = Value::deserialize(document)?;
        let version = object["apiVersion"].as_str().unwrap_or_default();
        if object.is_null() {
            continue;
        }
        if version.starts_with("monitoring.coreos.com/") {
            others += 1;
        } else {
            objects.push(object);
        }
    }
    Ok((objects, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read_and_others_counted() {
        let rendered = "---\n# a note\n---\napiVersion: v1\nkind: Pod\n---\napiVersion: monitoring.coreos.com/v1\n";
        let (objects, others) = objects(rendered).unwrap();
        assert_eq!((objects.len(), others), (1, 1));
        assert_eq!(objects[0]["kind"], "Pod");
    }
}
