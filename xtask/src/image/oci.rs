//! Images as archives of OCI, by buildah: no daemon, no registry, and a store of its own.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::install;
use crate::process::{self, Log};
use crate::workspace::Workspace;

/// An image in a file.
#[derive(Debug)]
pub(crate) struct Archive {
    /// As a pod names it.
    pub(crate) name: String,
    /// Of its manifest.
    digest: String,
    /// Where it is: `ctr images import`, `kind load image-archive` and `podman load` take it.
    pub(crate) file: PathBuf,
    bytes: u64,
}

impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.bytes.div_ceil(1_000_000);
        write!(
            f,
            "{}@{}\n  {} ({megabytes} MB)",
            self.name,
            self.digest,
            self.file.display()
        )
    }
}

/// What an image is made of.
pub(super) struct Recipe<'a> {
    /// Of which the last stage is built.
    pub(super) dockerfile: &'a Path,
    /// The folder that it copies from, or what takes the place of `stage`.
    pub(super) context: &'a Path,
    /// The stage that the context stands for; then those that only it needs are not built.
    pub(super) stage: Option<&'a str>,
    /// `NAME=value` of its `ARG`s.
    pub(super) args: Vec<String>,
    /// What the image is called.
    pub(super) name: String,
}

impl Recipe<'_> {
    /// Builds it into `target/image/<file>.tar`.
    pub(super) fn build(&self, workspace: &Workspace, file: &str) -> Result<Archive> {
        buildah_is_there(workspace)?;
        let log = Log::fresh(workspace.logs().join(format!("image-{file}.log")), false)?;
        let mut build = buildah(workspace);
        // Where containers cannot be made (a container, as CI's machine often is), chroot does: nothing is run anyway.
        build.args(["build", "--isolation", "chroot", "--layers=false"]);
        // The times of files and of the image are not ours: the same files give the same image.
        build.args(["--timestamp", "0", "--tag", &self.name]);
        if let Some(stage) = self.stage {
            build.arg(format!(
                "--build-context={stage}={}",
                self.context.display()
            ));
        }
        build.args(self.args.iter().map(|arg| format!("--build-arg={arg}")));
        build.arg("--file").arg(self.dockerfile).arg(self.context);
        succeed(&mut build, &log)?;

        let target = workspace.images().join(format!("{file}.tar"));
        // buildah adds to an archive that is there.
        let beside = target.with_extension("tar.part");
        if beside.exists() {
            fs::remove_file(&beside)?;
        }
        let mut push = buildah(workspace);
        push.args(["push", &self.name]).arg(format!(
            "oci-archive:{}:{}",
            beside.display(),
            self.name
        ));
        succeed(&mut push, &log)?;
        fs::rename(&beside, &target)
            .with_context(|| format!("cannot write {}", target.display()))?;
        // What this name had before is in nobody's way, but it is large.
        succeed(buildah(workspace).args(["rmi", "--prune"]), &log)?;
        Archive::read(target)
    }
}

impl Archive {
    /// What an archive says of itself.
    fn read(file: PathBuf) -> Result<Self> {
        let mut tar = Command::new("tar");
        let index = process::read(tar.arg("-xOf").arg(&file).arg("index.json"))?;
        let index: Value = serde_json::from_str(&index)
            .with_context(|| format!("{} has no index", file.display()))?;
        let manifest = &index["manifests"][0];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let name = text(&manifest["annotations"]["org.opencontainers.image.ref.name"]);
        let (Some(name), Some(digest)) = (name, text(&manifest["digest"])) else {
            bail!("{} does not say what it holds: {index}", file.display());
        };
        let bytes = fs::metadata(&file)?.len();
        Ok(Self {
            name,
            digest,
            file,
            bytes,
        })
    }
}

fn buildah_is_there(workspace: &Workspace) -> Result<()> {
    if install::find("buildah").is_some() {
        return Ok(());
    }
    install::apt_install(
        workspace,
        &["buildah"],
        "images are built by buildah",
        "install it (Debian: `apt-get install buildah`) and run this again",
    )
}

/// buildah with a store below the build's output: nothing is mounted, and it goes with the folder.
fn buildah(workspace: &Workspace) -> Command {
    let mut buildah = Command::new("buildah");
    buildah
        .args(["--storage-driver", "vfs"])
        .arg("--root")
        .arg(workspace.images().join("store"))
        .arg("--runroot")
        .arg(workspace.images().join("run"));
    buildah
}

fn succeed(command: &mut Command, log: &Log) -> Result<()> {
    let finished = process::run(command, log)?;
    if !finished.ok {
        bail!("buildah failed; its output:\n{}", finished.output);
    }
    Ok(())
}
