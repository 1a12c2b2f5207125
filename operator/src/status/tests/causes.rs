use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{first, observed, well};
use crate::build::names::Component;
use crate::status::{Observed, Trouble, Workload};

fn pod(status: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": "crypto-shard-0-x", "labels": { "app.kubernetes.io/component": "marketdata" } },
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
            ended(3, "a log line\nerror: the user may not publish\n"),
        ),
        Some((
            "NatsRefused",
            "ended with code 3: error: the user may not publish",
        )),
    );
    let owned = "stream X belongs to \"a\", not to \"b\"; nothing was changed";
    check(
        container(backoff(), ended(3, &format!("error: {owned}"))),
        Some((
            "NatsRefused",
            "nothing was changed; set nats.environment to another name, in a new MarketFeed",
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
    let trouble = |pod: &str, component, reason| Trouble {
        whose: format!("pod {pod}"),
        component: Some(component),
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
        trouble("crypto-gateway-x", Component::Gateway, "FilesMissing"),
        trouble(
            "crypto-shard-0-x",
            Component::Marketdata,
            "ImageUnavailable",
        ),
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

fn refused_pods(of: &str, component: &str, message: &str) -> Option<Trouble> {
    let deployment = json!({
        "metadata": { "name": of, "labels": { "app.kubernetes.io/component": component } },
        "status": { "conditions": [
            { "type": "Available", "status": "False" },
            { "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message },
        ] },
    });
    Trouble::of_deployment(&serde_json::from_value(deployment).unwrap())
}

/// There is no pod that could say why there is none.
#[test]
fn why_there_are_no_pods() {
    let quota = |pod: &str| {
        format!(
            "pods \"{pod}\" is forbidden: exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3"
        )
    };
    let shard = refused_pods(
        "crypto-shard-1",
        "marketdata",
        &quota("crypto-shard-1-7d4b9c8f7d-6jgxv"),
    );
    let message = "Deployment crypto-shard-1 cannot have all its pods: forbidden: exceeded quota: few, requested: \
                   pods=1, used: pods=3, limited: pods=3";
    assert_eq!(shard.as_ref().unwrap().to_string(), message);
    // The next try is of another pod, and says the same.
    let again = refused_pods(
        "crypto-shard-1",
        "marketdata",
        &quota("crypto-shard-1-7d4b9c8f7d-zz2k8"),
    );
    assert_eq!(again, shard);
    let webhook = "admission webhook \"a.b\" denied the request: crypto-gateway-f-x has no team";
    let gateway = refused_pods("crypto-gateway", "gateway", webhook).unwrap();
    assert_eq!(
        gateway.message,
        "cannot have all its pods: admission webhook \"a.b\" denied the request: crypto-gateway-… has no team"
    );
    let mut silent = observed(|report| report.heard = None);
    silent.troubles.extend(shard);
    let status = first(&silent);
    super::check(&status, "Ready", ("False", "PodsRefused"), message);
    silent.gateway.ready = 0;
    silent.report = None;
    silent.troubles.push(gateway);
    let status = first(&silent);
    super::check(&status, "Ready", ("False", "PodsRefused"), "has no team");
    // One that has all its pods, or too many, is refused none.
    let without = |conditions: Value| {
        let deployment = json!({ "metadata": {}, "status": { "conditions": conditions } });
        Trouble::of_deployment(&serde_json::from_value(deployment).unwrap())
    };
    assert_eq!(without(json!([])), None);
    for (status, reason) in [("False", "FailedCreate"), ("True", "FailedDelete")] {
        let condition = json!({ "type": "ReplicaFailure", "status": status, "reason": reason });
        assert_eq!(without(json!([condition])), None, "{status} {reason}");
    }
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
