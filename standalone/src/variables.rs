// Pure: which variables of the environment count beside the flags of a command line.
#![deny(clippy::disallowed_methods)]

use std::ffi::OsStr;

use clap::Command;

/// The sources of a market, of which a process has one.
const SOURCES: [&str; 3] = ["live", "replay", "generate"];

/// Options of `up` that go with one source only.
const OF_ONE_SOURCE: [(&str, &str); 2] = [("speed", "replay"), ("endpoint", "live")];

/// Takes the variables away that are not meant for this command line. A variable is a standing wish and a flag is
/// today's: where a flag names the source of the market, the variables of the other sources do not count, nor do
/// those of options that go with them.
#[must_use]
pub fn without_unmeant(
    command: Command,
    words: &[impl AsRef<OsStr>],
    is_set: impl Fn(&str) -> bool,
) -> Command {
    let unmeant = unmeant(words, is_set);
    command.mut_subcommand("up", |up| {
        up.mut_args(|arg| {
            if unmeant.contains(&arg.get_id().as_str()) {
                arg.env(None)
            } else {
                arg
            }
        })
    })
}

/// The options whose variables do not count.
fn unmeant(words: &[impl AsRef<OsStr>], is_set: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let flagged = |id: &&str| words.iter().any(|word| is_flag(word.as_ref(), id));
    let by_flag: Vec<&str> = SOURCES.into_iter().filter(flagged).collect();
    let chosen = if by_flag.is_empty() {
        let by_variable = |id: &&str| is_set(&format!("MARKETFEED_{}", id.to_uppercase()));
        SOURCES.into_iter().filter(by_variable).collect()
    } else {
        by_flag
    };
    if chosen.is_empty() {
        return Vec::new();
    }
    let others = SOURCES.into_iter().filter(|id| !chosen.contains(id));
    let of_others = OF_ONE_SOURCE
        .into_iter()
        .filter(|(_, source)| !chosen.contains(source))
        .map(|(id, _)| id);
    others.chain(of_others).collect()
}

/// Whether the word is this long flag, with its value or without.
fn is_flag(word: &OsStr, id: &str) -> bool {
    let Some(word) = word.as_encoded_bytes().strip_prefix(b"--") else {
        return false;
    };
    word.strip_prefix(id.as_bytes())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, set: &[&str], expect: &[&str]) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(unmeant(&words, |name| set.contains(&name)), expect);
    }

    #[test]
    fn a_flag_beats_the_variables_of_other_sources() {
        check("up --live", &[], &["replay", "generate", "speed"]);
        check(
            "up --generate X",
            &[],
            &["live", "replay", "speed", "endpoint"],
        );
        check("up --replay=a=b", &[], &["live", "generate", "endpoint"]);
        // Two flags contradict each other, and are left to do so.
        check("up --live --generate X", &[], &["replay", "speed"]);
        check("up --lively --listen generate", &[], &[]);
    }

    #[test]
    fn without_a_flag_the_variables_choose() {
        check("up", &[], &[]);
        let expect = ["live", "replay", "speed", "endpoint"];
        check("up", &["MARKETFEED_GENERATE"], &expect);
        let two = ["MARKETFEED_GENERATE", "MARKETFEED_LIVE"];
        check("up", &two, &["replay", "speed"]);
        // What is on the command line decides, whatever is set.
        check("up --replay a=b", &two, &["live", "generate", "endpoint"]);
    }
}
