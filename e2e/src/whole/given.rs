//! Images into a cluster that was given: each kind has a program for it, and says what it is by its context's name.

use std::path::Path;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::kubectl::Kubectl;

pub(super) async fn load(kubectl: &Kubectl, archive: &Path) -> Result<()> {
    let context = kubectl.run(["config", "current-context"]).await?;
    let Some(line) = command_line(context.trim()) else {
        bail!(
            "it is not known how {} takes images: push {} where its nodes find it",
            context.trim(),
            archive.display()
        );
    };
    let done = Command::new(&line[0])
        .args(&line[1..])
        .arg(archive)
        .output()
        .await
        .with_context(|| format!("cannot start {}", line[0]))?;
    if !done.status.success() {
        let why = String::from_utf8_lossy(&done.stderr);
        bail!("{}: {}", line.join(" "), why.trim());
    }
    Ok(())
}

/// What takes an archive as its last argument, for the cluster of a context.
fn command_line(context: &str) -> Option<Vec<String>> {
    let line = if let Some(name) = context.strip_prefix("kind-") {
        ["kind", "load", "image-archive", "--name", name]
    } else {
        let name = context.strip_prefix("k3d-")?;
        ["k3d", "image", "import", "--cluster", name]
    };
    Some(line.map(str::to_owned).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_clusters_are_known_by_their_contexts() {
        let kind = command_line("kind-two").unwrap();
        assert_eq!(kind, ["kind", "load", "image-archive", "--name", "two"]);
        let k3d = command_line("k3d-a").unwrap();
        assert_eq!(k3d, ["k3d", "image", "import", "--cluster", "a"]);
        assert_eq!(command_line("gke_x"), None);
    }
}
