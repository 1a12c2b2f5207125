//! The first signal drains, the second cuts: seen from outside, on a real process.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use runtime::shutdown::run_until_signalled;
use runtime::tasks::{OnExit, Tasks};

/// How the child of a test drains: `quickly` or `never`.
const DRAINS: &str = "SIGNALS_TEST_DRAINS";

/// Not a test by itself: the process that the others start.
#[tokio::test]
async fn child() {
    let Ok(drains) = std::env::var(DRAINS) else {
        return;
    };
    let (tasks, shutdown) = Tasks::new("child");
    tasks.spawn("drains", OnExit::StopAll, async move {
        shutdown.requested().await;
        println!("draining");
        if drains == "never" {
            std::future::pending::<()>().await;
        }
    });
    tasks.spawn("says", OnExit::StopOnFailure, async {
        // By now the handlers stand: this runtime has one thread, and the main future has yielded
        // it only after installing them.
        println!("ready");
    });
    run_until_signalled(tasks, Duration::from_secs(600))
        .await
        .unwrap();
}

struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(drains: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(DRAINS, drains)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut running = Self { child, lines };
        running.wait_for("ready");
        running
    }

    fn wait_for(&mut self, what: &str) {
        // libtest may write its own words before it on the line.
        let found = self.lines.any(|line| line.unwrap().ends_with(what));
        assert!(found, "ended before {what:?}");
    }

    fn kill(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Signals until it has ended.
    fn exit_code_of(mut self, signal: &str) -> Option<i32> {
        loop {
            self.kill(signal);
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
        }
    }

    fn exit_code(mut self) -> Option<i32> {
        // Its pipe is read to the end, so that it never stops for want of a reader.
        self.lines.by_ref().for_each(drop);
        self.child.wait().unwrap().code()
    }
}

#[test]
fn one_signal_drains() {
    for signal in ["INT", "TERM"] {
        let mut running = Running::start("quickly");
        running.kill(signal);
        running.wait_for("draining");
        assert_eq!(running.exit_code(), Some(0), "{signal}");
    }
}

#[test]
fn a_second_signal_cuts() {
    for (first, second, code) in [
        ("INT", "INT", 130),
        ("TERM", "TERM", 143),
        ("TERM", "INT", 130),
    ] {
        let mut running = Running::start("never");
        running.kill(first);
        running.wait_for("draining");
        // The second one counts 200 ms after the first: whoever insists is heard.
        assert_eq!(running.exit_code_of(second), Some(code), "{first} {second}");
    }
}
