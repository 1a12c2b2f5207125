//! One program, running, behind a guard that ends it.
//!
//! A child has a process group of its own, so that Ctrl-C on a terminal reaches only whoever owns the guard, and so
//! that a signal reaches what the child has started. Dropping the guard kills it, on a panic too; should the owner
//! itself be killed, the kernel kills the child (`setpriv --pdeathsig`, where util-linux is there).

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{http, wait};

/// What to run.
#[derive(Debug, Clone)]
pub struct Program {
    name: String,
    file: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    log: PathBuf,
}

impl Program {
    /// A program by a name for people, its file, and the file that gets what it says (appended).
    #[must_use]
    pub fn new(name: impl Into<String>, file: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            file: file.into(),
            args: Vec::new(),
            env: Vec::new(),
            log: log.into(),
        }
    }

    /// With these arguments too.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        let args = args.into_iter();
        self.args.extend(args.map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// With this variable too.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let pair = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.env.push(pair);
        self
    }

    /// Starts it. The `MARKETFEED_*` variables of this process are not handed on.
    ///
    /// The guard must not outlive the thread that starts it: the kernel takes that thread's end for the owner's.
    ///
    /// # Errors
    /// When the file is not there or cannot be started, or the log cannot be written.
    pub fn start(self) -> Result<Process> {
        let mut process = Process {
            program: self,
            child: None,
            log_from: 0,
        };
        process.start()?;
        Ok(process)
    }

    /// Runs it to its end and gives what it said; anything but success is an error.
    ///
    /// # Errors
    /// As [`Program::start`], when it fails, and when it takes longer than `bound`.
    pub async fn run(self, bound: Duration) -> Result<String> {
        let mut process = self.start()?;
        let status = process.ended(bound).await?;
        let said = process.log_text()?;
        if !status.success() {
            bail!("{} ended with {status}: {}", process.name(), said.trim());
        }
        Ok(said)
    }

    fn command(&self) -> Result<Command> {
        if !self.file.is_file() {
            bail!("{} is not there", self.file.display());
        }
        let mut command = if can_die_with_owner() {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "--"]).arg(&self.file);
            command
        } else {
            Command::new(&self.file)
        };
        let ours = std::env::vars_os().map(|(name, _)| name);
        for name in ours.filter(|name| name.to_string_lossy().starts_with("MARKETFEED_")) {
            command.env_remove(name);
        }
        command.args(&self.args).envs(self.env.iter().cloned());
        Ok(command)
    }
}

/// Whether `setpriv` is there and knows the option.
fn can_die_with_owner() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// A program that was started: running, paused or ended. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    program: Program,
    /// None once it was waited for.
    child: Option<Child>,
    /// Where in the log the newest start begins.
    log_from: u64,
}

impl Process {
    /// Its name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// The file that gets what it says.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.program.log
    }

    /// Its process id; none after it was seen to end.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Replaces its arguments from the next start on.
    pub fn set_args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) {
        self.program.args.clear();
        let args = args.into_iter();
        self.program
            .args
            .extend(args.map(|arg| arg.as_ref().to_owned()));
    }

    /// What it has said since its newest start.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log_text(&self) -> Result<String> {
        let whole = fs::read(&self.program.log)
            .with_context(|| format!("cannot read {}", self.program.log.display()))?;
        let from = usize::try_from(self.log_from).unwrap_or(0).min(whole.len());
        Ok(String::from_utf8_lossy(&whole[from..]).into_owned())
    }

    /// The exit status, once it has ended by itself or by a signal.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn try_ended(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.child {
            None => bail!("{} does not run", self.program.name),
            Some(child) => {
                let ended = child.try_wait()?;
                if ended.is_some() {
                    self.child = None;
                }
                Ok(ended)
            }
        }
    }

    /// That it ended since the last look, how, what it said last and where its log is; none while it runs, and after
    /// that was told.
    ///
    /// # Errors
    /// When the system does not say, or the log cannot be read.
    pub fn poll_end(&mut self) -> Result<Option<String>> {
        if self.child.is_none() {
            return Ok(None);
        }
        let ended = self.try_ended()?;
        ended.map(|status| self.end_in_words(status)).transpose()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end within `bound`.
    pub async fn ended(&mut self, bound: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.program.name);
        wait::until(&what, bound, async || self.try_ended()).await
    }

    /// kill -9, and waits for the end. Nothing happens to one that does not run.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        if self.child.is_some() {
            self.signal(Signal::KILL)?;
        }
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it does not end within `bound`, or does not run.
    pub async fn terminate(&mut self, bound: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.ended(bound).await
    }

    /// SIGTERM, and waits for nothing.
    ///
    /// # Errors
    /// When it does not run.
    pub fn ask_to_stop(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// SIGSTOP: it stands still until [`Process::resume`], each of its threads from its next step on. It can be killed
    /// meanwhile.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGHUP: servers read their configuration again.
    ///
    /// # Errors
    /// When it does not run.
    pub fn reload(&self) -> Result<()> {
        self.signal(Signal::HUP)
    }

    /// Starts it again with the same arguments; one that still runs is killed first.
    ///
    /// # Errors
    /// As [`Program::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.start()
    }

    /// Waits for a line of its log, since its newest start, that holds `part`.
    ///
    /// # Errors
    /// When none comes within `bound`, or it ends first.
    pub async fn wait_for_line(&mut self, part: &str, bound: Duration) -> Result<String> {
        let what = format!("a line with {part:?} from {}", self.program.name);
        wait::until(&what, bound, async || {
            // In this order: what it said before it ended counts.
            let ended = self.try_ended()?;
            let said = self.log_text()?;
            if let Some(line) = said.lines().find(|line| line.contains(part)) {
                return Ok(Some(line.to_owned()));
            }
            self.still_running(ended).map(|()| None)
        })
        .await
    }

    /// Waits until a GET of it is answered with 200.
    ///
    /// # Errors
    /// When it is not within `bound`, or the process ends first.
    pub async fn wait_for_http(
        &mut self,
        address: SocketAddr,
        path: &str,
        bound: Duration,
    ) -> Result<()> {
        let what = format!("200 from {} at {address}{path}", self.program.name);
        wait::until(&what, bound, async || {
            let ended = self.try_ended()?;
            self.still_running(ended)?;
            let answer = http::get(address, path).await;
            Ok(answer.is_ok_and(|(status, _)| status == 200).then_some(()))
        })
        .await
    }

    fn still_running(&self, ended: Option<ExitStatus>) -> Result<()> {
        match ended {
            None => Ok(()),
            Some(status) => bail!(self.end_in_words(status)?),
        }
    }

    fn end_in_words(&self, status: ExitStatus) -> Result<String> {
        let said = self.log_text()?;
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        Ok(format!(
            "{} ended with {status}: {} (log: {})",
            self.program.name,
            last.unwrap_or("it said nothing"),
            self.program.log.display()
        ))
    }

    fn start(&mut self) -> Result<()> {
        let Program { name, log, .. } = &self.program;
        let open = || -> Result<File> {
            if let Some(folder) = log.parent() {
                fs::create_dir_all(folder)?;
            }
            Ok(fs::OpenOptions::new().create(true).append(true).open(log)?)
        };
        let file = open().with_context(|| format!("cannot write {}", log.display()))?;
        self.log_from = file.metadata()?.len();
        let child = self
            .program
            .command()?
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn();
        self.child = Some(child.with_context(|| format!("cannot start {name}"))?);
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let name = &self.program.name;
        let child = self.child.as_ref();
        let child = child.with_context(|| format!("{name} does not run"))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.with_context(|| format!("{name} has no process id"))?;
        kill_process_group(pid, signal).with_context(|| format!("cannot signal {name}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be over already; there is nobody to tell.
        let _ = self.kill();
    }
}
