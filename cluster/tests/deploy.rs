//! What `deploy/` names is there: binaries with those flags and variables, files, volumes, services; and it is the
//! topology that runs here without containers.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails the test that called it"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cluster::tools;
use cluster::topology::Options;
use serde_yaml_ng::Value;

const OURS: [&str; 3] = [
    "marketfeed-marketdata",
    "marketfeed-gateway",
    "exchange-sim",
];

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn compose() -> Value {
    let text = fs::read_to_string(deploy().join("compose.yaml")).unwrap();
    let mut compose: Value = serde_yaml_ng::from_str(&text).unwrap();
    compose.apply_merge().unwrap();
    compose
}

fn names(mapping: &Value) -> BTreeSet<String> {
    let keys = mapping.as_mapping().into_iter().flatten();
    keys.map(|(name, _)| name.as_str().unwrap().to_owned())
        .collect()
}

fn words(list: &Value) -> Vec<&str> {
    let list = list.as_sequence().into_iter().flatten();
    list.map(|word| word.as_str().unwrap()).collect()
}

/// The value after a flag; of the flag's `nth` use.
fn value_of<'a>(words: &[&'a str], flag: &str, nth: usize) -> &'a str {
    let mut uses = words.windows(2).filter(|pair| pair[0] == flag);
    uses.nth(nth).unwrap()[1]
}

/// What a binary says of a command; none where it has not been built, which is then told.
fn help(binary: &str, subcommand: Option<&str>) -> Option<String> {
    let Ok(file) = tools::binary(binary) else {
        println!("skipped: {binary} has not been built");
        return None;
    };
    let output = Command::new(file).args(subcommand).arg("--help").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{binary} {subcommand:?} --help");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn every_flag_and_variable_is_known_to_its_binary() {
    let compose = compose();
    for (name, service) in compose["services"].as_mapping().unwrap() {
        let command = words(&service["command"]);
        let Some(binary) = command.first().filter(|word| OURS.contains(word)) else {
            assert_ne!(
                service["image"], "marketfeed:local",
                "{name:?} starts nothing"
            );
            continue;
        };
        let subcommand = command.get(1).filter(|word| !word.starts_with('-'));
        let Some(help) = help(binary, subcommand.copied()) else {
            continue;
        };
        let known: BTreeSet<_> = help
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
            .collect();
        for flag in command.iter().filter(|word| word.starts_with("--")) {
            assert!(known.contains(flag), "{name:?}: {binary} has no {flag}");
        }
        for variable in names(&service["environment"]) {
            let variable = variable.as_str();
            assert!(
                known.contains(variable),
                "{name:?}: {binary} has no {variable}"
            );
        }
    }
}

#[test]
fn files_volumes_and_services_that_are_named_are_there() {
    let compose = compose();
    let (services, volumes) = (names(&compose["services"]), names(&compose["volumes"]));
    let dockerfile = fs::read_to_string(deploy().join("Dockerfile")).unwrap();
    for (name, service) in compose["services"].as_mapping().unwrap() {
        for volume in words(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            let there = match source.strip_prefix("./") {
                Some(file) => deploy().join(file).is_file(),
                None => volumes.contains(source),
            };
            assert!(there, "{name:?}: {volume}");
        }
        let on = &service["depends_on"];
        let on = names(on)
            .into_iter()
            .chain(words(on).into_iter().map(str::to_owned));
        for other in on {
            assert!(services.contains(&other), "{name:?} depends on {other}");
        }
        if service["image"] == "marketfeed:local" {
            let binary = words(&service["command"])[0];
            let copied = format!("target/release/{binary}");
            assert!(dockerfile.contains(&copied), "the image lacks {binary}");
        }
    }
    for file in ["nginx.conf", "haproxy.cfg"] {
        let text = fs::read_to_string(deploy().join(file)).unwrap();
        for gateway in services.iter().filter(|name| name.starts_with("gateway-")) {
            assert!(
                text.contains(&format!("{gateway}:8080")),
                "{file} lacks {gateway}"
            );
        }
    }
}

#[test]
fn it_is_the_topology_that_runs_without_containers() {
    let (compose, options) = (compose(), Options::default());
    let services = names(&compose["services"]);
    let of = |start: &str| {
        services
            .iter()
            .filter(|name| name.starts_with(start))
            .count()
    };
    assert_eq!((of("nats-"), of("gateway-")), (3, options.gateways));
    for shard in 0..options.shards {
        let processes: Vec<_> = services
            .iter()
            .filter(|name| name.starts_with(&format!("marketdata-{shard}-")))
            .collect();
        assert_eq!(processes.len(), options.instances);
        for name in processes {
            let command = words(&compose["services"][name.as_str()]["command"]);
            assert_eq!(value_of(&command, "--shard", 0), shard.to_string());
        }
    }
    assert_eq!(of("marketdata-"), options.shards * options.instances);
    let assign = words(&compose["services"]["assign"]["command"]);
    for (nth, (venue, symbols)) in options.sources.iter().enumerate() {
        let source = format!("{venue}={}", symbols.join(","));
        assert_eq!(value_of(&assign, "--source", nth), source);
    }
    assert_eq!(value_of(&assign, "--shards", 0), options.shards.to_string());
    assert_eq!(
        value_of(&assign, "--intervals", 0),
        options.intervals.join(",")
    );
    let exchange = words(&compose["services"]["exchange-sim"]["command"]);
    assert_eq!(value_of(&exchange, "--rate", 0), options.rate.to_string());
    let generated = value_of(&exchange, "--generate", 0).split(',').count();
    assert_eq!(generated, options.topics("1s").len());
}

#[test]
fn nats_takes_its_configuration() {
    let output = Command::new(tools::nats_server().unwrap())
        .args(["-t", "-c"])
        .arg(deploy().join("nats.conf"))
        .env("NATS_NAME", "nats-1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
