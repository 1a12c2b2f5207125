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
    /// Bars that were told to lack trades at some time, of venues where these can be fetched. What still is at the end
    /// is among what broke.
    pub doubted: usize,
    /// One-second bars that were told since something broke to lack trades, or to have lacked them.
    pub marked: usize,
    /// What broke the promise; empty where it was kept.
    pub broken: Vec<String>,
}

impl Outcome {
    /// Takes how many bars were told to lack trades or to have lacked them; none breaks the promise where some must.
    pub(super) fn handle_marked(&mut self, marked: usize) {
        self.marked = marked;
        if marked == 0 && self.plan.kind.misses_trades() {
            let what = "no bar was told to lack trades or to be repaired, and nobody was there to hear them";
            self.broken.push(what.to_owned());
        }
    }

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
        if self.marked > 0 {
            let _ = write!(text, "  {} bars that missed trades", self.marked);
        }
        if self.doubted > 0 {
            let _ = write!(text, "  {} bars in doubt for a time", self.doubted);
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

/// How many runs of a kind whose closes came back it takes to judge how long that took.
const VERDICT_RUNS: usize = 3;

/// The runs of one kind.
#[derive(Debug, Default)]
struct Runs {
    count: usize,
    /// How long closes were away where they came back, shortest first.
    times: Vec<Duration>,
}

impl Runs {
    fn by_kind(outcomes: &[Outcome]) -> BTreeMap<Kind, Self> {
        let mut of_kind: BTreeMap<Kind, Self> = BTreeMap::new();
        for outcome in outcomes {
            let runs = of_kind.entry(outcome.plan.kind).or_default();
            runs.count += 1;
            runs.times.extend(outcome.resumed);
            runs.times.sort();
        }
        of_kind
    }

    /// Of an even number the later one of the middle.
    fn median(&self) -> Option<Duration> {
        self.times.get(self.times.len() / 2).copied()
    }

    /// Of one or two runs the later one is the median: those are too few to tell.
    fn is_late(&self, kind: Kind) -> bool {
        self.times.len() >= VERDICT_RUNS
            && self.median().is_some_and(|median| median > kind.limit())
    }
}

/// Whether every run kept everything, and closes came back in time in half of the runs of each kind that has three.
#[must_use]
pub fn all_passed(outcomes: &[Outcome]) -> bool {
    let of_kind = Runs::by_kind(outcomes);
    let late = of_kind.iter().any(|(&kind, runs)| runs.is_late(kind));
    !late && outcomes.iter().all(Outcome::passed)
}

/// A line for each kind: runs, median and worst time without closes, how many were above its limit. The last line
/// counts.
#[must_use]
pub fn summary(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for (kind, runs) in Runs::by_kind(outcomes) {
        let times = &runs.times;
        let late = times.iter().filter(|time| **time > kind.limit()).count();
        let shown = |time: Option<Duration>| time.map_or("-".to_owned(), seconds);
        let _ = writeln!(
            text,
            "{kind:<26} {:>3} runs  p50 {:>8}  max {:>8}  limit {:>3} s, later {late}, never {}{}",
            runs.count,
            shown(runs.median()),
            shown(times.last().copied()),
            kind.limit().as_secs(),
            runs.count - times.len(),
            if runs.is_late(kind) {
                "  FAIL: p50 above the limit"
            } else {
                ""
            },
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
            doubted: 0,
            marked: 0,
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
            text.contains("4 runs  p50   3.00 s  max   9.00 s  limit   4 s, later 1, never 1"),
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

    #[test]
    fn who_was_not_there_must_not_say_that_nothing_is_missing() {
        let passes = |kind, marked| {
            let mut outcome = outcome(Some(3), &[]);
            outcome.plan.kind = kind;
            outcome.handle_marked(marked);
            assert_eq!(outcome.marked, marked);
            outcome.passed()
        };
        assert!(passes(Kind::Kill9Shard, 1) && !passes(Kind::Kill9Shard, 0));
        // A standby has heard it all.
        assert!(passes(Kind::Kill9Active, 1) && passes(Kind::Kill9Active, 0));
    }

    #[test]
    fn a_kind_fails_when_half_of_its_runs_are_late() {
        // 4 s are allowed.
        let runs = |times: &[u64]| {
            let of = |time: &u64| outcome(Some(*time), &[]);
            times.iter().map(of).collect::<Vec<_>>()
        };
        assert!(all_passed(&runs(&[9, 3, 4])));
        assert!(!summary(&runs(&[9, 3, 4])).contains("FAIL"));
        // Fewer than three tell nothing.
        for few in [&[3, 9][..], &[9, 9], &[9]] {
            assert!(all_passed(&runs(few)), "{few:?}");
            assert!(!summary(&runs(few)).contains("FAIL"));
        }
        for late in [&[9, 3, 5][..], &[3, 3, 5, 5], &[5, 5, 5]] {
            assert!(!all_passed(&runs(late)), "{late:?}");
            let text = summary(&runs(late));
            assert!(text.contains("FAIL: p50 above the limit"), "{text}");
        }
        // What was not kept fails by itself.
        assert!(!all_passed(&[outcome(Some(1), &["close 9 came again"])]));
        assert!(!all_passed(&[outcome(None, &[])]));
        // Each kind has its own limit.
        let mut node = outcome(Some(5), &[]);
        node.plan.kind = Kind::KillNatsNode;
        assert!(all_passed(&[node.clone(), node.clone(), node]));
    }
}
