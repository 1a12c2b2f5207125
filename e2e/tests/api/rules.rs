//! What the operator and its `leave` may do, as `docs/operator.md` says it, as objects of Kubernetes.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::support::{SYSTEM, root};

/// How a row says that it is of the operator's own namespace.
const OWN_NAMESPACE: [&str; 2] = ["in its own namespace", "in the operator's namespace"];

/// The head of a table.
const HEAD: &str = "| resource | verbs |\n|---|---|\n";

/// The group of each resource that the document may name.
const GROUPS: [(&str, &str); 11] = [
    ("marketfeeds", "marketfeed.dev"),
    ("configmaps", ""),
    ("services", ""),
    ("pods", ""),
    ("deployments", "apps"),
    ("poddisruptionbudgets", "policy"),
    ("horizontalpodautoscalers", "autoscaling"),
    ("networkpolicies", "networking.k8s.io"),
    ("jobs", "batch"),
    ("leases", "coordination.k8s.io"),
    ("events", "events.k8s.io"),
];

/// One right: a verb on a resource, as `patch marketfeeds.marketfeed.dev/status`.
pub(crate) type Right = String;

/// The rows of the table.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Of all namespaces: group, resource, verbs.
    everywhere: Vec<Rule>,
    /// Of the operator's own.
    own: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    group: String,
    resource: String,
    verbs: Vec<String>,
}

/// The rights of the operator.
pub(crate) fn of_operator() -> Rules {
    tables().swap_remove(0)
}

/// The rights of who uninstalls it.
pub(crate) fn of_leave() -> Rules {
    tables().swap_remove(1)
}

fn tables() -> Vec<Rules> {
    let text = fs::read_to_string(root().join("docs/operator.md")).unwrap();
    let tables: Vec<Rules> = text.split(HEAD).skip(1).map(table).collect();
    assert_eq!(tables.len(), 2, "tables of rights in docs/operator.md");
    tables
}

fn table(text: &str) -> Rules {
    let mut rules = Rules {
        everywhere: Vec::new(),
        own: Vec::new(),
    };
    for row in text.lines().take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let verbs = cells[1].split(',').map(|verb| verb.trim().to_owned());
        let verbs: Vec<String> = verbs.collect();
        // Names are in code marks; a group may follow.
        let names = cells[0].split(" of ").next().unwrap();
        for resource in names.split('`').skip(1).step_by(2) {
            let whole = resource.split('/').next().unwrap();
            let found = GROUPS.iter().find(|(name, _)| *name == whole);
            let (_, group) = found.unwrap_or_else(|| panic!("of which group is {resource}?"));
            let rule = Rule {
                group: (*group).to_owned(),
                resource: resource.to_owned(),
                verbs: verbs.clone(),
            };
            if OWN_NAMESPACE.iter().any(|words| cells[0].contains(words)) {
                rules.own.push(rule);
            } else {
                rules.everywhere.push(rule);
            }
        }
    }
    assert!(
        !rules.everywhere.is_empty() && !rules.own.is_empty(),
        "{rules:?}"
    );
    rules
}

impl Rules {
    /// Each verb of each resource, named as the audit log names them.
    pub(crate) fn rights(&self) -> BTreeSet<Right> {
        let mut rights = BTreeSet::new();
        for Rule {
            group,
            resource,
            verbs,
        } in self.everywhere.iter().chain(&self.own)
        {
            let (whole, sub) = resource.split_once('/').unwrap_or((resource, ""));
            let group = if group.is_empty() {
                String::new()
            } else {
                format!(".{group}")
            };
            let sub = if sub.is_empty() {
                String::new()
            } else {
                format!("/{sub}")
            };
            rights.extend(
                verbs
                    .iter()
                    .map(|verb| format!("{verb} {whole}{group}{sub}")),
            );
        }
        rights
    }

    /// An account with these rights in the operator's namespace, as YAML of many documents.
    pub(crate) fn objects(&self, account: &str) -> String {
        let everywhere = Self::json(&self.everywhere);
        let own = Self::json(&self.own);
        let subject = json!([{ "kind": "ServiceAccount", "name": account, "namespace": SYSTEM }]);
        let meta = |namespace: Option<&str>| json!({ "name": account, "namespace": namespace });
        let rbac = "rbac.authorization.k8s.io";
        let version = format!("{rbac}/v1");
        let role = |kind: &str| json!({ "apiGroup": rbac, "kind": kind, "name": account });
        let objects = [
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": SYSTEM } }),
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(Some(SYSTEM)) }),
            json!({ "apiVersion": version, "kind": "ClusterRole", "metadata": meta(None), "rules": everywhere }),
            json!({ "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": meta(None),
                "roleRef": role("ClusterRole"), "subjects": subject }),
            json!({ "apiVersion": version, "kind": "Role", "metadata": meta(Some(SYSTEM)), "rules": own }),
            json!({ "apiVersion": version, "kind": "RoleBinding", "metadata": meta(Some(SYSTEM)),
                "roleRef": role("Role"), "subjects": subject }),
        ];
        objects.map(|object| object.to_string()).join("\n---\n")
    }

    fn json(rules: &[Rule]) -> Vec<Value> {
        let rule = |rule: &Rule| json!({ "apiGroups": [rule.group], "resources": [rule.resource], "verbs": rule.verbs });
        rules.iter().map(rule).collect()
    }
}
