//! CPU time and memory of this process. Wall time is worth little on a shared machine.
use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

/// CPU seconds that this thread has used.
pub(crate) fn thread_s() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Runs it and gives its result with the CPU seconds that it used on this thread.
pub(crate) fn timed<T>(run: impl FnOnce() -> T) -> (T, f64) {
    let began = thread_s();
    let result = run();
    (result, thread_s() - began)
}

/// CPU seconds that a process has used so far, in ticks of a hundredth or so.
pub(crate) fn process_s(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    // The second field is a name in parentheses, which may hold anything; user and system time are the 14th and 15th.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = |at: usize| fields.split_whitespace().nth(at)?.parse::<u64>().ok();
    let (user, system) = ticks(11)
        .zip(ticks(12))
        .with_context(|| format!("{path} has no times"))?;
    Ok((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Bytes of this process that are in memory.
pub(crate) fn resident_bytes() -> Result<u64> {
    let statm =
        std::fs::read_to_string("/proc/self/statm").context("cannot read /proc/self/statm")?;
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    let page = u64::try_from(rustix::param::page_size()).context("page size")?;
    Ok(pages.context("/proc/self/statm has no resident field")? * page)
}

/// The median, and the lowest and highest, of several runs.
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// `None` for no runs.
    pub(crate) fn of(mut runs: Vec<f64>) -> Option<Self> {
        runs.sort_by(f64::total_cmp);
        let (low, high) = (*runs.first()?, *runs.last()?);
        Some(Self {
            median: runs[runs.len() / 2],
            low,
            high,
        })
    }
}
