//! Where things are: the workspace's root, its page, the build's output.

use std::env;
use std::path::{Path, PathBuf};

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

    /// The page's folder.
    pub(crate) fn web(&self) -> PathBuf {
        self.root.join("web")
    }

    /// Where the steps leave their logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// The `marketfeed` binary of a profile's output folder (`release` or `debug`).
    pub(crate) fn marketfeed(&self, profile_dir: &str) -> PathBuf {
        self.target.join(profile_dir).join("marketfeed")
    }
}
