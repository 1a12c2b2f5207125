//! Processes of pods, as this machine sees them: a cluster of our own runs on it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// What our binaries' names begin with.
pub(super) const OURS: &str = "marketfeed-";

/// A NATS server's.
pub(super) const NATS: &str = "nats-server";

/// kill -9 of the process of a pod that runs a binary whose name begins so, on whichever node it is.
///
/// # Errors
/// When there is none, or it cannot be killed.
pub(super) fn kill(pod_uid: &str, binary: &str) -> Result<()> {
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let entry = entry?;
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            continue;
        };
        if is_of(&entry.path(), pod_uid, binary) {
            return kill_process(pid, Signal::KILL).context("cannot kill it");
        }
    }
    bail!("no process of {binary} is in the pod {pod_uid}");
}

/// One that has ended meanwhile is not.
fn is_of(process: &Path, pod_uid: &str, binary: &str) -> bool {
    let read = |file: &str| fs::read(process.join(file)).unwrap_or_default();
    is_in_pod(&String::from_utf8_lossy(&read("cgroup")), pod_uid) && runs(&read("cmdline"), binary)
}

/// Kubelet names a pod's cgroup by it.
fn is_in_pod(cgroups: &str, pod_uid: &str) -> bool {
    let folder = format!("pod{pod_uid}");
    cgroups
        .lines()
        .any(|line| line.split('/').any(|part| part == folder))
}

/// Arguments end with a zero each; the first is the program.
fn runs(command_line: &[u8], binary: &str) -> bool {
    let program = command_line.split(|byte| *byte == 0).next();
    let program = String::from_utf8_lossy(program.unwrap_or_default());
    let name = program.rsplit('/').next().unwrap_or_default();
    name.starts_with(binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_of_pods_are_known() {
        let cgroups =
            "12:cpu:/kube-1/node1/kubepods/burstable/pod4f-a/9c\n1:name=systemd:/kube-1/node1/x\n";
        assert!(is_in_pod(cgroups, "4f-a"));
        assert!(!is_in_pod(cgroups, "4f") && !is_in_pod("", "4f-a"));
        assert!(runs(b"marketfeed-marketdata\0run\0", OURS));
        assert!(runs(b"/usr/bin/marketfeed-gateway", OURS));
        assert!(runs(b"nats-server\0--config\0", NATS) && !runs(b"nats-server\0", OURS));
        for other in [&b"/pause\0"[..], b"sh\0marketfeed-x\0", b""] {
            assert!(!runs(other, OURS) && !runs(other, NATS));
        }
    }

    #[test]
    fn a_pod_that_is_not_there_has_no_process() {
        let error = kill("not-a-pod", OURS).unwrap_err().to_string();
        assert!(error.contains("not-a-pod"), "{error}");
    }
}
