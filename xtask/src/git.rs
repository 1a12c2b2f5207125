//! What git knows of this checkout.

use std::process::Command;

use anyhow::{Context, Result};

use crate::install;
use crate::process;
use crate::workspace::Workspace;

/// Whether this tree is a git checkout; one out of an archive is none.
pub(crate) fn is_checkout(workspace: &Workspace) -> bool {
    let mut folders = workspace.root.ancestors();
    folders.any(|folder| folder.join(".git").exists())
}

/// What a command of git's prints, one that runs nothing of the checkout. Git is installed where it is missing and can be.
pub(crate) fn read(workspace: &Workspace, args: &[&str]) -> Result<String> {
    if install::find("git").is_none() {
        let by_hand = "install git (Debian: `apt-get install git`)";
        install::apt_install(workspace, &["git"], "listing files needs git", by_hand)?;
    }
    // Root may be given a checkout that is somebody else's, which git would refuse.
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*"]).args(args);
    process::read(git.current_dir(&workspace.root)).context("git cannot read this checkout")
}
