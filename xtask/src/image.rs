//! `cargo xtask image`: the image of `deploy/Dockerfile`, made without a registry.
//!
//! Its last stage is built as it stands there; the stages before it need base images, so cargo makes the binaries here,
//! with the flags that the Dockerfile has.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::args::Image;
use crate::git;
use crate::install;
use crate::process::{self, Log, clock};
use crate::web;
use crate::workspace::Workspace;

/// The release that comes after this one, for trying a rollout.
mod later;

/// Images of OCI, by buildah.
mod oci;

pub(crate) use oci::Archive;

/// What holds the binaries of the image.
const PACKAGES: [&str; 5] = [
    "marketdata",
    "gateway",
    "exchange-sim",
    "standalone",
    "operator",
];

/// What their binaries need beyond their libraries.
const FEATURES: [&str; 3] = ["marketdata/process", "marketdata/tls", "gateway/process"];

/// What is in the image.
const BINARIES: [&str; 5] = [
    "marketfeed",
    "marketfeed-marketdata",
    "marketfeed-gateway",
    "marketfeed-operator",
    "exchange-sim",
];

/// What the last stage of `deploy/Dockerfile` copies: folders of `/image` in the stage before it.
const FOLDERS: [&str; 3] = ["bin", "certs", "assignment"];

/// The authorities that this machine trusts, of Debian's package `ca-certificates`: the image has the same file.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What the image is called where nothing else is said: a name that no registry answers to.
const REPOSITORY: &str = "localhost/marketfeed";

/// Builds the images that are asked for and says what they are called.
pub(crate) fn run(workspace: &Workspace, image: &Image) -> Result<()> {
    let mut archives = vec![ours(workspace, image)?];
    if image.later {
        archives.push(later(workspace, image)?);
    }
    if image.nats {
        archives.push(nats(workspace)?);
    }
    println!();
    for archive in archives {
        println!("{archive}");
    }
    Ok(())
}

/// This checkout's image.
pub(crate) fn ours(workspace: &Workspace, image: &Image) -> Result<Archive> {
    let started = Instant::now();
    println!("[1/3] page");
    let log = Log::fresh(workspace.logs().join("image-web.log"), false)?;
    web::build(workspace, &log)?;
    println!(
        "[2/3] static binaries ({} profile; the first build takes minutes)",
        profile(image)
    );
    let built = binaries(workspace, &workspace.root, profile(image), &BINARIES)?;
    println!("      built, {}", clock(started.elapsed()));
    println!("[3/3] image");
    let archive = pack(workspace, "marketfeed", env!("CARGO_PKG_VERSION"), &built)?;
    println!("      packed, {}", clock(started.elapsed()));
    Ok(archive)
}

/// The image of the release that comes after this one.
pub(crate) fn later(workspace: &Workspace, image: &Image) -> Result<Archive> {
    later::build(workspace, profile(image))
}

/// An image with the `nats-server` of this machine, for clusters that cannot fetch one: `docker.io/library/nats` has it
/// at the same place.
pub(crate) fn nats(workspace: &Workspace) -> Result<Archive> {
    let (_, server) = install::nats_server(workspace)?;
    let version = process::read(Command::new(&server).arg("--version"))?;
    let version = version.trim().rsplit('v').next().unwrap_or_default();
    let context = fresh(workspace, "nats")?;
    copy(&server, &context.join("nats-server"), 0o755)?;
    let dockerfile = context.join("Dockerfile");
    fs::write(&dockerfile, NATS_DOCKERFILE).context("cannot write a Dockerfile")?;
    let recipe = oci::Recipe {
        dockerfile: &dockerfile,
        context: &context,
        stage: None,
        args: Vec::new(),
        name: format!("localhost/nats:{version}"),
    };
    recipe.build(workspace, "nats")
}

/// `nats-server` alone, where that of `docker.io/library/nats` is.
const NATS_DOCKERFILE: &str = "\
FROM scratch
COPY nats-server /usr/local/bin/nats-server
ENV PATH=/usr/local/bin
ENTRYPOINT [\"nats-server\"]
";

/// Builds a checkout's binaries and gives the folder that they are in.
fn binaries(workspace: &Workspace, root: &Path, profile: &str, names: &[&str]) -> Result<Binaries> {
    let host = host()?;
    let mut cargo = workspace.cargo();
    cargo
        .current_dir(root)
        .args(["build", "--profile", profile, "--target", &host])
        .args(names.iter().flat_map(|name| ["--bin", name]))
        .args(PACKAGES.map(|package| format!("--package={package}")))
        .args(FEATURES.map(|feature| format!("--features={feature}")))
        .env_remove("RUSTFLAGS")
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            // Of both releases the same: what they have in common is then compiled once.
            flags(&workspace.root, &workspace.target).join("\u{1f}"),
        );
    if root == workspace.root {
        cargo.arg("--locked");
    }
    let log = Log::fresh(workspace.logs().join("image-build.log"), false)?;
    let built = process::run(&mut cargo, &log)?;
    if !built.ok {
        bail!("cargo build failed; its output:\n{}", built.output);
    }
    let folder = workspace.target.join(host).join(profile);
    Ok(Binaries {
        files: names.iter().map(|name| folder.join(name)).collect(),
    })
}

/// Binaries that were built.
struct Binaries {
    files: Vec<PathBuf>,
}

/// Static, so that they need no system around them. The paths of this machine are left out of them, so that the same
/// sources give the same bytes elsewhere.
fn flags(root: &Path, target: &Path) -> [String; 4] {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cargo")));
    let home = home.unwrap_or_else(|| PathBuf::from(".cargo"));
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    [
        "-Ctarget-feature=+crt-static".to_owned(),
        remap(root, "/src"),
        remap(&home, "/cargo"),
        // Last: it may be in the checkout.
        remap(target, "/src/target"),
    ]
}

/// The machine that the compiler is for. Named to cargo, so that build scripts and macros, which run here, are not made
/// with the flags of the image.
fn host() -> Result<String> {
    let said = process::read(Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host
        .context("rustc does not say for which machine it is")?
        .to_owned())
}

/// The last stage of `deploy/Dockerfile` over these binaries.
fn pack(workspace: &Workspace, file: &str, version: &str, built: &Binaries) -> Result<Archive> {
    // As the stage before the last leaves it.
    let context = fresh(workspace, file)?;
    let image = context.join("image");
    for folder in FOLDERS {
        let folder = image.join(folder);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    for binary in &built.files {
        let name = binary.file_name().context("a binary has no name")?;
        copy(binary, &image.join("bin").join(name), 0o755)?;
    }
    let authorities = authorities(workspace)?;
    let name = authorities.file_name().context("a list has no name")?;
    copy(authorities, &image.join("certs").join(name), 0o644)?;
    let recipe = oci::Recipe {
        dockerfile: &workspace.root.join("deploy/Dockerfile"),
        context: &context,
        stage: Some("binaries"),
        args: vec![
            format!("VERSION={version}"),
            format!("REVISION={}", revision(workspace)),
        ],
        name: format!("{REPOSITORY}:{version}"),
    };
    recipe.build(workspace, file)
}

/// The commit, for the image's label; nothing where the checkout has changes or there is no git.
fn revision(workspace: &Workspace) -> String {
    if !git::is_checkout(workspace) {
        return String::new();
    }
    match git::read(workspace, &["status", "--porcelain"]) {
        Ok(changes) if changes.is_empty() => git::read(workspace, &["rev-parse", "HEAD"])
            .map(|commit| commit.trim().to_owned())
            .unwrap_or_default(),
        _ => String::new(),
    }
}

/// An empty folder of this name below the build's output.
fn fresh(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let folder = workspace.images().join("context").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Where authorities are listed, installed where they are not.
fn authorities(workspace: &Workspace) -> Result<&'static Path> {
    let file = Path::new(AUTHORITIES);
    if !file.is_file() {
        install::apt_install(
            workspace,
            &["ca-certificates"],
            "the image has this machine's list of certificate authorities",
            "install it (Debian: `apt-get install ca-certificates`) and run this again",
        )?;
    }
    Ok(file)
}

/// A copy with these rights, whatever this user's mask is.
fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::copy(from, to)
        .and_then(|_| fs::set_permissions(to, fs::Permissions::from_mode(mode)))
        .with_context(|| format!("cannot copy {}", from.display()))
}

fn profile(image: &Image) -> &'static str {
    if image.release { "release" } else { "demo" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Dockerfile has no other way to know them.
    #[test]
    fn the_dockerfile_builds_the_same() {
        let workspace = Workspace::locate();
        let text = fs::read_to_string(workspace.root.join("deploy/Dockerfile")).unwrap();
        let text = text.replace("\\\n", " ");
        let words: Vec<_> = text.split_whitespace().collect();
        let after = |flag: &str| -> Vec<&str> {
            let uses = words.windows(2).filter(|pair| pair[0] == flag);
            uses.flat_map(|pair| pair[1].split(',')).collect()
        };
        assert_eq!(after("--package"), PACKAGES);
        assert_eq!(after("--features"), FEATURES);
        let copied = text.split("&& cp ").nth(2).unwrap();
        let copied: Vec<_> = copied.split_whitespace().take(BINARIES.len()).collect();
        assert_eq!(copied, BINARIES);
        let taken = words.iter().filter_map(|word| word.strip_prefix("/image/"));
        let mut taken: Vec<_> = taken.map(|path| path.trim_end_matches('/')).collect();
        taken.sort_unstable();
        taken.dedup();
        let mut made = FOLDERS;
        made.sort_unstable();
        assert_eq!(taken, made);
        assert!(text.contains(&format!("&& cp {AUTHORITIES} /image/certs/")));
        // Where the programs look for it.
        let folder = Path::new(AUTHORITIES).parent().unwrap().display();
        assert!(text.contains(&format!("/image/certs/ {folder}/\n")));
        let [one, ..] = flags(Path::new("/src"), Path::new("/src/target"));
        for flag in [one.as_str(), "=/src", "=/cargo"] {
            assert!(text.contains(flag), "{flag}");
        }
    }
}
