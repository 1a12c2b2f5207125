//! The folder of one cluster, held as long as it runs: a second one must not clear the data that the first works on.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// In every folder that a cluster has had: locked while it runs. What is in such a folder may be removed.
pub const LOCK: &str = "cluster.lock";

/// A folder that is ours until this is dropped, or the process ends.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The system unlocks it when it is closed; programs that are started do not have it.
    _lock: File,
}

impl Folder {
    /// Takes the folder, made if absent, and changes nothing in it.
    ///
    /// # Errors
    /// When another cluster has it, when it holds what no cluster has put there, and when it cannot be written.
    pub fn take(path: &Path) -> Result<Self> {
        // Programs that are started read relative paths each in its own way.
        let path = std::path::absolute(path).context("the folder has no name")?;
        let shown = path.display();
        fs::create_dir_all(&path).with_context(|| format!("cannot create {shown}"))?;
        let file = path.join(LOCK);
        if !file.exists() && fs::read_dir(&path)?.next().is_some() {
            bail!(
                "{shown} is not empty, and no cluster has made what is in it: remove it, or name another by --folder"
            );
        }
        let lock =
            File::create(&file).with_context(|| format!("cannot write {}", file.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "a cluster runs in {shown}: stop it, or give this one another by --folder <dir>"
                )
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", file.display()))
            }
        }
    }

    /// Removes what an earlier cluster left: it would be taken for this one's.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn clear(&self) -> Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name() == LOCK {
                continue;
            }
            let path = entry.path();
            let removed = if entry.file_type()?.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_cluster_and_the_next_one_begins_empty() {
        let own = tempfile::tempdir().unwrap();
        let path = own.path().join("a/b");
        let first = Folder::take(&path).unwrap();
        fs::create_dir(path.join("n1-data")).unwrap();
        fs::write(path.join("n1-data/x"), "x").unwrap();
        let error = Folder::take(&path).unwrap_err().to_string();
        assert!(
            error.contains("a/b") && error.contains("--folder"),
            "{error}"
        );
        drop(first);
        let second = Folder::take(&path).unwrap();
        assert!(path.join("n1-data/x").exists());
        second.clear().unwrap();
        let left: Vec<_> = fs::read_dir(&path).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn what_is_nobodys_cluster_is_left_alone() {
        let own = tempfile::tempdir().unwrap();
        fs::write(own.path().join("letter.txt"), "x").unwrap();
        let error = Folder::take(own.path()).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");
        assert_eq!(fs::read_dir(own.path()).unwrap().count(), 1);
    }
}
