//! Every flag that the templates pass is one that the program takes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use clap::CommandFactory;
use operator::args::Cli;
use serde_json::Value;

use super::rendered::{cases, strings};

/// The project's programs, in the image where all of them are.
const FOLDER: &str = "/usr/local/bin/";

#[test]
fn they_are_known_to_the_programs() {
    let Some(cases) = cases() else { return };
    let mut seen = BTreeSet::new();
    for case in cases {
        for (name, pod) in case.pods() {
            for container in pod["spec"]["containers"].as_array().unwrap() {
                let command = strings(&container["command"]);
                // NATS is another's.
                let Some(program) = command.first() else {
                    continue;
                };
                let program = program.strip_prefix(FOLDER).unwrap();
                let args = strings(&container["args"]);
                seen.insert((program.to_owned(), args[0].clone()));
                check(&name, program, &args, container);
            }
        }
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|(program, word)| (&program[..], &word[..]))
        .collect();
    assert_eq!(
        seen,
        [
            ("exchange-sim", "serve"),
            ("marketfeed-gateway", "probe"),
            ("marketfeed-operator", "leave"),
            ("marketfeed-operator", "run"),
        ]
    );
}

fn check(name: &str, program: &str, args: &[String], container: &Value) {
    // What Kubernetes would put in.
    let set = |arg: &String| arg.replace("$(POD_NAMESPACE)", "marketfeed-system");
    let args: Vec<String> = args.iter().map(set).collect();
    if program == "marketfeed-operator" {
        let words = std::iter::once(program).chain(args.iter().map(String::as_str));
        let parsed = Cli::command().try_get_matches_from(words);
        assert!(parsed.is_ok(), "{name}: {}", parsed.unwrap_err());
        assert!(
            args.iter().all(|arg| !arg.contains("$(")),
            "{name}: {args:?}"
        );
        return;
    }
    assert!(
        container["env"]
            .as_array()
            .is_none_or(|env| env.iter().all(|var| var["name"] != "MARKETFEED"))
    );
    let Some(help) = help(program, &args[0]) else {
        return;
    };
    for arg in &args[1..] {
        let flag = arg.split('=').next().unwrap();
        assert!(
            help.contains(&format!("{flag} <")),
            "{name}: {program} {} has no {flag}: {help}",
            args[0]
        );
    }
}

/// What a program of another crate says of a command; none where it has not been built, which is then told.
fn help(program: &str, command: &str) -> Option<String> {
    let file = PathBuf::from(env!("CARGO_BIN_EXE_marketfeed-operator")).with_file_name(program);
    if !file.is_file() {
        println!("skipped: {program} has not been built");
        return None;
    }
    let output = Command::new(file)
        .args([command, "--help"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{program} {command} --help");
    Some(String::from_utf8(output.stdout).unwrap())
}
