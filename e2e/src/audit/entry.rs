//! One entry of the audit log. Pure.

#![deny(clippy::disallowed_methods)]

use serde::Deserialize;
use serde_json::Error;

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was done: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// Who asked, as `system:serviceaccount:<namespace>:<name>`.
    pub user: String,
    /// The program that asked, as it calls itself.
    pub user_agent: String,
    /// The API group; empty for the core's, and where there is no resource.
    pub group: String,
    /// The resource, as `deployments`; empty where a path was asked for that is none.
    pub resource: String,
    /// What of it, as `status`; empty for the whole.
    pub subresource: String,
    /// Empty where there is none.
    pub namespace: String,
    /// Empty for lists and for what has no name yet.
    pub name: String,
    /// The path with its query.
    pub uri: String,
    /// The answer's HTTP code; 0 if there was none.
    pub code: u16,
    /// When it was asked, in microseconds as RFC 3339: two of one server compare as their times do.
    pub at: String,
}

impl Entry {
    /// Reads a line of the log.
    pub(crate) fn parse(line: &str) -> Result<Self, Error> {
        let event: Event = serde_json::from_str(line)?;
        let object = event.object_ref.unwrap_or_default();
        Ok(Self {
            verb: event.verb,
            user: event.user.username,
            user_agent: event.user_agent,
            group: object.api_group,
            resource: object.resource,
            subresource: object.subresource,
            namespace: object.namespace,
            name: object.name,
            uri: event.request_uri,
            code: event.response_status.unwrap_or_default().code,
            at: event.request_received_timestamp,
        })
    }

    /// Whether it may have changed something: not whether it did, nor whether it was allowed.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        )
    }

    /// `deployments.apps/status`: resource, group and subresource, as rules of access name them.
    #[must_use]
    pub fn what(&self) -> String {
        let mut what = self.resource.clone();
        for (mark, part) in [('.', &self.group), ('/', &self.subresource)] {
            if !part.is_empty() {
                what.push(mark);
                what.push_str(part);
            }
        }
        what
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: Option<ObjectRef>,
    #[serde(rename = "requestURI")]
    request_uri: String,
    #[serde(default)]
    response_status: Option<ResponseStatus>,
    request_received_timestamp: String,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a","stage":"ResponseComplete",
        "requestURI":"/apis/apps/v1/namespaces/market/deployments/x/status?fieldManager=m","verb":"patch",
        "user":{"username":"admin","groups":["system:masters"]},"sourceIPs":["127.0.0.1"],"userAgent":"marketfeed-operator/0.1.0",
        "objectRef":{"resource":"deployments","namespace":"market","name":"x","apiGroup":"apps","apiVersion":"v1","subresource":"status"},
        "responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-01-01T00:00:00.000001Z",
        "stageTimestamp":"2026-01-01T00:00:00.000002Z"}"#;

    #[test]
    fn a_line_of_the_log() {
        let entry = Entry::parse(LINE).unwrap();
        assert_eq!(entry.what(), "deployments.apps/status");
        assert_eq!((entry.verb.as_str(), entry.code), ("patch", 200));
        assert_eq!(
            (entry.namespace.as_str(), entry.name.as_str()),
            ("market", "x")
        );
        assert_eq!(entry.user_agent, "marketfeed-operator/0.1.0");
        assert!(entry.is_write());
    }

    #[test]
    fn a_path_that_is_no_resource() {
        let line = r#"{"verb":"get","user":{"username":"u"},"requestURI":"/readyz","requestReceivedTimestamp":"t"}"#;
        let entry = Entry::parse(line).unwrap();
        assert_eq!((entry.what().as_str(), entry.code), ("", 0));
        assert!(!entry.is_write());
        assert!(Entry::parse("{").is_err());
    }
}
