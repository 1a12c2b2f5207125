//! In which namespaces feeds are looked after.

use std::collections::BTreeSet;

use kube::Client;
use kube::api::Api;
use kube::runtime::watcher;

use crate::build::names::FIELD_MANAGER;

/// Where MarketFeeds are looked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// In all namespaces but some, which are left to other operators.
    Everywhere {
        /// Which.
        except: BTreeSet<String>,
    },
    /// In one.
    Namespace(String),
}

impl Where {
    /// The name of the Lease: operators that look after the same namespaces take turns, and those that look after others do not
    /// wait for them. What is left out is no part of it: while that is changed, the new one waits for the old one.
    #[must_use]
    pub fn lease(&self) -> String {
        match self {
            Self::Everywhere { except: _ } => FIELD_MANAGER.to_owned(),
            Self::Namespace(namespace) => format!("{FIELD_MANAGER}-{namespace}"),
        }
    }

    /// That namespace alone, if feeds in it are looked after.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Option<Self> {
        let is_within = match self {
            Self::Everywhere { except } => !except.contains(namespace),
            Self::Namespace(of) => of == namespace,
        };
        is_within.then(|| Self::Namespace(namespace.to_owned()))
    }

    /// What the API server is to leave out of its answers, as a field selector.
    #[must_use]
    pub fn fields(&self) -> Option<String> {
        match self {
            Self::Everywhere { except } if !except.is_empty() => {
                let left_out = except
                    .iter()
                    .map(|namespace| format!("metadata.namespace!={namespace}"));
                Some(left_out.collect::<Vec<_>>().join(","))
            }
            Self::Everywhere { except: _ } | Self::Namespace(_) => None,
        }
    }

    /// What is watched of a kind.
    pub(super) fn watched(&self) -> watcher::Config {
        let all = watcher::Config::default();
        match self.fields() {
            Some(fields) => all.fields(&fields),
            None => all,
        }
    }

    /// The objects of a kind that are looked at.
    pub(super) fn api<K>(&self, client: Client) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        match self {
            Self::Everywhere { except: _ } => Api::all(client),
            Self::Namespace(namespace) => Api::namespaced(client, namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everywhere(except: &[&str]) -> Where {
        Where::Everywhere {
            except: except.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn those_that_look_after_other_namespaces_have_other_leases() {
        let one = Where::Namespace("market".to_owned());
        assert_eq!(everywhere(&[]).lease(), "marketfeed-operator");
        assert_eq!(everywhere(&["a"]).lease(), "marketfeed-operator");
        assert_eq!(one.lease(), "marketfeed-operator-market");
    }

    #[test]
    fn namespaces_are_left_out_by_the_api_server() {
        assert_eq!(everywhere(&[]).fields(), None);
        assert_eq!(Where::Namespace("market".to_owned()).fields(), None);
        let fields = everywhere(&["b", "a"]).fields();
        let expect = "metadata.namespace!=a,metadata.namespace!=b";
        assert_eq!(fields.as_deref(), Some(expect));
        assert_eq!(
            everywhere(&["a"]).watched().field_selector.as_deref(),
            Some("metadata.namespace!=a")
        );
    }
}
