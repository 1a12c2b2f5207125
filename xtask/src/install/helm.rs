//! What the chart is checked with: helm, kubeconform and helm-docs, built from their Go modules into the user's cache.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::find;
use super::nats::tools_folder;
use crate::process::{self, Log};
use crate::workspace::Workspace;

/// A program of Go's.
struct Tool {
    /// The variable that names it, for this program and for the tests that it starts.
    variable: &'static str,
    name: &'static str,
    /// Module path and version, as `go install` takes them.
    module: &'static str,
    /// How long it takes with nothing cached, on two cores.
    cold: &'static str,
}

const TOOLS: [Tool; 3] = [
    Tool {
        variable: "HELM",
        name: "helm",
        module: "helm.sh/helm/v4/cmd/helm@v4.3.1",
        cold: "about 7 minutes",
    },
    Tool {
        variable: "KUBECONFORM",
        name: "kubeconform",
        module: "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0",
        cold: "some seconds",
    },
    Tool {
        variable: "HELM_DOCS",
        name: "helm-docs",
        module: "github.com/norwoodj/helm-docs/cmd/helm-docs@v1.14.2",
        cold: "some seconds",
    },
];

/// The module with Kubernetes' OpenAPI document: the release that the tests' cluster is made of.
const KUBERNETES: &str = "k8s.io/kubernetes@v1.35.4";

/// The variable that names the document to the tests.
const SWAGGER: &str = "KUBERNETES_SWAGGER";

/// The tools that are there or could be built, and Kubernetes' OpenAPI document, with the variables that name them to the
/// tests. A machine without Go has none, and tests that need one say that they were skipped.
pub(crate) fn chart_tools(workspace: &Workspace) -> Result<Vec<(&'static str, OsString)>> {
    let mut found = Vec::new();
    for tool in &TOOLS {
        found.extend(located(workspace, tool)?);
    }
    found.extend(swagger()?.map(|file| (SWAGGER, file.into_os_string())));
    Ok(found)
}

/// The document out of Go's module cache, which is filled where it has not got it.
fn swagger() -> Result<Option<PathBuf>> {
    if let Some(named) = env::var_os(SWAGGER).map(PathBuf::from) {
        if !named.is_file() {
            bail!("{SWAGGER} names {}, which is not there", named.display());
        }
        return Ok(Some(named));
    }
    if find("go").is_none() {
        return Ok(None);
    }
    let mut go = Command::new("go");
    go.args(["mod", "download", "-json", KUBERNETES])
        // Outside any module.
        .current_dir(env::temp_dir());
    let told = process::read(&mut go).with_context(|| format!("{KUBERNETES} cannot be fetched"))?;
    let folder =
        module_folder(&told).with_context(|| format!("go does not say where {KUBERNETES} is"))?;
    Ok(Some(folder.join("api/openapi-spec/swagger.json")))
}

/// Reads what `go mod download -json` prints.
fn module_folder(json: &str) -> Option<PathBuf> {
    let told: serde_json::Value = serde_json::from_str(json).ok()?;
    told["Dir"].as_str().map(PathBuf::from)
}

/// Helm alone, and the variable that names it to the programs that start it.
pub(crate) fn helm(workspace: &Workspace) -> Result<(&'static str, OsString)> {
    located(workspace, &TOOLS[0])?.context("helm is needed: install Go, or set HELM to its path")
}

fn located(workspace: &Workspace, tool: &Tool) -> Result<Option<(&'static str, OsString)>> {
    if let Some(named) = env::var_os(tool.variable) {
        if !Path::new(&named).is_file() {
            bail!(
                "{} names {}, which is not there",
                tool.variable,
                named.display()
            );
        }
        return Ok(Some((tool.variable, named)));
    }
    let program = tools_folder()?.join(tool.name);
    if is_of(&program, tool.module) {
        return Ok(Some((tool.variable, program.into_os_string())));
    }
    if find("go").is_none() {
        return Ok(None);
    }
    install(workspace, tool, &program)?;
    Ok(Some((tool.variable, program.into_os_string())))
}

/// Whether a program is there that was built from this version. Programs do not say it alike; a file beside them does.
fn is_of(program: &Path, module: &str) -> bool {
    program.is_file() && fs::read_to_string(stamp(program)).is_ok_and(|text| text == module)
}

fn stamp(program: &Path) -> PathBuf {
    program.with_extension("module")
}

/// Builds it in a folder of this process alone, so that what is at its place is whole at any time.
fn install(workspace: &Workspace, tool: &Tool, program: &Path) -> Result<()> {
    let Tool {
        name, module, cold, ..
    } = tool;
    let folder = program.parent().context("no folder to keep it in")?;
    println!(
        "      building {module} with go install into {} ({cold} with nothing cached)",
        folder.display()
    );
    let scratch = folder.join(format!("{name}.{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let installed = install_into(workspace, tool, &scratch).and_then(|built| {
        fs::rename(built, program).with_context(|| format!("cannot keep {name}"))?;
        fs::write(stamp(program), module).with_context(|| format!("cannot mark {name}"))
    });
    let removed = fs::remove_dir_all(&scratch);
    installed?;
    removed.with_context(|| format!("cannot remove {}", scratch.display()))
}

fn install_into(workspace: &Workspace, tool: &Tool, scratch: &Path) -> Result<PathBuf> {
    let log = Log {
        path: workspace.logs().join(format!("{}.log", tool.name)),
        verbose: false,
    };
    let mut go = Command::new("go");
    go.args([
        "install",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        "-s -w",
        tool.module,
    ])
    // Needs no C compiler, and runs wherever it is copied to.
    .env("CGO_ENABLED", "0")
    .env("GOBIN", scratch)
    // Outside any module: what this checkout holds is none of its business.
    .current_dir(scratch);
    if !process::run(&mut go, &log)?.ok {
        bail!(
            "go install {} failed (see {}); set {} to a program of that version",
            tool.module,
            log.path.display(),
            tool.variable,
        );
    }
    Ok(scratch.join(tool.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_another_version_is_not_taken() {
        let folder = env::temp_dir().join(format!("xtask-helm-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join("helm");
        assert!(!is_of(&program, "m@v1"));
        fs::write(&program, "").unwrap();
        assert!(!is_of(&program, "m@v1"), "nobody says what it is");
        fs::write(stamp(&program), "m@v1").unwrap();
        assert!(is_of(&program, "m@v1") && !is_of(&program, "m@v2"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_modules_folder_is_read() {
        let told = r#"{"Path":"a/b","Version":"v1.2.3","Dir":"/cache/a/b@v1.2.3"}"#;
        assert_eq!(module_folder(told), Some("/cache/a/b@v1.2.3".into()));
        assert_eq!(module_folder(r#"{"Error":"no such thing"}"#), None);
    }

    #[test]
    fn versions_are_pinned() {
        for tool in &TOOLS {
            let (module, version) = tool.module.split_once('@').unwrap();
            assert_eq!(module.rsplit('/').next(), Some(tool.name));
            assert!(version.starts_with('v') && version.split('.').count() == 3);
        }
    }
}
