// Pure: what came of the runs.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::plan::{Kind, Plan};

/// What came of one run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was done.
    pub plan: Plan,
    /// How long closes were away; none where they did not come back.
    pub resumed: Option<Duration>,
    /// What was waited for so long.
    pub slowest: Option<String>,
    /// Shortest bars of which the newest word is still that trades may be missing.
    pub in_doubt: usize,
    /// What broke the promise; empty where it was kept.
    pub broken: Vec<String>,
}

impl Outcome {
    /// Whether everything was kept.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.broken.is_empty() && self.resumed.is_some()
    }

    /// One line, and one more for each thing that broke (ten at most).
    #[must_use]
    pub fn lines(&self) -> String {
        let verdict = if self.passed() { "ok  " } else { "FAIL" };
        let resumed = self.resumed.map_or("never".to_owned(), seconds);
        let Plan { seed, kind, .. } = &self.plan;
        let mut text =
            format!("{verdict} seed {seed:<6} {kind:<26} closes went on after {resumed}");
        if let Some(slowest) = &self.slowest {
            let _ = write!(text, "  ({slowest})");
        }
        if self.in_doubt > 0 {
            let _ = write!(text, "  {} bars in doubt", self.in_doubt);
        }
        for what in self.broken.iter().take(10) {
            let _ = write!(text, "\n       {what}");
        }
        if self.broken.len() > 10 {
            let _ = write!(text, "\n       and {} more", self.broken.len() - 10);
        }
        text
    }
}

/// A line for each kind: runs, median and worst time without closes, how many were above what is aimed at. The last
/// line counts.
#[must_use]
pub fn summary(outcomes: &[Outcome]) -> String {
    let mut of_kind: BTreeMap<Kind, Vec<Option<Duration>>> = BTreeMap::new();
    for outcome in outcomes {
        let times = of_kind.entry(outcome.plan.kind).or_default();
        times.push(outcome.resumed);
    }
    let mut text = String::new();
    for (kind, runs) in of_kind {
        let mut times: Vec<_> = runs.iter().flatten().copied().collect();
        times.sort();
        let late = times.iter().filter(|time| **time > kind.limit()).count();
        let shown = |time: Option<&Duration>| time.copied().map_or("-".to_owned(), seconds);
        let _ = writeln!(
            text,
            "{kind:<26} {:>3} runs  p50 {:>8}  max {:>8}  aim {:>3} s, later {late}, never {}",
            runs.len(),
            shown(times.get(times.len() / 2)),
            shown(times.last()),
            kind.limit().as_secs(),
            runs.len() - times.len(),
        );
    }
    let passed = outcomes.iter().filter(|outcome| outcome.passed()).count();
    let _ = write!(text, "{passed} passed, {} failed", outcomes.len() - passed);
    text
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(seconds: Option<u64>, broken: &[&str]) -> Outcome {
        Outcome {
            plan: Plan::of_seed(7, Some(Kind::Kill9Active), 2, 2),
            resumed: seconds.map(Duration::from_secs),
            in_doubt: 0,
            slowest: seconds.map(|_| "kline:1s:BTC-USDT".to_owned()),
            broken: broken.iter().map(|&what| what.to_owned()).collect(),
        }
    }

    #[test]
    fn runs_are_counted_by_what_came_of_them() {
        let outcomes = [
            outcome(Some(3), &[]),
            outcome(Some(9), &[]),
            outcome(Some(2), &["close 9 came again"]),
            outcome(None, &[]),
        ];
        let text = summary(&outcomes);
        assert!(text.ends_with("2 passed, 2 failed"), "{text}");
        assert!(
            text.contains("4 runs  p50   3.00 s  max   9.00 s  aim   4 s, later 1, never 1"),
            "{text}"
        );
        let failed = outcomes[2].lines();
        assert!(failed.starts_with("FAIL seed 7 ") && failed.contains("close 9 came again"));
        assert!(
            outcomes[0]
                .lines()
                .starts_with("ok   seed 7      kill9-active")
        );
    }
}
