//! What the chart is checked with: helm, kubeconform and helm-docs, built from their Go modules into the user's cache.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::go::go;
use super::kube::{self, Absent};
use super::nats::tools_folder;
use crate::process::{self, Log};
use crate::workspace::Workspace;

/// Their modules. The tests read the same list (`cluster/src/tools.rs`).
const TOOLS: &str = include_str!("../../../cluster/tools.txt");

/// The variable that names Kubernetes' OpenAPI document to the tests.
const SWAGGER: &str = "KUBERNETES_SWAGGER";

/// A program of Go's.
struct Tool {
    name: &'static str,
    /// Module path and version, as `go install` takes them.
    module: &'static str,
}

impl Tool {
    fn all() -> impl Iterator<Item = Self> {
        let lines = TOOLS.lines().filter(|line| !line.starts_with('#'));
        lines.map(|module| {
            let path = module.split('@').next().unwrap_or(module);
            let name = path.rsplit('/').next().unwrap_or(path);
            Self { name, module }
        })
    }

    /// The variable that names it, for this program and for the tests that it starts: `HELM_DOCS`.
    fn variable(&self) -> String {
        self.name.replace('-', "_").to_uppercase()
    }

    /// What it is called where it is kept: `helm-v4.3.1`.
    fn file_name(&self) -> String {
        let version = self.module.rsplit('@').next().unwrap_or_default();
        format!("{}-{version}", self.name)
    }
}

/// The tools that are there or could be built, and Kubernetes' OpenAPI document, with the variables that name them to the
/// tests. Why one is missing is said, and tests that need it say that they were skipped.
pub(crate) fn chart_tools(workspace: &Workspace) -> Vec<(String, OsString)> {
    let tools = Tool::all().map(|tool| located(workspace, &tool));
    let all = tools.chain([swagger(workspace)]);
    all.filter_map(|found| {
        found
            .inspect_err(|why| println!("      missing for the chart's tests: {why:#}"))
            .ok()
    })
    .collect()
}

/// Helm alone, and the variable that names it to the programs that start it.
pub(crate) fn helm(workspace: &Workspace) -> Result<(String, OsString)> {
    let mut tools = Tool::all();
    let helm = tools.find(|tool| tool.name == "helm");
    located(workspace, &helm.context("helm is not in the list")?)
}

/// The document out of Go's module cache, which is filled where it has not got it.
fn swagger(workspace: &Workspace) -> Result<(String, OsString)> {
    if let Some(named) = named(SWAGGER)? {
        return Ok((SWAGGER.to_owned(), named));
    }
    let module = kube::module(workspace)?;
    go().with_context(|| format!("{module} is not there"))?;
    let mut go = Command::new("go");
    go.args(["mod", "download", "-json", &module])
        // Outside any module.
        .current_dir(env::temp_dir());
    let told = process::read(&mut go).with_context(|| format!("{module} cannot be fetched"))?;
    let folder =
        module_folder(&told).with_context(|| format!("go does not say where {module} is"))?;
    let file = folder.join("api/openapi-spec/swagger.json");
    Ok((SWAGGER.to_owned(), file.into_os_string()))
}

/// Reads what `go mod download -json` prints.
fn module_folder(json: &str) -> Option<PathBuf> {
    let told: serde_json::Value = serde_json::from_str(json).ok()?;
    told["Dir"].as_str().map(PathBuf::from)
}

fn located(workspace: &Workspace, tool: &Tool) -> Result<(String, OsString)> {
    let variable = tool.variable();
    if let Some(named) = named(&variable)? {
        return Ok((variable, named));
    }
    let program = tools_folder()?.join(tool.file_name());
    if !program.is_file() {
        let lacks = format!("{} is not there, nor {variable} set", tool.name);
        go().map_err(|why| Absent::because(&why.context(lacks)))?;
        install(workspace, tool, &program)?;
    }
    Ok((variable, program.into_os_string()))
}

/// The file that a variable names.
fn named(variable: &str) -> Result<Option<OsString>> {
    let Some(named) = env::var_os(variable) else {
        return Ok(None);
    };
    if !Path::new(&named).is_file() {
        bail!("{variable} names {}, which is not there", named.display());
    }
    Ok(Some(named))
}

/// Builds it in a folder of this process alone, so that what is at its place is whole at any time.
fn install(workspace: &Workspace, tool: &Tool, program: &Path) -> Result<()> {
    let Tool { name, module } = tool;
    let folder = program.parent().context("no folder to keep it in")?;
    println!(
        "      building {module} with go install into {} (helm takes minutes with nothing cached, the others seconds)",
        folder.display()
    );
    let scratch = folder.join(format!("{name}.{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let installed = install_into(workspace, tool, &scratch).and_then(|built| {
        fs::rename(built, program).with_context(|| format!("cannot keep {name}"))
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
            tool.variable(),
        );
    }
    Ok(scratch.join(tool.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modules_folder_is_read() {
        let told = r#"{"Path":"a/b","Version":"v1.2.3","Dir":"/cache/a/b@v1.2.3"}"#;
        assert_eq!(module_folder(told), Some("/cache/a/b@v1.2.3".into()));
        assert_eq!(module_folder(r#"{"Error":"no such thing"}"#), None);
    }

    #[test]
    fn tools_are_kept_by_name_and_version() {
        let variables: Vec<_> = Tool::all().map(|tool| tool.variable()).collect();
        assert_eq!(variables, ["HELM", "KUBECONFORM", "HELM_DOCS"]);
        for tool in Tool::all() {
            let file_name = tool.file_name();
            let version = file_name.strip_prefix(tool.name).unwrap();
            assert!(version.starts_with("-v") && version.split('.').count() == 3);
            assert!(tool.module.ends_with(&format!("@{}", &version[1..])));
        }
    }
}
