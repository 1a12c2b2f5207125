use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{first, observed, well};
use crate::status::{Observed, Trouble, Workload};

fn pod(status: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": "crypto-shard-0-x" },
        "spec": { "containers": [], "volumes": [{ "name": "nats", "secret": { "secretName": "publisher" } }] },
        "status": status,
    }))
    .unwrap()
}

#[test]
fn why_pods_do_not_run() {
    #[track_caller]
    fn check(status: Value, expect: Option<(&str, &str)>) {
        let trouble = Trouble::of(&pod(status), 1_000);
        let said = trouble
            .as_ref()
            .map(|trouble| (trouble.reason, trouble.to_string()));
        match (&said, expect) {
            (None, None) => {}
            (Some((reason, message)), Some((expect, part))) => {
                assert_eq!(*reason, expect);
                assert!(
                    message.starts_with("pod crypto-shard-0-x ") && message.contains(part),
                    "{message}"
                );
            }
            _ => panic!("{said:?}, not {expect:?}"),
        }
    }
    let none = || json!({});
    let container = |state: Value, last: Value| {
        json!({ "startTime": "1970-01-01T00:10:00Z", "containerStatuses": [{
            "name": "marketfeed", "image": "marketfeed:x", "imageID": "", "ready": false, "restartCount": 1,
            "state": state, "lastState": last,
        }] })
    };
    let ended = |code: i32, message: &str| json!({ "terminated": { "exitCode": code, "reason": "Error", "message": message } });
    let backoff = || json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off" } });
    check(json!({}), None);
    let runs = |since: &str| json!({ "running": { "startedAt": since } });
    check(container(runs("1970-01-01T00:16:10Z"), ended(1, "x")), None);
    check(container(runs("1970-01-01T00:16:11Z"), none()), None);
    check(
        container(runs("1970-01-01T00:16:11Z"), ended(1, "x")),
        Some(("Failing", "code 1: x")),
    );
    check(
        container(
            backoff(),
            ended(3, "a log line\nerror: stream X is of another owner\n"),
        ),
        Some((
            "NatsRefused",
            "ended with code 3: error: stream X is of another owner",
        )),
    );
    check(
        container(backoff(), ended(2, "error: --env")),
        Some(("Misconfigured", "code 2")),
    );
    check(
        container(ended(137, ""), none()),
        Some(("Failing", "code 137: Error")),
    );
    let image = json!({ "waiting": { "reason": "ImagePullBackOff", "message": "no such" } });
    check(
        container(image, none()),
        Some(("ImageUnavailable", "marketfeed:x: no such")),
    );
    let creating = || json!({ "waiting": { "reason": "ContainerCreating" } });
    check(
        container(creating(), none()),
        Some(("FilesMissing", "Secrets publisher")),
    );
    let mut young = container(creating(), none());
    young["startTime"] = json!("1970-01-01T00:16:30Z");
    check(young, None);
    let config =
        json!({ "waiting": { "reason": "CreateContainerConfigError", "message": "no key" } });
    check(
        container(config, none()),
        Some(("Failing", "CreateContainerConfigError: no key")),
    );
    check(
        json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "message": "0/2 nodes" }] }),
        Some(("Unschedulable", "has no node: 0/2 nodes")),
    );
    let mut observed = well();
    observed.report = None;
    observed.troubles.extend(Trouble::of(
        &pod(container(backoff(), ended(3, "refused"))),
        1_000,
    ));
    super::check(
        &first(&observed),
        "Ready",
        ("False", "NatsRefused"),
        "refused",
    );
}

/// What keeps pods from running is the reason of what is bad for it.
#[test]
fn a_cause_that_is_known_is_the_reason() {
    let trouble = |pod: &str, reason| Trouble {
        pod: pod.to_owned(),
        reason,
        message: "cannot run".to_owned(),
    };
    let mut none = Observed {
        gateway: Workload {
            wanted: 2,
            ..Workload::default()
        },
        ..Observed::default()
    };
    super::check(&first(&none), "Ready", ("False", "NoneReady"), "0 of 2");
    none.troubles = vec![
        trouble("crypto-gateway-x", "FilesMissing"),
        trouble("crypto-shard-0-x", "ImageUnavailable"),
    ];
    let message = "pod crypto-gateway-x cannot run";
    super::check(&first(&none), "Ready", ("False", "FilesMissing"), message);
    // Some gateways run, and no shard does.
    let mut silent = observed(|report| report.heard = None);
    silent.troubles = none.troubles;
    silent.shards[0].settled = false;
    let status = first(&silent);
    let message = "pod crypto-shard-0-x cannot run";
    super::check(&status, "Ready", ("False", "ImageUnavailable"), message);
    super::check(&status, "GatewayAvailable", ("True", "AllReady"), "3 of 3");
    super::check(&status, "Progressing", ("True", "RollingOut"), message);
}

#[test]
fn nats_that_is_away_is_told_from_shards_that_are() {
    let mut silent = observed(|report| report.heard = None);
    super::check(
        &first(&silent),
        "NatsReady",
        ("Unknown", "NothingHeard"),
        "",
    );
    super::check(&first(&silent), "Ready", ("False", "Silent"), "");
    silent.bus_ready = Some(true);
    super::check(
        &first(&silent),
        "NatsReady",
        ("Unknown", "NothingHeard"),
        "",
    );
    silent.bus_ready = Some(false);
    super::check(
        &first(&silent),
        "Ready",
        ("False", "NatsAway"),
        "no connection to NATS",
    );
}
