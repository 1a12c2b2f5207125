//! Where the programs are that a cluster is made of. `cargo xtask` builds them; a test that is started by hand looks in the same
//! place and builds nothing.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The variable that names a set of programs: a folder with `bin` and `images`.
pub const VARIABLE: &str = "KUBE_PROGRAMS";

/// A set of programs, all of one state of their sources.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// The set that [`VARIABLE`] names, or the one that `cargo xtask` keeps for these sources.
    ///
    /// # Errors
    /// When there is none; the text says how to get one.
    pub fn find() -> Result<Self> {
        let folder = match env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
            Some(named) => PathBuf::from(named),
            None => kept()?,
        };
        let programs = Self { folder };
        if !programs.kube().is_file() || !programs.nodens().is_file() {
            bail!(
                "there is no {}: `cargo xtask e2e up` builds it, where Go 1.26 or later is",
                programs.kube().display()
            );
        }
        Ok(programs)
    }

    /// Why there is no API server here; none if one can be started.
    #[must_use]
    pub fn absent() -> Option<String> {
        Self::find().err().map(|error| format!("{error:#}"))
    }

    /// Why no cluster with nodes can be made here; none if one can.
    #[must_use]
    pub fn absent_for_nodes() -> Option<String> {
        let programs = match Self::find() {
            Ok(programs) => programs,
            Err(error) => return Some(format!("{error:#}")),
        };
        // The scripts know what is needed.
        let missing = match (build_script("nodes"), build_script("packages")) {
            (Ok(why), _) if !why.is_empty() => return Some(why),
            (Ok(_), Ok(missing)) => missing,
            (Err(error), _) | (_, Err(error)) => return Some(format!("{error:#}")),
        };
        if !missing.is_empty() {
            return Some(format!(
                "Debian's {missing} are not there: `cargo xtask e2e up` installs them"
            ));
        }
        let images = programs.images();
        // The last that is made.
        if !images.join("busybox.tar").is_file() {
            return Some(format!(
                "there is nothing in {}: `cargo xtask e2e up` makes the images",
                images.display()
            ));
        }
        None
    }

    /// `kube`: etcd, the control plane, a node's programs and kubectl, by its first argument.
    #[must_use]
    pub fn kube(&self) -> PathBuf {
        self.folder.join("bin/kube")
    }

    /// `nodens`: namespaces, certificates, ways in.
    #[must_use]
    pub fn nodens(&self) -> PathBuf {
        self.folder.join("bin/nodens")
    }

    /// Where the images of a new cluster are, as archives.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.folder.join("images")
    }

    /// The set's folder, for the scripts.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The folder of the scripts, from the root of the sources.
#[must_use]
pub fn scripts() -> PathBuf {
    // Two checkouts may share the build's output: asked for at run time, as cargo tells it to what it starts.
    let own = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = own.as_deref().and_then(Path::parent);
    let root = root.filter(|root| root.join("e2e/cluster/kube.sh").is_file());
    let compiled = || Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster");
    root.map_or_else(compiled, |root| root.join("e2e/cluster"))
}

/// Where `build.sh` keeps what it builds of these sources: it knows alone what their key is.
fn kept() -> Result<PathBuf> {
    build_script("where").map(PathBuf::from)
}

/// What the script says of this machine.
fn build_script(command: &str) -> Result<String> {
    let script = scripts().join("build.sh");
    let said = Command::new("bash").arg(&script).arg(command).output();
    let said = said.context("cannot start bash")?;
    if !said.status.success() {
        let why = String::from_utf8_lossy(&said.stderr);
        bail!("{} {command}: {}", script.display(), why.trim());
    }
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}
