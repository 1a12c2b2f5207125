//! The objects are Kubernetes': helm finds nothing to say, and every field is one that the API server knows.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::rendered::{NAMESPACE, cases, names, values};
use super::schemas::{self, LOCATION};
use super::tools::{Helm, program, root, text};

/// Kinds of others, whose schemas are not in Kubernetes' document.
const FOREIGN: [&str; 3] = ["ServiceMonitor", "PodMonitor", "HTTPRoute"];

#[test]
fn helm_finds_nothing_to_say() {
    let Some(helm) = Helm::new() else { return };
    for name in names() {
        let told = helm.read(&[
            "lint",
            "charts/marketfeed",
            "--strict",
            "--namespace",
            NAMESPACE,
            "--values",
            &values(&name),
        ]);
        let bad = told
            .lines()
            .filter(|line| line.contains("[WARNING]") || line.contains("[ERROR]"));
        assert_eq!(bad.count(), 0, "{name}: {told}");
    }
}

struct Kubeconform {
    program: std::path::PathBuf,
    folder: TempDir,
}

impl Kubeconform {
    fn new() -> Option<Self> {
        let program = program("kubeconform", "KUBECONFORM")?;
        let swagger = schemas::swagger()?;
        let folder = TempDir::new().unwrap();
        let written = schemas::write(&swagger, folder.path());
        assert!(written > 50, "{written} schemas in {}", swagger.display());
        Some(Self { program, folder })
    }

    fn check(&self, file: &Path) -> Output {
        let location = self.folder.path().join(LOCATION);
        Command::new(&self.program)
            .args([
                "-strict",
                "-verbose",
                "-summary",
                "-skip",
                &FOREIGN.join(","),
            ])
            .arg("-schema-location")
            .arg(location)
            .arg(file)
            .output()
            .unwrap()
    }
}

#[test]
fn every_object_is_of_kubernetes_own_schema() {
    let Some(kubeconform) = Kubeconform::new() else {
        return;
    };
    let Some(cases) = cases() else { return };
    for case in cases {
        let file = kubeconform.folder.path().join("rendered.yaml");
        std::fs::write(&file, &case.yaml).unwrap();
        let output = kubeconform.check(&file);
        let told = text(&output.stdout);
        assert!(output.status.success(), "{}: {told}", case.name);
        let foreign = case
            .objects
            .iter()
            .filter(|object| FOREIGN.iter().any(|kind| object["kind"] == *kind));
        let valid = case.objects.len() - foreign.count();
        assert!(
            told.contains(&format!("Valid: {valid}, Invalid: 0, Errors: 0")),
            "{}: {told}",
            case.name
        );
    }
}

#[test]
fn every_example_is_of_its_schema() {
    let Some(kubeconform) = Kubeconform::new() else {
        return;
    };
    let output = kubeconform.check(&root().join("examples"));
    let told = text(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("Invalid: 0, Errors: 0, Skipped: 1"), "{told}");
}

/// The check itself sees what is wrong.
#[test]
fn a_field_that_there_is_not_is_found() {
    let Some(kubeconform) = Kubeconform::new() else {
        return;
    };
    let wrong = [
        ("apps/v1", "Deployment", "replicaz: 1"),
        ("v1", "Service", "ports: [{ port: http }]"),
        (
            "marketfeed.dev/v1alpha1",
            "MarketFeed",
            "gateway: { replicaz: 1 }",
        ),
    ];
    for (api, kind, field) in wrong {
        let file = kubeconform.folder.path().join("wrong.yaml");
        let object =
            format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{ name: x }}\nspec:\n  {field}\n");
        std::fs::write(&file, object).unwrap();
        let output = kubeconform.check(&file);
        let told = text(&output.stdout);
        assert!(
            !output.status.success() && told.contains("Invalid: 1"),
            "{kind}: {told}"
        );
    }
}
