//! Pods may do nothing that they need not, run where is said, and find each other.

use operator::build::build;
use operator::{plan, validate};
use serde_json::{Value, json};

use super::rendered::{Case, cases, strings};

/// A pod that the operator makes: those of the chart run as it does.
fn of_a_feed() -> Value {
    let yaml = std::fs::read_to_string(super::tools::root().join("examples/minimal.yaml")).unwrap();
    let feed = validate(&plan::parse(&yaml, "default").unwrap()).unwrap();
    let assignment = plan::assignment(&feed, None).unwrap();
    let release = operator::build::Release {
        image: "marketfeed:test".to_owned(),
        namespace: "marketfeed-system".to_owned(),
    };
    let objects = build(&feed, &assignment, &release).to_json().unwrap();
    let pod = objects
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    pod["spec"]["template"]["spec"].clone()
}

#[test]
fn they_may_do_as_little_as_those_of_a_feed() {
    let Some(cases) = cases() else { return };
    let like = of_a_feed();
    for (name, pod) in cases.iter().flat_map(Case::pods) {
        let spec = &pod["spec"];
        assert_eq!(spec["securityContext"], like["securityContext"], "{name}");
        assert_eq!(spec["enableServiceLinks"], false, "{name}");
        for container in spec["containers"].as_array().unwrap() {
            let security = &container["securityContext"];
            assert_eq!(
                *security, like["containers"][0]["securityContext"],
                "{name}"
            );
            assert!(
                container["resources"]["requests"]["cpu"].is_string(),
                "{name}"
            );
            assert!(
                container["resources"]["requests"]["memory"].is_string(),
                "{name}"
            );
        }
        // Only two of them speak to Kubernetes.
        let speaks = spec["serviceAccountName"].is_string();
        let is_operator = name.contains("Deployment") && name.ends_with("-operator");
        assert_eq!(speaks, is_operator || name.contains("Job"), "{name}");
        assert!(
            speaks || spec["automountServiceAccountToken"] == false,
            "{name}"
        );
    }
}

#[test]
fn they_run_where_is_said_and_as_is_said() {
    let Some(cases) = cases() else { return };
    let case = cases.iter().find(|case| case.name == "everything").unwrap();
    let said: Value = serde_yaml_ng::from_str(
        &std::fs::read_to_string(super::tools::root().join(&case.values)).unwrap(),
    )
    .unwrap();
    let pods = case.pods();
    assert_eq!(pods.len(), 5, "operator, NATS, simulator, hook and test");
    for (name, pod) in pods {
        let (spec, said) = (&pod["spec"], &said["operator"]);
        for field in [
            "nodeSelector",
            "tolerations",
            "affinity",
            "priorityClassName",
            "topologySpreadConstraints",
        ] {
            assert_eq!(spec[field], said[field], "{name}: {field}");
        }
        assert_eq!(
            spec["imagePullSecrets"],
            json!([{ "name": "registry" }]),
            "{name}"
        );
        let container = &spec["containers"][0];
        let is_nats = name.contains("StatefulSet");
        let image = if is_nats {
            // A digest goes before the tag.
            "registry.example:5000/nats@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        } else {
            "registry.example:5000/marketfeed:0.1.0-rc.1"
        };
        assert_eq!(container["image"], image, "{name}");
        assert_eq!(
            container["imagePullPolicy"],
            if is_nats { "Always" } else { "Never" },
            "{name}"
        );
        if name.contains(" Pod ") {
            continue;
        }
        assert_eq!(pod["metadata"]["labels"]["team"], "market", "{name}");
        assert_eq!(
            pod["metadata"]["annotations"]["example.com/note"], "a note",
            "{name}"
        );
        if !name.contains("Job") {
            assert_eq!(container["resources"], said["resources"], "{name}");
            let env = container["env"].as_array().unwrap();
            assert!(
                env.contains(&json!({ "name": "RUST_BACKTRACE", "value": "1" })),
                "{name}"
            );
        }
    }
}

/// The operator gives feeds its own image, and says where it is.
#[test]
fn the_operator_is_told_what_it_is() {
    let Some(cases) = cases() else { return };
    for case in cases {
        let deployment = case.all("Deployment").find(|object| {
            object["metadata"]["name"]
                .as_str()
                .unwrap()
                .ends_with("-operator")
        });
        let container = &deployment.unwrap()["spec"]["template"]["spec"]["containers"][0];
        let args = strings(&container["args"]);
        let image = container["image"].as_str().unwrap();
        assert!(
            args.contains(&format!("--image={image}")),
            "{}: {args:?}",
            case.name
        );
        assert!(
            args.contains(&"--operator-namespace=$(POD_NAMESPACE)".to_owned()),
            "{}: {args:?}",
            case.name
        );
        let scoped = case
            .all("ClusterRole")
            .all(|role| role["metadata"]["name"] != "marketfeed-operator");
        assert_eq!(
            args.contains(&"--watch-namespace=market".to_owned()),
            scoped,
            "{}: {args:?}",
            case.name
        );
    }
}

#[test]
fn services_lead_to_pods_and_names_are_short_enough() {
    let Some(cases) = cases() else { return };
    for case in cases {
        let pods = case.pods();
        for service in case.all("Service") {
            let selector = service["spec"]["selector"].as_object().unwrap();
            let is_of = |pod: &&Value| {
                selector
                    .iter()
                    .all(|(name, value)| pod["metadata"]["labels"][name] == *value)
            };
            let chosen: Vec<_> = pods.iter().map(|(_, pod)| *pod).filter(is_of).collect();
            assert_eq!(chosen.len(), 1, "{}: {service}", case.name);
            let ports = chosen[0]["spec"]["containers"][0]["ports"]
                .as_array()
                .unwrap();
            for port in service["spec"]["ports"].as_array().unwrap() {
                assert!(
                    ports
                        .iter()
                        .any(|known| known["name"] == port["targetPort"]),
                    "{}: {port}",
                    case.name
                );
            }
        }
        for object in &case.objects {
            let name = object["metadata"]["name"].as_str().unwrap();
            assert!(name.len() <= 63, "{}: {name}", case.name);
            let is_global = [
                "CustomResourceDefinition",
                "ClusterRole",
                "ClusterRoleBinding",
            ]
            .iter()
            .any(|kind| object["kind"] == *kind);
            assert_eq!(
                object["metadata"]["namespace"].is_string(),
                !is_global,
                "{}: {name}",
                case.name
            );
        }
    }
}

/// What examples/simulator.yaml names is what the first try of the documents runs.
#[test]
fn the_simulators_example_fits_the_first_try() {
    let Some(cases) = cases() else { return };
    let case = cases.iter().find(|case| case.name == "simulator").unwrap();
    let text =
        std::fs::read_to_string(super::tools::root().join("examples/simulator.yaml")).unwrap();
    let feed: Value = serde_yaml_ng::from_str(&text).unwrap();
    let mut hosts = strings(&feed["spec"]["nats"]["urls"]);
    for source in feed["spec"]["sources"].as_array().unwrap() {
        hosts.extend(
            ["ws", "rest"].map(|kind| source["endpoints"][kind].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(hosts.len(), 5);
    for url in &hosts {
        let authority = url.split("://").nth(1).unwrap().split('/').next().unwrap();
        let (host, port) = authority.split_once(':').unwrap();
        let port: u16 = port.parse().unwrap();
        let (service, place) = host.split_once('.').unwrap();
        assert_eq!(place, "marketfeed-system.svc", "{url}");
        let service = case.one("Service", service);
        let ports = service["spec"]["ports"].as_array().unwrap();
        assert!(ports.iter().any(|known| known["port"] == port), "{url}");
    }
    let servers = &case.one("StatefulSet", "marketfeed-nats")["spec"]["replicas"];
    assert_eq!(*servers, feed["spec"]["nats"]["replicas"]);
    let simulator = case.one("Deployment", "marketfeed-exchange-sim");
    let args = strings(&simulator["spec"]["template"]["spec"]["containers"][0]["args"]);
    let carried = args
        .iter()
        .find_map(|arg| arg.strip_prefix("--generate="))
        .unwrap();
    let carried: Vec<&str> = carried.split(',').collect();
    for source in feed["spec"]["sources"].as_array().unwrap() {
        for symbol in strings(&source["symbols"]) {
            let named = format!("{}:{symbol}", source["venue"].as_str().unwrap());
            let is_it = |known: &&str| {
                *known == named || (source["venue"] == "binance-spot" && **known == symbol)
            };
            assert!(carried.iter().any(is_it), "{named} is not in {carried:?}");
        }
    }
}
