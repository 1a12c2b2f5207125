//! What `deploy/` names is there: binaries with those flags and variables and their features, files, volumes, services,
//! health checks; and it is the topology that runs here without containers.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails the test that called it"
)]

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use cluster::topology::Options;
use cluster::{Program, http, ports, tools, wait};
use serde_yaml_ng::Value;

const OURS: [&str; 3] = [
    "marketfeed-marketdata",
    "marketfeed-gateway",
    "exchange-sim",
];

/// The binaries that the image is given, from the `cp` of its Dockerfile.
fn copied() -> BTreeSet<String> {
    let dockerfile = fs::read_to_string(deploy().join("Dockerfile")).unwrap();
    let joined = dockerfile.replace("\\\n", " ");
    let copy = joined.split("&&").find_map(|part| {
        let (_, words) = part.trim_start().split_once("cp ")?;
        words.split_once("/image/bin/")
    });
    let (binaries, _) = copy.unwrap();
    binaries.split_whitespace().map(str::to_owned).collect()
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn compose() -> Value {
    let text = fs::read_to_string(deploy().join("compose.yaml")).unwrap();
    let mut compose: Value = serde_yaml_ng::from_str(&text).unwrap();
    // Once for each level of what is merged into what is merged.
    for _ in 0..3 {
        compose.apply_merge().unwrap();
    }
    let services = compose["services"].as_mapping().unwrap();
    assert!(services.values().all(|service| service.get("<<").is_none()));
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
    let copied = copied();
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
            assert!(copied.contains(binary), "the image lacks {binary}");
            // It has no shell to start it by.
            assert!(service.get("entrypoint").is_none(), "{name:?}");
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

/// What the image's `cargo build` is told: the values of a flag, each on its own.
fn built<'a>(cargo: &[&'a str], flag: &str) -> BTreeSet<&'a str> {
    let uses = cargo.windows(2).filter(|pair| pair[0] == flag);
    uses.flat_map(|pair| pair[1].split(',')).collect()
}

#[test]
fn the_image_builds_the_binaries_that_it_copies() {
    let dockerfile = fs::read_to_string(deploy().join("Dockerfile")).unwrap();
    let joined = dockerfile.replace("\\\n", " ");
    let build = joined
        .split("&&")
        .find_map(|part| Some(part.split_once("cargo build ")?.1));
    let cargo: Vec<_> = build.unwrap().split_whitespace().collect();
    let (packages, features) = (built(&cargo, "--package"), built(&cargo, "--features"));
    let copied = copied();
    let all = BTreeSet::from_iter(
        ["marketfeed", "marketfeed-operator"]
            .into_iter()
            .chain(OURS),
    );
    assert_eq!(copied, all.into_iter().map(str::to_owned).collect());

    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(deploy())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let all = metadata["packages"].as_array().unwrap().iter();
    let targets: Vec<_> = all
        .flat_map(|package| {
            let targets = package["targets"].as_array().unwrap().iter();
            targets.map(|target| (package["name"].as_str().unwrap(), target))
        })
        .filter(|(_, target)| target["kind"][0] == "bin")
        .collect();
    for binary in copied {
        let own = targets.iter().find(|(_, target)| target["name"] == *binary);
        let (package, target) = own.unwrap_or_else(|| panic!("no package has {binary}"));
        assert!(packages.contains(package), "{package} is not built");
        for feature in target["required-features"].as_array().into_iter().flatten() {
            let feature = format!("{package}/{}", feature.as_str().unwrap());
            assert!(
                features.contains(feature.as_str()),
                "{binary} is not built without {feature}"
            );
        }
    }
}

/// The port in the last part of an address.
fn port(address: &str) -> u16 {
    address.rsplit(':').next().unwrap().parse().unwrap()
}

/// `name` of each gateway, and the port and the path by which HAProxy asks whether it is well.
fn haproxy_checks(text: &str) -> Vec<(String, u16, String)> {
    let lines: Vec<Vec<_>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let path = lines.iter().find_map(|words| match words[..] {
        ["option", "httpchk", "GET", path] => Some(path),
        _ => None,
    });
    let port_of = |words: &[&str]| {
        let mut pairs = words.windows(2).filter(|pair| pair[0] == "port");
        pairs.next().map(|pair| port(pair[1]))
    };
    let defaults = lines
        .iter()
        .find(|words| words.first() == Some(&"default-server"));
    let (path, defaults) = (path.unwrap(), defaults.unwrap());
    assert!(defaults.contains(&"check"), "gateways are not checked");
    let servers = lines
        .iter()
        .filter(|words| words.first() == Some(&"server"));
    servers
        .map(|words| {
            let own = port_of(words).or_else(|| port_of(defaults));
            let checked = own.unwrap_or_else(|| port(words[2]));
            (words[1].to_owned(), checked, path.to_owned())
        })
        .collect()
}

#[tokio::test]
async fn health_is_asked_for_where_it_is_told() {
    let compose = compose();
    let text = fs::read_to_string(deploy().join("haproxy.cfg")).unwrap();
    let checks = haproxy_checks(&text);
    assert_eq!(checks.len(), Options::default().gateways);
    for (gateway, checked, path) in &checks {
        let admin =
            &compose["services"][gateway.as_str()]["environment"]["MARKETFEED_ADMIN_LISTEN"];
        assert_eq!(*checked, port(admin.as_str().unwrap()), "{gateway}");
        assert!(is_served(path).await, "a gateway does not serve {path}");
    }

    let nats = fs::read_to_string(deploy().join("nats.conf")).unwrap();
    let monitor = nats.lines().find_map(|line| line.strip_prefix("http: "));
    let monitor = port(monitor.unwrap().trim_matches('"'));
    for (name, service) in compose["services"].as_mapping().unwrap() {
        let test = words(&service["healthcheck"]["test"]);
        let Some(url) = test.iter().find_map(|word| word.strip_prefix("http://")) else {
            assert!(test.is_empty(), "{name:?}: {test:?} asks nobody");
            continue;
        };
        let (address, path) = url.split_once('/').unwrap();
        // Of ours, none is asked: the image has nothing to ask with.
        assert!(name.as_str().unwrap().starts_with("nats-"), "{name:?}");
        assert_eq!((port(address), path), (monitor, "healthz"), "{name:?}");
    }
}

/// Whether a gateway has the path at its admin address. Without a bus it is not ready, and says so.
async fn is_served(path: &str) -> bool {
    let binary = "marketfeed-gateway";
    let Ok(file) = tools::binary(binary) else {
        println!("skipped: {binary} has not been built");
        return true;
    };
    let folder = tempfile::tempdir().unwrap();
    let admin: SocketAddr = ports::free().unwrap();
    let mut gateway = Program::new(binary, file, folder.path().join("gateway.log"))
        .args(["--env", "test", "--listen", "127.0.0.1:0"])
        .args(["--nats-url", "nats://127.0.0.1:1"])
        .args(["--admin-listen", &admin.to_string()])
        .start()
        .unwrap();
    let up = gateway.wait_for_http(admin, "/livez", wait::PATIENCE).await;
    up.unwrap();
    let (status, _) = http::get(admin, path).await.unwrap();
    [200, 503].contains(&status)
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
