//! The operator, as its process.

use std::fs;
use std::path::Path;

use cluster::wait::PATIENCE;
use cluster::{Process, Program, tools};

use super::support::SYSTEM;

/// The binary's name.
const BINARY: &str = "marketfeed-operator";

/// Clock ticks of a second in /proc: 100 on every Linux that Rust runs on.
const TICKS_S: f64 = 100.0;

/// What it is started with.
pub(crate) struct Start<'a> {
    /// Whose cluster, and as whom.
    pub(crate) kubeconfig: &'a Path,
    /// Gets its log.
    pub(crate) folder: &'a Path,
    /// Where its Lease is.
    pub(crate) namespace: &'a str,
    /// Where it looks after feeds; everywhere if none.
    pub(crate) watched: Option<&'a str>,
    /// Arguments besides.
    pub(crate) more: &'a [&'a str],
}

impl<'a> Start<'a> {
    /// As one of a cluster, for all of it.
    pub(crate) fn everywhere(kubeconfig: &'a Path, folder: &'a Path) -> Self {
        Self {
            kubeconfig,
            folder,
            namespace: SYSTEM,
            watched: None,
            more: &[],
        }
    }

    /// Starts it, and waits for nothing.
    pub(crate) fn start(&self) -> Process {
        let file = tools::binary(BINARY).unwrap();
        let log = self.folder.join(format!("operator-{}.log", self.namespace));
        let mut args = vec!["run", "--operator-namespace", self.namespace];
        args.extend(["--image", "marketfeed:test"]);
        if let Some(watched) = self.watched {
            args.extend(["--watch-namespace", watched]);
        }
        args.extend(self.more);
        let program = Program::new(BINARY, file, log).args(args);
        program.env("KUBECONFIG", self.kubeconfig).start().unwrap()
    }
}

/// Runs another of its commands to its end, and gives whether it was well and what it said.
pub(crate) async fn run(kubeconfig: &Path, folder: &Path, args: &[&str]) -> (bool, String) {
    let file = tools::binary(BINARY).unwrap();
    let log = folder.join(format!("operator-{}.log", args[0]));
    let program = Program::new(args[0], file, log).args(args);
    let mut process = program.env("KUBECONFIG", kubeconfig).start().unwrap();
    let status = process.ended(PATIENCE).await.unwrap();
    (status.success(), process.log_text().unwrap())
}

/// Whether it has been built: it is where the whole workspace is tested. If not, that is said.
pub(crate) fn is_built() -> bool {
    let found = tools::binary(BINARY);
    if let Err(why) = &found {
        println!("skipped: {why:#}");
    }
    found.is_ok()
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    /// Seconds of CPU.
    pub(crate) cpu_s: f64,
    /// Bytes resident now, and at most so far.
    pub(crate) resident: u64,
    pub(crate) resident_max: u64,
}

impl Used {
    /// Of a process that runs.
    pub(crate) fn by(process: &Process) -> Self {
        let pid = process.pid().unwrap();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // The name may have spaces in it: what follows its bracket begins with the third field.
        let rest = stat.rsplit_once(')').unwrap().1;
        let field = |nth: usize| -> f64 {
            rest.split_whitespace()
                .nth(nth - 3)
                .unwrap()
                .parse()
                .unwrap()
        };
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let kib = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        Self {
            cpu_s: (field(14) + field(15)) / TICKS_S,
            resident: kib("VmRSS:") * 1024,
            resident_max: kib("VmHWM:") * 1024,
        }
    }
}
