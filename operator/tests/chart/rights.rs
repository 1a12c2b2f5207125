//! Who may do what: the operator what docs/operator.md says and nothing else, nobody anything with Secrets.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::Resource;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use operator::controller::Where;
use serde_json::{Value, json};

use super::rendered::{Case, NAMESPACE, cases, strings};
use super::tools::root;

/// A group, a resource of it and a verb, and the names that it is for where it is not for all.
type Right = (String, String, String, Vec<String>);

fn rights(role: &Value) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        let names = strings(&rule["resourceNames"]);
        for group in strings(&rule["apiGroups"]) {
            for resource in strings(&rule["resources"]) {
                for verb in strings(&rule["verbs"]) {
                    let right = (group.clone(), resource.clone(), verb, names.clone());
                    assert!(rights.insert(right), "twice in {role}");
                }
            }
        }
    }
    rights
}

/// Resources and their verbs.
type Table = BTreeMap<String, BTreeSet<String>>;

/// What is documented, as rules have it: `named` are those rights that are for one object alone.
fn written(table: &Table, named: &[(&str, &str, &str)]) -> BTreeSet<Right> {
    let right = |resource: &str, verb: &str| {
        let names = named.iter().filter(|of| (of.0, of.1) == (resource, verb));
        let names = names.map(|of| of.2.to_owned()).collect();
        let group = group(resource).to_owned();
        (group, resource.to_owned(), verb.to_owned(), names)
    };
    let of = |(resource, verbs): (&String, &BTreeSet<String>)| -> Vec<Right> {
        verbs.iter().map(|verb| right(resource, verb)).collect()
    };
    table.iter().flat_map(of).collect()
}

/// The group of a resource, as its type has it.
fn group(resource: &str) -> &'static str {
    match resource.split('/').next().unwrap() {
        "marketfeeds" => "marketfeed.dev",
        "configmaps" => ConfigMap::GROUP,
        "services" => Service::GROUP,
        "pods" => Pod::GROUP,
        "deployments" => Deployment::GROUP,
        "poddisruptionbudgets" => PodDisruptionBudget::GROUP,
        "horizontalpodautoscalers" => HorizontalPodAutoscaler::GROUP,
        "networkpolicies" => NetworkPolicy::GROUP,
        "jobs" => Job::GROUP,
        "events" => Event::GROUP,
        "leases" => Lease::GROUP,
        other => panic!("of which group are {other}?"),
    }
}

/// A table of docs/operator.md: what is needed where feeds are, and what where the operator is.
struct Documented {
    feeds: Table,
    own: Table,
}

/// The operator's table, and that of what runs when it goes.
fn documented() -> [Documented; 2] {
    let text = std::fs::read_to_string(root().join("docs/operator.md")).unwrap();
    let tables = text.split("| resource | verbs |\n|---|---|\n").skip(1);
    let tables: Vec<Documented> = tables.map(table).collect();
    let Ok(tables) = tables.try_into() else {
        panic!("docs/operator.md has not two tables of rights");
    };
    tables
}

fn table(text: &str) -> Documented {
    let (mut feeds, mut own) = (Table::new(), Table::new());
    for row in text.lines().take_while(|line| line.starts_with('|')) {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let (resources, verbs) = (cells.next().unwrap(), cells.next().unwrap());
        let verbs: BTreeSet<String> = verbs.split(", ").map(str::to_owned).collect();
        let is_own = ["in its own namespace", "in the operator's namespace"];
        let is_own = is_own.iter().any(|words| resources.contains(words));
        let rights = if is_own { &mut own } else { &mut feeds };
        // Names are in backticks; a group may follow.
        let names = resources.split(" of ").next().unwrap();
        for name in names.split('`').skip(1).step_by(2) {
            rights.insert(name.to_owned(), verbs.clone());
        }
    }
    assert!(!feeds.is_empty() && !own.is_empty(), "{feeds:?} {own:?}");
    Documented { feeds, own }
}

/// Names begin so; and whether only one namespace is watched.
fn installed(case: &Case) -> (&str, bool) {
    match &case.name[..] {
        "everything" => ("bars", true),
        "namespaced" => ("marketfeed", true),
        _ => ("marketfeed", false),
    }
}

#[track_caller]
fn check(case: &Case, names: [&str; 2], expect: &Documented) {
    let (begin, scoped) = installed(case);
    // Of its own objects each may use its own.
    let place = if scoped {
        Where::Namespace("market".to_owned())
    } else {
        Where::Everywhere {
            except: BTreeSet::new(),
        }
    };
    let (lease, operator) = (place.lease(), format!("{begin}-operator"));
    let named = [
        ("leases", "get", &lease[..]),
        ("leases", "update", &lease),
        ("deployments", "get", &operator),
        ("deployments/scale", "patch", &operator),
    ];
    let names = names.map(|name| format!("{begin}-{name}"));
    let kind = if scoped { "Role" } else { "ClusterRole" };
    let role = case.one(kind, &names[0]);
    assert_eq!(rights(role), written(&expect.feeds, &[]), "{}", case.name);
    let namespace = if scoped { json!("market") } else { json!(null) };
    assert_eq!(role["metadata"]["namespace"], namespace);
    let role = case.one("Role", &names[1]);
    assert_eq!(rights(role), written(&expect.own, &named), "{}", case.name);
    assert_eq!(role["metadata"]["namespace"], NAMESPACE);
}

#[test]
fn the_operator_may_do_what_is_documented() {
    let Some(cases) = cases() else { return };
    let [mut run, leave] = documented();
    // The sentence below the table.
    let update = BTreeSet::from(["update".to_owned()]);
    run.feeds
        .insert("marketfeeds/finalizers".to_owned(), update);
    assert!(run.feeds.len() > 10, "{:?}", run.feeds);
    for case in cases {
        check(&case, ["operator", "operator-lease"], &run);
        check(&case, ["leave-feeds", "leave"], &leave);
    }
}

#[test]
fn nobody_may_do_anything_with_secrets_and_nothing_is_a_wildcard() {
    let Some(cases) = cases() else { return };
    for role in cases
        .iter()
        .flat_map(|case| case.all("Role").chain(case.all("ClusterRole")))
    {
        for rule in role["rules"].as_array().unwrap() {
            let all = ["apiGroups", "resources", "verbs"]
                .map(|field| strings(&rule[field]))
                .concat();
            assert!(!all.is_empty() && !all.contains(&"*".to_owned()), "{rule}");
            assert!(!all.contains(&"secrets".to_owned()), "{rule}");
            let grants = ["escalate", "bind", "impersonate"];
            assert!(
                !all.iter().any(|verb| grants.contains(&&verb[..])),
                "{rule}"
            );
        }
    }
}

#[test]
fn every_role_is_given_to_an_account_of_the_release() {
    let Some(cases) = cases() else { return };
    for case in cases {
        for kind in ["Role", "ClusterRole"] {
            let is_for_people = |role: &&Value| {
                role["metadata"]["labels"]
                    .as_object()
                    .unwrap()
                    .keys()
                    .any(|label| label.contains("aggregate-to"))
            };
            for role in case.all(kind).filter(|role| !is_for_people(role)) {
                let name = role["metadata"]["name"].as_str().unwrap();
                let binding = case.one(&format!("{kind}Binding"), name);
                assert_eq!(binding["roleRef"]["name"], name);
                assert_eq!(binding["roleRef"]["kind"], kind);
                assert_eq!(
                    binding["metadata"]["namespace"],
                    role["metadata"]["namespace"]
                );
                let subjects = binding["subjects"].as_array().unwrap();
                assert_eq!(subjects.len(), 1, "{binding}");
                assert_eq!(subjects[0]["namespace"], NAMESPACE);
                assert!(
                    runs_as(&case, subjects[0]["name"].as_str().unwrap()),
                    "{binding}"
                );
            }
        }
    }
}

/// Whether a pod runs as the account.
fn runs_as(case: &Case, account: &str) -> bool {
    case.pods()
        .iter()
        .any(|(_, pod)| pod["spec"]["serviceAccountName"] == account)
}

/// What the hook needs is there before it and gone after it.
#[test]
fn the_hook_brings_its_own_rights() {
    let Some(cases) = cases() else { return };
    for case in cases {
        let hooks = case
            .objects
            .iter()
            .filter(|object| object["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete");
        let hooks: Vec<&Value> = hooks.collect();
        assert_eq!(hooks.len(), 6, "{}", case.name);
        for hook in hooks {
            let annotations = &hook["metadata"]["annotations"];
            let weight: i32 = annotations["helm.sh/hook-weight"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            assert_eq!(weight < 0, hook["kind"] != "Job", "{hook}");
            let policy = annotations["helm.sh/hook-delete-policy"].as_str().unwrap();
            assert!(policy.contains("hook-succeeded") && policy.contains("before-hook-creation"));
        }
    }
}
