//! What must hold of every pod.

use serde_json::{Value, json};

use super::feeds::{all, feed, find, templates};

/// A feed that says all that can be said of pods.
fn told() -> Value {
    let pod = json!({
        "labels": { "team": "market" },
        "annotations": { "note": "x" },
        "nodeSelector": { "pool": "market" },
        "tolerations": [{ "key": "dedicated", "operator": "Exists" }],
        "priorityClassName": "high",
        "imagePullSecrets": [{ "name": "registry" }],
        "env": [{ "name": "HTTPS_PROXY", "value": "http://proxy:3128" }],
        "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "arch", "operator": "In", "values": ["amd64"] }] }],
        } } },
        "topologySpreadConstraints": [{ "maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule" }],
    });
    json!({
        "marketdata": { "shards": 2, "pod": pod },
        "gateway": { "pod": pod },
        "nats": {
            "urls": ["tls://nats:4222"],
            "credentialsSecretRef": { "name": "publisher", "key": "p.creds" },
            "gatewayCredentialsSecretRef": { "name": "gateway", "key": "g.creds" },
            "tls": { "required": true, "caSecretRef": { "name": "ca", "key": "ca.crt" }, "clientSecretRef": { "name": "client" } },
        },
    })
}

#[test]
fn they_may_do_nothing() {
    for spec in [json!({}), told()] {
        let objects = all(&feed(&spec));
        let templates = templates(&objects);
        assert_eq!(templates.len(), 4);
        for (name, template) in templates {
            let pod = &template["spec"];
            assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
            assert_eq!(pod["enableServiceLinks"], false, "{name}");
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
            assert_eq!(
                pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault",
                "{name}"
            );
            for field in [
                "hostNetwork",
                "hostPID",
                "hostIPC",
                "serviceAccountName",
                "initContainers",
            ] {
                assert!(pod.get(field).is_none(), "{name}: {field}");
            }
            let container = &pod["containers"][0];
            let security = json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            });
            assert_eq!(container["securityContext"], security, "{name}");
            assert_eq!(pod["containers"].as_array().unwrap().len(), 1);
            let mounts = container["volumeMounts"].as_array().into_iter().flatten();
            assert!(
                mounts
                    .clone()
                    .all(|mount| mount["readOnly"] == true && mount.get("subPath").is_none())
            );
        }
    }
}

#[test]
fn what_is_said_of_them_is_so() {
    let objects = all(&feed(&told()));
    for (name, template) in templates(&objects) {
        // The Job runs where the shards do.
        let pod = &template["spec"];
        assert_eq!(template["metadata"]["labels"]["team"], "market", "{name}");
        assert_eq!(template["metadata"]["annotations"]["note"], "x", "{name}");
        assert_eq!(pod["nodeSelector"]["pool"], "market", "{name}");
        assert_eq!(pod["tolerations"][0]["key"], "dedicated", "{name}");
        assert_eq!(pod["priorityClassName"], "high", "{name}");
        assert_eq!(pod["imagePullSecrets"][0]["name"], "registry", "{name}");
        assert_eq!(
            pod["topologySpreadConstraints"][0]["topologyKey"], "rack",
            "{name}"
        );
        assert!(pod["affinity"]["nodeAffinity"].is_object(), "{name}");
        assert!(
            pod["affinity"]["podAntiAffinity"].is_object(),
            "{name}: ours stays"
        );
        let env = pod["containers"][0]["env"].as_array().unwrap();
        assert!(
            env.contains(&json!({ "name": "HTTPS_PROXY", "value": "http://proxy:3128" })),
            "{name}"
        );
    }
}

#[test]
fn each_reads_its_own_secrets() {
    let objects = all(&feed(&told()));
    for (name, template) in templates(&objects) {
        let volumes = template["spec"]["volumes"].as_array().unwrap();
        let secrets: Vec<&str> = volumes
            .iter()
            .filter_map(|volume| volume["secret"]["secretName"].as_str())
            .collect();
        let expect = if name == "crypto-gateway" {
            "gateway"
        } else {
            "publisher"
        };
        assert_eq!(secrets, [expect, "ca", "client"], "{name}");
        let env = template["spec"]["containers"][0]["env"].as_array().unwrap();
        let value = |variable: &str| {
            let found = env.iter().find(|var| var["name"] == variable);
            found.unwrap()["value"].as_str().unwrap().to_owned()
        };
        let key = if name == "crypto-gateway" {
            "g.creds"
        } else {
            "p.creds"
        };
        assert_eq!(
            value("MARKETFEED_NATS_CREDS"),
            format!("/etc/marketfeed/nats-credentials/{key}")
        );
        assert_eq!(
            value("MARKETFEED_NATS_TLS_CA"),
            "/etc/marketfeed/nats-ca/ca.crt"
        );
        assert_eq!(
            value("MARKETFEED_NATS_TLS_CERT"),
            "/etc/marketfeed/nats-client/tls.crt"
        );
        assert_eq!(
            value("MARKETFEED_NATS_TLS_KEY"),
            "/etc/marketfeed/nats-client/tls.key"
        );
        // Every path that a variable names is one that is mounted.
        let mounts = template["spec"]["containers"][0]["volumeMounts"]
            .as_array()
            .unwrap();
        let paths = env
            .iter()
            .filter_map(|var| var["value"].as_str())
            .filter(|path| path.starts_with("/etc/"));
        for path in paths {
            let under = |mount: &Value| {
                path.starts_with(&format!("{}/", mount["mountPath"].as_str().unwrap()))
            };
            assert!(mounts.iter().any(under), "{name}: {path}");
        }
    }
}

#[test]
fn they_request_cpu_whatever_is_said_of_the_rest() {
    let requests = |resources: Value| {
        let objects = all(&feed(&json!({ "gateway": { "resources": resources } })));
        let deployment = find(&objects, "Deployment", "crypto-gateway");
        deployment["spec"]["template"]["spec"]["containers"][0]["resources"].clone()
    };
    assert_eq!(
        requests(json!({})),
        json!({ "requests": { "cpu": "500m", "memory": "256Mi" } })
    );
    assert_eq!(
        requests(json!({ "requests": { "memory": "1Gi" } })),
        json!({ "requests": { "cpu": "500m", "memory": "1Gi" } })
    );
    // A request above the limit would be refused; the limit is the request then.
    assert_eq!(
        requests(json!({ "limits": { "cpu": "100m" } })),
        json!({ "requests": { "memory": "256Mi" }, "limits": { "cpu": "100m" } })
    );
    assert_eq!(
        requests(json!({ "requests": { "cpu": 2 } }))["requests"]["cpu"],
        "2"
    );
}

#[test]
fn the_grace_period_is_longer_than_the_drain() {
    for (drain, expect) in [("30s", 50), ("1s", 21), ("1500ms", 22), ("30m", 1_820)] {
        let objects = all(&feed(
            &json!({ "gateway": { "drain": { "duration": drain } } }),
        ));
        let pod = &find(&objects, "Deployment", "crypto-gateway")["spec"]["template"]["spec"];
        assert_eq!(pod["terminationGracePeriodSeconds"], expect, "{drain}");
    }
}
