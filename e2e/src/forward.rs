//! Ways from a port of 127.0.0.1 into a cluster.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use cluster::wait::PATIENCE;
use cluster::{Process, Program, tools};
use tempfile::TempDir;

use crate::kubectl::Kubectl;

/// A way that is open until this is dropped.
#[derive(Debug)]
pub struct Forward {
    /// Where clients connect.
    pub address: SocketAddr,
    process: Process,
    /// For its log, where there is no better place.
    _own: Option<TempDir>,
}

impl Forward {
    /// That it is over, and why; none while it is open.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn poll_end(&mut self) -> Result<Option<String>> {
        self.process.poll_end()
    }
}

/// To an address in another network namespace.
pub(crate) async fn by_nodens(
    nodens: &Path,
    network: &Path,
    to: &str,
    logs: &Path,
) -> Result<Forward> {
    let log = logs.join(format!("forward-{to}.log"));
    let mut process = Program::new(format!("the way to {to}"), nodens, log)
        .args(["nsforward", "-listen", "127.0.0.1:0", "-to", to, "-netns"])
        .args([network])
        .start()?;
    let line = process.wait_for_line("listening on ", PATIENCE).await?;
    Ok(Forward {
        address: address_after(&line, "listening on ")?,
        process,
        _own: None,
    })
}

/// To a pod of a Service.
pub(crate) async fn by_kubectl(
    kubectl: &Kubectl,
    namespace: &str,
    service: &str,
    port: u16,
) -> Result<Forward> {
    let own = tempfile::tempdir().context("no temporary folder")?;
    let (program, mut args) = kubectl.command_line();
    let command = ["port-forward", "--address", "127.0.0.1", "-n", namespace];
    args.extend(command.map(OsString::from));
    args.extend([
        format!("service/{service}").into(),
        format!(":{port}").into(),
    ]);
    let name = format!("the way to {namespace}/{service}");
    // A guard starts files and does not look in `PATH`.
    let file = match program.components().count() {
        1 => tools::in_path(&program).unwrap_or(program),
        _ => program,
    };
    let mut process = Program::new(name, file, own.path().join("log"))
        .args(args)
        .start()?;
    let line = process.wait_for_line("Forwarding from ", PATIENCE).await?;
    Ok(Forward {
        address: address_after(&line, "Forwarding from ")?,
        process,
        _own: Some(own),
    })
}

/// `... listening on 127.0.0.1:4711 ...`
fn address_after(line: &str, mark: &str) -> Result<SocketAddr> {
    let word = line
        .split_once(mark)
        .and_then(|(_, rest)| rest.split_whitespace().next());
    let address = word.and_then(|word| word.parse().ok());
    address.with_context(|| format!("no address in {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_lines() {
        let line = "Forwarding from 127.0.0.1:40123 -> 8080";
        let found = address_after(line, "Forwarding from ").unwrap();
        assert_eq!(found, SocketAddr::from(([127, 0, 0, 1], 40123)));
        assert!(address_after("Forwarding", "Forwarding from ").is_err());
    }
}
