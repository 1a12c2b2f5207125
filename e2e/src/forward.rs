//! Ways from a port of 127.0.0.1 into a cluster.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::wait::{self, PATIENCE};
use cluster::{Process, Program, tools};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::kubectl::Kubectl;

/// Between two looks at whether a way is open still.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A way that is open until this is dropped.
#[derive(Debug)]
pub struct Forward {
    /// Where clients connect.
    pub address: SocketAddr,
    _way: Way,
}

/// What ends with it.
#[derive(Debug)]
#[expect(dead_code, reason = "they are held for their ends")]
enum Way {
    /// One program.
    Process(Process),
    /// One program after the other.
    Again(JoinSet<()>),
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
        _way: Way::Process(process),
    })
}

/// To a pod of a Service, and to another one when that is gone, by the same port.
pub(crate) async fn by_kubectl(
    kubectl: &Kubectl,
    namespace: &str,
    service: &str,
    port: u16,
) -> Result<Forward> {
    let own = crate::scratch::folder()?;
    let log = own.path().join("log");
    let to = [format!("service/{service}"), format!(":{port}")];
    let mut why = None;
    let found = wait::until("a way to a pod", PATIENCE, async || {
        let mut process = port_forward(kubectl, namespace, &to, &log)?;
        match process.wait_for_line("Forwarding from ", PATIENCE).await {
            Ok(line) => Ok(Some((process, address_after(&line, "Forwarding from ")?))),
            // No pod runs yet.
            Err(error) => {
                why = Some(error);
                Ok(None)
            }
        }
    })
    .await;
    let (mut process, address) = match (found, why) {
        (Err(_), Some(why)) => return Err(why),
        (found, _) => found?,
    };
    let to = [
        format!("service/{service}"),
        format!("{}:{port}", address.port()),
    ];
    let (kubectl, namespace) = (kubectl.clone(), namespace.to_owned());
    let mut again = JoinSet::new();
    again.spawn(async move {
        let _own = own;
        loop {
            // It is looked at, so that its end is known; one that cannot be started now may be later.
            let _ = process.poll_end();
            if process.pid().is_none()
                && let Ok(next) = port_forward(&kubectl, &namespace, &to, &log)
            {
                process = next;
            }
            sleep(AGAIN_AFTER).await;
        }
    });
    Ok(Forward {
        address,
        _way: Way::Again(again),
    })
}

fn port_forward(
    kubectl: &Kubectl,
    namespace: &str,
    to: &[String; 2],
    log: &Path,
) -> Result<Process> {
    let (program, mut args) = kubectl.command_line();
    let command = ["port-forward", "--address", "127.0.0.1", "-n", namespace];
    args.extend(command.map(OsString::from));
    args.extend(to.iter().map(OsString::from));
    let name = format!("the way to {namespace}/{}", to[0]);
    // A guard starts files and does not look in `PATH`.
    let file = match program.components().count() {
        1 => tools::in_path(&program).unwrap_or(program),
        _ => program,
    };
    let program = Program::new(name, file, log);
    program.args(args).start()
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
