//! The definition that the chart installs is that of the types, and stays when the release goes.

use operator::spec::{CRD_NAME, crd_yaml};
use serde_json::Value;

use super::rendered::{Case, cases};
use super::tools::chart;

/// Set to write the file instead of comparing it.
const WRITE: &str = "MARKETFEED_WRITE_CRDS";

#[test]
fn the_charts_copy_is_of_these_types() {
    let path = chart().join(format!("files/{CRD_NAME}.yaml"));
    let yaml = crd_yaml().unwrap();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &yaml).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == yaml,
        "the chart's {CRD_NAME}.yaml is of other types: run this test with {WRITE}=1 to write it"
    );
}

#[test]
fn it_is_installed_as_it_is_and_kept() {
    let Some(cases) = cases() else { return };
    let definition: Value = serde_yaml_ng::from_str(&crd_yaml().unwrap()).unwrap();
    let (mut with, mut without) = (0, 0);
    for case in cases {
        let Some(mut installed) = installed(&case) else {
            without += 1;
            continue;
        };
        with += 1;
        let metadata = installed["metadata"].as_object_mut().unwrap();
        let annotations = metadata.remove("annotations").unwrap();
        assert_eq!(
            annotations["helm.sh/resource-policy"], "keep",
            "{}",
            case.name
        );
        // Both are long; the test before this one tells more.
        let same = installed == definition;
        assert!(same, "{}: it is not that of the types", case.name);
    }
    assert!(
        with >= 2 && without >= 2,
        "{with} cases with it, {without} without"
    );
}

fn installed(case: &Case) -> Option<Value> {
    let mut found = case.all("CustomResourceDefinition");
    let one = found.next().cloned();
    assert!(found.next().is_none());
    one
}
