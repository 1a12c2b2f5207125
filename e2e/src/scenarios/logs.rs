//! What is kept of a failure.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::place::Place;

/// Files and what `kubectl` is asked for them.
const LOOKS: [(&str, &[&str]); 5] = [
    (
        "objects.txt",
        &["get", "all,hpa,pdb,configmaps", "-A", "-o", "wide"],
    ),
    (
        "events.txt",
        &["get", "events", "-A", "--sort-by=.lastTimestamp"],
    ),
    (
        "marketfeeds.yaml",
        &["get", "marketfeeds", "-A", "-o", "yaml"],
    ),
    ("pods.txt", &["describe", "pods", "-A"]),
    ("nodes.txt", &["describe", "nodes"]),
];

impl Place {
    /// Keeps what is known of a failure in a folder of its own, where nothing is left of an earlier one: logs of the cluster's
    /// programs if it was made here, objects, events, what pods say of themselves and what they logged.
    pub(super) async fn keep_logs(&mut self, scenario: &str) -> Result<PathBuf> {
        self.cluster.keep();
        let folder = self.stock.folder.join(scenario);
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot write {}", folder.display()))?;
        if let Some(logs) = self.cluster.logs() {
            copy(&logs, &folder.join("cluster"))?;
        }
        for (file, args) in LOOKS {
            let said = self.kubectl().try_run(args).await?;
            fs::write(folder.join(file), said.out + &said.err)?;
        }
        let namespaced = "custom-columns=:.metadata.namespace,:.metadata.name";
        let pods = ["get", "pods", "-A", "-o", namespaced, "--no-headers"];
        let pods = self.kubectl().try_run(pods).await?.out;
        for line in pods.lines() {
            let mut words = line.split_whitespace();
            let (Some(namespace), Some(pod)) = (words.next(), words.next()) else {
                continue;
            };
            for (end, more) in [("log", "--previous=false"), ("previous.log", "--previous")] {
                let args = ["logs", "-n", namespace, pod, "--all-containers", more];
                let said = self.kubectl().try_run(args).await?;
                if said.ok {
                    fs::write(folder.join(format!("{namespace}-{pod}.{end}")), said.out)?;
                }
            }
        }
        Ok(folder)
    }
}

/// The files of a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot write {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
