// Pure: who may reach the pods, where that is limited. What they may reach is not: NATS and exchanges are anywhere.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeSet;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::names::{self, ADMIN_PORT_NAME, CLIENTS_PORT_NAME, Component};
use super::{Release, meta};
use crate::ValidFeed;

pub(super) fn policies(feed: &ValidFeed, release: &Release) -> Vec<NetworkPolicy> {
    let Some(said) = &feed.network_policies else {
        return Vec::new();
    };
    let mut namespaces: BTreeSet<&str> = said.admin_namespaces.iter().map(String::as_str).collect();
    namespaces.insert(&release.namespace);
    let admin = NetworkPolicyIngressRule {
        from: Some(namespaces.into_iter().map(namespace).collect()),
        ports: Some(vec![port(ADMIN_PORT_NAME)]),
    };
    let clients = NetworkPolicyIngressRule {
        from: None,
        ports: Some(vec![port(CLIENTS_PORT_NAME)]),
    };
    vec![
        policy(feed, Component::Marketdata, vec![admin.clone()]),
        policy(feed, Component::Gateway, vec![clients, admin]),
    ]
}

fn policy(
    feed: &ValidFeed,
    component: Component,
    ingress: Vec<NetworkPolicyIngressRule>,
) -> NetworkPolicy {
    let name = names::component(&feed.identity, component);
    NetworkPolicy {
        metadata: meta::object(feed, name, meta::labels(feed, component, None)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(meta::label_selector(meta::selector(feed, component, None))),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(ingress),
            egress: None,
        }),
    }
}

fn namespace(name: &str) -> NetworkPolicyPeer {
    // Kubernetes itself puts this label on every namespace.
    let label = ("kubernetes.io/metadata.name".to_owned(), name.to_owned());
    NetworkPolicyPeer {
        namespace_selector: Some(meta::label_selector(meta::Labels::from([label]))),
        ..NetworkPolicyPeer::default()
    }
}

fn port(name: &str) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    }
}
