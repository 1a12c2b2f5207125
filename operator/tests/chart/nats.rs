//! The chart's own NATS: three servers lose nothing in an update, and no upgrade takes what they have.

use serde_json::{Value, json};

use super::found::{self, Found};
use super::rendered::{NAMESPACE, case, cases, strings};
use super::tools::{Helm, text};

fn set(servers: &str) -> Option<(Value, String)> {
    let cases = cases()?;
    let case = cases.iter().find(|case| case.name == servers).unwrap();
    let set = case.one("StatefulSet", "marketfeed-nats").clone();
    let config = case.one("ConfigMap", "marketfeed-nats")["data"]["nats.conf"].clone();
    Some((set, config.as_str().unwrap().to_owned()))
}

/// Seconds of an option of nats.conf.
fn seconds(config: &str, option: &str) -> u64 {
    let line = config.lines().find_map(|line| line.strip_prefix(option));
    let value = line.unwrap().trim_matches([':', ' ', '"', 's']);
    value.parse().unwrap()
}

#[test]
fn of_three_servers_the_next_one_is_stopped_when_the_one_before_has_caught_up() {
    let Some((set, config)) = set("nats-three") else {
        return;
    };
    let spec = &set["spec"];
    assert_eq!(spec["podManagementPolicy"], "Parallel");
    assert!(spec["minReadySeconds"].as_u64().unwrap() >= 10);
    let pod = &spec["template"]["spec"];
    let server = &pod["containers"][0];
    // All of it, where what follows asks for the server alone.
    let startup = &server["startupProbe"];
    assert_eq!(startup["httpGet"]["path"], "/healthz");
    let patience =
        startup["periodSeconds"].as_u64().unwrap() * startup["failureThreshold"].as_u64().unwrap();
    assert!(patience >= 900, "{patience} s to catch up");
    // It gives up what it leads, and has the time for it.
    let stop = strings(&server["lifecycle"]["preStop"]["exec"]["command"]);
    assert_eq!(stop, ["nats-server", "--signal", "ldm=1"]);
    let lame = seconds(&config, "lame_duck_duration");
    assert!(seconds(&config, "lame_duck_grace_period") < lame);
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace >= lame + 20, "{grace} s of grace");
}

/// It has nobody to hand over to: what it waited would only be missing.
#[test]
fn one_server_alone_stops_at_once() {
    let Some((set, config)) = set("nats-one") else {
        return;
    };
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["lifecycle"], Value::Null);
    assert_eq!(set["spec"]["minReadySeconds"], Value::Null);
    assert!(!config.contains("lame_duck"), "{config}");
}

/// What helm says of an upgrade to `values`.
fn upgrade(helm: &Helm, found: &Found<'_>, values: &str) -> Result<(), String> {
    let output = found::with(found, |address| {
        helm.run(&[
            "template",
            "marketfeed",
            "charts/marketfeed",
            "--namespace",
            NAMESPACE,
            "--is-upgrade",
            "--dry-run=server",
            "--disable-openapi-validation",
            "--kubeconfig=/dev/null",
            &format!("--kube-apiserver=http://{address}"),
            "--set",
            &format!("nats.enabled=true,{values}"),
        ])
    });
    let told = text(&output.stderr);
    output.status.success().then_some(()).ok_or(told)
}

#[test]
fn what_cannot_be_changed_is_refused() {
    let Some(helm) = Helm::new() else { return };
    let kinds = case(&helm, "nats-three");
    let three = kinds.one("StatefulSet", "marketfeed-nats");
    let one = case(&helm, "nats-one");
    let one = one.one("StatefulSet", "marketfeed-nats");
    let volumes = "nats.persistence.enabled=true";
    let check = |there: &Value, values: &str, part: &str| {
        let found = Found {
            stateful_set: there,
            kinds: &kinds.objects,
        };
        match upgrade(&helm, &found, values) {
            Ok(()) => assert_eq!(part, "", "{values} is taken"),
            Err(told) => {
                assert!(!part.is_empty() && told.contains(part), "{values}: {told}");
                assert!(told.contains("uninstall the release"), "{values}: {told}");
            }
        }
    };
    // The same again, also where a size is written in another way, and with what can be changed.
    check(three, "nats.replicas=3", "");
    check(one, volumes, "");
    check(one, &format!("{volumes},nats.persistence.size=4096Mi"), "");
    check(one, &format!("{volumes},nats.resources.requests.cpu=1"), "");
    let mut stopped = three.clone();
    stopped["spec"]["replicas"] = json!(0);
    check(&stopped, "nats.replicas=3", "");
    // Other streams, or other volumes.
    check(three, "nats.replicas=1", "nats.replicas is 1 and 3 are");
    check(
        one,
        &format!("{volumes},nats.replicas=3"),
        "nats.replicas is 3 and 1 are",
    );
    check(one, "nats.replicas=1", "nats.persistence.enabled is false");
    let all = format!("nats.replicas=3,{volumes}");
    check(three, &all, "nats.persistence.enabled is true");
    let larger = format!("{volumes},nats.persistence.size=8Gi");
    check(
        one,
        &larger,
        "nats.persistence.size is 8Gi and its volumes have 4Gi",
    );
    let class = format!("{volumes},nats.persistence.storageClassName=fast");
    check(one, &class, "nats.persistence.storageClassName is");
}
