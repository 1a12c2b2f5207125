//! How many tests ran, read from what the test runners print. Pure.

#![deny(clippy::disallowed_methods)]

use std::fmt;
use std::ops::AddAssign;

/// Counts of tests; shown as the summary line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that ran and held.
    pub(crate) passed: u64,
    /// Tests that ran and did not hold, and steps that could not run.
    pub(crate) failed: u64,
    /// Tests that said themselves that something they need is absent.
    pub(crate) skipped: u64,
}

impl Tally {
    /// The count of one step that is a test by itself.
    pub(crate) fn one(held: bool) -> Self {
        Self {
            passed: u64::from(held),
            failed: u64::from(!held),
            skipped: 0,
        }
    }

    /// Reads the output of libtest (`test result: ...`; run with `--show-output`, so that a test
    /// which printed `skipped: ...` counts as skipped and not as passed).
    pub(crate) fn of_libtest(output: &str) -> Self {
        let mut tally = Self::default();
        let mut said_skipped = 0;
        let mut section_counted = true;
        for line in output.lines() {
            if let Some(rest) = line.strip_prefix("test result: ") {
                tally.passed += count_before(rest, " passed");
                tally.failed += count_before(rest, " failed");
                tally.skipped += count_before(rest, " ignored");
                section_counted = true;
            } else if line.starts_with("---- ") && line.ends_with(" stdout ----") {
                section_counted = false;
            } else if line.starts_with("skipped: ") && !section_counted {
                section_counted = true;
                said_skipped += 1;
            }
        }
        let moved = said_skipped.min(tally.passed);
        tally.passed -= moved;
        tally.skipped += moved;
        tally
    }

    /// Reads the last line of the form in which this is shown.
    pub(crate) fn of_summary(output: &str) -> Self {
        let is_summary = |line: &&str| line.contains(" passed, ") && line.contains(" failed");
        let line = output.lines().rev().find(is_summary).unwrap_or_default();
        Self {
            passed: count_before(line, " passed"),
            failed: count_before(line, " failed"),
            skipped: count_before(line, " skipped"),
        }
    }

    /// Reads the output of node's test runner in its `tap` (`# pass 3`) and `spec` (`ℹ pass 3`)
    /// forms. Several runs may follow one another.
    pub(crate) fn of_node(output: &str) -> Self {
        let mut tally = Self::default();
        for line in output.lines() {
            let Some(rest) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) else {
                continue;
            };
            let Some((word, count)) = rest.split_once(' ') else {
                continue;
            };
            let Ok(count) = count.trim().parse::<u64>() else {
                continue;
            };
            match word {
                "pass" => tally.passed += count,
                "fail" | "cancelled" => tally.failed += count,
                "skipped" | "todo" => tally.skipped += count,
                _ => {}
            }
        }
        tally
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// What the output of node's test runner has to tell besides its counts, each line once: how long the first bar took,
/// and which tests skipped themselves and why. Both forms are read, `tap` and `spec`.
pub(crate) fn told_by_node(output: &str) -> Vec<String> {
    let mut told = Vec::new();
    for line in output.lines() {
        let line = line.trim();
        let plain = line
            .strip_prefix("# ")
            .or_else(|| line.strip_prefix("ℹ "))
            .unwrap_or(line);
        let tell = if plain.starts_with("from process start") {
            plain.to_owned()
        } else if let Some((test, why)) = line.split_once(" # SKIP") {
            // `ok 3 - a recording # SKIP no binary`
            let name = test.split_once(" - ").map_or(test, |(_, name)| name);
            format!("skipped: {name}: {}", why.trim())
        } else if let Some(test) = line.strip_prefix("﹣ ") {
            // `﹣ a recording (0.1ms) # no binary`
            format!("skipped: {test}")
        } else {
            continue;
        };
        if !told.contains(&tell) {
            told.push(tell);
        }
    }
    told
}

/// The number that stands directly before `word`, 0 where there is none.
fn count_before(text: &str, word: &str) -> u64 {
    let Some(end) = text.find(word) else { return 0 };
    let digits = text[..end]
        .rsplit(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or("");
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn libtest() {
        #[track_caller]
        fn check(output: &str, expect: Tally) {
            assert_eq!(Tally::of_libtest(output), expect);
        }
        check("", tally(0, 0, 0));
        check("error: could not compile `wire`", tally(0, 0, 0));
        check(
            "running 2 tests\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             test result: FAILED. 11 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out\n",
            tally(13, 3, 1),
        );
        let skipping = "successes:\n\n---- replay stdout ----\nskipped: recordings not present at x\nskipped: again\n\n\
             ---- other stdout ----\nskipped: y\n\nsuccesses:\n    replay\n\n\
             test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        check(skipping, tally(3, 0, 2));
        // Outside a test's own output the words mean nothing.
        check(
            "skipped: x\ntest result: ok. 5 passed; 0 failed; 0 ignored;",
            tally(5, 0, 0),
        );
    }

    #[test]
    fn node() {
        #[track_caller]
        fn check(output: &str, expect: Tally) {
            assert_eq!(Tally::of_node(output), expect);
        }
        check("", tally(0, 0, 0));
        check(
            "# tests 4\n# pass 2\n# fail 1\n# cancelled 0\n# skipped 1\n# todo 0\n",
            tally(2, 1, 1),
        );
        check(
            "ℹ tests 4\nℹ pass 4\nℹ fail 0\nℹ duration_ms 12.5\n",
            tally(4, 0, 0),
        );
        check(
            "# pass 2\n# pass 3\n# pass me\n# Subtest: pass 9\n",
            tally(5, 0, 0),
        );
    }

    #[test]
    fn node_tells() {
        #[track_caller]
        fn check(output: &str, expect: &[&str]) {
            assert_eq!(told_by_node(output), expect);
        }
        check(
            "# Subtest: a recording: from process start\n# pass 1\nok 1 - a\n",
            &[],
        );
        check(
            "# from process start: first bar 812 ms\nok 1 - a\n  # from process start: first bar 812 ms\n",
            &["from process start: first bar 812 ms"],
        );
        check(
            "ℹ from process start to bar: 9 ms\n",
            &["from process start to bar: 9 ms"],
        );
        check(
            "    ok 2 - a - b # SKIP MARKETFEED_BIN is not set\nok 3 - c # SKIP\n",
            &["skipped: a - b: MARKETFEED_BIN is not set", "skipped: c: "],
        );
        check(
            "﹣ a (0.1ms) # no binary\nℹ skipped 1\n",
            &["skipped: a (0.1ms) # no binary"],
        );
    }

    #[test]
    fn summary_line() {
        assert_eq!(tally(3, 0, 0).to_string(), "3 passed, 0 failed");
        assert_eq!(tally(3, 1, 2).to_string(), "3 passed, 1 failed, 2 skipped");
        for read in [tally(3, 0, 0), tally(30, 1, 2)] {
            assert_eq!(
                Tally::of_summary(&format!("1 passed, 1 failed\n{read}\n")),
                read
            );
        }
        assert_eq!(Tally::of_summary("all passed"), tally(0, 0, 0));
    }
}
