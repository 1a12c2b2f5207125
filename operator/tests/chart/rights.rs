//! Who may do what: the operator what docs/operator.md says and nothing else, nobody anything with Secrets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::rendered::{Case, NAMESPACE, cases, strings};
use super::tools::root;

type Rights = BTreeMap<String, BTreeSet<String>>;

fn rights(role: &Value) -> Rights {
    let mut rights = Rights::new();
    for rule in role["rules"].as_array().unwrap() {
        for resource in strings(&rule["resources"]) {
            rights
                .entry(resource)
                .or_default()
                .extend(strings(&rule["verbs"]));
        }
    }
    rights
}

/// The table: all namespaces' part, and that of the operator's own.
fn documented() -> (Rights, Rights) {
    let text = std::fs::read_to_string(root().join("docs/operator.md")).unwrap();
    let (_, after) = text
        .split_once("| resource | verbs |\n|---|---|\n")
        .unwrap();
    let (mut feeds, mut own) = (Rights::new(), Rights::new());
    for row in after.lines().take_while(|line| line.starts_with('|')) {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let (resources, verbs) = (cells.next().unwrap(), cells.next().unwrap());
        let verbs: BTreeSet<String> = verbs.split(", ").map(str::to_owned).collect();
        let rights = if resources.contains("in its own namespace") {
            &mut own
        } else {
            &mut feeds
        };
        // Names are in backticks.
        for name in resources.split('`').skip(1).step_by(2) {
            rights.insert(name.to_owned(), verbs.clone());
        }
    }
    assert!(feeds.len() > 5 && !own.is_empty(), "{feeds:?} {own:?}");
    (feeds, own)
}

#[test]
fn the_operator_may_do_what_is_documented() {
    let Some(cases) = cases() else { return };
    let (mut feeds, own) = documented();
    // The sentence below the table.
    feeds.insert(
        "marketfeeds/finalizers".to_owned(),
        BTreeSet::from(["update".to_owned()]),
    );
    for case in cases {
        let scoped = case.name == "namespaced" || case.name == "everything";
        let kind = if scoped { "Role" } else { "ClusterRole" };
        let name = if case.name == "everything" {
            "bars-operator"
        } else {
            "marketfeed-operator"
        };
        let role = case.one(kind, name);
        assert_eq!(rights(role), feeds, "{}", case.name);
        assert_eq!(
            role["metadata"]["namespace"],
            if scoped { json!("market") } else { json!(null) }
        );
        let lease = case.one("Role", &format!("{name}-lease"));
        assert_eq!(rights(lease), own, "{}", case.name);
        assert_eq!(lease["metadata"]["namespace"], NAMESPACE);
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
