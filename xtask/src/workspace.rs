//! Where things are: the workspace's root, its page, the build's output.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's folders.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder that holds the root manifest.
    pub(crate) root: PathBuf,
    /// Cargo's output; `CARGO_TARGET_DIR` where it is set.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Finds the folders; the root is this crate's parent.
    pub(crate) fn locate() -> Self {
        // Asked for at run time: two checkouts may share the build's output, and cargo then takes the program that
        // was built in the one for the other's.
        let xtask = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = xtask
            .parent()
            .map_or_else(|| xtask.clone(), Path::to_path_buf);
        let target = match env::var_os("CARGO_TARGET_DIR") {
            // Relative to where cargo was started, as cargo itself reads it.
            Some(dir) => env::current_dir()
                .unwrap_or_else(|_| root.clone())
                .join(dir),
            None => root.join("target"),
        };
        Self { root, target }
    }

    /// Cargo at the root, with [`Workspace::target`] as its output: the variable outranks a configuration file and
    /// `CARGO_BUILD_TARGET_DIR`, so that what it builds is where this program looks.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        cargo
    }

    /// The page's folder.
    pub(crate) fn web(&self) -> PathBuf {
        self.root.join("web")
    }

    /// Where a Node of our own is, if the system's will not do: a prefix of npm.
    pub(crate) fn node(&self) -> PathBuf {
        self.target.join("node")
    }

    /// Where the steps leave their logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// Where images are, and what they are made of.
    pub(crate) fn images(&self) -> PathBuf {
        self.target.join("image")
    }

    /// The `marketfeed` binary of a profile's output folder (`release` or `debug`).
    pub(crate) fn marketfeed(&self, profile_dir: &str) -> PathBuf {
        self.target.join(profile_dir).join("marketfeed")
    }
}
