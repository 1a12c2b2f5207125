// Pure: what the scenarios came to, as lines for people.
#![deny(clippy::disallowed_methods)]

use std::fmt::Write as _;
use std::time::Duration;

/// How a scenario ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its name.
    pub name: &'static str,
    /// What came of it.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

/// What came of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// What must hold held; what was measured.
    Passed(Vec<String>),
    /// It did not; why, in lines.
    Failed(String),
    /// It could not be tried here; why.
    Skipped(String),
}

/// A table of all: scenario, verdict, time, and a line for each thing that was measured.
#[must_use]
pub fn table(outcomes: &[Outcome]) -> String {
    let widest = outcomes.iter().map(|outcome| outcome.name.len()).max();
    let width = widest.unwrap_or(0).max("scenario".len());
    let mut text = format!("{:width$}  result     time  measured\n", "scenario");
    for outcome in outcomes {
        let lines_of = |text: &str| text.lines().map(str::to_owned).collect();
        let (verdict, lines): (_, Vec<String>) = match &outcome.verdict {
            Verdict::Passed(measured) => ("passed ", measured.clone()),
            Verdict::Failed(why) => ("FAILED ", lines_of(why)),
            Verdict::Skipped(why) => ("skipped", lines_of(why)),
        };
        let time = format!("{} s", outcome.took.as_secs());
        let first = lines.first().map_or("", String::as_str);
        // Writing to a text cannot fail.
        let name = outcome.name;
        let _ = writeln!(text, "{name:width$}  {verdict} {time:>7}  {first}");
        for line in lines.iter().skip(1) {
            let _ = writeln!(text, "{:width$}                   {line}", "");
        }
    }
    text
}

/// Whether none failed.
#[must_use]
pub fn all_well(outcomes: &[Outcome]) -> bool {
    let failed = |outcome: &Outcome| matches!(outcome.verdict, Verdict::Failed(_));
    !outcomes.iter().any(failed)
}

/// `N passed, N failed`, and how many were skipped, if any.
#[must_use]
pub fn summary(outcomes: &[Outcome]) -> String {
    let count = |is: fn(&Verdict) -> bool| outcomes.iter().filter(|o| is(&o.verdict)).count();
    let passed = count(|verdict| matches!(verdict, Verdict::Passed(_)));
    let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
    let mut text = format!("{passed} passed, {failed} failed");
    let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
    if skipped > 0 {
        // Writing to a text cannot fail.
        let _ = write!(text, ", {skipped} skipped");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_thing_measured() {
        let outcome = |name, verdict| Outcome {
            name,
            verdict,
            took: Duration::from_millis(12_300),
        };
        let measured = vec!["first bar 7.1 s".to_owned(), "all 20.0 s".to_owned()];
        let outcomes = [
            outcome("first-bar", Verdict::Passed(measured)),
            outcome("x", Verdict::Failed("why".to_owned())),
            outcome("y", Verdict::Skipped("one node".to_owned())),
        ];
        assert_eq!(
            table(&outcomes),
            "scenario   result     time  measured\n\
             first-bar  passed     12 s  first bar 7.1 s\n\
             \x20                           all 20.0 s\n\
             x          FAILED     12 s  why\n\
             y          skipped    12 s  one node\n"
        );
        assert_eq!(summary(&outcomes), "1 passed, 1 failed, 1 skipped");
        assert_eq!(summary(&outcomes[..2]), "1 passed, 1 failed");
        assert!(!all_well(&outcomes) && all_well(&outcomes[2..]));
    }
}
