//! Embeds the built page: a table of the files in `web/dist`, empty where the page is not built.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or_else(unset)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(unset)?);
    let dist = manifest.join("../web/dist");
    // While the folder is absent, cargo runs this again at each build, and so sees it come.
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        list(&dist.canonicalize()?, "", &mut files)?;
        files.sort();
    }
    let mut table = String::from("&[\n");
    for (name, path) in &files {
        let hash = fnv1a(&fs::read(path)?);
        writeln!(
            table,
            "    ({name:?}, \"\\\"{hash:016x}\\\"\", include_bytes!({path:?})),"
        )
        .map_err(io::Error::other)?;
    }
    table.push_str("]\n");
    fs::write(out.join("page.rs"), table)
}

/// Files below a folder by their path in the URL; names that begin with a dot are not the page's.
fn list(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{prefix}{name}/"), files)?;
        } else {
            files.push((format!("/{prefix}{name}"), entry.path()));
        }
    }
    Ok(())
}

/// Tells one version of a file from another for caches; nothing rests on it being hard to forge.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn unset() -> io::Error {
    io::Error::other("cargo has not set its variables")
}
